//! The slow work of the actor: all that waits for the database. It runs in owned tasks beside the mailbox.

use std::sync::Arc;

use ground::audit::{Actor, Entry, Outcome, Source};
use ground::{Db, Id, Secret, clock, lock};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::ceremony::{self, Proof, Word};
use super::challenges::LIFETIME;
use super::error::PasskeyError;
use super::handle::Memory;
use super::relying::RelyingParty;
use super::rules;
use super::store::{self, Found, MAX_PASSKEYS};
use super::types::{Challenge, NewPasskey, PasskeyInfo, PasskeySignIn};
use crate::error::AccountsError;
use crate::factors::By;
use crate::federation::{BeginsSessions, secrets};
use crate::people::Network;
use crate::sessions::{Method, SignIn, TokenPair};

/// Requests under way at most.
const PLACES: u32 = 64;

/// What the tasks of one incarnation share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) db: Db,
    relying: Result<RelyingParty, String>,
    sessions: Arc<dyn BeginsSessions>,
    memory: Arc<Memory>,
    pub(crate) places: Arc<Semaphore>,
}

/// Why somebody is not let in.
enum Unproven {
    /// The answer was looked at, and is no proof.
    Refused(Word, Option<Id>),
    /// It could not be looked at.
    Failed(PasskeyError),
}

