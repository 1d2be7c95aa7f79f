//! Attempts that go well, and those that are not finished by who began them, or twice.

use ground::Secret;
use kit::issuer::{Algorithm, Person};
use supervisor::Fault;

use super::room::{NAME, Room, finish, source};
use crate::federation::config::IssuerKind;
use crate::federation::types::{Begin, Finish, Finished};

fn is_new(finished: &Finished) -> bool {
    matches!(finished, Finished::SignedIn { is_new: true, .. })
}

#[tokio::test]
async fn a_newcomer_becomes_a_user_and_is_known_from_then_on() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        let first = room.go(None).await.expect("signed up");
        let Finished::SignedIn { return_to, .. } = &first else {
            panic!("{first:?}");
        };
        assert_eq!(return_to.as_deref(), Some("/there"));
        assert!(is_new(&first));
        let second = room.go(None).await.expect("signed in");
        assert!(!is_new(&second));
        let who = room.signed_in();
        assert_eq!(who.len(), 2);
        assert_eq!(who[0], who[1]);
        let own = room.desk.identities(who[0]).await.expect("a list");
        assert_eq!(own.len(), 1);
        assert_eq!(
            (own[0].issuer.as_str(), &own[0].issuer_url),
            (NAME, &room.issuer.url())
        );
        assert_eq!(own[0].email.as_deref(), Some("ada@example.org"));
        assert!(own[0].last_used_at.is_some());
        let actions: Vec<String> = room
            .entries()
            .await
            .into_iter()
            .map(|(action, ..)| action)
            .collect();
        assert_eq!(actions, ["identity.link"]);
    })
    .await;
}

#[tokio::test]
async fn the_identity_counts_and_not_the_address() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        room.go(None).await.expect("signed up");
        room.issuer
            .log_in(Person::new("248289761001", "new@example.org"));
        room.go(None)
            .await
            .expect("the same person with another address");
        let who = room.signed_in();
        assert_eq!(who[0], who[1]);
        room.issuer.log_in(Person::new("777", "ada@example.org"));
        assert_eq!(room.refusal(None).await, "accounts.link_first");
        room.issuer.log_in(Person {
            is_email_verified: false,
            ..Person::new("777", "ada@example.org")
        });
        assert_eq!(room.refusal(None).await, "accounts.identity_unknown");
        assert_eq!(room.signed_in().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn every_sort_of_key_is_believed_and_new_ones_are_fetched() {
    ::store::testing::on_both(async |db| {
        for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
            let room = Room::new(&db).await;
            room.issuer
                .log_in(Person::new(algorithm_subject(algorithm), "x@example.org"));
            let first = room.refusal_or_sign_in().await;
            room.issuer.rotate_key(algorithm);
            let second = room.refusal_or_sign_in().await;
            assert_eq!((first, second), (None, None), "{algorithm:?}");
            assert_eq!(
                room.issuer.asked("/keys"),
                2,
                "once, and once for the new key"
            );
            room.issuer.rotate_key(algorithm);
            let third = room.refusal_or_sign_in().await;
            assert_eq!(
                third,
                Some("accounts.id_token_refused"),
                "not twice in a minute"
            );
            assert_eq!(room.reason().await, "key");
            assert_eq!(room.issuer.asked("/keys"), 2);
        }
    })
    .await;
}

fn algorithm_subject(algorithm: Algorithm) -> &'static str {
    // One person at three issuers is three identities; the address is the same and taken, so each needs to be known.
    match algorithm {
        Algorithm::Rs256 => "rsa",
        Algorithm::Es256 => "ec",
        Algorithm::EdDsa => "ed",
    }
}

impl Room {
    /// Nothing when it was believed: signed in, or refused only for the address, which is another one's.
    async fn refusal_or_sign_in(&self) -> Option<&'static str> {
        let code = self.go(None).await.err().map(|error| error.code());
        code.filter(|code| *code != "accounts.link_first")
    }
}

#[tokio::test]
async fn the_secret_is_shown_where_the_issuer_wants_it() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        room.issuer.want_secret_in_body();
        room.go(None).await.expect("signed up");
    })
    .await;
}

#[tokio::test]
async fn github_is_asked_who_it_is() {
    ::store::testing::on_both(async |db| {
        let room = Room::with(&db, |config| config.kind = IssuerKind::Github).await;
        room.issuer
            .log_in(Person::new("583231", "octo@example.org"));
        assert!(is_new(&room.go(None).await.expect("signed up")));
        assert!(!is_new(&room.go(None).await.expect("signed in")));
        let own = room.desk.identities(room.signed_in()[0]).await;
        assert_eq!(
            own.expect("a list")[0].email.as_deref(),
            Some("octo@example.org")
        );
        room.issuer.log_in(Person {
            is_email_verified: false,
            ..Person::new("583232", "other@example.org")
        });
        assert_eq!(room.refusal(None).await, "accounts.identity_unknown");
    })
    .await;
}

#[tokio::test]
async fn an_attempt_is_finished_once_and_by_who_began_it() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        let mine = room.come_back(None).await;
        let theirs = room.come_back(None).await;
        let code = async |finish: Finish| {
            let refused = room.desk.finish(finish).await;
            refused.map_or_else(|error| error.code(), |_| "signed in")
        };
        let stolen = Finish {
            flow: theirs.flow.clone(),
            ..mine.clone()
        };
        assert_eq!(code(stolen).await, "accounts.flow_not_found");
        let made_up = Finish {
            state: Secret::from("made up"),
            ..mine.clone()
        };
        assert_eq!(code(made_up).await, "accounts.flow_not_found");
        let injected = Finish {
            code: theirs.code.clone(),
            ..mine.clone()
        };
        assert_eq!(
            code(injected).await,
            "accounts.code_refused",
            "PKCE binds the code"
        );
        assert_eq!(code(mine).await, "accounts.flow_not_found", "it was used");
        assert_eq!(room.signed_in().len(), 0);
        let again = theirs.clone();
        assert_eq!(
            code(theirs).await,
            "accounts.code_refused",
            "its code was used"
        );
        assert_eq!(code(again).await, "accounts.flow_not_found");
        let unknown = Finish {
            issuer: "nobody".to_owned(),
            ..room.come_back(None).await
        };
        assert_eq!(code(unknown).await, "accounts.issuer_not_found");
        let mine = room.come_back(None).await;
        assert_eq!(code(mine.clone()).await, "signed in");
        assert_eq!(code(mine).await, "accounts.flow_not_found");
    })
    .await;
}

#[tokio::test]
async fn who_says_no_is_not_signed_in() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        room.issuer.log_out();
        assert_eq!(room.refusal(None).await, "accounts.issuer_denied");
        assert_eq!(room.reason().await, "denied");
    })
    .await;
}

#[tokio::test]
async fn what_breaks_a_rule_uses_nothing_up() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        let begun = room.desk.begin(Begin {
            issuer: NAME.to_owned(),
            return_to: Some("//evil.example".to_owned()),
            link_to: None,
            source: source(),
        });
        assert_eq!(begun.await.expect_err("refused").findings().len(), 1);
        let begun = room.begin(None).await;
        let back = room.issuer.visit(&begun.authorization_url).await;
        let mine = finish(&begun, back);
        let both = Finish {
            error: Some("x".to_owned()),
            ..mine.clone()
        };
        let refused = room.desk.finish(both).await.expect_err("refused");
        assert_eq!(refused.code(), "accounts.invalid");
        room.desk.finish(mine).await.expect("signed in");
    })
    .await;
}
