//! The life of a token, and its limits.

use ground::audit::By;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ground::{Id, Micros, PageRequest, args};
use supervisor::{Fault, FaultKind, Injection, task};
use tokio::time::timeout;

use super::house::{House, eventually, made_up, quick};
use crate::*;

#[tokio::test]
async fn a_token_is_created_used_and_revoked() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        assert!(!house.accounts.has_tokens().await.expect("readable"));
        let new = NewToken {
            name: Some(" laptop ".to_owned()),
            scopes: vec!["terminals".to_owned(), "read".to_owned(), "read".to_owned()],
            expires_in: Some(Duration::from_hours(1)),
            owner: None,
        };
        let (told, secret) = house
            .accounts
            .create(new, By::system())
            .await
            .expect("a token");
        assert!(secret.expose().starts_with(TOKEN_PREFIX));
        assert_eq!(secret.expose().len(), TOKEN_CHARS);
        assert!(house.accounts.has_tokens().await.expect("readable"));

        let identity = house.verify(&secret).await.expect("valid");
        assert_eq!(identity, Identity::of(&told, Tier::Standard));
        assert_eq!(identity.name.as_ref(), "laptop");
        assert_eq!(
            (identity.role, identity.owner.as_deref()),
            (Role::Owner, None)
        );
        assert!(identity.scopes.allows(Scope::Read) && !identity.scopes.allows(Scope::Operator));
        assert_eq!(house.verify(&secret).await.expect("from memory"), identity);

        house
            .accounts
            .revoke(told.id, None, By::system())
            .await
            .expect("revoked");
        let refused = house.verify(&secret).await.expect_err("revoked");
        assert_eq!(
            (refused.code(), refused.kind()),
            ("accounts.revoked_token", FaultKind::Unauthenticated)
        );
        let first = house.told(told.id).await.revoked_at.expect("a time");
        house
            .accounts
            .revoke(told.id, None, By::system())
            .await
            .expect("revoked already");
        assert_eq!(house.told(told.id).await.revoked_at, Some(first));
        assert!(!house.accounts.has_tokens().await.expect("readable"));
        let unknown = house
            .accounts
            .revoke(Id::generate(), None, By::system())
            .await
            .expect_err("none");
        assert_eq!(unknown.kind(), FaultKind::NotFound);
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once_and_nothing_is_created() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let new = NewToken {
            name: Some(String::new()),
            scopes: vec!["reads".to_owned()],
            expires_in: Some(Duration::MAX),
            owner: None,
        };
        let error = house
            .accounts
            .create(new, By::system())
            .await
            .expect_err("three findings");
        let pointers: Vec<_> = error.findings().into_iter().map(|f| f.pointer).collect();
        assert_eq!(pointers, ["/name", "/scopes/0", "/expires_in"]);
        assert_eq!(error.kind(), FaultKind::Invalid);
        assert!(!house.accounts.has_tokens().await.expect("readable"));
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn bad_tokens_are_refused_by_their_kind() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        for text in ["", "mst_", "mst_123", "Bearer x", "mst_\u{1f600}"] {
            let error = house.accounts.verify(text).await.expect_err("malformed");
            assert_eq!(
                (error.code(), error.kind()),
                ("accounts.malformed_token", FaultKind::Unauthenticated)
            );
        }
        let unknown = made_up(1);
        for _ in 0..2 {
            let error = house.verify(&unknown).await.expect_err("unknown");
            assert_eq!(
                (error.code(), error.kind()),
                ("accounts.unknown_token", FaultKind::Unauthenticated)
            );
        }
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_token_ends_when_its_time_is_over() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let new = NewToken {
            expires_in: Some(MIN_LIFETIME),
            ..NewToken::default()
        };
        let (told, secret) = house
            .accounts
            .create(new, By::system())
            .await
            .expect("a token");
        let mut watch = house.accounts.watch(told.id, told.expires_at);
        assert!(house.verify(&secret).await.is_ok());
        let ending = timeout(Duration::from_secs(10), watch.ended()).await;
        assert_eq!(ending, Ok(Ending::Expired));
        for _ in 0..2 {
            let error = house.verify(&secret).await.expect_err("expired");
            assert_eq!(error.code(), "accounts.expired_token");
        }
        assert!(!house.accounts.has_tokens().await.expect("readable"));
        house.stop().await;
    })
    .await;
}

