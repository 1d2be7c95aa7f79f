//! Setting an app up and taking it away: who may, and what becomes of the codes.

use std::time::Duration;

use ground::{Secret, clock};
use supervisor::{Fault, FaultKind};

use super::bench::{App, actions, by, forget_step, secret_of, source, story, user};
use crate::factors::{By, FRESH_FOR, FactorError, totp};

fn pointers(error: &FactorError) -> Vec<String> {
    error.findings().into_iter().map(|f| f.pointer).collect()
}

#[tokio::test]
async fn only_who_signed_in_lately_may_begin() {
    story(async |house, factors| {
        let user = user(&house.db).await;
        let personal_token = By {
            signed_in_at: None,
            ..by(user)
        };
        let long_ago = By {
            signed_in_at: Some(clock::now() - FRESH_FOR - Duration::from_secs(1)),
            ..by(user)
        };
        for by in [personal_token.clone(), long_ago.clone()] {
            let error = factors.enroll(by).await.expect_err("not fresh");
            assert_eq!(
                (error.code(), error.kind()),
                ("factors.not_fresh", FaultKind::Forbidden)
            );
        }
        let app = App::of(factors, user).await;
        let code = app.recovery[0].clone();
        let refused = factors.disable(personal_token.clone(), code.clone()).await;
        assert!(matches!(refused, Err(FactorError::NotFresh)));
        let refused = factors.renew(personal_token, code.clone()).await;
        assert!(matches!(refused, Err(FactorError::NotFresh)));
        // A code is proof enough for who signed in, whenever that was.
        factors.disable(long_ago, code).await.expect("disabled");
    })
    .await;
}

#[tokio::test]
async fn beginning_anew_forgets_what_was_begun() {
    story(async |house, factors| {
        let user = user(&house.db).await;
        let nothing = factors.confirm(by(user), "123456".into()).await;
        assert!(matches!(nothing, Err(FactorError::NothingPending)));
        let code_of =
            |secret: &Secret| Secret::from(totp::code_at(&secret_of(secret), clock::now()));
        let first = factors.enroll(by(user)).await.expect("begun").secret;
        let second = factors.enroll(by(user)).await.expect("begun").secret;
        assert!(first != second);
        let old = factors.confirm(by(user), code_of(&first)).await;
        assert_eq!(pointers(&old.expect_err("forgotten")), ["/totp_code"]);
        let codes = factors.confirm(by(user), code_of(&second)).await;
        assert_eq!(codes.expect("confirmed").len(), 10);
        let again = factors.confirm(by(user), code_of(&second)).await;
        assert!(matches!(again, Err(FactorError::AlreadySetUp)));
        // One that is in use is not replaced by whoever finds an open session.
        let refused = factors.enroll(by(user)).await;
        assert!(matches!(refused, Err(FactorError::AlreadySetUp)));
    })
    .await;
}

#[tokio::test]
async fn an_app_does_not_wait_for_ever() {
    story(async |house, factors| {
        let user = user(&house.db).await;
        let secret = factors.enroll(by(user)).await.expect("begun").secret;
        let hour = 3_600_000_000_i64;
        house
            .db
            .execute(
                "UPDATE totp_factors SET created_at = created_at - $1",
                ground::args![hour],
            )
            .await
            .expect("written");
        let code = totp::code_at(&secret_of(&secret), clock::now()).into();
        let refused = factors.confirm(by(user), code).await;
        assert!(matches!(refused, Err(FactorError::NothingPending)));
    })
    .await;
}

#[tokio::test]
async fn taking_it_away_needs_a_code_and_leaves_nothing() {
    story(async |house, factors| {
        let app = App::of(factors, user(&house.db).await).await;
        let wrong = factors.disable(by(app.user), app.wrong_code()).await;
        let wrong = wrong.expect_err("wrong");
        assert_eq!(
            (wrong.kind(), pointers(&wrong)),
            (FaultKind::Invalid, vec!["/totp_code".to_owned()])
        );
        let code = app.next_code();
        factors
            .disable(by(app.user), code.clone())
            .await
            .expect("disabled");
        let checked = factors.check(app.user, None, &source()).await;
        assert_eq!(checked.ok(), Some(false));
        let again = factors.disable(by(app.user), code).await;
        assert!(matches!(again, Err(FactorError::NotSetUp)));

        // A new app knows nothing of the old one's codes.
        let anew = App::of(factors, app.user).await;
        forget_step(&house.db, app.user).await;
        for old in [app.next_code(), app.recovery[0].clone()] {
            let refused = factors.check(app.user, Some(&old), &source()).await;
            assert!(matches!(refused, Err(FactorError::Wrong)), "{refused:?}");
        }
        let code = anew.recovery[0].clone();
        factors.disable(by(app.user), code).await.expect("disabled");
        let told = [
            "factor.enroll",
            "factor.confirm",
            "factor.refused",
            "factor.disable",
            "factor.enroll",
            "factor.confirm",
            "factor.refused",
            "factor.refused",
            "factor.recovery_used",
            "factor.disable",
        ];
        assert_eq!(actions(&house.db).await, told);
    })
    .await;
}

#[tokio::test]
async fn new_recovery_codes_are_the_death_of_the_old() {
    story(async |house, factors| {
        let app = App::of(factors, user(&house.db).await).await;
        let none = factors.renew(by(app.user), app.wrong_code()).await;
        assert_eq!(pointers(&none.expect_err("wrong")), ["/totp_code"]);
        let new = factors.renew(by(app.user), app.recovery[0].clone()).await;
        let new = new.expect("renewed");
        assert_eq!(new.len(), 10);
        for old in &app.recovery {
            let refused = factors.renew(by(app.user), old.clone()).await;
            let refused = refused.expect_err("dead");
            // After five of them the limit speaks.
            assert!(matches!(
                refused,
                FactorError::Invalid(_) | FactorError::Limited { .. }
            ));
        }
        let passed = factors.check(app.user, new.last(), &source()).await;
        assert_eq!(passed.ok(), Some(true));
        let told = factors.overview(app.user).await.expect("readable");
        assert_eq!(told.recovery_codes_left, 9);
    })
    .await;
}
