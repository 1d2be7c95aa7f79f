//! Drills: a fault of the dependency as its callers would meet it, for a bounded time.
//!
//! It is injected where the call would leave the process, so that everything behind that point (timeouts, classification,
//! breaker, retries, the domain's own handling) is the real thing.

use std::sync::atomic::Ordering;
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
    /// What they would store finds no space. Only who stores something knows how to bring that about: see
    /// [`Dependency::is_full`].
    Full,
}

impl std::fmt::Display for Disturbance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Down => f.write_str("down"),
            Self::Slow(by) => write!(f, "slow by {by:?}"),
            Self::Garbage => f.write_str("garbage"),
            Self::Full => f.write_str("full"),
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
        self.act(|book, now| {
            book.disturbance = Some((disturbance, now.saturating_add(span)));
            // Under the lock, so that nobody who finds an older one over takes this back.
            self.inner.is_disturbed.store(true, Ordering::Release);
        });
        self.suspect();
    }

    /// Ends a disturbance, before its time or after it. Calls that ended meanwhile tell nothing of how it is now.
    pub fn calm(&self) {
        self.act(|book, now| {
            book.disturbance = None;
            self.inner.is_disturbed.store(false, Ordering::Release);
            book.breaker.forget(now);
        });
        self.suspect();
    }

    /// Says that whoever makes the calls carries out [`Disturbance::Slow`] where they really go, by [`Dependency::drag`], so
    /// that what has just been slow by itself is not delayed once more on its way.
    pub fn carry_drag(&self) {
        self.inner.carries_drag.store(true, Ordering::Relaxed);
    }

    /// How much longer calls take at this moment because of a drill; zero without one.
    pub fn drag(&self) -> Duration {
        match self.disturbance() {
            Some(Disturbance::Slow(by)) => by,
            _ => Duration::ZERO,
        }
    }

    /// Whether a drill wants writes to find no space at this moment.
    pub fn is_full(&self) -> bool {
        self.disturbance() == Some(Disturbance::Full)
    }

    fn disturbance(&self) -> Option<Disturbance> {
        if !self.inner.is_disturbed.load(Ordering::Acquire) {
            return None;
        }
        self.act(|book, now| {
            book.disturbance = book.disturbance.filter(|(_, until)| now < *until);
            let is_disturbed = book.disturbance.is_some();
            (self.inner.is_disturbed).store(is_disturbed, Ordering::Release);
            book.disturbance.map(|(disturbance, _)| disturbance)
        })
    }

    /// Suffers what a drill injects, if one does: waits, or fails. [`Dependency::call`] does this before each attempt;
    /// who makes calls in another way ([`Dependency::enter`]) begins with it.
    ///
    /// # Errors
    /// The error that a real call would yield. Cancel-safe.
    pub async fn suffer<E: CallFault>(&self) -> Result<(), E> {
        match self.disturbance() {
            None | Some(Disturbance::Full) => Ok(()),
            Some(Disturbance::Down) => Err(E::unreachable(DETAIL)),
            Some(Disturbance::Garbage) => Err(E::garbage(DETAIL)),
            Some(Disturbance::Slow(_)) if self.inner.carries_drag.load(Ordering::Relaxed) => Ok(()),
            Some(Disturbance::Slow(by)) => {
                tokio::time::sleep(by).await;
                Ok(())
            }
        }
    }
}
