//! No secret is where it could be found.

use ground::{Secret, clock};

use super::bench::{App, by, secret_of, source, story, user};
use crate::factors::totp;

/// Everything in the database about factors and in the audit, as text and as it is.
#[tokio::test]
async fn the_database_alone_opens_nothing() {
    story(async |house, factors| {
        let user = user(&house.db).await;
        let enrolment = factors.enroll(by(user)).await.expect("begun");
        let secret = secret_of(&enrolment.secret);
        let code = Secret::from(totp::code_at(&secret, clock::now()));
        let codes = factors
            .confirm(by(user), code.clone())
            .await
            .expect("confirmed");
        let passed = factors.check(user, codes.first(), &source()).await;
        assert_eq!(passed.ok(), Some(true));
        let (sealed,): (Vec<u8>,) = house
            .db
            .fetch_one("SELECT secret FROM totp_factors", ground::args![])
            .await
            .expect("readable");
        assert!(sealed.windows(secret.len()).all(|window| window != secret));
        let hashes: Vec<(Vec<u8>,)> = house
            .db
            .fetch_all("SELECT hash FROM recovery_codes LIMIT 100", ground::args![])
            .await
            .expect("readable");
        assert!(hashes.len() == 10 && hashes.iter().all(|(hash,)| hash.len() == 32));
        let told: Vec<(Option<String>, String)> = house
            .db
            .fetch_all(
                "SELECT object, detail FROM audit_entries LIMIT 100",
                ground::args![],
            )
            .await
            .expect("readable");
        assert_eq!(told.len(), 3);
        let told = format!("{told:?}");
        let secrets = codes.iter().chain([&enrolment.secret, &code]);
        for secret in secrets {
            assert!(!told.contains(secret.expose()));
        }
    })
    .await;
}

#[test]
fn debug_shows_nothing() {
    let by = by(ground::Id::generate());
    let shown = format!(
        "{:?}{:?}",
        crate::factors::Enrolment {
            secret: "JBSWY3DP".into(),
            otpauth_uri: "otpauth://totp/x?secret=JBSWY3DP".into(),
        },
        by
    );
    assert!(!shown.contains("JBSWY3DP"), "{shown}");
}

#[tokio::test]
async fn an_app_has_everything_to_be_set_up() {
    story(async |house, factors| {
        let user = user(&house.db).await;
        let enrolment = factors.enroll(by(user)).await.expect("begun");
        let uri = enrolment.otpauth_uri.expose();
        let secret = enrolment.secret.expose();
        assert!(uri.starts_with(&format!(
            "otpauth://totp/Mainstay:{user}%40example.org?secret={secret}&"
        )));
        assert_eq!(secret_of(&enrolment.secret).len(), totp::SECRET_BYTES);
        let state = factors.overview(user).await.expect("readable");
        assert!(state.totp.is_some_and(|totp| totp.confirmed_at.is_none()));
        let app = App::of(factors, user).await;
        let state = factors.overview(app.user).await.expect("readable");
        assert!(state.totp.is_some_and(|totp| totp.confirmed_at.is_some()));
        assert_eq!(state.recovery_codes_left, 10);
    })
    .await;
}