/// Not one check that begins after the revocation was acknowledged succeeds, however many are under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revocation_counts_from_its_acknowledgement() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        for _ in 0..10 {
            let (told, secret) = house.token().await;
            let revoked = Arc::new(AtomicBool::new(false));
            let (broken, broken_seen) = tokio::sync::watch::channel(false);
            let ask = || {
                let (accounts, secret) = (house.accounts.clone(), secret.clone());
                let (revoked, broken) = (Arc::clone(&revoked), broken.clone());
                task::spawn(async move {
                    loop {
                        let was_revoked = revoked.load(Ordering::SeqCst);
                        match accounts.verify(secret.expose()).await {
                            Ok(_) if was_revoked => {
                                broken.send_replace(true);
                                break;
                            }
                            Ok(_) => tokio::task::yield_now().await,
                            Err(AccountsError::Revoked) => break,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                })
            };
            let mut asking: Vec<_> = (0..16).map(|_| ask()).collect();
            house
                .accounts
                .revoke(told.id, None, By::system())
                .await
                .expect("revoked");
            revoked.store(true, Ordering::SeqCst);
            for asking in &mut asking {
                timeout(Duration::from_secs(30), asking.finished())
                    .await
                    .expect("ends");
            }
            assert!(!*broken_seen.borrow(), "a revoked token was let in");
        }
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn streams_of_a_revoked_token_are_told_at_once() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (told, secret) = house.token().await;
        house.verify(&secret).await.expect("valid");
        let mut early = house.accounts.watch(told.id, None);
        house
            .accounts
            .revoke(told.id, None, By::system())
            .await
            .expect("revoked");
        let mut late = house.accounts.watch(told.id, None);
        for watch in [&mut early, &mut late] {
            let ending = timeout(Duration::from_secs(1), watch.ended()).await;
            assert_eq!(ending, Ok(Ending::Revoked));
        }
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_use_is_noted_at_once_and_then_not_for_a_minute() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (told, secret) = house.token().await;
        assert_eq!(told.last_used_at, None);
        house.verify(&secret).await.expect("valid");
        eventually("the use is noted", async || {
            house.told(told.id).await.last_used_at.is_some()
        })
        .await;
        let noted = house.told(told.id).await.last_used_at;
        for _ in 0..50 {
            house.verify(&secret).await.expect("valid");
        }
        house.stop().await;
        // Another daemon reads what was noted and goes on from there.
        let house = House::new(&db).await;
        house.verify(&secret).await.expect("valid");
        let db = house.db.clone();
        house.stop().await;
        let kept: (Option<Micros>,) = db
            .fetch_one(
                "SELECT last_used_at FROM tokens WHERE id = $1",
                args![told.id],
            )
            .await
            .expect("a row");
        assert_eq!(kept.0, noted);
    })
    .await;
}

