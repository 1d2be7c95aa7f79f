//! The whole domain, with real sessions behind it.

use ground::Id;
use kit::Authenticator;
use supervisor::Injection;

use super::room::{by, source, user};
use crate::passkeys::types::{NewPasskey, PasskeySignIn};
use crate::passkeys::{PasskeysConfig, types::Challenge};
use crate::sessions::Method;
use crate::tests::house::{House, eventually, quick};
use crate::{Config, PasskeyInfo};

const ORIGIN: &str = "http://localhost:4110";

async fn house(db: &ground::Db) -> House {
    let passkeys = PasskeysConfig {
        rp_id: None,
        origins: vec![ORIGIN.to_owned()],
    };
    let config = Config {
        passkeys,
        ..quick()
    };
    House::with(db, config).await
}

/// What waits for an answer outlives the actor.
async fn kill(house: &House, user: Id) {
    let path = "/accounts/passkeys";
    let before = house.system.status(Some(path), Some(0)).expect("a node");
    assert_eq!(house.system.inject(path, Injection::Kill).await, Ok(true));
    eventually("it was started again", async || {
        let node = house.system.status(Some(path), Some(0)).expect("a node");
        node.restarts.count > before.restarts.count
            && house.accounts.passkeys().of(user).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_restart_in_between_keeps_nobody_out() {
    ::store::testing::on_both(async |db| {
        let house = house(&db).await;
        let (passkeys, mut hers) = (house.accounts.passkeys(), Authenticator::new(ORIGIN));
        let ada = user(&db, "ada@example.org").await;
        let Challenge { id, options, .. } = passkeys.begin_new(by(ada), None).await.expect("begun");
        kill(&house, ada).await;
        let made = passkeys.finish_new(NewPasskey {
            by: by(ada),
            challenge: id,
            credential: hers.make(&options),
            name: Some("key".to_owned()),
        });
        let PasskeyInfo {
            id: passkey, name, ..
        } = made.await.expect("a passkey");
        assert_eq!(name, "key");
        let begun = passkeys
            .begin_sign_in(source(), Some(ORIGIN.to_owned()))
            .await;
        let Challenge { id, options, .. } = begun.expect("begun");
        kill(&house, ada).await;
        let pair = passkeys.finish_sign_in(PasskeySignIn {
            challenge: id,
            credential: hers.sign(&options),
            source: source(),
        });
        let token = pair.await.expect("signed in").access_token;
        let who = house.accounts.sessions().verify(token.expose()).await;
        let who = who.expect("a session");
        assert_eq!(
            (who.user, who.method, who.second_factor),
            (ada, Method::Passkey, true)
        );
        let told = house.accounts.factors().overview(ada).await.expect("told");
        assert_eq!(told.passkeys, 1);
        passkeys.remove(by(ada), passkey).await.expect("removed");
        assert!(passkeys.of(ada).await.expect("a list").is_empty());
        house.stop().await;
    })
    .await;
}
