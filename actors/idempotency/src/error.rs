//! What can go wrong with a key, in the user's words.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use ground::DbError;
use supervisor::{AskError, Fault, FaultKind};

/// Why a request with a key was not run, or its answer not given.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IdempotencyError {
    /// It was begun under this key, and nobody knows what came of it.
    #[error("a request with this key was begun and its end is not known")]
    Unknown,
    /// It was done, and its answer was not stored.
    #[error("a request with this key was done and its answer was not stored")]
    Withheld,
    /// The database is away.
    #[error("the database is not available")]
    StoreLost {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// Too many requests with keys are under way.
    #[error("too many requests with keys are under way")]
    Busy {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The database took too long.
    #[error("the database did not answer in time")]
    Deadline,
    /// A fault of the program, or of the system below it.
    #[error("a key could not be looked up")]
    Internal(#[source] Arc<dyn StdError + Send + Sync>),
    /// The keeper gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<DbError> for IdempotencyError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable { retry_after } => Self::StoreLost { retry_after },
            DbError::Busy { retry_after } => Self::Busy { retry_after },
            DbError::Deadline => Self::Deadline,
            DbError::Conflict { .. } | DbError::Failed(_) => Self::Internal(Arc::new(error)),
        }
    }
}

impl Fault for IdempotencyError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Unknown | Self::Withheld => FaultKind::Conflict,
            // The request was not run, so even a deadline is no doubt about it.
            Self::StoreLost { .. } | Self::Busy { .. } | Self::Deadline | Self::Ask(_) => {
                FaultKind::Unavailable
            }
            Self::Internal(_) => FaultKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "idempotency.unknown_outcome",
            Self::Withheld => "idempotency.answer_withheld",
            Self::StoreLost { .. } => "idempotency.store_lost",
            Self::Busy { .. } => "idempotency.busy",
            Self::Deadline => "idempotency.not_claimed",
            Self::Internal(_) => "idempotency.internal",
            Self::Ask(_) => "idempotency.down",
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Unknown => {
                "a request with this Idempotency-Key was begun, and nobody knows what came of it; look whether it took effect, \
                 then send it with a new key if it did not"
            }
            Self::Withheld => {
                "the request with this Idempotency-Key took effect; its answer showed a secret or was too large, and was not stored: \
                 look at what it made, and make another one with a new key if you need the secret"
            }
            Self::StoreLost { .. } => {
                "the database is not available, so that nobody could promise that the request is done only once; nothing was done: \
                 try again later, or send it without a key"
            }
            Self::Busy { .. } => {
                "too many requests with an Idempotency-Key are under way; nothing was done, try again"
            }
            Self::Deadline => {
                "the database did not take the Idempotency-Key in time; nothing was done, try again"
            }
            Self::Internal(_) => {
                "the Idempotency-Key could not be looked up; nothing was done, and the log of the daemon tells what went wrong"
            }
            Self::Ask(_) => {
                "requests with an Idempotency-Key are not served at the moment; nothing was done, try again"
            }
        }
        .to_owned()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::StoreLost { retry_after } | Self::Busy { retry_after } => Some(*retry_after),
            Self::Deadline => Some(ground::db::BUSY_RETRY),
            Self::Ask(error) => error.retry_after().or(Some(ground::db::BUSY_RETRY)),
            Self::Unknown | Self::Withheld | Self::Internal(_) => None,
        }
    }
}
