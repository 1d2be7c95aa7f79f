//! Why somebody is not let in, in the user's words.
//!
//! What must not be told apart is one variant: somebody who does not exist, one who is kept out, and a wrong password.

use std::time::Duration;

use ground::DbError;
use supervisor::{AskError, Fault, FaultKind, Finding};

use super::error::PeopleError;
use super::hashing::HashingError;
use super::ports::Refused;

/// Why somebody is not let in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignInError {
    /// Address and password do not belong together, or nobody may come in with them.
    #[error("wrong address or password")]
    Wrong,
    /// It was tried too often.
    #[error("too many wrong passwords")]
    Delayed {
        /// When the next attempt is looked at.
        retry_after: Duration,
    },
    /// The setup token is not the one that the daemon printed last.
    #[error("not the setup token")]
    BadSetupToken,
    /// There is an owner already.
    #[error("there is an owner already")]
    AlreadySetUp,
    /// Nobody can register.
    #[error("registration is closed")]
    Closed,
    /// Registering needs an invitation.
    #[error("an invitation is needed")]
    InviteRequired,
    /// The invitation does not work, or no longer.
    #[error("not an open invitation")]
    BadInvite,
    /// What concerns people themselves.
    #[error(transparent)]
    People(#[from] PeopleError),
}

impl From<DbError> for SignInError {
    fn from(error: DbError) -> Self {
        Self::People(error.into())
    }
}

impl From<HashingError> for SignInError {
    fn from(error: HashingError) -> Self {
        Self::People(error.into())
    }
}

impl From<AskError> for SignInError {
    fn from(error: AskError) -> Self {
        Self::People(error.into())
    }
}

impl From<Refused> for SignInError {
    fn from(refused: Refused) -> Self {
        Self::People(refused.into())
    }
}

impl Fault for SignInError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Wrong => FaultKind::Unauthenticated,
            Self::Delayed { .. } => FaultKind::Limited,
            Self::BadSetupToken | Self::Closed | Self::InviteRequired | Self::BadInvite => {
                FaultKind::Forbidden
            }
            Self::AlreadySetUp => FaultKind::Conflict,
            Self::People(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Wrong => "accounts.wrong_credentials",
            Self::Delayed { .. } => "accounts.too_many_guesses",
            Self::BadSetupToken => "accounts.bad_setup_token",
            Self::AlreadySetUp => "accounts.already_set_up",
            Self::Closed => "accounts.registration_closed",
            Self::InviteRequired => "accounts.invite_required",
            Self::BadInvite => "accounts.bad_invite",
            Self::People(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        let text = match self {
            Self::Wrong => "the address or the password is wrong, or this account may not sign in",
            Self::Delayed { .. } => "too many wrong passwords; wait, then try again",
            Self::BadSetupToken => {
                "this is not the setup token; each start of the daemon prints a new one on stderr"
            }
            Self::AlreadySetUp => "there is an owner already; sign in instead",
            Self::Closed => "nobody can register here; ask an administrator for an account",
            Self::InviteRequired => "registering needs an invitation; ask an administrator for one",
            Self::BadInvite => {
                "this invitation does not work: it was used, has expired, or is for somebody else; ask for another one"
            }
            Self::People(error) => return error.outside(),
        };
        text.to_owned()
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::People(error) => error.findings(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Delayed { retry_after } => Some(*retry_after),
            Self::People(error) => error.retry_after(),
            _ => None,
        }
    }
}
