//! One desk with a person in front of it, who has an authenticator, and what stands in for its neighbours.

use std::sync::Arc;

use ground::{Db, Id, Secret, args};
use kit::{Authenticator, Lie};
use serde_json::Value;
use supervisor::Fault;

use crate::federation::tests::room::Counted;
pub(super) use crate::federation::tests::room::{by, disable, source, user};
use crate::passkeys::config::PasskeysConfig;
use crate::passkeys::desk::Desk;
use crate::passkeys::error::PasskeyError;
use crate::passkeys::handle::Memory;
use crate::passkeys::relying::relying_party;
use crate::passkeys::types::{Challenge, NewPasskey, PasskeyInfo, PasskeySignIn};
use crate::sessions::{SignIn, TokenPair};
use ground::lock;

/// Where people find the daemon.
pub(super) const ORIGIN: &str = "https://mainstay.example.org";

/// The desk and its neighbours.
pub(super) struct Room {
    pub(super) db: Db,
    pub(super) desk: Desk,
    pub(super) memory: Arc<Memory>,
    sessions: Arc<Counted>,
}

impl Room {
    pub(super) fn new(db: &Db) -> Self {
        let relying = relying_party(&PasskeysConfig::default(), Some(ORIGIN), None);
        Self::at(db, relying)
    }

    /// One that does not know where it is.
    pub(super) fn nowhere(db: &Db) -> Self {
        Self::at(db, relying_party(&PasskeysConfig::default(), None, None))
    }

    fn at(db: &Db, relying: Result<crate::passkeys::relying::RelyingParty, String>) -> Self {
        let (sessions, memory) = (Arc::<Counted>::default(), Arc::new(Memory::new()));
        let (begins, kept) = (Arc::clone(&sessions), Arc::clone(&memory));
        Self {
            db: db.clone(),
            desk: Desk::new(db.clone(), relying, begins, kept),
            memory,
            sessions,
        }
    }

    /// Somebody with an authenticator and a passkey in it.
    pub(super) async fn person(&self, email: &str) -> (Id, Authenticator) {
        let (user, mut authenticator) = (user(&self.db, email).await, Authenticator::new(ORIGIN));
        let made = self.add(user, &mut authenticator, &[]).await;
        made.expect("a passkey");
        (user, authenticator)
    }

    /// The whole way to a new passkey.
    pub(super) async fn add(
        &self,
        user: Id,
        authenticator: &mut Authenticator,
        lies: &[Lie],
    ) -> Result<PasskeyInfo, PasskeyError> {
        let begun = self.desk.begin_new(by(user), None).await?;
        let credential = authenticator.make_lying(&begun.options, lies);
        let new = new_passkey(user, &begun, credential);
        self.desk.finish_new(new).await
    }

    pub(super) fn begin(&self) -> Challenge {
        let begun = self.desk.begin_sign_in(&source(), None);
        begun.expect("a challenge")
    }

    pub(super) async fn finish(
        &self,
        challenge: &Challenge,
        credential: Value,
    ) -> Result<TokenPair, PasskeyError> {
        let sign_in = PasskeySignIn {
            challenge: challenge.id.clone(),
            credential,
            source: source(),
        };
        self.desk.finish_sign_in(sign_in).await
    }

    /// The whole way in.
    pub(super) async fn sign_in(
        &self,
        authenticator: &mut Authenticator,
        lies: &[Lie],
    ) -> Result<TokenPair, PasskeyError> {
        let begun = self.begin();
        let credential = authenticator.sign_lying(&begun.options, lies);
        self.finish(&begun, credential).await
    }

    /// Asserts that nobody came in, which the client hears in the words for every refusal, and gives the reason that the audit has.
    pub(super) async fn reason(&self, refused: Result<TokenPair, PasskeyError>) -> String {
        let refused = refused.expect_err("refused");
        let told = (refused.code(), refused.outside());
        let same = PasskeyError::Refused("whatever");
        assert_eq!(told, (same.code(), same.outside()));
        let (action, outcome, detail) = self.newest_entry().await;
        assert_eq!(
            (action.as_str(), outcome.as_str()),
            ("session.refused", "refused")
        );
        assert_eq!(detail["method"], "passkey");
        detail["reason"].as_str().expect("a reason").to_owned()
    }

    pub(super) async fn newest_entry(&self) -> (String, String, Value) {
        let (action, outcome, detail): (String, String, String) = self
            .db
            .fetch_one(
                "SELECT action, outcome, detail FROM audit_entries ORDER BY seq DESC LIMIT 1",
                args![],
            )
            .await
            .expect("an entry");
        (
            action,
            outcome,
            serde_json::from_str(&detail).expect("JSON"),
        )
    }

    /// What somebody did, in order.
    pub(super) async fn actions(&self) -> Vec<String> {
        let actions: Vec<(String,)> = self
            .db
            .fetch_all("SELECT action FROM audit_entries ORDER BY seq", args![])
            .await
            .expect("entries");
        actions.into_iter().map(|(action,)| action).collect()
    }

    /// Who signed in, in order.
    pub(super) fn signed_in(&self) -> Vec<SignIn> {
        lock(&self.sessions.all).clone()
    }
}

pub(super) fn new_passkey(user: Id, begun: &Challenge, credential: Value) -> NewPasskey {
    NewPasskey {
        by: by(user),
        challenge: Secret::from(begun.id.expose()),
        credential,
        name: None,
    }
}
