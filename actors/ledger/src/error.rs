//! What keeps the table away. It ends no request: whoever reads is answered from memory, and told why.

use ground::DbError;

/// Why the table could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The store is away, busy or too slow.
    #[error("the store does not answer: {0}")]
    Store(#[source] DbError),
    /// The store answered, and refused: a fault of the program.
    #[error("the store refused: {0}")]
    Refused(#[source] DbError),
    /// The ledger was never wired to a store.
    #[error("there is no ledger")]
    Unwired,
}

impl LedgerError {
    /// The reason in one word, for programs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Store(DbError::Busy { .. }) => "store_busy",
            Self::Store(DbError::Deadline) => "store_slow",
            Self::Store(_) => "store_unavailable",
            Self::Refused(_) => "store_failed",
            Self::Unwired => "off",
        }
    }
}

impl From<DbError> for LedgerError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable { .. } | DbError::Busy { .. } | DbError::Deadline => {
                Self::Store(error)
            }
            DbError::Conflict { .. } | DbError::Failed(_) => Self::Refused(error),
        }
    }
}
