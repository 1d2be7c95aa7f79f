//! What can go wrong with a token, in the user's words.
//!
//! Two things must never be mixed up: a token that *is* wrong (401: get another one) and a token that *cannot be checked*
//! (503: try again). A client that was told the first when the second is true throws a good token away.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use ground::{DbError, Id};
use supervisor::{AskError, Fault, FaultKind, Finding};

use crate::token::Malformed;

/// Why a request about tokens was not done, or a token not let in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccountsError {
    /// The request breaks rules; all of them are told.
    #[error("{} finding(s) in the request", .0.len())]
    Invalid(Vec<Finding>),
    /// What was presented cannot be a token.
    #[error("not a token: {0}")]
    Malformed(#[from] Malformed),
    /// The token was never given out here.
    #[error("the token is not known")]
    Unknown,
    /// The token was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// There is no token with this id.
    #[error("token {0} does not exist")]
    NotFound(Id),
    /// As many tokens are in use as may be kept.
    #[error("{limit} tokens exist already")]
    TooMany {
        /// How many may be kept.
        limit: u32,
    },
    /// The database is away, so nothing can be looked up or changed.
    #[error("the database is not available")]
    StoreLost {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// Too much is under way already; nothing happened.
    #[error("too many requests about tokens are under way")]
    Busy {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The database took too long.
    #[error("the database did not answer in time")]
    Deadline,
    /// A fault of the program, or of the system below it.
    #[error("a request about tokens failed")]
    Internal(#[source] Arc<dyn StdError + Send + Sync>),
    /// The manager gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl AccountsError {
    /// Whether it says that the token could not be checked, rather than anything about the token.
    pub(crate) fn is_unchecked(&self) -> bool {
        matches!(self.kind(), FaultKind::Unavailable | FaultKind::Deadline)
    }
}

impl From<DbError> for AccountsError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable { retry_after } => Self::StoreLost { retry_after },
            DbError::Busy { retry_after } => Self::Busy { retry_after },
            DbError::Deadline => Self::Deadline,
            // No constraint of the table can be broken by what a client sends.
            DbError::Conflict { .. } | DbError::Failed(_) => Self::Internal(Arc::new(error)),
        }
    }
}

impl Fault for AccountsError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Invalid(_) => FaultKind::Invalid,
            Self::Malformed(_) | Self::Unknown | Self::Revoked | Self::Expired => {
                FaultKind::Unauthenticated
            }
            Self::NotFound(_) => FaultKind::NotFound,
            Self::TooMany { .. } => FaultKind::Limited,
            Self::StoreLost { .. } | Self::Busy { .. } => FaultKind::Unavailable,
            Self::Deadline => FaultKind::Deadline,
            Self::Internal(_) => FaultKind::Internal,
            Self::Ask(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "accounts.invalid",
            Self::Malformed(_) => "accounts.malformed_token",
            Self::Unknown => "accounts.unknown_token",
            Self::Revoked => "accounts.revoked_token",
            Self::Expired => "accounts.expired_token",
            Self::NotFound(_) => "accounts.token_not_found",
            Self::TooMany { .. } => "accounts.too_many_tokens",
            Self::StoreLost { .. } => "accounts.store_lost",
            Self::Busy { .. } => "accounts.busy",
            Self::Deadline => "accounts.deadline",
            Self::Internal(_) => "accounts.internal",
            Self::Ask(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Invalid(_) => "the request has errors; see each of them".to_owned(),
            Self::Malformed(wrong) => {
                format!("{wrong}; copy it again, whole, as it was shown when it was created")
            }
            Self::Unknown => {
                "this token is not known here; create one with `mainstay token create`".to_owned()
            }
            Self::Revoked => {
                "this token was revoked; create another one with `mainstay token create`".to_owned()
            }
            Self::Expired => {
                "this token has expired; create another one with `mainstay token create`".to_owned()
            }
            Self::NotFound(_) => {
                "there is no such token; list the tokens to see which there are".to_owned()
            }
            Self::TooMany { limit } => {
                format!("{limit} tokens are in use; revoke one, or raise accounts.max_tokens")
            }
            Self::StoreLost { .. } => {
                "the database is not available, so tokens can be neither looked up nor changed; try again later"
                    .to_owned()
            }
            Self::Busy { .. } => {
                "too many requests about tokens are under way; try again".to_owned()
            }
            Self::Deadline => {
                "the database did not answer in time; look whether the change was made before you repeat it"
                    .to_owned()
            }
            Self::Internal(_) => {
                "something went wrong with the tokens; the log of the daemon tells what".to_owned()
            }
            Self::Ask(error) => error.outside(),
        }
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Invalid(findings) => findings.clone(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::StoreLost { retry_after } | Self::Busy { retry_after } => Some(*retry_after),
            Self::Ask(error) => error.retry_after(),
            _ => None,
        }
    }
}
