//! What can go wrong with recovery, in the user's words. Nothing of it tells whether an address has an account.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use ground::DbError;
use supervisor::{AskError, Fault, FaultKind, Finding};

use crate::people::{HashingError, PeopleError, Refused};

/// When to come back while too many passwords are being checked.
const HASHING_RETRY: Duration = Duration::from_secs(2);

/// Why a step of recovery was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecoveryError {
    /// The request breaks rules; all of them are told.
    #[error("{} finding(s) in the request", .0.len())]
    Invalid(Vec<Finding>),
    /// The token was never mailed, was used, or is too old.
    #[error("not a token that works")]
    BadToken,
    /// Too many wrong passwords.
    #[error("too many wrong passwords")]
    Delayed {
        /// When the next attempt is looked at.
        retry_after: Duration,
    },
    /// Who asks does not exist any more.
    #[error("there is no such user")]
    NoUser,
    /// Somebody has this address by now.
    #[error("the address is taken")]
    EmailTaken,
    /// The address is proven already.
    #[error("the address is verified already")]
    AlreadyVerified,
    /// As many mails as may be were sent in this hour.
    #[error("too many mails were asked for")]
    TooManyMails,
    /// Too many passwords are being checked.
    #[error("too many passwords are being checked")]
    HashingBusy,
    /// A fault of the program, or of the system below it.
    #[error("a request about recovery failed")]
    Internal(#[source] Arc<dyn StdError + Send + Sync>),
    /// The database did not do its part.
    #[error("the database did not do its part")]
    Store(#[from] DbError),
    /// What another part refused: a second factor that is wrong or missing.
    #[error("refused by another part")]
    Elsewhere(#[source] Refused),
    /// The actor gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<HashingError> for RecoveryError {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Self::HashingBusy,
            HashingError::Failed(source) => Self::Internal(source),
        }
    }
}

impl From<PeopleError> for RecoveryError {
    fn from(error: PeopleError) -> Self {
        Self::Elsewhere(Arc::new(error))
    }
}

impl Fault for RecoveryError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Invalid(_) => FaultKind::Invalid,
            Self::BadToken => FaultKind::Forbidden,
            Self::Delayed { .. } | Self::TooManyMails => FaultKind::Limited,
            Self::NoUser => FaultKind::NotFound,
            Self::EmailTaken | Self::AlreadyVerified => FaultKind::Conflict,
            Self::HashingBusy => FaultKind::Unavailable,
            Self::Store(DbError::Unavailable { .. } | DbError::Busy { .. }) => {
                FaultKind::Unavailable
            }
            Self::Store(DbError::Deadline) => FaultKind::Deadline,
            Self::Store(_) | Self::Internal(_) => FaultKind::Internal,
            Self::Elsewhere(error) => error.kind(),
            Self::Ask(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "recovery.invalid",
            Self::BadToken => "recovery.bad_token",
            Self::Delayed { .. } => "recovery.delayed",
            Self::NoUser => "recovery.no_user",
            Self::EmailTaken => "recovery.email_taken",
            Self::AlreadyVerified => "recovery.already_verified",
            Self::TooManyMails => "recovery.too_many_mails",
            Self::HashingBusy => "recovery.hashing_busy",
            Self::Store(DbError::Unavailable { .. }) => "recovery.store_lost",
            Self::Store(DbError::Busy { .. }) => "recovery.busy",
            Self::Store(DbError::Deadline) => "recovery.deadline",
            Self::Store(_) | Self::Internal(_) => "recovery.internal",
            Self::Elsewhere(error) => error.code(),
            Self::Ask(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        let text = match self {
            Self::Invalid(_) => "the request has errors; see each of them",
            Self::BadToken => {
                "this token does not work, or no longer; ask for a new mail and use the newest one, once and soon"
            }
            Self::Delayed { .. } => "too many wrong passwords; wait before the next one",
            Self::NoUser => "the account does not exist any more",
            Self::EmailTaken => "somebody has this address already; choose another one",
            Self::AlreadyVerified => "the address is verified already; there is nothing to do",
            Self::TooManyMails => {
                "three such mails were sent within the last hour; look into the mailbox, or try again later"
            }
            Self::HashingBusy => "too many passwords are being checked at this moment; try again",
            Self::Store(DbError::Unavailable { .. }) => {
                "the database is not available, so nothing can be recovered; try again later"
            }
            Self::Store(DbError::Busy { .. }) => "too much is under way at this moment; try again",
            Self::Store(DbError::Deadline) => {
                "the database did not answer in time; look whether the change was made before you repeat it"
            }
            Self::Store(_) | Self::Internal(_) => {
                "something went wrong with the recovery; the log of the daemon tells what"
            }
            Self::Elsewhere(error) => return error.outside(),
            Self::Ask(error) => return error.outside(),
        };
        text.to_owned()
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Invalid(findings) => findings.clone(),
            Self::Elsewhere(error) => error.findings(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Delayed { retry_after } => Some(*retry_after),
            Self::TooManyMails => Some(Duration::from_hours(1)),
            Self::HashingBusy => Some(HASHING_RETRY),
            Self::Store(error) => error.retry_after(),
            Self::Elsewhere(error) => error.retry_after(),
            Self::Ask(error) => error.retry_after(),
            _ => None,
        }
    }
}
