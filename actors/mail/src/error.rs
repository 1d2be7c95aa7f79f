//! What can go wrong for who asks about mails.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use ground::{DbError, Id};
use supervisor::{AskError, Fault, FaultKind};

use crate::types::MailState;

/// Why a request about mails was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MailError {
    /// There is no mail with this id.
    #[error("mail {0} does not exist")]
    NotFound(Id),
    /// The mail waits no more: its text is gone, so that it cannot be sent again.
    #[error("the mail is {0}")]
    Ended(MailState),
    /// The database is away.
    #[error("the database is not available")]
    StoreLost {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// Too much is under way already; nothing happened.
    #[error("too many requests about mails are under way")]
    Busy {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The database took too long.
    #[error("the database did not answer in time")]
    Deadline,
    /// A fault of the program, or of the system below it.
    #[error("a request about mails failed")]
    Internal(#[source] Arc<dyn StdError + Send + Sync>),
    /// The sender gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<DbError> for MailError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable { retry_after } => Self::StoreLost { retry_after },
            DbError::Busy { retry_after } => Self::Busy { retry_after },
            DbError::Deadline => Self::Deadline,
            DbError::Conflict { .. } | DbError::Failed(_) => Self::Internal(Arc::new(error)),
        }
    }
}

impl Fault for MailError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::NotFound(_) => FaultKind::NotFound,
            Self::Ended(_) => FaultKind::Conflict,
            Self::StoreLost { .. } | Self::Busy { .. } => FaultKind::Unavailable,
            Self::Deadline => FaultKind::Deadline,
            Self::Internal(_) => FaultKind::Internal,
            Self::Ask(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "mail.not_found",
            Self::Ended(_) => "mail.ended",
            Self::StoreLost { .. } => "mail.store_lost",
            Self::Busy { .. } => "mail.busy",
            Self::Deadline => "mail.deadline",
            Self::Internal(_) => "mail.internal",
            Self::Ask(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::NotFound(_) => "there is no such mail; list the mails to see which there are".to_owned(),
            Self::Ended(state) => format!(
                "the mail is {state} and its text is deleted; whoever needs it asks for a new one"
            ),
            Self::StoreLost { .. } => {
                "the database is not available, so mails can be neither listed nor changed; try again later".to_owned()
            }
            Self::Busy { .. } => "too many requests about mails are under way; try again".to_owned(),
            Self::Deadline => {
                "the database did not answer in time; look whether the change was made before you repeat it".to_owned()
            }
            Self::Internal(_) => {
                "something went wrong with the mails; the log of the daemon tells what".to_owned()
            }
            Self::Ask(error) => error.outside(),
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
