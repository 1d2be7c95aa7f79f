//! Issuers that do something wrong: each is refused with its reason, and nobody is signed in.

use kit::issuer::Fault;
use supervisor::{BreakerState, Fault as _};

use super::room::Room;
use crate::federation::config::IssuerKind;

const UNTRUSTED: &str = "accounts.id_token_refused";

#[tokio::test]
async fn a_token_that_is_not_right_is_not_believed() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        for (fault, code, reason) in [
            (Fault::WrongIssuer, UNTRUSTED, "issuer"),
            (Fault::WrongAudience, UNTRUSTED, "audience"),
            (Fault::WrongParty, UNTRUSTED, "authorized_party"),
            (Fault::WrongNonce, UNTRUSTED, "nonce"),
            (Fault::WrongAccessToken, UNTRUSTED, "access_token_hash"),
            (Fault::Expired, UNTRUSTED, "expired"),
            (Fault::Unsigned, UNTRUSTED, "algorithm"),
            (Fault::PublicKeyAsSecret, UNTRUSTED, "algorithm"),
            (Fault::UnknownKey, UNTRUSTED, "key"),
            (Fault::EmbeddedKey, UNTRUSTED, "header"),
            (Fault::WrongSignature, UNTRUSTED, "signature"),
            (Fault::AccessToken, UNTRUSTED, "type"),
            (Fault::MixedUp, "accounts.issuer_mixed_up", "mixed_up"),
            (Fault::Nameless, "accounts.issuer_mixed_up", "mixed_up"),
        ] {
            room.issuer.suffer(Some(fault));
            assert_eq!(room.refusal(None).await, code, "{fault:?}");
            assert_eq!(room.reason().await, reason, "{fault:?}");
        }
        assert!(room.signed_in().is_empty());
        room.issuer.suffer(None);
        room.go(None).await.expect("the issuer is well again");
    })
    .await;
}

#[tokio::test]
async fn an_issuer_that_is_not_well_is_told_apart_from_a_no() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        for (fault, code) in [
            (Fault::Slow, "dependency.timeout"),
            (Fault::Broken, "accounts.issuer_unreachable"),
            (Fault::Garbage, "accounts.issuer_garbage"),
            (Fault::Huge, "accounts.issuer_garbage"),
        ] {
            room.issuer.suffer(None);
            let finish = room.come_back(None).await;
            room.issuer.suffer(Some(fault));
            let refused = room.desk.finish(finish).await.expect_err("refused");
            assert_eq!(refused.code(), code, "{fault:?}");
            let (action, outcome, detail) = room.entries().await.pop().expect("an entry");
            assert_eq!(
                (action.as_str(), outcome.as_str()),
                ("identity.refused", "failed")
            );
            assert!(detail.contains(code), "{detail}");
        }
        assert!(room.signed_in().is_empty());
    })
    .await;
}

#[tokio::test]
async fn nobody_is_sent_to_an_impostor() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        room.issuer.suffer(Some(Fault::Impostor));
        let begin = crate::federation::types::Begin {
            issuer: super::room::NAME.to_owned(),
            return_to: None,
            link_to: None,
            source: super::room::source(),
        };
        let refused = room.desk.begin(begin.clone()).await.expect_err("refused");
        assert_eq!(refused.code(), "accounts.issuer_garbage");
        let shown = format!("{refused}");
        assert!(shown.contains("another issuer"), "{shown}");
        assert!(!refused.outside().contains("127.0.0.1"));
    })
    .await;
}

#[tokio::test]
async fn calls_that_fail_open_the_breaker_and_answers_that_refuse_do_not() {
    ::store::testing::on_both(async |db| {
        let mut room = Room::with(&db, |config| config.kind = IssuerKind::Github).await;
        let issuer = room
            .desk
            .issuers
            .get(super::room::NAME)
            .expect("there")
            .clone();
        let finish = room.come_back(None).await;
        room.desk.finish(finish).await.expect("signed up");
        let finish = room.come_back(None).await;
        room.issuer.go_away().await;
        let refused = room.desk.finish(finish).await.expect_err("refused");
        assert_eq!(refused.code(), "accounts.issuer_unreachable");
        assert!(issuer.probe().await.is_err());
        room.issuer.come_back().await;
        issuer.probe().await.expect("well again");
        assert_eq!(
            issuer.dependency.state(),
            BreakerState::Closed,
            "too few calls"
        );
    })
    .await;
}
