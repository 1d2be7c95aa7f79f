//! Who comes in, and how often.

use ground::{Id, args};
use kit::{Authenticator, Lie};
use serde_json::json;

use super::room::{ORIGIN, Room, by, disable, source};
use crate::passkeys::error::PasskeyError;
use crate::sessions::Method;

#[tokio::test]
async fn who_has_a_passkey_comes_in_by_it_alone() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, mut hers) = room.person("ada@example.org").await;
        let (bob, mut his) = room.person("bob@example.org").await;
        room.sign_in(&mut hers, &[]).await.expect("signed in");
        room.sign_in(&mut his, &[]).await.expect("signed in");
        room.sign_in(&mut hers, &[]).await.expect("and again");
        let all = room.signed_in();
        let users: Vec<Id> = all.iter().map(|sign_in| sign_in.user).collect();
        assert_eq!(users, [ada, bob, ada]);
        assert!(
            all.iter()
                .all(|one| one.method == Method::Passkey && one.second_factor)
        );
        let own = room.desk.of(ada).await.expect("a list");
        assert!(own[0].last_used_at.is_some());
    })
    .await;
}

#[tokio::test]
async fn whoever_begins_gets_the_same_and_no_word_of_anybody() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let shape = |mut options: serde_json::Value| {
            let challenge = options["challenge"].take();
            assert_eq!(
                challenge.as_str().map(str::len),
                Some(22),
                "128 random bits"
            );
            options
        };
        let before = shape(room.begin().options);
        room.person("ada@example.org").await;
        assert_eq!(shape(room.begin().options), before);
        assert_eq!(before["allowCredentials"], json!([]));
        assert_eq!(before["userVerification"], "required");
        assert_eq!(before["rpId"], "mainstay.example.org");
    })
    .await;
}

#[tokio::test]
async fn an_answer_works_once_and_for_its_own_challenge() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (_, mut hers) = room.person("ada@example.org").await;
        let begun = room.begin();
        let answer = hers.sign(&begun.options);
        room.finish(&begun, answer.clone())
            .await
            .expect("signed in");
        let replayed = room.finish(&begun, answer.clone()).await;
        assert_eq!(room.reason(replayed).await, "no_challenge");
        let another = room.finish(&room.begin(), answer).await;
        assert_eq!(room.reason(another).await, "challenge");
        // A wrong answer uses its challenge up, too: each is one guess.
        let begun = room.begin();
        let wrong = hers.sign_lying(&begun.options, &[Lie::Key]);
        assert_eq!(
            room.reason(room.finish(&begun, wrong).await).await,
            "signature"
        );
        let right = hers.sign(&begun.options);
        assert_eq!(
            room.reason(room.finish(&begun, right).await).await,
            "no_challenge"
        );
        assert_eq!(room.signed_in().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_older_count_is_a_copy() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (_, mut hers) = room.person("ada@example.org").await;
        for _ in 0..3 {
            room.sign_in(&mut hers, &[]).await.expect("signed in");
        }
        for old in [0, 2, 3] {
            let refused = room.sign_in(&mut hers, &[Lie::Count(old)]).await;
            assert_eq!(room.reason(refused).await, "counter", "{old}");
        }
        room.sign_in(&mut hers, &[]).await.expect("the real one");
        // Two at once: whichever is stored first, the smaller count never comes after the bigger one.
        let (first, second) = (room.begin(), room.begin());
        let (earlier, later) = (hers.sign(&first.options), hers.sign(&second.options));
        room.finish(&second, later).await.expect("signed in");
        let late = room.finish(&first, earlier).await;
        assert_eq!(room.reason(late).await, "counter");
    })
    .await;
}

