//! The statements, on both engines.

use ground::audit::{Actor, Source};
use ground::{Db, Id, Micros, args};

use super::room::user;
use crate::federation::store::*;

const NOW: Micros = Micros(1_700_000_000_000_000);

fn identity(user: Id, subject: &str) -> NewIdentity {
    NewIdentity {
        issuer: "https://id.example.org".to_owned(),
        subject: subject.to_owned(),
        provider: "example".to_owned(),
        email: Some("Ada@example.org".to_owned()),
        user,
        at: NOW,
        source: Source::default(),
    }
}

async fn linked(db: &Db, user: Id, subject: &str) -> bool {
    link(db, &identity(user, subject), Actor::System)
        .await
        .is_ok()
}

#[tokio::test]
async fn an_identity_is_one_users_and_one_an_issuer() {
    ::store::testing::on_both(async |db| {
        let (ada, bob) = (user(&db, "ada@x").await, user(&db, "bob@x").await);
        assert!(linked(&db, ada, "1").await);
        assert!(!linked(&db, bob, "1").await, "it is Ada's");
        assert!(!linked(&db, ada, "2").await, "she has one of this issuer");
        let known = known(&db, "https://id.example.org", "1")
            .await
            .expect("readable");
        assert_eq!(known.map(|known| known.user), Some(ada));
        let linking = linking(&db, ada, "https://id.example.org").await;
        assert!(linking.expect("readable").expect("there").has_other);
        let (entries,): (i64,) = db
            .fetch_one("SELECT count(*) FROM audit_entries", args![])
            .await
            .expect("a count");
        assert_eq!(entries, 1, "what did not happen is not told");
    })
    .await;
}

#[tokio::test]
async fn a_use_is_noted_with_the_present_name_of_the_issuer() {
    ::store::testing::on_both(async |db| {
        let ada = user(&db, "ada@x").await;
        assert!(linked(&db, ada, "1").await);
        note_use(&db, "https://id.example.org", "1", "renamed", NOW)
            .await
            .expect("noted");
        let own = identities_of(&db, ada).await.expect("readable");
        assert_eq!(
            (own[0].issuer.as_str(), own[0].last_used_at),
            ("renamed", Some(NOW))
        );
        assert_eq!(own[0].created_at, NOW);
    })
    .await;
}

#[tokio::test]
async fn who_goes_takes_their_identities_along() {
    ::store::testing::on_both(async |db| {
        let ada = user(&db, "ada@x").await;
        assert!(linked(&db, ada, "1").await);
        db.execute("DELETE FROM users WHERE id = $1", args![ada])
            .await
            .expect("gone");
        let known = known(&db, "https://id.example.org", "1").await;
        assert_eq!(known.expect("readable"), None);
        assert_eq!(linking(&db, ada, "x").await.expect("readable"), None);
    })
    .await;
}
