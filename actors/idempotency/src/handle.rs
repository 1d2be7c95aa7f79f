//! The public face: one method a request.

use supervisor::Address;

use crate::error::IdempotencyError;
use crate::messages::KeeperMsg;
use crate::types::{Claim, Claimed, Key, Settlement};

/// The keys. Cheap to clone; works across restarts of the domain.
#[derive(Debug, Clone)]
pub struct IdempotencyHandle {
    keeper: Address<KeeperMsg>,
}

impl IdempotencyHandle {
    pub(crate) fn new(keeper: Address<KeeperMsg>) -> Self {
        Self { keeper }
    }

    /// Claims a key for a request with this body. Once it is claimed that is on disk, and the request must be settled; one that never is
    /// stays of unknown outcome for [`KEPT_FOR`](crate::KEPT_FOR).
    ///
    /// # Errors
    /// `Unknown`, `Withheld`: it ran before. All others: it was not claimed and must not be run.
    pub async fn claim(
        &self,
        key: Key,
        fingerprint: [u8; 32],
    ) -> Result<Claimed, IdempotencyError> {
        let claim = |reply| KeeperMsg::Claim {
            key,
            fingerprint,
            reply,
        };
        self.keeper.ask(claim).await?
    }

    /// Says what came of a claimed request. What cannot be stored at once is tried again for as long as the daemon runs.
    ///
    /// # Errors
    /// Whatever keeps it from being stored at once.
    pub async fn settle(
        &self,
        claim: Claim,
        settlement: Settlement,
    ) -> Result<(), IdempotencyError> {
        let settle = |reply| KeeperMsg::Settle {
            claim,
            settlement,
            reply,
        };
        self.keeper.ask(settle).await?
    }
}
