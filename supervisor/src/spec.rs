//! What a supervisor is told about a child: when to start it again, how often, how long things may take.

use std::time::Duration;

use crate::level::Level;

/// Which ends lead to a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Every end.
    Permanent,
    /// Every end that is not normal.
    Transient,
    /// None.
    Temporary,
}

/// Which siblings are started again together with a child that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// None.
    OneForOne,
    /// Those that were started after it.
    RestForOne,
    /// All.
    OneForAll,
}

/// How many restarts are allowed within a sliding window. One more, and the child is quarantined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Restarts allowed inside the window.
    pub max: u32,
    /// The window.
    pub window: Duration,
}

/// Delays that double from `first` to `max`, each with a jitter of up to a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay.
    pub first: Duration,
    /// The longest delay.
    pub max: Duration,
}

impl Backoff {
    /// The delay before attempt `attempt` (0 is the first), with jitter from `random`: between 75 % and 100 % of the
    /// doubled delay.
    pub fn delay(self, attempt: u32, random: u64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1_u32.checked_shl(attempt.min(31)).unwrap_or(u32::MAX))
            .min(self.max);
        let micros = u64::try_from(doubled.as_micros()).unwrap_or(u64::MAX);
        let quarter = micros / 4;
        Duration::from_micros(micros - quarter + random % (quarter + 1))
    }
}

/// How a child is supervised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which ends lead to a restart.
    pub restart: Restart,
    /// How many restarts are allowed.
    pub budget: Budget,
    /// Delays between restarts. The first restart after a healthy span is immediate, these follow.
    pub backoff: Backoff,
    /// Delays between probes of a quarantined child.
    pub probe: Backoff,
    /// How long a start may take.
    pub start_limit: Duration,
    /// How long a handler may take without progress; then it is killed. A request may have a limit of its own.
    pub handler_limit: Duration,
    /// How long a stop may take: half of it to drain, the rest to stop; then it is killed.
    pub stop_limit: Duration,
    /// The worst level that the parent takes from this child: OFFLINE for one without which nothing answers, NORMAL for
    /// one among many.
    pub bears: Level,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            restart: Restart::Permanent,
            budget: Budget {
                max: 5,
                window: Duration::from_secs(30),
            },
            backoff: Backoff {
                first: Duration::from_millis(50),
                max: Duration::from_secs(5),
            },
            probe: Backoff {
                first: Duration::from_secs(1),
                max: Duration::from_mins(1),
            },
            start_limit: Duration::from_secs(30),
            handler_limit: Duration::from_secs(5),
            stop_limit: Duration::from_secs(5),
            bears: Level::Offline,
        }
    }
}

impl Policy {
    /// A child that is one among many: it is started again after a fault, and its loss never lowers the parent.
    pub fn one_of_many() -> Self {
        Self {
            restart: Restart::Transient,
            bears: Level::Normal,
            ..Self::default()
        }
    }

    /// Sets [`Policy::restart`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets [`Policy::budget`].
    #[must_use]
    pub fn budget(mut self, max: u32, window: Duration) -> Self {
        self.budget = Budget { max, window };
        self
    }

    /// Sets [`Policy::handler_limit`].
    #[must_use]
    pub fn handler_limit(mut self, limit: Duration) -> Self {
        self.handler_limit = limit;
        self
    }

    /// Sets [`Policy::bears`].
    #[must_use]
    pub fn bears(mut self, bears: Level) -> Self {
        self.bears = bears;
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn delays_grow_stay_below_the_cap_and_jitter_by_a_quarter(attempt in 0_u32..100, random: u64) {
            let backoff = Backoff { first: Duration::from_millis(10), max: Duration::from_secs(2) };
            let delay = backoff.delay(attempt, random);
            let plain = Duration::from_millis(10).saturating_mul(1 << attempt.min(20)).min(Duration::from_secs(2));
            prop_assert!(delay <= plain);
            prop_assert!(delay >= plain * 3 / 4);
        }
    }
}
