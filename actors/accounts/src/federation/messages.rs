//! What the actor can be asked. Private to the domain: others use the handle.

use ground::Id;
use supervisor::Reply;

use super::error::FederationError;
use super::types::{Begin, Begun, Finish, Finished, IdentityInfo, IssuerInfo};
use crate::factors::By;

/// An answer that can be an error.
pub(crate) type Answer<T> = Reply<Result<T, FederationError>>;

/// Requests about outside issuers.
#[derive(Debug)]
pub(crate) enum FederationMsg {
    /// By whom can one be vouched for?
    Issuers { reply: Answer<Vec<IssuerInfo>> },
    /// Begin an attempt.
    Begin { begin: Begin, reply: Answer<Begun> },
    /// End it.
    Finish {
        finish: Box<Finish>,
        reply: Answer<Finished>,
    },
    /// Tell the identities of a user.
    Identities {
        user: Id,
        reply: Answer<Vec<IdentityInfo>>,
    },
    /// Take one from its user.
    Unlink {
        by: By,
        issuer: String,
        reply: Answer<()>,
    },
}
