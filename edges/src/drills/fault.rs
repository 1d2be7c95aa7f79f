//! A fault under way: dropping it ends the fault, so that none outlives its run, whatever ends that.

use std::time::Duration;

use supervisor::{Action, ClockShift, Injection, System};

use super::error::DrillError;
use super::kind::{Fault, JUMP};

/// A fault that was injected. What is not ended here ends by its own time inside of the actor.
pub(super) enum Underway {
    /// The actor has it, for a bounded time.
    Inside,
    /// The actor panics again and again; it may have been set aside.
    Crashing { system: System, path: String },
    /// The calls of a dependency are disturbed.
    Disturbed { system: System, path: String },
    /// The clocks are ahead, the supervisor's and that of the domains.
    Jumped {
        _supervisor: ClockShift,
        _domains: ground::clock::Shift,
    },
}

impl Underway {
    /// Injects `fault` into the node at `path` for `span`.
    pub(super) async fn begin(
        system: &System,
        path: &str,
        fault: Fault,
        span: Duration,
    ) -> Result<Self, DrillError> {
        let (system, path) = (system.clone(), path.to_owned());
        match fault {
            Fault::Inject(injection) => {
                if !system.inject(&path, injection).await? {
                    return Err(DrillError::NoTarget(path));
                }
                Ok(match injection {
                    Injection::CrashLoop(_) => Self::Crashing { system, path },
                    _ => Self::Inside,
                })
            }
            Fault::Disturb(disturbance) => {
                system.disturb(&path, disturbance, span)?;
                Ok(Self::Disturbed { system, path })
            }
            Fault::Jump => Ok(Self::Jumped {
                _supervisor: system.jump_clock(JUMP)?,
                _domains: ground::clock::Shift::begin(JUMP),
            }),
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        // Neither has anything to end when the tree is going down.
        match self {
            Self::Crashing { system, path } => drop(system.act(path, Action::Start)),
            Self::Disturbed { system, path } => drop(system.calm(path)),
            Self::Inside | Self::Jumped { .. } => {}
        }
    }
}
