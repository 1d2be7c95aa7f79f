//! Why an ask got no reply.

use std::sync::Arc;
use std::time::Duration;

use crate::fault::{Fault, FaultKind};
use crate::level::Level;

/// Why an ask got no reply. All are safe to show; only [`AskError::Died`] leaves open whether the request took effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody is there: not started, restarting, quarantined or stopped.
    #[error("{path} is down")]
    Down {
        /// Who was asked.
        path: Arc<str>,
        /// At which level it serves.
        level: Level,
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The mailbox is full.
    #[error("{path} is busy with {depth} requests")]
    Busy {
        /// Who was asked.
        path: Arc<str>,
        /// Requests admitted and not finished.
        depth: u32,
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// No reply within the deadline.
    #[error("{path} did not answer within the deadline")]
    Deadline {
        /// Who was asked.
        path: Arc<str>,
    },
    /// The actor ended with the request in its hands; it may have taken effect.
    #[error("{path} ended before it replied")]
    Died {
        /// Who was asked.
        path: Arc<str>,
    },
}

impl Fault for AskError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Deadline { .. } => FaultKind::Deadline,
            _ => FaultKind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Down { .. } => "supervisor.down",
            Self::Busy { .. } => "supervisor.busy",
            Self::Deadline { .. } => "supervisor.deadline",
            Self::Died { .. } => "supervisor.died",
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Down { path, .. } => {
                format!("{path} is not available at the moment; try again later")
            }
            Self::Busy { path, .. } => {
                format!("{path} has more requests than it can take; try again later")
            }
            Self::Deadline { path } => format!("{path} did not answer in time"),
            Self::Died { path } => format!(
                "{path} was restarted before it answered; the request may have taken effect, so look before you repeat it"
            ),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Down { retry_after, .. } | Self::Busy { retry_after, .. } => Some(*retry_after),
            Self::Died { .. } => Some(Duration::from_secs(1)),
            Self::Deadline { .. } => None,
        }
    }
}
