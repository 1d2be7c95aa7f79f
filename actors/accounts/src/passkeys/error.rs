//! What can go wrong with passkeys, in the user's words.
//!
//! Whoever signs in hears one thing, whatever was wrong: an unknown passkey, a wrong signature, somebody who may not come in. The audit
//! has the reason.

use std::sync::Arc;
use std::time::Duration;

use ground::DbError;
use supervisor::{AskError, Fault, FaultKind, Finding};

use super::ceremony::CannotAsk;
use crate::error::AccountsError;

/// Why a passkey was not made, changed or believed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PasskeyError {
    /// The request breaks rules; all of them are told.
    #[error("{} finding(s) in the request", .0.len())]
    Invalid(Vec<Finding>),
    /// Nothing says by which name the daemon is reached, or what says it cannot be used.
    #[error("passkeys cannot be used here: {0}")]
    NotConfigured(String),
    /// The page that asks is not one that browsers show the passkeys to.
    #[error("passkeys belong to other origins than the one that asks")]
    WrongOrigin {
        /// Those that they belong to.
        origins: Vec<String>,
    },
    /// The caller did not sign in in person, or too long ago.
    #[error("the sign-in is not fresh")]
    NotFresh,
    /// Nobody is signed in by this answer: for which reason.
    #[error("no sign-in: {0}")]
    Refused(&'static str),
    /// No passkey is made of this answer: for which reason.
    #[error("no new passkey: {0}")]
    NotMade(&'static str),
    /// The user has as many as there may be.
    #[error("the user has {limit} passkeys already")]
    TooMany {
        /// How many that is.
        limit: u32,
    },
    /// The user has no such passkey.
    #[error("no such passkey")]
    NotFound,
    /// The user does not exist any more.
    #[error("there is no such user")]
    NoUser,
    /// It is the only way in that the user has.
    #[error("it is the last way in")]
    LastWayIn,
    /// The sessions refused.
    #[error(transparent)]
    Sessions(Arc<dyn Fault>),
    /// What can go wrong with every request about accounts.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

impl From<DbError> for PasskeyError {
    fn from(error: DbError) -> Self {
        Self::Accounts(error.into())
    }
}

impl From<AskError> for PasskeyError {
    fn from(error: AskError) -> Self {
        Self::Accounts(error.into())
    }
}

impl From<CannotAsk> for PasskeyError {
    fn from(error: CannotAsk) -> Self {
        Self::Accounts(AccountsError::Internal(Arc::new(error)))
    }
}

impl Fault for PasskeyError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Invalid(_) => FaultKind::Invalid,
            Self::NotConfigured(_) | Self::TooMany { .. } | Self::LastWayIn => FaultKind::Conflict,
            Self::WrongOrigin { .. } | Self::NotFresh | Self::NotMade(_) => FaultKind::Forbidden,
            Self::Refused(_) => FaultKind::Unauthenticated,
            Self::NotFound | Self::NoUser => FaultKind::NotFound,
            Self::Sessions(fault) => fault.kind(),
            Self::Accounts(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "passkeys.invalid",
            Self::NotConfigured(_) => "passkeys.not_configured",
            Self::WrongOrigin { .. } => "passkeys.wrong_origin",
            Self::NotFresh => "passkeys.not_fresh",
            Self::Refused(_) => "passkeys.refused",
            Self::NotMade(_) => "passkeys.not_made",
            Self::TooMany { .. } => "passkeys.too_many",
            Self::NotFound => "passkeys.not_found",
            Self::NoUser => "passkeys.no_user",
            Self::LastWayIn => "accounts.last_way_in",
            Self::Sessions(fault) => fault.code(),
            Self::Accounts(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        let plain = match self {
            Self::Invalid(_) => "the request has errors; see each of them",
            Self::NotConfigured(why) => {
                return format!(
                    "passkeys cannot be used here; who runs this server has to set them up: {why}"
                );
            }
            Self::WrongOrigin { origins } => {
                let origins = origins.join(", ");
                return format!(
                    "passkeys belong to {origins} here; open that address instead, or have this one added to `accounts.passkeys.origins`"
                );
            }
            Self::NotFresh => {
                "this needs a sign-in in person within the last ten minutes; sign in again and repeat it. A personal token is not enough"
            }
            Self::Refused(_) => {
                "this passkey does not sign in here; begin again, or sign in another way"
            }
            Self::NotMade(_) => {
                "what the authenticator answered was not accepted, or came too late; begin again"
            }
            Self::TooMany { limit } => {
                return format!("this account has {limit} passkeys already; remove one first");
            }
            Self::NotFound => "this account has no such passkey",
            Self::NoUser => "this account does not exist any more",
            Self::LastWayIn => {
                "this is the only way into the account; set a password, add another passkey or link an identity first"
            }
            Self::Sessions(fault) => return fault.outside(),
            Self::Accounts(error) => return error.outside(),
        };
        plain.to_owned()
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Invalid(findings) => findings.clone(),
            Self::Sessions(fault) => fault.findings(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Sessions(fault) => fault.retry_after(),
            Self::Accounts(error) => error.retry_after(),
            _ => None,
        }
    }
}
