//! What the actor can be asked.

use ground::Secret;
use ground::audit::Source;
use supervisor::Reply;

use super::error::RecoveryError;
use super::types::{Holder, NewEmail, Reset};

/// An answer that can be an error.
pub(crate) type Answer = Reply<Result<(), RecoveryError>>;

/// Requests about recovery.
#[derive(Debug)]
pub(crate) enum RecoveryMsg {
    /// Mail a token for a new password.
    Forgot {
        email: String,
        source: Source,
        reply: Answer,
    },
    /// Set a new password.
    Reset {
        reset: Reset,
        source: Source,
        reply: Answer,
    },
    /// An address is proven.
    Verify {
        token: Secret,
        source: Source,
        reply: Answer,
    },
    /// Mail a token that proves the present address.
    Resend { by: Holder, reply: Answer },
    /// Mail a token that proves a new address.
    Change {
        by: Holder,
        new: NewEmail,
        reply: Answer,
    },
}
