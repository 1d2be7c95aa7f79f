//! The database goes away and comes back.

use ground::audit::By;
use std::time::Duration;

use ground::{Id, PageRequest, Secret};
use supervisor::{Action, Fault, FaultKind, Level, State};
use tokio::time::timeout;

use super::house::{House, Pulled, eventually, made_up};
use crate::*;

#[tokio::test]
async fn a_loss_shows_without_a_request_and_so_does_the_recovery() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        assert_eq!(house.level(), Level::Normal);
        let pulled = Pulled::out_of(&db);
        eventually("the loss shows", async || house.level() == Level::Critical).await;
        let status = house
            .system
            .status(Some("/accounts"), None)
            .expect("a domain");
        let code = status.cause.as_ref().map(|cause| cause.code.as_str());
        assert_eq!(code, Some("accounts.store_lost"));
        let lost = crate::store_watch::LOST_IMPACT;
        assert_eq!(status.impact.as_deref(), Some(lost));
        let instead = crate::store_watch::LOST_FALLBACK;
        assert_eq!(status.fallback.as_deref(), Some(instead));
        pulled.back_into(&db).await;
        eventually("the recovery shows", async || {
            house.level() == Level::Normal
        })
        .await;
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn who_was_let_in_stays_and_others_hear_that_they_cannot_be_checked() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (told, known) = house.token().await;
        let (_, idle) = house.token().await;
        house.verify(&known).await.expect("valid");
        let refused = made_up(1);
        assert!(matches!(
            house.verify(&refused).await,
            Err(AccountsError::Unknown)
        ));
        let pulled = Pulled::out_of(&db);
        eventually("the loss shows", async || house.level() == Level::Critical).await;

        goes_on_past_the_recheck(&house, &known).await;
        for secret in [&idle, &made_up(2), &refused] {
            let error = house.verify(secret).await.expect_err("cannot be checked");
            assert_lost(&error);
        }
        assert_lost(
            &house
                .accounts
                .revoke(told.id, None, By::system())
                .await
                .expect_err("not possible"),
        );
        assert!(
            house.verify(&known).await.is_ok(),
            "a revocation that failed revokes nothing"
        );

        pulled.back_into(&db).await;
        eventually("others can be checked again", async || {
            house.verify(&idle).await.is_ok()
        })
        .await;
        house
            .accounts
            .revoke(told.id, None, By::system())
            .await
            .expect("revoked");
        assert!(matches!(
            house.verify(&known).await,
            Err(AccountsError::Revoked)
        ));
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn management_says_at_once_that_it_cannot() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let pulled = Pulled::out_of(&db);
        let accounts = &house.accounts;
        assert_lost(
            &accounts
                .create(NewToken::default(), By::system())
                .await
                .expect_err("not possible"),
        );
        assert_lost(
            &accounts
                .list(PageRequest::default(), None)
                .await
                .expect_err("not possible"),
        );
        assert_lost(
            &accounts
                .revoke(Id::generate(), None, By::system())
                .await
                .expect_err("not possible"),
        );
        assert_lost(&accounts.has_tokens().await.expect_err("not possible"));
        pulled.back_into(&db).await;
        assert!(!accounts.has_tokens().await.expect("possible again"));
        house.stop().await;
    })
    .await;
}

fn assert_lost(error: &AccountsError) {
    assert_eq!(
        (error.code(), error.kind()),
        ("accounts.store_lost", FaultKind::Unavailable)
    );
    assert!(error.retry_after().is_some_and(|after| !after.is_zero()));
}

/// Long enough for what is remembered to grow stale several times over.
async fn goes_on_past_the_recheck(house: &House, secret: &Secret) {
    let mut checks = 0;
    let checking = timeout(Duration::from_millis(400), async {
        loop {
            house.verify(secret).await.expect("goes on");
            checks += 1;
            tokio::task::yield_now().await;
        }
    });
    let ended: Result<(), _> = checking.await;
    assert!(ended.is_err() && checks > 10, "{checks}");
}

#[tokio::test]
async fn what_is_remembered_is_not_believed_for_ever() {
    ::store::testing::on_both(async |db| {
        let config = Config {
            offline_limit: Duration::from_millis(300),
            ..super::house::quick()
        };
        let house = House::with(&db, config).await;
        let (_, secret) = house.token().await;
        house.verify(&secret).await.expect("valid");
        let pulled = Pulled::out_of(&db);
        eventually("the time is over", async || {
            house.verify(&secret).await.is_err()
        })
        .await;
        let error = house.verify(&secret).await.expect_err("too old");
        assert_eq!(error.kind(), FaultKind::Unavailable);
        pulled.back_into(&db).await;
        house.verify(&secret).await.expect("can be checked again");
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_manager_that_starts_without_the_database_serves_who_is_known() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (_, secret) = house.token().await;
        house.verify(&secret).await.expect("valid");
        let pulled = Pulled::out_of(&db);
        house
            .system
            .act("/accounts/manager", Action::Restart)
            .expect("ordered");
        let restarted = async || {
            let status = house.system.status(Some("/accounts/manager"), Some(0));
            status.is_some_and(|status| {
                status.state == State::Running && status.level == Level::Critical
            })
        };
        eventually("it runs and says what is lost", restarted).await;
        house.verify(&secret).await.expect("goes on");
        pulled.back_into(&db).await;
        eventually("the recovery shows", async || {
            house.level() == Level::Normal
        })
        .await;
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_stopped_manager_means_unavailable_and_never_a_wrong_token() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (_, known) = house.token().await;
        let (_, idle) = house.token().await;
        house.verify(&known).await.expect("valid");
        house
            .system
            .act("/accounts/manager", Action::Stop)
            .expect("ordered");
        eventually("it has stopped", async || {
            matches!(
                house.accounts.has_tokens().await,
                Err(AccountsError::Ask(_))
            )
        })
        .await;
        for _ in 0..100 {
            house.verify(&known).await.expect("remembered");
        }
        let error = house.verify(&idle).await.expect_err("nobody to ask");
        assert_eq!(error.kind(), FaultKind::Unavailable);
        assert!(error.retry_after().is_some());
        house.stop().await;
    })
    .await;
}
