//! What can go wrong with looking after people, in the user's words.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use ground::DbError;
use supervisor::{AskError, Fault, FaultKind, Finding};

use super::hashing::HashingError;
use super::ports::Refused;
use super::rules::Denied;

/// When to come back while too many passwords are being checked.
const HASHING_RETRY: Duration = Duration::from_secs(2);

/// Why something about people was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PeopleError {
    /// The request breaks rules; all of them are told.
    #[error("{} finding(s) in the request", .0.len())]
    Invalid(Vec<Finding>),
    /// Who asks may not do that.
    #[error("not allowed: {0:?}")]
    Refused(Denied),
    /// There is no such user, or who asks may not know.
    #[error("no such user")]
    NotFound,
    /// Somebody else changed it in between.
    #[error("the user has changed since: version {present} is current")]
    Stale {
        /// The present version.
        present: i64,
    },
    /// Somebody has this address already.
    #[error("the address is taken")]
    EmailTaken,
    /// As many are kept as may be.
    #[error("{limit} are kept already")]
    TooMany {
        /// How many.
        limit: u32,
    },
    /// Too many passwords are being checked.
    #[error("too many passwords are being checked")]
    HashingBusy,
    /// The database is away.
    #[error("the database is not available")]
    StoreLost {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// Too much is under way already; nothing happened.
    #[error("too many requests about people are under way")]
    Busy {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The database took too long.
    #[error("the database did not answer in time")]
    Deadline,
    /// A fault of the program, or of the system below it.
    #[error("a request about people failed")]
    Internal(#[source] Arc<dyn StdError + Send + Sync>),
    /// What another part refused: the actor that gave no answer, sessions that could not be ended.
    #[error("refused by another part")]
    Elsewhere(#[source] Refused),
}

impl From<AskError> for PeopleError {
    fn from(error: AskError) -> Self {
        Self::Elsewhere(Arc::new(error))
    }
}

impl From<Refused> for PeopleError {
    fn from(refused: Refused) -> Self {
        Self::Elsewhere(refused)
    }
}

impl From<Denied> for PeopleError {
    fn from(denied: Denied) -> Self {
        Self::Refused(denied)
    }
}

impl From<DbError> for PeopleError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable { retry_after } => Self::StoreLost { retry_after },
            DbError::Busy { retry_after } => Self::Busy { retry_after },
            DbError::Deadline => Self::Deadline,
            error if error.is_conflict_on("users_email_key_key") => Self::EmailTaken,
            DbError::Conflict { .. } | DbError::Failed(_) => Self::Internal(Arc::new(error)),
        }
    }
}

impl From<HashingError> for PeopleError {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Busy => Self::HashingBusy,
            HashingError::Failed(source) => Self::Internal(source),
        }
    }
}

impl Fault for PeopleError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Invalid(_) => FaultKind::Invalid,
            Self::Refused(Denied::LastOwner | Denied::NoUser | Denied::Oneself)
            | Self::EmailTaken => FaultKind::Conflict,
            Self::Refused(_) => FaultKind::Forbidden,
            Self::NotFound => FaultKind::NotFound,
            Self::Stale { .. } => FaultKind::Stale,
            Self::TooMany { .. } => FaultKind::Limited,
            Self::HashingBusy | Self::StoreLost { .. } | Self::Busy { .. } => {
                FaultKind::Unavailable
            }
            Self::Deadline => FaultKind::Deadline,
            Self::Internal(_) => FaultKind::Internal,
            Self::Elsewhere(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "accounts.invalid",
            Self::Refused(Denied::NoAdmin) => "accounts.no_admin",
            Self::Refused(Denied::AboveOneself) => "accounts.above_oneself",
            Self::Refused(Denied::Owner) => "accounts.only_owners",
            Self::Refused(Denied::LastOwner) => "accounts.last_owner",
            Self::Refused(Denied::NoUser) => "accounts.not_a_user",
            Self::Refused(Denied::Oneself) => "accounts.own_password",
            Self::NotFound => "accounts.user_not_found",
            Self::Stale { .. } => "accounts.stale_user",
            Self::EmailTaken => "accounts.email_taken",
            Self::TooMany { .. } => "accounts.too_many_users",
            Self::HashingBusy => "accounts.hashing_busy",
            Self::StoreLost { .. } => "accounts.store_lost",
            Self::Busy { .. } => "accounts.busy",
            Self::Deadline => "accounts.deadline",
            Self::Internal(_) => "accounts.internal",
            Self::Elsewhere(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        let text = match self {
            Self::Invalid(_) => "the request has errors; see each of them",
            Self::Refused(Denied::NoAdmin) => "only administrators and owners may do that",
            Self::Refused(Denied::AboveOneself) => {
                "nobody gives a role above their own; ask somebody who has it"
            }
            Self::Refused(Denied::Owner) => "only an owner may change an owner",
            Self::Refused(Denied::LastOwner) => {
                "this is the last owner who can sign in; make somebody else an owner first"
            }
            Self::Refused(Denied::NoUser) => {
                "the local operator is no user; sign in as one, or name the user"
            }
            Self::Refused(Denied::Oneself) => {
                "your own password is changed by showing the present one: POST /api/v1/auth/password/change"
            }
            Self::NotFound => "there is no such user; list the users to see which there are",
            Self::Stale { present } => {
                return format!(
                    "somebody changed this user since you looked; version {present} is current: look again, then decide"
                );
            }
            Self::EmailTaken => "somebody has this address already; list the users to see who",
            Self::TooMany { limit } => {
                return format!(
                    "{limit} users or open invitations are kept already; erase some, or raise accounts.max_users"
                );
            }
            Self::HashingBusy => "too many passwords are being checked at this moment; try again",
            Self::StoreLost { .. } => {
                "the database is not available, so nothing about users can be looked up or changed; try again later"
            }
            Self::Busy { .. } => "too many requests about users are under way; try again",
            Self::Deadline => {
                "the database did not answer in time; look whether the change was made before you repeat it"
            }
            Self::Internal(_) => {
                "something went wrong with the users; the log of the daemon tells what"
            }
            Self::Elsewhere(error) => return error.outside(),
        };
        text.to_owned()
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Invalid(findings) => findings.clone(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::HashingBusy => Some(HASHING_RETRY),
            Self::StoreLost { retry_after } | Self::Busy { retry_after } => Some(*retry_after),
            Self::Elsewhere(error) => error.retry_after(),
            _ => None,
        }
    }
}
