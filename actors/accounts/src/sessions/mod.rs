//! Sessions: who signed in, for how long that lasts, and the tokens that show it.
//!
//! A session is a row. Its access token is signed and short-lived (so that others can check it with our public keys), and still counts
//! for nothing once the row has ended; its refresh token is opaque and works once. So there is one place that says whether somebody is
//! signed in, and an end is immediate.
//!
//! # What is promised
//! - A session that ended here is refused from the moment its end is acknowledged, and its streams are told at once. One that another
//!   process ended is refused within `accounts.recheck_after`.
//! - A refresh token that was used before ends its session, but for five seconds in which it is answered with the same next pair.
//! - A session ends by itself after `accounts.session_idle_limit` without a refresh, and after `accounts.session_limit` in any case.
//! - While the database is away, sessions that are remembered go on working until their access token expires.
//! - No key that signs is ever at rest.
//!
//! # Layout
//! - `types`, `error`: the words. `handle`: the face, with its hot path. `messages`, `actor`, `desk`: the actor and its slow work.
//! - Pure: `access` (access tokens), `believed` (those whose signature was checked), `refresh` (refresh tokens and the rule of their families), `keys` (who signs).
//! - `store`: every statement.

mod access;
mod actor;
mod believed;
mod desk;
mod error;
mod handle;
mod keys;
mod messages;
mod refresh;
#[cfg(test)]
mod rotation_tests;
mod store;
mod types;

use std::sync::Arc;
use std::time::Duration;

use ground::Id;

use crate::known::{Known, Limits};
use crate::profiles::Profiles;
use crate::revocations::Revocations;

pub(crate) use actor::SessionsActor;
pub use error::SessionError;
pub use handle::Sessions;
pub use keys::PublicKey;
pub(crate) use store::end_all_in;
pub use types::{EndSession, Method, SessionIdentity, SessionInfo, SignIn, TokenPair, WordError};

/// What handle and actor share. Clones are the same. It outlives the actor: a restart signs nobody out, and changes no key.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    known: Arc<Known<Id, SessionIdentity>>,
    keys: Arc<keys::Keyring>,
    revocations: Arc<Revocations>,
    profiles: Arc<Profiles>,
}

impl Memory {
    /// An empty memory. It is filled by the actor alone, which sets the limits before.
    fn new(revocations: Arc<Revocations>, profiles: Arc<Profiles>) -> Self {
        let limits = Limits {
            capacity: 1,
            recheck_after: Duration::ZERO,
            offline_limit: Duration::ZERO,
        };
        Self {
            known: Arc::new(Known::new(limits)),
            keys: Arc::default(),
            revocations,
            profiles,
        }
    }
}
