//! Somebody guesses.

use std::time::Duration;

use supervisor::{Fault, FaultKind, Injection};
use tokio::task::JoinSet;

use super::bench::{App, audited, by, source, story, user};
use crate::factors::FactorError;
use crate::tests::house::eventually;

#[tokio::test]
async fn five_wrong_codes_are_the_end_but_for_a_recovery_code() {
    story(async |house, factors| {
        let app = App::of(factors, user(&house.db).await).await;
        let wrong = app.wrong_code();
        for _ in 0..5 {
            let refused = factors.check(app.user, Some(&wrong), &source()).await;
            assert!(matches!(refused, Err(FactorError::Wrong)), "{refused:?}");
        }
        let right = app.next_code();
        for _ in 0..20 {
            let refused = factors.check(app.user, Some(&right), &source()).await;
            let refused = refused.expect_err("limited");
            assert_eq!(
                (refused.code(), refused.kind()),
                ("factors.limited", FaultKind::Limited)
            );
            let wait = refused.retry_after().expect("a time");
            assert!(wait > Duration::from_mins(4) && wait <= Duration::from_mins(5));
        }
        let elsewhere = factors.disable(by(app.user), right.clone()).await;
        assert!(matches!(elsewhere, Err(FactorError::Limited { .. })));

        // A restart of the actor gives no more guesses.
        let path = "/accounts/factors";
        let before = house.system.status(Some(path), Some(0)).expect("a node");
        let hit = house.system.inject(path, Injection::Kill).await;
        assert_eq!(hit, Ok(true));
        eventually("it was started again", async || {
            let node = house.system.status(Some(path), Some(0)).expect("a node");
            node.restarts.count > before.restarts.count && factors.overview(app.user).await.is_ok()
        })
        .await;
        let refused = factors.check(app.user, Some(&right), &source()).await;
        assert!(
            matches!(refused, Err(FactorError::Limited { .. })),
            "{refused:?}"
        );

        // Who guesses locks nobody out.
        let recovery = factors
            .check(app.user, app.recovery.first(), &source())
            .await;
        assert_eq!(recovery.ok(), Some(true));
        let other = App::of(factors, user(&house.db).await).await;
        let code = other.next_code();
        let other = factors.check(other.user, Some(&code), &source()).await;
        assert_eq!(other.ok(), Some(true));

        // However long somebody goes on, the audit grows by no more than this.
        let entries = audited(&house.db).await;
        let count = |why: &str| {
            let detail = format!("{{\"why\":\"{why}\"}}");
            let is_it = |entry: &&[String; 4]| entry[0] == "factor.refused" && entry[3] == detail;
            entries.iter().filter(is_it).count()
        };
        assert_eq!((count("wrong"), count("limited")), (5, 1));
        let refusal = entries.iter().find(|entry| entry[0] == "factor.refused");
        let refusal = refusal.expect("one");
        assert_eq!(
            (refusal[1].as_str(), refusal[2].as_str()),
            ("anonymous", "refused")
        );
    })
    .await;
}

/// Guesses take their place before they are looked at: many at once are no way around the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_guesses_at_once_are_five() {
    story(async |house, factors| {
        let app = App::of(factors, user(&house.db).await).await;
        let wrong = app.wrong_code();
        let mut guesses = JoinSet::new();
        for _ in 0..50 {
            let (factors, wrong) = (factors.clone(), wrong.clone());
            let user = app.user;
            guesses.spawn(async move { factors.check(user, Some(&wrong), &source()).await });
        }
        let mut looked_at = 0;
        while let Some(guess) = guesses.join_next().await {
            match guess.expect("no panic") {
                Err(FactorError::Wrong) => looked_at += 1,
                Err(FactorError::Limited { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(looked_at, 5);
    })
    .await;
}
