//! What can go wrong with a terminal, in the user's words.

use std::io;
use std::time::Duration;

use ground::Id;
use supervisor::{AskError, Fault, FaultKind, Finding, OpenError};

/// Why a request about terminals was not done.
#[derive(Debug, thiserror::Error)]
pub enum PtysError {
    /// The request breaks rules; all of them are told.
    #[error("{} finding(s) in the request", .0.len())]
    Invalid(Vec<Finding>),
    /// There is no such terminal.
    #[error("terminal {0} does not exist")]
    NotFound(Id),
    /// The one who asks has a role that runs no programs here.
    #[error("the role may not use terminals")]
    RoleNotAllowed,
    /// As many shells run as may run.
    #[error("{limit} terminals run already")]
    TooMany {
        /// How many may run.
        limit: u32,
    },
    /// As many viewers are attached as may be.
    #[error("{limit} viewers are attached already")]
    TooManyViewers {
        /// How many may be attached to one terminal.
        limit: u32,
    },
    /// The shell has ended, so it can neither be resized nor typed into.
    #[error("the shell of terminal {0} has ended")]
    Exited(Id),
    /// The terminal was running when an earlier daemon ended: there is nothing to attach to.
    #[error("terminal {0} ended with an earlier daemon")]
    Lost(Id),
    /// The system gave no PTY or no process.
    #[error("no terminal could be made")]
    NotMade(#[source] io::Error),
    /// Looking at the shell or the directory, or starting the shell, took too long.
    #[error("the shell was not started within {0:?}")]
    SlowStart(Duration),
    /// Processes of the terminal are still there after they were killed.
    #[error("{left} process(es) of terminal {id} could not be ended")]
    NotEnded {
        /// Which terminal.
        id: Id,
        /// How many processes are left.
        left: usize,
    },
    /// The terminal could not be put under supervision.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The manager or the terminal's actor gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl Fault for PtysError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Invalid(_) => FaultKind::Invalid,
            Self::NotFound(_) => FaultKind::NotFound,
            Self::RoleNotAllowed => FaultKind::Forbidden,
            Self::TooMany { .. } | Self::TooManyViewers { .. } => FaultKind::Limited,
            Self::Exited(_) | Self::Lost(_) => FaultKind::Conflict,
            Self::NotMade(_) => FaultKind::Unavailable,
            Self::SlowStart(_) => FaultKind::Deadline,
            Self::NotEnded { .. } => FaultKind::Internal,
            Self::Open(error) => error.kind(),
            Self::Ask(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "ptys.invalid",
            Self::NotFound(_) => "ptys.not_found",
            Self::RoleNotAllowed => "ptys.role_not_allowed",
            Self::TooMany { .. } => "ptys.too_many",
            Self::TooManyViewers { .. } => "ptys.too_many_viewers",
            Self::Exited(_) => "ptys.exited",
            Self::Lost(_) => "ptys.lost",
            Self::NotMade(_) => "ptys.not_made",
            Self::SlowStart(_) => "ptys.slow_start",
            Self::NotEnded { .. } => "ptys.not_ended",
            Self::Open(error) => error.code(),
            Self::Ask(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Invalid(_) => "the request has errors; see each of them".to_owned(),
            Self::NotFound(_) => "there is no such terminal; list the terminals to see which there are".to_owned(),
            Self::RoleNotAllowed => {
                "a terminal runs programs as the daemon's own user, which your role does not allow; `ptys.roles` says which roles do".to_owned()
            }
            Self::TooMany { limit } => {
                format!("{limit} terminals run already; close one, or raise ptys.max_terminals")
            }
            Self::TooManyViewers { limit } => {
                format!("{limit} viewers are attached already; detach one, or raise ptys.max_viewers")
            }
            Self::Exited(_) => "the shell of this terminal has ended; open a new terminal".to_owned(),
            Self::Lost(_) => {
                "this terminal ended with an earlier run of the daemon; delete it and open a new one".to_owned()
            }
            Self::NotMade(_) => {
                "the system has no terminal or process left to give; close some and try again".to_owned()
            }
            Self::SlowStart(_) => {
                "the shell could not be started in time; its file system may be slow or hang".to_owned()
            }
            Self::NotEnded { .. } => {
                "some processes of this terminal could not be ended; try again, or look at them with ps".to_owned()
            }
            Self::Open(error) => error.outside(),
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
            Self::Open(error) => error.retry_after(),
            Self::Ask(error) => error.retry_after(),
            Self::TooMany { .. } | Self::TooManyViewers { .. } | Self::NotMade(_) => {
                Some(Duration::from_secs(5))
            }
            _ => None,
        }
    }
}
