//! How a statement of any domain speaks against the database.
//!
//! Statements go to the database past its [`Dependency`](supervisor::Dependency), over connections and limits of their own;
//! each tells it here how it ended. So the breaker opens when statements fail or hang while the small looks of the probe
//! still find the database well.

use ground::db::Setback;
use supervisor::{CallFault, Fault, FaultKind};

/// A statement that the database failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statement(pub(crate) Setback);

impl std::fmt::Display for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Setback::Away => "a statement found the database away",
            Setback::Busy => "a statement met somebody else's lock on the database",
            Setback::Overdue => "the database did not answer a statement in time",
        })
    }
}

impl std::error::Error for Statement {}

impl Fault for Statement {
    fn kind(&self) -> FaultKind {
        match self.0 {
            Setback::Away | Setback::Busy => FaultKind::Unavailable,
            Setback::Overdue => FaultKind::Deadline,
        }
    }

    fn code(&self) -> &'static str {
        match self.0 {
            Setback::Away => "store.unavailable",
            Setback::Busy => "store.busy",
            Setback::Overdue => "store.deadline",
        }
    }

    fn outside(&self) -> String {
        self.to_string()
    }
}

impl CallFault for Statement {
    fn unreachable(_detail: &str) -> Self {
        Self(Setback::Away)
    }

    fn garbage(_detail: &str) -> Self {
        Self(Setback::Away)
    }
}
