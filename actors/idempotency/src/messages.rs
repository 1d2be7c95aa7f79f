//! What the keeper can be asked. Private to the domain: others use the handle.

use supervisor::Reply;

use crate::error::IdempotencyError;
use crate::types::{Claim, Claimed, Key, Settlement};

/// An answer that can be an error.
pub(crate) type Told<T> = Reply<Result<T, IdempotencyError>>;

/// Requests of the keeper.
#[derive(Debug)]
pub enum KeeperMsg {
    /// May a request run?
    Claim {
        /// Its key.
        key: Key,
        /// The hash of its body.
        fingerprint: [u8; 32],
        /// What came of it.
        reply: Told<Claimed>,
    },
    /// A request ended.
    Settle {
        /// The claim it ran under.
        claim: Claim,
        /// How.
        settlement: Settlement,
        /// Sent when it is on disk.
        reply: Told<()>,
    },
    /// It is time to settle what could not be settled, and to forget what is too old.
    Tick,
}
