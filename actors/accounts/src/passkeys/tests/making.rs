//! Making passkeys, naming them and taking them away: who may, and what stays.

use std::time::Duration;

use ground::{Id, args, clock};
use kit::{Authenticator, Lie};
use serde_json::json;
use supervisor::Fault;
use tokio::time::Instant;

use super::room::{ORIGIN, Room, by, new_passkey, user};
use crate::factors::{By, FRESH_FOR};
use crate::federation::secrets;
use crate::passkeys::challenges::LIFETIME;
use crate::passkeys::error::PasskeyError;
use crate::passkeys::store::MAX_PASSKEYS;
use crate::passkeys::{hold, ways_in};
use ground::lock;

#[tokio::test]
async fn what_a_browser_is_asked_makes_a_passkey_and_no_second_one_beside_it() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, hers) = room.person("ada@example.org").await;
        let asked = room
            .desk
            .begin_new(by(ada), None)
            .await
            .expect("begun")
            .options;
        assert_eq!(asked["rp"]["id"], "mainstay.example.org");
        assert_eq!(asked["user"]["name"], "ada@example.org");
        let handle = asked["user"]["id"].as_str().expect("a handle");
        assert_eq!(handle.len(), 22, "16 bytes, and no address: {handle}");
        let selection = &asked["authenticatorSelection"];
        assert_eq!(
            (&selection["residentKey"], &selection["userVerification"]),
            (&json!("required"), &json!("required"))
        );
        assert_eq!(asked["attestation"], "none");
        assert_eq!(
            asked["extensions"]["enforceCredentialProtectionPolicy"],
            json!(false),
            "browsers would refuse most authenticators"
        );
        let known = &asked["excludeCredentials"];
        assert_eq!(known.as_array().map(Vec::len), Some(1));
        let id = data_encoding::BASE64URL_NOPAD.encode(&hers.newest());
        assert_eq!(known[0]["id"], json!(id));
        assert_eq!(known[0]["transports"], json!(["internal"]));
        let added = room.newest_entry().await;
        assert_eq!(
            (added.0.as_str(), added.1.as_str()),
            ("passkey.add", "done")
        );
        // What people write themselves is not in what outlives them.
        assert!(added.2.get("name").is_none(), "{}", added.2);
    })
    .await;
}

#[tokio::test]
async fn only_who_signed_in_lately_makes_and_removes() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, mut hers) = room.person("ada@example.org").await;
        let id = room.desk.of(ada).await.expect("a list")[0].id;
        let long_ago = clock::now() - FRESH_FOR - Duration::from_secs(1);
        for signed_in_at in [None, Some(long_ago)] {
            let late = By {
                signed_in_at,
                ..by(ada)
            };
            let begun = room.desk.begin_new(late.clone(), None).await;
            assert!(matches!(begun, Err(PasskeyError::NotFresh)));
            let begun = room.desk.begin_new(by(ada), None).await.expect("begun");
            let mut new = new_passkey(ada, &begun, hers.make(&begun.options));
            new.by = late.clone();
            let finished = room.desk.finish_new(new).await;
            assert!(matches!(finished, Err(PasskeyError::NotFresh)));
            let removed = room.desk.remove(late.clone(), id).await;
            assert!(matches!(removed, Err(PasskeyError::NotFresh)));
            let renamed = room.desk.rename(late, id, "other".to_owned()).await;
            assert_eq!(renamed.expect("a name is no way in").name, "other");
        }
    })
    .await;
}

#[tokio::test]
async fn a_challenge_is_one_users_once_and_for_five_minutes() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, bob) = (
            user(&db, "ada@example.org").await,
            user(&db, "bob@example.org").await,
        );
        let mut hers = Authenticator::new(ORIGIN);
        let begun = room.desk.begin_new(by(ada), None).await.expect("begun");
        let answer = hers.make(&begun.options);
        let foreign = room
            .desk
            .finish_new(new_passkey(bob, &begun, answer.clone()))
            .await;
        assert!(matches!(
            foreign,
            Err(PasskeyError::NotMade("no_challenge"))
        ));
        let made = room
            .desk
            .finish_new(new_passkey(ada, &begun, answer.clone()))
            .await;
        made.expect("hers");
        let again = room.desk.finish_new(new_passkey(ada, &begun, answer)).await;
        assert!(matches!(again, Err(PasskeyError::NotMade("no_challenge"))));

        let begun = room.desk.begin_new(by(ada), None).await.expect("begun");
        let digest = secrets::digest(begun.id.expose());
        let asked = lock(&room.memory.new_ones).take(&digest, |_| true, Instant::now());
        let before = Instant::now().checked_sub(LIFETIME).expect("a time");
        lock(&room.memory.new_ones).begin(digest, ada, asked.expect("there"), before);
        let late = room
            .desk
            .finish_new(new_passkey(ada, &begun, hers.make(&begun.options)))
            .await;
        assert!(matches!(late, Err(PasskeyError::NotMade("no_challenge"))));
    })
    .await;
}