#[tokio::test]
async fn tokens_are_listed_in_pages() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let mut created = Vec::new();
        for _ in 0..5 {
            created.push(house.token().await.0);
        }
        let (mut listed, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = PageRequest::new(Some(2), cursor.as_deref()).expect("own cursor");
            let page = house.accounts.list(page, None).await.expect("a page");
            listed.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(listed, created);
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn ended_tokens_make_room_and_living_ones_do_not() {
    ::store::testing::on_both(async |db| {
        let config = Config {
            max_tokens: 2,
            ..quick()
        };
        let house = House::with(&db, config).await;
        let (first, _) = house.token().await;
        let (second, _) = house.token().await;
        let error = house
            .accounts
            .create(NewToken::default(), By::system())
            .await;
        let error = error.expect_err("full");
        assert_eq!(
            (error.code(), error.kind()),
            ("accounts.too_many_tokens", FaultKind::Limited)
        );
        house
            .accounts
            .revoke(first.id, None, By::system())
            .await
            .expect("revoked");
        let (third, secret) = house.token().await;
        assert!(house.verify(&secret).await.is_ok());
        let all = house
            .accounts
            .list(PageRequest::default(), None)
            .await
            .expect("a list");
        let ids: Vec<_> = all.items.iter().map(|token| token.id).collect();
        assert_eq!(ids, [second.id, third.id]);
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_configured_limit_ends_every_new_token() {
    ::store::testing::on_both(async |db| {
        let config = Config {
            max_lifetime: Duration::from_hours(1),
            ..quick()
        };
        let house = House::with(&db, config).await;
        let (told, _) = house.token().await;
        assert_eq!(
            told.expires_at,
            Some(told.created_at + Duration::from_hours(1))
        );
        let longer = NewToken {
            expires_in: Some(Duration::from_hours(2)),
            ..NewToken::default()
        };
        assert!(house.accounts.create(longer, By::system()).await.is_err());
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn no_more_tokens_are_remembered_than_configured() {
    ::store::testing::on_both(async |db| {
        let config = Config {
            remembered_tokens: 2,
            ..quick()
        };
        let house = House::with(&db, config).await;
        let mut secrets = Vec::new();
        for _ in 0..5 {
            secrets.push(house.token().await.1);
        }
        for _ in 0..3 {
            for secret in &secrets {
                house.verify(secret).await.expect("valid");
                assert!(house.accounts.ports(db.clone()).shared.known.len() <= 2);
            }
        }
        house.stop().await;
    })
    .await;
}

/// A repeated bad token does not reach the database: what is there now is not even seen.
#[tokio::test]
async fn a_refusal_is_remembered_for_a_moment() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (told, secret) = house.token().await;
        let bad = made_up(3);
        assert!(matches!(
            house.verify(&bad).await,
            Err(AccountsError::Unknown)
        ));
        let hash = crate::token::read(bad.expose()).expect("well-formed");
        db.execute(
            "UPDATE tokens SET secret_hash = $1 WHERE id = $2",
            args![hash.as_bytes(), told.id],
        )
        .await
        .expect("written");
        assert!(matches!(
            house.verify(&bad).await,
            Err(AccountsError::Unknown)
        ));
        assert!(matches!(
            house.verify(&secret).await,
            Err(AccountsError::Unknown)
        ));
        house.stop().await;
    })
    .await;
}

/// A newer program may know scopes that this one does not. Such a token must not get all rights.
#[tokio::test]
async fn a_token_that_cannot_be_read_lets_nobody_in() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (told, secret) = house.token().await;
        house.verify(&secret).await.expect("valid");
        db.execute(
            "UPDATE tokens SET scopes = $1 WHERE id = $2",
            args!["[\"billing\"]", told.id],
        )
        .await
        .expect("written");
        eventually("it is checked again", async || {
            house.verify(&secret).await.is_err()
        })
        .await;
        let error = house.verify(&secret).await.expect_err("not readable");
        assert_eq!(error.kind(), FaultKind::Internal);
        assert!(!error.outside().contains("billing"));
        house.stop().await;
    })
    .await;
}

/// Who was let in stays so through every fault of the manager, and new ones are let in again right after it.
#[tokio::test]
async fn a_fault_of_the_manager_locks_nobody_out() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (told, secret) = house.token().await;
        let (_, other) = house.token().await;
        house.verify(&secret).await.expect("valid");
        let mut watch = house.accounts.watch(told.id, None);
        for injection in [Injection::Panic, Injection::Error, Injection::Kill] {
            let hit = house.system.inject("/accounts/manager", injection).await;
            assert_eq!(hit, Ok(true));
            for _ in 0..100 {
                house.verify(&secret).await.expect("goes on");
            }
            eventually("the manager is back", async || {
                house.accounts.has_tokens().await.is_ok()
            })
            .await;
        }
        house
            .verify(&other)
            .await
            .expect("looked up by the new manager");
        house
            .accounts
            .revoke(told.id, None, By::system())
            .await
            .expect("revoked");
        let ending = timeout(Duration::from_secs(1), watch.ended()).await;
        assert_eq!(ending, Ok(Ending::Revoked));
        assert!(house.verify(&secret).await.is_err());
        house.stop().await;
    })
    .await;
}

/// Somebody makes up tokens as fast as possible: each is answered, and who has a token notices nothing.
#[tokio::test]
async fn a_flood_of_made_up_tokens_is_bounded_and_answered() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (_, secret) = house.token().await;
        house.verify(&secret).await.expect("valid");
        let mut flood = tokio::task::JoinSet::new();
        for number in 0..3000_u16 {
            let mut random = [9; 32];
            random[..2].copy_from_slice(&number.to_be_bytes());
            let (accounts, bad) = (house.accounts.clone(), crate::token::make(&mut random));
            flood.spawn(async move { accounts.verify(bad.expose()).await });
        }
        let mut answered = 0;
        while let Some(answer) = flood.join_next().await {
            let error = answer.expect("no panic").expect_err("made up");
            let unknown = matches!(error, AccountsError::Unknown);
            assert!(
                unknown || error.kind() == FaultKind::Unavailable,
                "{error:?}"
            );
            house.verify(&secret).await.expect("notices nothing");
            answered += 1;
        }
        assert_eq!(answered, 3000);
        house.stop().await;
    })
    .await;
}

/// A stop finishes what it was asked for before.
#[tokio::test]
async fn what_was_asked_for_before_a_stop_is_done() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let mut creating = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let accounts = house.accounts.clone();
            creating.spawn(async move { accounts.create(NewToken::default(), By::system()).await });
        }
        // All of them have asked once each has had its turn; this one then stands behind them.
        tokio::task::yield_now().await;
        house.stop().await;
        let mut created = 0;
        while let Some(answer) = creating.join_next().await {
            created += i64::from(answer.expect("no panic").is_ok());
        }
        let (kept,): (i64,) = db
            .fetch_one("SELECT count(*) FROM tokens", args![])
            .await
            .expect("readable");
        // Nothing was done of which nobody was told.
        assert_eq!(created, kept);
        assert!(created > 0);
    })
    .await;
}
