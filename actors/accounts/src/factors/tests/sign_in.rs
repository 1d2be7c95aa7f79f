//! What is asked for at a sign-in, and what is accepted.

use supervisor::{Fault, FaultKind};

use super::bench::{App, audited, by, forget_step, source, story, user};
use crate::factors::{FactorError, FactorOverview, RECOVERY_CODES, store, totp};

#[tokio::test]
async fn an_app_protects_from_its_first_code_on() {
    story(async |house, factors| {
        let user = user(&house.db).await;
        let source = source();
        assert_eq!(factors.check(user, None, &source).await.ok(), Some(false));
        factors.enroll(by(user)).await.expect("begun");
        // Until it showed a code it asks for none: nobody is locked out by an app that was never set up.
        assert_eq!(factors.check(user, None, &source).await.ok(), Some(false));
        let app = App::of(factors, user).await;
        let error = factors.check(user, None, &source).await.expect_err("asked");
        assert_eq!(
            (error.code(), error.kind()),
            ("factors.required", FaultKind::Unauthenticated)
        );
        let code = app.next_code();
        let passed = factors.check(user, Some(&code), &source).await;
        assert_eq!(passed.ok(), Some(true));
        let again = factors.check(user, Some(&code), &source).await;
        assert!(matches!(again, Err(FactorError::Wrong)), "{again:?}");
    })
    .await;
}

/// The code that confirmed the app is used up by that.
#[tokio::test]
async fn the_first_code_signs_nobody_in() {
    story(async |house, factors| {
        let app = App::of(factors, user(&house.db).await).await;
        let confirmed_by = store::factor_of(&house.db, app.user).await;
        let confirmed_by = confirmed_by.expect("readable").expect("set up").last_step;
        let now = ground::clock::now();
        let first = totp::code_at(&app.secret, now).into();
        let checked = factors.check(app.user, Some(&first), &source()).await;
        // A step may have passed since; then it is the code of the next one, which is as good as any.
        assert_eq!(checked.is_ok(), totp::step_of(now) > confirmed_by);
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_jumps_back_brings_no_code_back() {
    story(async |house, factors| {
        let app = App::of(factors, user(&house.db).await).await;
        // As it was left by a clock that went an hour ahead.
        house
            .db
            .execute(
                "UPDATE totp_factors SET last_step = last_step + 120",
                ground::args![],
            )
            .await
            .expect("written");
        let code = app.next_code();
        let refused = factors.check(app.user, Some(&code), &source()).await;
        assert!(matches!(refused, Err(FactorError::Wrong)), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn each_recovery_code_passes_once() {
    story(async |house, factors| {
        let app = App::of(factors, user(&house.db).await).await;
        assert_eq!(app.recovery.len(), RECOVERY_CODES);
        let mut left = 10;
        for code in &app.recovery {
            let typed = code.expose().to_uppercase().replace('-', " ").into();
            let passed = factors.check(app.user, Some(&typed), &source()).await;
            assert_eq!(passed.ok(), Some(true));
            left -= 1;
            let told = factors.overview(app.user).await.expect("readable");
            assert_eq!(told.recovery_codes_left, left);
        }
        let again = factors
            .check(app.user, app.recovery.first(), &source())
            .await;
        assert!(matches!(again, Err(FactorError::Wrong)), "{again:?}");
        let entries = audited(&house.db).await;
        let used = |entry: &&[String; 4]| entry[0] == "factor.recovery_used" && entry[1] == "user";
        assert_eq!(entries.iter().filter(used).count(), RECOVERY_CODES);
    })
    .await;
}

#[tokio::test]
async fn codes_are_their_users_alone() {
    story(async |house, factors| {
        let ada = App::of(factors, user(&house.db).await).await;
        let bob = App::of(factors, user(&house.db).await).await;
        forget_step(&house.db, bob.user).await;
        for foreign in [ada.next_code(), ada.recovery[0].clone()] {
            let refused = factors.check(bob.user, Some(&foreign), &source()).await;
            assert!(matches!(refused, Err(FactorError::Wrong)), "{refused:?}");
        }
        let own = factors
            .check(ada.user, ada.recovery.first(), &source())
            .await;
        assert_eq!(own.ok(), Some(true));
    })
    .await;
}

#[tokio::test]
async fn what_can_be_no_code_is_wrong_and_no_guess() {
    story(async |house, factors| {
        let app = App::of(factors, user(&house.db).await).await;
        for text in ["", "12345", "abcdef", &"1".repeat(1000), "\u{1f600}"] {
            let shown = text.into();
            let refused = factors.check(app.user, Some(&shown), &source()).await;
            assert!(matches!(refused, Err(FactorError::Wrong)), "{text}");
        }
        let code = app.next_code();
        let passed = factors.check(app.user, Some(&code), &source()).await;
        assert_eq!(passed.ok(), Some(true));
    })
    .await;
}

#[tokio::test]
async fn a_user_who_goes_takes_everything_along() {
    story(async |house, factors| {
        let app = App::of(factors, user(&house.db).await).await;
        let gone = "DELETE FROM users WHERE id = $1";
        let gone = house.db.execute(gone, ground::args![app.user]).await;
        assert_eq!(gone.ok(), Some(1));
        let none = FactorOverview {
            totp: None,
            recovery_codes_left: 0,
            passkeys: 0,
        };
        assert_eq!(factors.overview(app.user).await.expect("readable"), none);
        let (left,): (i64,) = house
            .db
            .fetch_one("SELECT count(*) FROM recovery_codes", ground::args![])
            .await
            .expect("readable");
        assert_eq!(left, 0);
        let refused = factors.enroll(by(app.user)).await;
        assert!(matches!(refused, Err(FactorError::NoUser)), "{refused:?}");
    })
    .await;
}