#[tokio::test]
async fn a_passkey_is_one_users() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, hers) = room.person("ada@example.org").await;
        let bob = user(&db, "bob@example.org").await;
        let same = [Lie::Called(hers.newest())];
        let taken = room.add(bob, &mut Authenticator::new(ORIGIN), &same).await;
        assert!(matches!(taken, Err(PasskeyError::NotMade("taken"))));
        let id = room.desk.of(ada).await.expect("a list")[0].id;
        let removed = room.desk.remove(by(bob), id).await;
        assert!(matches!(removed, Err(PasskeyError::NotFound)));
        let renamed = room.desk.rename(by(bob), id, "mine".to_owned()).await;
        assert!(matches!(renamed, Err(PasskeyError::NotFound)));
        assert!(room.desk.of(bob).await.expect("a list").is_empty());
        assert_eq!(room.desk.of(ada).await.expect("a list")[0].name, "passkey");
    })
    .await;
}

#[tokio::test]
async fn there_are_so_many_and_no_more() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let ada = user(&db, "ada@example.org").await;
        let mut hers = Authenticator::new(ORIGIN);
        let early = room.desk.begin_new(by(ada), None).await.expect("begun");
        for _ in 0..MAX_PASSKEYS {
            room.add(ada, &mut hers, &[]).await.expect("a passkey");
        }
        let refused = room.desk.begin_new(by(ada), None).await;
        assert!(matches!(refused, Err(PasskeyError::TooMany { limit: 20 })));
        let answer = hers.make(&early.options);
        let refused = room.desk.finish_new(new_passkey(ada, &early, answer)).await;
        assert_eq!(
            refused.expect_err("one too many").code(),
            "passkeys.too_many"
        );
        let all = room.desk.of(ada).await.expect("a list");
        assert_eq!(all.len(), MAX_PASSKEYS as usize);
        assert!(all.is_sorted_by_key(|passkey| passkey.id));
    })
    .await;
}

#[tokio::test]
async fn the_last_way_in_is_not_taken_away() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, mut hers) = room.person("ada@example.org").await;
        forget_password(&room, ada).await;
        let first = room.desk.of(ada).await.expect("a list")[0].id;
        let refused = room.desk.remove(by(ada), first).await.expect_err("the last");
        assert_eq!(refused.code(), "accounts.last_way_in");
        assert_eq!(room.desk.of(ada).await.expect("a list").len(), 1);
        let second = room.add(ada, &mut hers, &[]).await.expect("another").id;
        room.desk.remove(by(ada), first).await.expect("not the last");
        // An identity is a way in as well.
        let identity = "INSERT INTO identities (issuer, subject, user_id, provider, created_at) VALUES ('i', 's', $1, 'p', 1)";
        db.execute(identity, args![ada]).await.expect("linked");
        room.desk.remove(by(ada), second).await.expect("not the last");
        let (held, ways) = db
            .write(async move |tx| {
                Ok::<_, ground::DbError>((hold(tx, ada).await?, ways_in(tx, ada).await?))
            })
            .await
            .expect("readable");
        assert_eq!((held, ways), (true, 1));
        let told = ["passkey.add", "passkey.add", "passkey.remove", "passkey.remove"];
        assert_eq!(room.actions().await, told, "what was refused did not happen");
    })
    .await;
}

#[tokio::test]
async fn of_two_last_ways_removed_at_once_one_stays() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, mut hers) = room.person("ada@example.org").await;
        forget_password(&room, ada).await;
        room.add(ada, &mut hers, &[]).await.expect("another");
        let both = room.desk.of(ada).await.expect("a list");
        let (one, other) = futures::join!(
            room.desk.remove(by(ada), both[0].id),
            room.desk.remove(by(ada), both[1].id)
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert_eq!(room.desk.of(ada).await.expect("a list").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_user_who_goes_takes_everything_along() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let (ada, mut hers) = room.person("ada@example.org").await;
        let gone = db
            .execute("DELETE FROM users WHERE id = $1", args![ada])
            .await;
        assert_eq!(gone.ok(), Some(1));
        assert!(room.desk.of(ada).await.expect("a list").is_empty());
        let refused = room.sign_in(&mut hers, &[]).await;
        assert_eq!(room.reason(refused).await, "unknown_passkey");
        let begun = room.desk.begin_new(by(ada), None).await;
        assert!(matches!(begun, Err(PasskeyError::NoUser)));
    })
    .await;
}

#[tokio::test]
async fn what_nobody_may_be_called_is_refused_and_odd_addresses_are_no_obstacle() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        // Wide letters are none that a name may have by the standard's rules.
        let (odd, mut hers) = room.person("Ａda example@example.org").await;
        room.sign_in(&mut hers, &[]).await.expect("signed in");
        let asked = room.desk.begin_new(by(odd), None).await.expect("begun");
        assert_eq!(asked.options["user"]["name"], json!(odd.to_string()));
        let begun = room.desk.begin_new(by(odd), None).await.expect("begun");
        let mut new = new_passkey(odd, &begun, hers.make(&begun.options));
        new.name = Some("a\nb".to_owned());
        let refused = room.desk.finish_new(new.clone()).await.expect_err("a name");
        assert_eq!(refused.findings()[0].pointer, "/name");
        new.name = Some(" On my phone ".to_owned());
        let made = room
            .desk
            .finish_new(new)
            .await
            .expect("the challenge is unused");
        assert_eq!(made.name, "On my phone");
        let id = made.id;
        let refused = room.desk.rename(by(odd), id, String::new()).await;
        assert_eq!(refused.expect_err("a name").findings()[0].pointer, "/name");
    })
    .await;
}

async fn forget_password(room: &Room, user: Id) {
    let forget = "UPDATE users SET password_hash = NULL WHERE id = $1";
    let forgotten = room.db.execute(forget, args![user]).await;
    assert_eq!(forgotten.ok(), Some(1));
}
