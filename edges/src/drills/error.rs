//! Why a drill is not run, and what an operator can do about it.

use ground::Id;
use supervisor::{ActError, Fault, FaultKind};

/// Why a drill is not run.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// Configuration does not allow drills.
    #[error("drills are disabled")]
    Disabled,
    /// There is no such drill.
    #[error("there is no drill {0}")]
    Unknown(String),
    /// There is no such run.
    #[error("there is no run {0}")]
    UnknownRun(Id),
    /// One is running.
    #[error("a drill is running")]
    Running,
    /// The target is nothing that this drill can be aimed at.
    #[error("{0} is no target of this drill")]
    NoTarget(String),
    /// The target has few restarts left, so that the drill could do harm.
    #[error("{0} has used up its restart budget but for one")]
    BudgetLow(String),
    /// Something is wrong there already, so that the drill would prove nothing and could do harm.
    #[error("{0} is not well")]
    NotWell(String),
    /// The daemon runs on something that the drill cannot be carried out on.
    #[error("not possible here: {0}")]
    Unsuited(&'static str),
    /// The supervisor refused.
    #[error(transparent)]
    Refused(#[from] ActError),
}

impl Fault for DrillError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Disabled => FaultKind::Forbidden,
            Self::Unknown(_) | Self::UnknownRun(_) => FaultKind::NotFound,
            Self::Running
            | Self::NoTarget(_)
            | Self::BudgetLow(_)
            | Self::NotWell(_)
            | Self::Unsuited(_) => FaultKind::Conflict,
            Self::Refused(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "drills.disabled",
            Self::Unknown(_) => "drills.unknown",
            Self::UnknownRun(_) => "drills.unknown_run",
            Self::Running => "drills.running",
            Self::NoTarget(_) => "drills.no_target",
            Self::BudgetLow(_) => "drills.budget_low",
            Self::NotWell(_) => "drills.not_well",
            Self::Unsuited(_) => "drills.unsuited",
            Self::Refused(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Disabled => {
                "drills are switched off; set drills.enabled = true and restart the daemon"
                    .to_owned()
            }
            Self::Unknown(name) => {
                format!("there is no drill {name}; GET /api/v1/drills lists all")
            }
            Self::UnknownRun(id) => format!("there is no run {id}, or it was too long ago"),
            Self::Running => "another drill is running; wait for its end".to_owned(),
            Self::NoTarget(path) => {
                format!(
                    "{path} is no target of this drill that runs; the list of drills names the targets"
                )
            }
            Self::BudgetLow(path) => {
                format!("{path} failed lately; wait until its restart budget has recovered")
            }
            Self::NotWell(path) => {
                format!(
                    "{path} is not NORMAL, so that a drill there could do harm; see its status for why"
                )
            }
            Self::Unsuited(why) => format!("this drill is not possible here: {why}"),
            Self::Refused(error) => error.outside(),
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Refused(error) => error.retry_after(),
            _ => None,
        }
    }
}
