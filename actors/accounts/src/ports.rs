//! What the domain needs: the database, what seals secrets, what other domains keep of people, and the memory that it shares with its own
//! handle.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ground::db::Conn;
use ground::{Db, DbError, Id, Sealer};
use serde_json::Value;
use supervisor::{Address, Fault};

use crate::factors::Factors;
use crate::federation::{Federation, Issuers};
use crate::known::{Known, Limits};
use crate::passkeys::Passkeys;
use crate::people;
use crate::profiles::Profiles;
use crate::recovery::RecoveryMsg;
use crate::revocations::Revocations;
use crate::sessions::Sessions;

/// Requests about recovery that are admitted.
const RECOVERY_MAILBOX: u32 = 128;

/// Somebody, as other domains know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user.
    pub id: Id,
    /// Their present address.
    pub email: String,
}

/// What another domain keeps of people.
///
/// An erasure asks all of them to `close` for somebody who may not come in any more, then to `erase` in one transaction with the account, then
/// to `close` again what was begun in between. Whoever is interrupted does all of it again, so that each must work when there is nothing left.
pub trait PersonalData: fmt::Debug + Send + Sync + 'static {
    /// The name that it has in an export.
    fn name(&self) -> &'static str;

    /// All that is kept of somebody, without secrets.
    fn export<'a>(&'a self, person: &'a Person) -> BoxFuture<'a, Result<Value, DbError>>;

    /// Ends what runs for somebody, and removes what lies outside of the database.
    fn close<'a>(&'a self, person: &'a Person) -> BoxFuture<'a, Result<(), Arc<dyn Fault>>>;

    /// Removes what is stored of somebody. May be run twice.
    fn erase<'a>(
        &'a self,
        tx: &'a mut Conn,
        person: &'a Person,
    ) -> BoxFuture<'a, Result<(), DbError>>;
}

/// What a start of the domain is given; [`AccountsHandle::ports`](crate::AccountsHandle::ports) makes it.
#[derive(Debug, Clone)]
pub struct Ports {
    pub(crate) db: Db,
    pub(crate) sealer: Sealer,
    pub(crate) shared: Shared,
    pub(crate) issuers: Issuers,
    pub(crate) personal: Arc<[Arc<dyn PersonalData>]>,
    pub(crate) own_origin: Option<String>,
}

impl Ports {
    /// With what these other domains keep of people. Without them only what this domain keeps is exported and erased.
    #[must_use]
    pub fn with_personal_data(mut self, personal: Vec<Arc<dyn PersonalData>>) -> Self {
        self.personal = personal.into();
        self
    }

    /// With these outside issuers. Without them there are none.
    #[must_use]
    pub fn with_issuers(mut self, issuers: Issuers) -> Self {
        self.issuers = issuers;
        self
    }

    /// With the origin at which a browser on this machine reaches the daemon, if it listens on loopback alone: passkeys belong there
    /// where nothing else is configured.
    #[must_use]
    pub fn with_own_origin(mut self, origin: Option<String>) -> Self {
        self.own_origin = origin;
        self
    }

    /// Sets what seals the secrets that are kept. Without it, what needs it is refused.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Sealer) -> Self {
        self.sealer = sealer;
        self
    }
}

/// What the handle and the manager share. Clones are the same.
///
/// Why not behind the mailbox: a check of a token stands before every request. With the memory here it costs no
/// message, does not compete with token management for a place in the mailbox, and goes on while the manager restarts.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) known: Arc<Known>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) factors: Factors,
    pub(crate) passkeys: Passkeys,
    pub(crate) people: people::Shared,
    pub(crate) federation: Federation,
    pub(crate) sessions: Sessions,
    pub(crate) recovery: Address<RecoveryMsg>,
}

impl Shared {
    /// An empty memory. It is filled by the manager alone, which sets the limits before.
    pub(crate) fn new() -> Self {
        let limits = Limits {
            capacity: 1,
            recheck_after: Duration::ZERO,
            offline_limit: Duration::ZERO,
        };
        let revocations = Arc::default();
        let profiles: Arc<Profiles> = Arc::default();
        Self {
            known: Arc::new(Known::new(limits)),
            factors: Factors::vacant("/accounts/factors"),
            passkeys: Passkeys::vacant(),
            people: people::Shared::new(),
            federation: Federation::vacant(),
            revocations: Arc::clone(&revocations),
            sessions: Sessions::new(revocations, Arc::clone(&profiles)),
            profiles,
            recovery: Address::vacant("/accounts/recovery", RECOVERY_MAILBOX),
        }
    }
}