#[tokio::test]
async fn of_two_proofs_with_one_count_one_counts() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (_, mut hers) = room.person("ada@example.org").await;
        room.sign_in(&mut hers, &[]).await.expect("signed in");
        let begun = [room.begin(), room.begin(), room.begin(), room.begin()];
        let answers = begun
            .each_ref()
            .map(|begun| hers.sign_lying(&begun.options, &[Lie::Count(9)]));
        let [a, b, c, d] = answers;
        let all = futures::join!(
            room.finish(&begun[0], a),
            room.finish(&begun[1], b),
            room.finish(&begun[2], c),
            room.finish(&begun[3], d),
        );
        let came_in = [all.0, all.1, all.2, all.3];
        assert_eq!(came_in.iter().filter(|one| one.is_ok()).count(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_authenticator_that_does_not_count_comes_in_again_and_again() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (_, mut hers) = room.person("ada@example.org").await;
        hers.step = 0;
        for _ in 0..3 {
            room.sign_in(&mut hers, &[]).await.expect("signed in");
        }
    })
    .await;
}

#[tokio::test]
async fn a_disabled_user_is_refused_like_a_stranger() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, mut hers) = room.person("ada@example.org").await;
        disable(&db, ada).await;
        let refused = room.sign_in(&mut hers, &[]).await;
        assert_eq!(room.reason(refused).await, "disabled");
        assert!(room.signed_in().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_removed_passkey_signs_in_no_more() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, mut hers) = room.person("ada@example.org").await;
        let own = room.desk.of(ada).await.expect("a list");
        room.desk.remove(by(ada), own[0].id).await.expect("removed");
        let refused = room.sign_in(&mut hers, &[]).await;
        assert_eq!(room.reason(refused).await, "unknown_passkey");
        let (there,): (i64,) = db
            .fetch_one("SELECT count(*) FROM passkeys", args![])
            .await
            .expect("a count");
        assert_eq!(there, 0);
    })
    .await;
}

#[tokio::test]
async fn where_nothing_is_set_the_keys_to_set_are_told() {
    ::store::testing::on_both(async |db| {
        let room = Room::nowhere(&db);
        let refused = room.desk.begin_sign_in(&source(), None);
        assert!(matches!(refused, Err(PasskeyError::NotConfigured(why)) if why.contains("accounts.passkeys.rp_id")));
        let room = Room::new(&db);
        let elsewhere = room.desk.begin_sign_in(&source(), Some("https://elsewhere.example"));
        assert!(matches!(elsewhere, Err(PasskeyError::WrongOrigin { origins }) if origins == [ORIGIN]));
        assert!(room.desk.begin_sign_in(&source(), Some(ORIGIN)).is_ok());
    })
    .await;
}

#[tokio::test]
async fn what_is_no_answer_is_refused_like_a_wrong_one() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (_, mut hers) = room.person("ada@example.org").await;
        let mut cut = hers.sign(&room.begin().options);
        cut["response"]["authenticatorData"] = json!("AAAA");
        let mut nobody = hers.sign(&room.begin().options);
        nobody["response"]["userHandle"] = json!(null);
        let mut short = hers.sign(&room.begin().options);
        short["response"]["userHandle"] = json!("AAAA");
        let endless = json!({ "id": "x".repeat(100_000), "response": { "userHandle": "AAAA" } });
        for (answer, reason) in [
            (json!(null), "form"),
            (json!([]), "form"),
            (json!({ "id": 7 }), "form"),
            (nobody, "form"),
            (short, "form"),
            (endless, "too_long"),
            (cut, "authenticator_data"),
        ] {
            let refused = room.finish(&room.begin(), answer.clone()).await;
            assert_eq!(room.reason(refused).await, reason);
        }
        let stranger = Authenticator::new(ORIGIN).make(&json!({
            "rp": { "id": "mainstay.example.org" }, "user": { "id": "AAAA" }, "challenge": "AAAA",
        }));
        let refused = room.finish(&room.begin(), stranger).await;
        assert_eq!(
            room.reason(refused).await,
            "form",
            "an answer of the other sort"
        );
    })
    .await;
}
