//! The master key is lost, mixed up, or changed.

use ground::sealed::KeyId;
use ground::{Db, Id, Sealer};
use supervisor::{Fault, FaultKind, Level, NodeStatus};

use super::bench::{App, by, forget_step, key, sealer, source, user};
use crate::tests::house::{House, eventually};

fn node(house: &House) -> NodeStatus {
    let node = house.system.status(Some("/accounts/factors"), Some(0));
    node.expect("a node")
}

async fn told(house: &House, code: &str) -> NodeStatus {
    eventually(code, async || {
        let cause = node(house).cause;
        cause.is_some_and(|cause| cause.code == code)
    })
    .await;
    node(house)
}

async fn key_of(db: &Db, user: Id) -> Option<KeyId> {
    let (sealed,): (Vec<u8>,) = db
        .fetch_one(
            "SELECT secret FROM totp_factors WHERE user_id = $1",
            ground::args![user],
        )
        .await
        .expect("readable");
    KeyId::of(&sealed)
}

#[tokio::test]
async fn a_wrong_key_is_told_and_recovery_codes_pass() {
    ::store::testing::on_both(async |db| {
        let house = House::sealing(&db, sealer(1)).await;
        let app = App::of(house.accounts.factors(), user(&db).await).await;
        assert_eq!(node(&house).level, Level::Normal);
        house.stop().await;

        let house = House::sealing(&db, sealer(2)).await;
        let factors = house.accounts.factors();
        let node = told(&house, "factors.unknown_master_key").await;
        assert_eq!(node.level, Level::Degraded);
        let cause = node.cause.expect("a cause");
        let present = key(2).id().to_string();
        assert!(
            cause.message.contains(&key(1).id().to_string()),
            "{cause:?}"
        );
        assert!(cause.message.contains(&present), "{cause:?}");
        assert!(
            node.impact
                .is_some_and(|impact| impact.contains("users of 1"))
        );
        assert!(node.fallback.is_some());
        let code = app.next_code();
        let refused = factors.check(app.user, Some(&code), &source()).await;
        let refused = refused.expect_err("no key");
        assert_eq!(
            (refused.code(), refused.kind()),
            ("factors.no_master_key", FaultKind::Unavailable)
        );
        assert!(refused.retry_after().is_some());
        let passed = factors
            .check(app.user, app.recovery.first(), &source())
            .await;
        assert_eq!(passed.ok(), Some(true));
        // A code that could not be looked at is no wrong guess: five and more of them limit nobody.
        for _ in 0..8 {
            let refused = factors.check(app.user, Some(&code), &source()).await;
            let refused = refused.expect_err("no key");
            assert_eq!(refused.code(), "factors.no_master_key");
        }
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_key_nothing_is_set_up_and_why_is_told() {
    ::store::testing::on_both(async |db| {
        let why = "the file could not be read";
        let house = House::sealing(&db, Sealer::without_key(why, Vec::new())).await;
        let node = told(&house, "factors.no_master_key").await;
        assert_eq!(node.level, Level::Degraded);
        assert!(node.cause.is_some_and(|cause| cause.message.contains(why)));
        let factors = house.accounts.factors();
        let user = user(&db).await;
        let refused = factors.enroll(by(user)).await.expect_err("no key");
        assert_eq!(refused.code(), "factors.no_master_key");
        assert!(!refused.outside().contains(why), "not for users");
        // Whoever has no second factor notices nothing.
        assert_eq!(factors.check(user, None, &source()).await.ok(), Some(false));
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_new_key_takes_over_as_codes_are_used() {
    ::store::testing::on_both(async |db| {
        let house = House::sealing(&db, sealer(1)).await;
        let app = App::of(house.accounts.factors(), user(&db).await).await;
        house.stop().await;

        let both = Sealer::new(key(2), vec![key(1)]);
        let house = House::sealing(&db, both).await;
        let factors = house.accounts.factors();
        assert_eq!(key_of(&db, app.user).await, Some(key(1).id()));
        let code = app.next_code();
        let passed = factors.check(app.user, Some(&code), &source()).await;
        assert_eq!(passed.ok(), Some(true));
        assert_eq!(key_of(&db, app.user).await, Some(key(2).id()));
        assert_eq!(node(&house).level, Level::Normal);
        house.stop().await;

        let house = House::sealing(&db, sealer(2)).await;
        forget_step(&db, app.user).await;
        let code = app.next_code();
        let factors = house.accounts.factors();
        let passed = factors.check(app.user, Some(&code), &source()).await;
        assert_eq!(passed.ok(), Some(true));
        house.stop().await;
    })
    .await;
}

/// A secret that is copied to another user's row opens nothing there.
#[tokio::test]
async fn a_secret_cannot_be_moved_to_another_user() {
    ::store::testing::on_both(async |db| {
        let house = House::sealing(&db, sealer(1)).await;
        let factors = house.accounts.factors();
        let attacker = App::of(factors, user(&db).await).await;
        let victim = App::of(factors, user(&db).await).await;
        db.execute(
            "UPDATE totp_factors SET last_step = 0, \
             secret = (SELECT secret FROM totp_factors WHERE user_id = $1) WHERE user_id = $2",
            ground::args![attacker.user, victim.user],
        )
        .await
        .expect("moved");
        let code = attacker.next_code();
        let refused = factors.check(victim.user, Some(&code), &source()).await;
        let refused = refused.expect_err("not opened");
        assert_eq!(
            (refused.code(), refused.kind()),
            ("factors.internal", FaultKind::Internal)
        );
        house.stop().await;
    })
    .await;
}
