//! The two clocks of the supervisor: wall time for what people read, monotonic time for decisions.
//!
//! Decisions (budgets, backoff, limits) never use wall time, so that a clock that jumps restarts nothing.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::time::Instant;

/// A point in wall time: microseconds since 1970-01-01 UTC. Serialised as RFC 3339 with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub i64);

/// How far a drill has moved wall time, in microseconds.
static SHIFT_US: AtomicI64 = AtomicI64::new(0);

/// Wall time as this crate reads it is moved until this is dropped: a drill's clock that jumps. One at a time.
#[derive(Debug)]
#[must_use = "dropping it moves the clock back"]
pub struct ClockShift(());

impl ClockShift {
    /// Moves wall time `ahead` from now on.
    pub fn begin(ahead: Duration) -> Self {
        let micros = i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX);
        SHIFT_US.store(micros, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for ClockShift {
    fn drop(&mut self) {
        SHIFT_US.store(0, Ordering::Relaxed);
    }
}

impl WallTime {
    /// Now, by the system's clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reading of wall time in this crate"
    )]
    pub fn now() -> Self {
        let micros = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_micros());
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        Self(micros.saturating_add(SHIFT_US.load(Ordering::Relaxed)))
    }

    /// This time plus `span`, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl std::fmt::Display for WallTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stamp = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{stamp:.3}")
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Monotonic time as the pure core sees it: the span since the tree was built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epoch(Instant);

impl Epoch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The span since the epoch.
    pub(crate) fn now(self) -> Duration {
        self.0.elapsed()
    }

    /// The span from the epoch until `then`; zero when it lies before.
    pub(crate) fn until(self, then: Instant) -> Duration {
        then.saturating_duration_since(self.0)
    }

    /// The instant that lies `at` after the epoch.
    pub(crate) fn instant(self, at: Duration) -> Instant {
        self.0 + at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_reads_as_rfc_3339_with_milliseconds() {
        assert_eq!(WallTime(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            WallTime(1_700_000_000_123_999).to_string(),
            "2023-11-14T22:13:20.123Z"
        );
    }
}
