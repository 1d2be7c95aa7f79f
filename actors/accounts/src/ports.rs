//! What the domain needs: the database, what seals secrets, and the memory that it shares with its own handle.

use std::sync::Arc;
use std::time::Duration;

use ground::{Db, Sealer};
use supervisor::Address;

use crate::factors::Factors;
use crate::federation::{Federation, Issuers};
use crate::known::{Known, Limits};
use crate::people;
use crate::profiles::Profiles;
use crate::recovery::RecoveryMsg;
use crate::revocations::Revocations;
use crate::sessions::Sessions;

/// Requests about recovery that are admitted.
const RECOVERY_MAILBOX: u32 = 128;

/// What a start of the domain is given; [`AccountsHandle::ports`](crate::AccountsHandle::ports) makes it.
#[derive(Debug, Clone)]
pub struct Ports {
    pub(crate) db: Db,
    pub(crate) sealer: Sealer,
    pub(crate) shared: Shared,
    pub(crate) issuers: Issuers,
}

impl Ports {
    /// With these outside issuers. Without them there are none.
    #[must_use]
    pub fn with_issuers(mut self, issuers: Issuers) -> Self {
        self.issuers = issuers;
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
            people: people::Shared::new(),
            federation: Federation::vacant(),
            revocations: Arc::clone(&revocations),
            sessions: Sessions::new(revocations, Arc::clone(&profiles)),
            profiles,
            recovery: Address::vacant("/accounts/recovery", RECOVERY_MAILBOX),
        }
    }
}