impl From<ground::DbError> for Unproven {
    fn from(error: ground::DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl Desk {
    pub(crate) fn new(
        db: Db,
        relying: Result<RelyingParty, String>,
        sessions: Arc<dyn BeginsSessions>,
        memory: Arc<Memory>,
    ) -> Self {
        Self {
            db,
            relying,
            sessions,
            memory,
            places: Arc::new(Semaphore::new(PLACES as usize)),
        }
    }

    /// What passkeys belong to, for the status.
    pub(crate) fn place(&self) -> String {
        let relying = self.relying.as_ref();
        relying.map_or_else(Clone::clone, |relying| relying.id.as_ref().to_owned())
    }

    /// How many challenges wait for an answer.
    pub(crate) fn challenges(&self) -> usize {
        self.memory.len()
    }

    /// Begins to make a passkey.
    pub(crate) async fn begin_new(
        &self,
        by: By,
        origin: Option<String>,
    ) -> Result<Challenge, PasskeyError> {
        rules::check_fresh(&by, clock::now())?;
        let relying = self.relying()?;
        rules::check_origin(relying, origin.as_deref())?;
        let person = store::person(&self.db, by.user).await?;
        let person = person.ok_or(PasskeyError::NoUser)?;
        let known = store::known_of(&self.db, by.user).await?;
        if known.len() >= MAX_PASSKEYS as usize {
            return Err(PasskeyError::TooMany {
                limit: MAX_PASSKEYS,
            });
        }
        let (asked, options) = ceremony::ask_for_new(relying, &person, known)?;
        let id = fresh()?;
        let digest = secrets::digest(id.expose());
        lock(&self.memory.new_ones).begin(digest, by.user, asked, Instant::now());
        Ok(challenge(id, options))
    }

    /// Makes a passkey of the answer. What failed is told in the audit, with the reason.
    pub(crate) async fn finish_new(&self, new: NewPasskey) -> Result<PasskeyInfo, PasskeyError> {
        rules::check_fresh(&new.by, clock::now())?;
        let name = rules::check_name(new.name.as_deref())?;
        let made = self.make(&new, name).await;
        if let Err(PasskeyError::NotMade(why)) = made {
            let entry = Entry::new(new.by.actor(), "passkey.refused", new.by.source.clone());
            let entry = entry.on(new.by.user).with_outcome(Outcome::Refused);
            self.tell(entry.with("reason", why)).await;
        }
        made
    }

    async fn make(&self, new: &NewPasskey, name: String) -> Result<PasskeyInfo, PasskeyError> {
        let relying = self.relying()?;
        let user = new.by.user;
        let digest = secrets::digest(new.challenge.expose());
        let asked =
            lock(&self.memory.new_ones).take(&digest, |owner| *owner == user, Instant::now());
        let asked = asked.ok_or(PasskeyError::NotMade("no_challenge"))?;
        let made = ceremony::check_new(asked, relying, &new.credential);
        let made = made.map_err(PasskeyError::NotMade)?;
        let info = PasskeyInfo {
            id: Id::generate(),
            name,
            created_at: clock::now(),
            last_used_at: None,
        };
        let entry = told(&new.by, "passkey.add", info.id);
        store::add(&self.db, user, &info, made, entry).await?;
        tracing::info!(%user, passkey = %info.id, "passkey added");
        Ok(info)
    }

    /// Begins to sign somebody in.
    pub(crate) fn begin_sign_in(
        &self,
        source: &Source,
        origin: Option<&str>,
    ) -> Result<Challenge, PasskeyError> {
        let relying = self.relying()?;
        rules::check_origin(relying, origin)?;
        let (asked, options) = ceremony::ask_for_proof(relying)?;
        let id = fresh()?;
        let digest = secrets::digest(id.expose());
        let network = source.address.map(Network::of);
        lock(&self.memory.sign_ins).begin(digest, network, asked, Instant::now());
        Ok(challenge(id, options))
    }

    /// Signs in by the answer. Why somebody is refused is told in the audit, and to nobody else.
    pub(crate) async fn finish_sign_in(
        &self,
        sign_in: PasskeySignIn,
    ) -> Result<TokenPair, PasskeyError> {
        let relying = self.relying()?;
        let user = match self.prove(relying, &sign_in).await {
            Ok(user) => user,
            Err(Unproven::Failed(error)) => return Err(error),
            Err(Unproven::Refused(why, user)) => {
                // A refusal that is not on record would be a hole in it: then it is a failure.
                store::note(&self.db, refusal(why, user, sign_in.source)).await?;
                return Err(PasskeyError::Refused(why));
            }
        };
        let begun = self.sessions.begin(SignIn {
            user,
            method: Method::Passkey,
            // The authenticator verified the person besides being there: two factors in one.
            second_factor: true,
            source: sign_in.source,
        });
        begun.await.map_err(PasskeyError::Sessions)
    }

    /// Who it is. The challenge is used up by it.
    async fn prove(&self, relying: &RelyingParty, sign_in: &PasskeySignIn) -> Result<Id, Unproven> {
        let refused = |why, found: Option<&Found>| {
            Unproven::Refused(why, found.map(|found| found.stored.user))
        };
        let digest = secrets::digest(sign_in.challenge.expose());
        let asked = lock(&self.memory.sign_ins).take(&digest, |_| true, Instant::now());
        let asked = asked.ok_or_else(|| refused("no_challenge", None))?;
        let proof = Proof::read(&sign_in.credential).map_err(|why| refused(why, None))?;
        let found = store::with_credential_id(&self.db, proof.credential_id()).await?;
        let found = found.ok_or_else(|| refused("unknown_passkey", None))?;
        let used = proof.check(asked, relying, &found.stored);
        let used = used.map_err(|why| refused(why, Some(&found)))?;
        if found.is_disabled {
            return Err(refused("disabled", Some(&found)));
        }
        if !store::note_use(&self.db, found.id, used, clock::now()).await? {
            return Err(refused("counter", Some(&found)));
        }
        Ok(found.stored.user)
    }

    /// The passkeys of a user.
    pub(crate) async fn of(&self, user: Id) -> Result<Vec<PasskeyInfo>, PasskeyError> {
        Ok(store::passkeys_of(&self.db, user).await?)
    }

    /// Calls one something else.
    pub(crate) async fn rename(
        &self,
        by: By,
        id: Id,
        name: String,
    ) -> Result<PasskeyInfo, PasskeyError> {
        let name = rules::check_name(Some(&name))?;
        let entry = told(&by, "passkey.rename", id);
        store::rename(&self.db, by.user, id, name, entry).await
    }

    /// Takes one from its user.
    pub(crate) async fn remove(&self, by: By, id: Id) -> Result<(), PasskeyError> {
        rules::check_fresh(&by, clock::now())?;
        store::remove(&self.db, by.user, id, told(&by, "passkey.remove", id)).await?;
        tracing::info!(user = %by.user, passkey = %id, "passkey removed");
        Ok(())
    }

    /// Waits until no request is under way.
    pub(crate) async fn finish(&self) {
        // Nobody closes the semaphore; whoever waits for it too early is stopped by the supervisor.
        drop(self.places.acquire_many(PLACES).await);
    }

    fn relying(&self) -> Result<&RelyingParty, PasskeyError> {
        let relying = self.relying.as_ref();
        relying.map_err(|why| PasskeyError::NotConfigured(why.clone()))
    }

    /// Tells of a refusal. It stays one when it cannot be told.
    async fn tell(&self, entry: Entry) {
        if let Err(error) = store::note(&self.db, entry).await {
            tracing::warn!(%error, "a refused passkey is not in the audit");
        }
    }
}

fn told(by: &By, action: &'static str, id: Id) -> Entry {
    let entry = Entry::new(by.actor(), action, by.source.clone());
    entry.on(by.user).with("passkey", id.to_string())
}

/// What the audit is told of a refused sign-in, and nobody else.
fn refusal(why: Word, user: Option<Id>, source: Source) -> Entry {
    let entry = Entry::new(Actor::Anonymous, "session.refused", source)
        .with_outcome(Outcome::Refused)
        .with("reason", why)
        .with("method", Method::Passkey.word());
    match user {
        Some(user) => entry.on(user),
        None => entry,
    }
}

fn challenge(id: Secret, options: serde_json::Value) -> Challenge {
    Challenge {
        id,
        options,
        expires_in: LIFETIME,
    }
}

fn fresh() -> Result<Secret, PasskeyError> {
    let fresh = secrets::fresh();
    fresh.map_err(|error| AccountsError::Internal(Arc::new(error)).into())
}
