//! Who comes in and who does not: links, the second factor, the disabled, the last way in.

use ground::{Id, Secret};
use kit::issuer::Person;
use supervisor::Fault;

use super::room::{NAME, RIGHT_CODE, Room, by, disable, user};
use crate::factors::By;
use crate::federation::config::Newcomers;
use crate::federation::types::{Finish, Finished};
use crate::sessions::Method;
use ground::lock;

#[tokio::test]
async fn who_is_there_already_links_and_then_signs_in() {
    ::store::testing::on_both(async |db| {
        let room = Room::with(&db, |config| config.registration = Newcomers::Closed).await;
        let ada = user(&db, "ada@example.org").await;
        assert_eq!(room.refusal(None).await, "accounts.link_first");
        let linked = room.go(Some(ada)).await.expect("linked");
        assert!(matches!(linked, Finished::Linked { .. }));
        assert!(room.signed_in().is_empty(), "a link is no sign-in");
        room.go(Some(ada)).await.expect("linked already");
        room.go(None).await.expect("signed in");
        let all = lock(&room.sessions.all).clone();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].user, all[0].method), (ada, Method::Federated));
        assert!(!all[0].second_factor);
        let bob = user(&db, "bob@example.org").await;
        assert_eq!(room.refusal(Some(bob)).await, "accounts.identity_taken");
        room.issuer.log_in(Person::new("2", "x@example.org"));
        assert_eq!(room.refusal(Some(ada)).await, "accounts.has_other_identity");
        assert_eq!(room.refusal(None).await, "accounts.identity_unknown");
    })
    .await;
}

#[tokio::test]
async fn a_disabled_user_is_refused_like_a_stranger() {
    ::store::testing::on_both(async |db| {
        let room = Room::with(&db, |config| config.registration = Newcomers::Closed).await;
        let ada = user(&db, "somebody@example.org").await;
        assert_eq!(room.refusal(None).await, "accounts.identity_unknown");
        room.go(Some(ada)).await.expect("linked");
        disable(&db, ada).await;
        assert_eq!(room.refusal(None).await, "accounts.identity_unknown");
        assert_eq!(room.reason().await, "identity_unknown");
        assert_eq!(room.refusal(Some(ada)).await, "accounts.identity_unknown");
        assert!(room.signed_in().is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_second_factor_is_asked_for_and_may_be_shown_after_it_was_missing() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        room.go(None).await.expect("signed up");
        let ada = room.signed_in()[0];
        lock(&room.factors.of).push(ada);
        let missing = room.come_back(None).await;
        let with = |code: &str| Finish {
            totp_code: Some(Secret::from(code)),
            ..missing.clone()
        };
        assert!(room.desk.finish(missing.clone()).await.is_err());
        assert!(room.desk.finish(with("000000")).await.is_err());
        assert_eq!(room.signed_in().len(), 1);
        room.desk.finish(with(RIGHT_CODE)).await.expect("signed in");
        let (user, second_factor) = {
            let all = lock(&room.sessions.all);
            (all[1].user, all[1].second_factor)
        };
        assert_eq!((user, second_factor), (ada, true));
        let again = room.desk.finish(with(RIGHT_CODE)).await;
        assert_eq!(
            again.expect_err("refused").code(),
            "accounts.flow_not_found"
        );
        let guessed = room.come_back(None).await;
        for _ in 0..5 {
            assert!(room.desk.finish(guessed.clone()).await.is_err());
        }
        let late = Finish {
            totp_code: Some(Secret::from(RIGHT_CODE)),
            ..guessed
        };
        let late = room.desk.finish(late).await.expect_err("too many tries");
        assert_eq!(late.code(), "accounts.flow_not_found");
    })
    .await;
}

#[tokio::test]
async fn an_issuer_may_stand_for_the_second_factor() {
    ::store::testing::on_both(async |db| {
        let room = Room::with(&db, |config| config.trusts_second_factor = true).await;
        room.go(None).await.expect("signed up");
        lock(&room.factors.of).push(room.signed_in()[0]);
        room.go(None).await.expect("signed in");
        assert!(lock(&room.sessions.all)[1].second_factor);
    })
    .await;
}

#[tokio::test]
async fn the_last_way_in_is_not_taken_away() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        room.go(None).await.expect("signed up");
        let newcomer = room.signed_in()[0];
        let unlink = async |user: Id| {
            let done = room.desk.unlink(by(user), NAME.to_owned()).await;
            done.map_or_else(|error| error.code(), |()| "done")
        };
        assert_eq!(unlink(newcomer).await, "accounts.last_way_in");
        assert_eq!(
            room.desk.identities(newcomer).await.expect("a list").len(),
            1
        );
        room.issuer.log_in(Person::new("2", "x@example.org"));
        let ada = user(&db, "with-password@example.org").await;
        room.go(Some(ada)).await.expect("linked");
        let stale = By {
            signed_in_at: None,
            ..by(ada)
        };
        let stale = room.desk.unlink(stale, NAME.to_owned()).await;
        assert_eq!(
            stale.expect_err("refused").code(),
            "accounts.identity_not_fresh"
        );
        assert_eq!(unlink(ada).await, "done");
        assert_eq!(unlink(ada).await, "accounts.identity_not_found");
        let last = room.entries().await.pop().expect("an entry");
        assert_eq!(
            (last.0.as_str(), last.1.as_str()),
            ("identity.unlink", "done")
        );
    })
    .await;
}

#[tokio::test]
async fn two_that_come_up_at_once_are_one_user() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        let (one, other) = (room.come_back(None).await, room.come_back(None).await);
        let (one, other) = tokio::join!(room.desk.finish(one), room.desk.finish(other));
        one.expect("signed in");
        other.expect("signed in");
        let who = room.signed_in();
        assert_eq!(who[0], who[1]);
    })
    .await;
}
