//! The public face: one method a request.

use std::sync::{Arc, Mutex};

use ground::audit::Source;
use ground::{Id, lock};
use supervisor::Address;

use super::ceremony::{Adding, SigningIn};
use super::challenges::{Challenges, Room};
use super::error::PasskeyError;
use super::messages::PasskeysMsg;
use super::types::{Challenge, NewPasskey, PasskeyInfo, PasskeySignIn};
use crate::factors::By;
use crate::people::Network;
use crate::sessions::TokenPair;

/// Where the actor is in the tree.
const PATH: &str = "/accounts/passkeys";
/// Requests that it admits at most.
const MAILBOX: u32 = 256;
/// Sign-ins that wait for their answer, at all and from one network.
const SIGN_INS: Room = Room {
    all: 4_096,
    of_one: 64,
};
/// Registrations that do, at all and of one user. Apart, so that nobody who is not signed in pushes them out.
const NEW_ONES: Room = Room {
    all: 1_024,
    of_one: 8,
};

/// Passkeys. Cheap to clone; works across restarts of the domain.
#[derive(Debug, Clone)]
pub struct Passkeys {
    address: Address<PasskeysMsg>,
    memory: Arc<Memory>,
}

/// What waits for an answer; outlives the actor.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(super) new_ones: Mutex<Challenges<Id, Adding>>,
    pub(super) sign_ins: Mutex<Challenges<Option<Network>, SigningIn>>,
}

impl Memory {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            new_ones: Mutex::new(Challenges::new(NEW_ONES)),
            sign_ins: Mutex::new(Challenges::new(SIGN_INS)),
        }
    }

    /// How much there is.
    pub(super) fn len(&self) -> usize {
        let new_ones = lock(&self.new_ones).len();
        new_ones + lock(&self.sign_ins).len()
    }
}

impl Passkeys {
    /// Nobody is behind it until the domain starts.
    pub(crate) fn vacant() -> Self {
        Self {
            address: Address::vacant(PATH, MAILBOX),
            memory: Arc::new(Memory::new()),
        }
    }

    /// What waits for an answer.
    pub(crate) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }

    /// Where its actor is put.
    pub(crate) fn address(&self) -> &Address<PasskeysMsg> {
        &self.address
    }

    /// Begins to make a passkey. `origin` is that of the page that asks, if one does. The challenge is kept in memory, for five minutes.
    ///
    /// # Errors
    /// `NotConfigured`, `WrongOrigin`, `NotFresh`, `TooMany`, `NoUser`, `Accounts`.
    pub async fn begin_new(
        &self,
        by: By,
        origin: Option<String>,
    ) -> Result<Challenge, PasskeyError> {
        #[rustfmt::skip]
        let begin = |reply| PasskeysMsg::BeginNew { by, origin, reply };
        self.address.ask(begin).await?
    }

    /// Makes a passkey of an authenticator's answer. A challenge works once, whatever comes of it.
    ///
    /// # Errors
    /// `NotConfigured`, `Invalid`, `NotFresh`, `NotMade`, `TooMany`, `NoUser`, `Accounts`. After the last it may have been made all the
    /// same.
    pub async fn finish_new(&self, new: NewPasskey) -> Result<PasskeyInfo, PasskeyError> {
        let new = Box::new(new);
        let finish = |reply| PasskeysMsg::FinishNew { new, reply };
        self.address.ask(finish).await?
    }

    /// Begins to sign somebody in, whoever it may be. The challenge is kept in memory, for five minutes.
    ///
    /// # Errors
    /// `NotConfigured`, `WrongOrigin`, `Accounts`.
    pub async fn begin_sign_in(
        &self,
        source: Source,
        origin: Option<String>,
    ) -> Result<Challenge, PasskeyError> {
        #[rustfmt::skip]
        let begin = |reply| PasskeysMsg::BeginSignIn { source, origin, reply };
        self.address.ask(begin).await?
    }

    /// Signs in by an authenticator's answer. A challenge works once, whatever comes of it.
    ///
    /// # Errors
    /// `NotConfigured`, `Refused`, `Sessions`, `Accounts`. After the last two somebody may have been signed in all the same.
    pub async fn finish_sign_in(&self, sign_in: PasskeySignIn) -> Result<TokenPair, PasskeyError> {
        let sign_in = Box::new(sign_in);
        let finish = |reply| PasskeysMsg::FinishSignIn { sign_in, reply };
        self.address.ask(finish).await?
    }

    /// The passkeys of a user, in order of their making.
    ///
    /// # Errors
    /// `Accounts`.
    pub async fn of(&self, user: Id) -> Result<Vec<PasskeyInfo>, PasskeyError> {
        let of = |reply| PasskeysMsg::Of { user, reply };
        self.address.ask(of).await?
    }

    /// Calls one's own passkey something else.
    ///
    /// # Errors
    /// `Invalid`, `NotFound`, `Accounts`.
    pub async fn rename(&self, by: By, id: Id, name: String) -> Result<PasskeyInfo, PasskeyError> {
        #[rustfmt::skip]
        let rename = |reply| PasskeysMsg::Rename { by, id, name, reply };
        self.address.ask(rename).await?
    }

    /// Takes one's own passkey away, unless it is the last way in. What it signed in to goes on.
    ///
    /// # Errors
    /// `NotFresh`, `NotFound`, `LastWayIn`, `Accounts`.
    pub async fn remove(&self, by: By, id: Id) -> Result<(), PasskeyError> {
        let remove = |reply| PasskeysMsg::Remove { by, id, reply };
        self.address.ask(remove).await?
    }
}
