//! Everything that an authenticator, a browser, or whoever is between them could claim and that is not so.

use kit::{Authenticator, Lie};
use supervisor::{Fault, FaultKind};

use super::room::{ORIGIN, Room, user};

#[tokio::test]
async fn no_lie_signs_anybody_in() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, mut hers) = room.person("ada@example.org").await;
        let (bob, his) = room.person("bob@example.org").await;
        let lies = [
            (Lie::Origin("https://mainstay.example.com"), "origin"),
            (Lie::Origin("http://mainstay.example.org"), "origin"),
            (Lie::Origin("https://mainstay.example.org:8443"), "origin"),
            (Lie::Origin("https://evil.mainstay.example.org"), "origin"),
            (Lie::Origin("null"), "origin"),
            (Lie::CrossOrigin, "cross_origin"),
            (Lie::RpId("example.org"), "rp_id"),
            (Lie::Challenge, "challenge"),
            (Lie::Ceremony, "client_data"),
            (Lie::NotPresent, "authenticator_data"),
            (Lie::NotVerified, "user_not_verified"),
            (Lie::Key, "signature"),
            (Lie::Signature, "signature"),
            (Lie::Unknown, "unknown_passkey"),
            (Lie::User(*bob.as_bytes()), "user_handle"),
            (Lie::Called(his.newest()), "user_handle"),
        ];
        for (lie, reason) in lies {
            let refused = room.sign_in(&mut hers, std::slice::from_ref(&lie)).await;
            assert_eq!(room.reason(refused).await, reason, "{lie:?}");
        }
        // Bob's passkey and Bob's name, but not Bob's key.
        let whole = [Lie::Called(his.newest()), Lie::User(*bob.as_bytes())];
        let refused = room.sign_in(&mut hers, &whole).await;
        assert_eq!(room.reason(refused).await, "signature");
        assert!(room.signed_in().is_empty());
        room.sign_in(&mut hers, &[]).await.expect("the truth does");
        assert_eq!(room.signed_in()[0].user, ada);
    })
    .await;
}

#[tokio::test]
async fn no_lie_makes_a_passkey() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let ada = user(&db, "ada@example.org").await;
        let mut hers = Authenticator::new(ORIGIN);
        let lies = [
            (Lie::Origin("https://mainstay.example.com"), "origin"),
            (Lie::CrossOrigin, "cross_origin"),
            (Lie::RpId("example.org"), "rp_id"),
            (Lie::Challenge, "challenge"),
            (Lie::Ceremony, "client_data"),
            (Lie::NotPresent, "user_not_present"),
            (Lie::NotVerified, "user_not_verified"),
            (Lie::Called(vec![1; 15]), "form"),
        ];
        for (lie, reason) in lies {
            let refused = room.add(ada, &mut hers, std::slice::from_ref(&lie)).await;
            let refused = refused.expect_err("refused");
            assert_eq!(
                (refused.code(), refused.kind()),
                ("passkeys.not_made", FaultKind::Forbidden),
                "{lie:?}"
            );
            let (action, outcome, detail) = room.newest_entry().await;
            assert_eq!(
                (action.as_str(), outcome.as_str(), detail["reason"].as_str()),
                ("passkey.refused", "refused", Some(reason)),
                "{lie:?}"
            );
        }
        assert!(room.desk.of(ada).await.expect("a list").is_empty());
    })
    .await;
}
