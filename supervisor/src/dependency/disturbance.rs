//! Drills: a fault of the dependency as its callers would meet it, for a bounded time.
//!
//! It is injected where the call would leave the process, so that everything behind that point (timeouts, classification,
//! breaker, retries, the domain's own handling) is the real thing.

use std::time::Duration;

use crate::dependency::Dependency;
use crate::dependency::fault::CallFault;

/// What a drill does to the calls of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// They reach nobody ([`CallFault::unreachable`]).
    Down,
    /// They take this much longer.
    Slow(Duration),
    /// Their answers make no sense ([`CallFault::garbage`]).
    Garbage,
}

impl std::fmt::Display for Disturbance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Down => f.write_str("down"),
            Self::Slow(by) => write!(f, "slow by {by:?}"),
            Self::Garbage => f.write_str("garbage"),
        }
    }
}

/// The longest disturbance.
const LONGEST: Duration = Duration::from_hours(1);
const DETAIL: &str = "a drill made it so";

impl Dependency {
    /// Disturbs every call for `span` (at most 1 h) from now on, probes included, and has it probed at once. Replaces an
    /// earlier disturbance.
    pub fn inject(&self, disturbance: Disturbance, span: Duration) {
        let span = span.min(LONGEST);
        tracing::warn!(path = self.path(), %disturbance, ?span, "a drill disturbs the dependency");
        self.act(|book, now| book.disturbance = Some((disturbance, now.saturating_add(span))));
        self.suspect();
    }

    /// Ends a disturbance before its time.
    pub fn calm(&self) {
        self.act(|book, _| book.disturbance = None);
        self.suspect();
    }

    /// Suffers what a drill injects, if one does: waits, or fails. [`Dependency::call`] does this before each attempt;
    /// who makes calls in another way ([`Dependency::enter`]) begins with it.
    ///
    /// # Errors
    /// The error that a real call would yield. Cancel-safe.
    pub async fn suffer<E: CallFault>(&self) -> Result<(), E> {
        let disturbance = self.act(|book, now| {
            book.disturbance = book.disturbance.filter(|(_, until)| now < *until);
            book.disturbance
        });
        match disturbance {
            None => Ok(()),
            Some((Disturbance::Down, _)) => Err(E::unreachable(DETAIL)),
            Some((Disturbance::Garbage, _)) => Err(E::garbage(DETAIL)),
            Some((Disturbance::Slow(by), _)) => {
                tokio::time::sleep(by).await;
                Ok(())
            }
        }
    }
}
