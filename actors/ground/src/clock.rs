//! Time: one unit, one place that reads the clock.
//!
//! A moment is an integer of microseconds since 1970, UTC, in both databases (an `INTEGER`, a `bigint`): it needs no
//! time zone, sorts as it is, and PostgreSQL keeps no finer one anyway. On the wire it is RFC 3339 with milliseconds.
//! Pure code takes a [`Micros`] as an argument; only the outermost caller asks [`now`].

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment: microseconds since 1970-01-01T00:00:00Z, negative before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, sqlx::Type)]
#[sqlx(transparent)]
pub struct Micros(pub i64);

/// The text is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time: expected RFC 3339 such as 2026-01-31T12:00:00.000Z")]
pub struct MicrosError;

/// The present moment by the system's clock, which may jump: measure durations with `tokio::time::Instant` instead.
pub fn now() -> Micros {
    let shift = SHIFT_US.load(Ordering::Relaxed);
    Micros(Timestamp::now().as_microsecond().saturating_add(shift))
}

/// How far a drill has moved the clock, in microseconds.
static SHIFT_US: AtomicI64 = AtomicI64::new(0);

/// The clock of the domains is moved until this is dropped: a drill's clock that jumps. One at a time.
#[derive(Debug)]
#[must_use = "dropping it moves the clock back"]
pub struct Shift(());

impl Shift {
    /// Moves the clock `ahead` from now on.
    pub fn begin(ahead: Duration) -> Self {
        SHIFT_US.store(micros_of(ahead), Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Shift {
    fn drop(&mut self) {
        SHIFT_US.store(0, Ordering::Relaxed);
    }
}

impl Micros {
    /// The present moment, see [`now`].
    pub fn now() -> Self {
        now()
    }

    /// The number of microseconds since 1970.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment as `YYYYMMDDTHHMMSSZ`, for the names of files.
    pub fn compact(self) -> String {
        self.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// Moments beyond the years that RFC 3339 can write are shown as the nearest one that it can.
    fn timestamp(self) -> Timestamp {
        let nearest = if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        Timestamp::from_microsecond(self.0).unwrap_or(nearest)
    }
}

impl Add<Duration> for Micros {
    type Output = Self;

    fn add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(micros_of(length)))
    }
}

impl Sub<Duration> for Micros {
    type Output = Self;

    fn sub(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(micros_of(length)))
    }
}

/// A length of time in microseconds, at most `i64::MAX`.
fn micros_of(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl fmt::Debug for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.timestamp())
    }
}

impl FromStr for Micros {
    type Err = MicrosError;

    /// Reads RFC 3339 with any offset and precision; what is finer than a microsecond is cut off.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Timestamp>()
            .map(|moment| Self(moment.as_microsecond()))
            .map_err(|_| MicrosError)
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shows_milliseconds_in_utc() {
        assert_eq!(
            Micros(1_700_000_000_123_456).to_string(),
            "2023-11-14T22:13:20.123Z"
        );
        assert_eq!(Micros(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Micros(1_700_000_000_123_456).compact(), "20231114T221320Z");
    }

    #[test]
    fn reads_any_offset() {
        let here: Micros = "2023-11-14T23:13:20.123456+01:00".parse().expect("valid");
        assert_eq!(here, Micros(1_700_000_000_123_456));
        for wrong in [
            "",
            "yesterday",
            "2023-11-14",
            "2023-13-14T00:00:00Z",
            "1700000000",
        ] {
            assert_eq!(wrong.parse::<Micros>(), Err(MicrosError), "{wrong}");
        }
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for end in [i64::MIN, i64::MAX] {
            assert!(!Micros(end).to_string().is_empty());
            assert!(!Micros(end).compact().is_empty());
        }
        assert_eq!(Micros(i64::MAX) + Duration::MAX, Micros(i64::MAX));
        assert_eq!(Micros(i64::MIN) - Duration::MAX, Micros(i64::MIN));
        assert_eq!(Micros(5).since(Micros(9)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn json_keeps_milliseconds(moment in 0i64..4_000_000_000_000_000) {
            let json = serde_json::to_string(&Micros(moment)).expect("text");
            let back: Micros = serde_json::from_str(&json).expect("own text");
            prop_assert_eq!(back.0, moment / 1000 * 1000);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            prop_assert!(text.parse::<Micros>().map_or(true, |moment| !moment.to_string().is_empty()));
        }
    }
}
