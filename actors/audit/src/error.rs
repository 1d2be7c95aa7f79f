//! What can go wrong with the audit, in the user's words.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use ground::DbError;
use supervisor::{Fault, FaultKind};

/// Why entries were not told, or the chain not verified.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// The database is away.
    #[error("the database is not available")]
    StoreLost {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// As many look at the chain as may.
    #[error("too many look at the chain")]
    Busy {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The database took too long.
    #[error("the database did not answer in time")]
    Deadline,
    /// A fault of the program, or of the system below it.
    #[error("the audit could not be read")]
    Internal(#[source] Arc<dyn StdError + Send + Sync>),
}

/// Why an entry is not on disk yet, or will never be. What it tells of has happened all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is kept in memory until the database takes it.
    #[error("not stored yet")]
    Waiting,
    /// As many wait as may; it is counted, and the count will be stored.
    #[error("too many entries wait to be stored")]
    Full,
}

impl From<DbError> for AuditError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable { retry_after } => Self::StoreLost { retry_after },
            DbError::Busy { retry_after } => Self::Busy { retry_after },
            DbError::Deadline => Self::Deadline,
            DbError::Conflict { .. } | DbError::Failed(_) => Self::Internal(Arc::new(error)),
        }
    }
}

impl Fault for AuditError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::StoreLost { .. } | Self::Busy { .. } => FaultKind::Unavailable,
            Self::Deadline => FaultKind::Deadline,
            Self::Internal(_) => FaultKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::StoreLost { .. } => "audit.store_lost",
            Self::Busy { .. } => "audit.busy",
            Self::Deadline => "audit.deadline",
            Self::Internal(_) => "audit.internal",
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::StoreLost { .. } => {
                "the database is not available, so the audit cannot be read; try again later"
            }
            Self::Busy { .. } => "too many look at the audit at once; try again",
            Self::Deadline => {
                "the database did not answer in time; ask for less, a shorter time for example"
            }
            Self::Internal(_) => {
                "the audit could not be read; the log of the daemon tells what went wrong"
            }
        }
        .to_owned()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::StoreLost { retry_after } | Self::Busy { retry_after } => Some(*retry_after),
            Self::Deadline | Self::Internal(_) => None,
        }
    }
}
