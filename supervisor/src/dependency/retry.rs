//! Whether a failed attempt is made again, and when: pure decisions.
//!
//! Three things bound it. The number of attempts; the deadline (a pause that would end past it is not begun, so that the caller
//! hears at once what it would otherwise hear late); and a budget over all calls, since each caller by itself does no
//! harm and all of them together are what keeps a dependency down that tries to get up.

use std::time::Duration;

use crate::dependency::policy::DependencyPolicy;

/// What follows from a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again after this pause.
    After(Duration),
    /// Give up.
    GiveUp,
}

/// Decides by attempts and time. `attempt` is the number of attempts made (at least 1), `wait` how long the dependency asks to
/// be left alone, `left` the time until the deadline, `random` the source of jitter.
pub(crate) fn next(
    policy: &DependencyPolicy,
    attempt: u32,
    wait: Option<Duration>,
    left: Duration,
    random: u64,
) -> Next {
    if attempt >= policy.attempts {
        return Next::GiveUp;
    }
    let pause = policy.retry.delay(attempt.saturating_sub(1), random);
    let pause = wait.map_or(pause, |wait| pause.max(wait));
    if pause < left {
        Next::After(pause)
    } else {
        Next::GiveUp
    }
}

/// Retries that are allowed without any call before: a dependency that is called once a minute is retried all the same.
pub(crate) const RESERVE: u32 = 10;

/// Bounds retries over all calls: every call earns a share of one, every retry spends one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryBudget {
    percent: u32,
    /// In hundredths of a retry.
    balance: u32,
}

impl RetryBudget {
    pub(crate) const fn new(percent: u32) -> Self {
        Self {
            percent,
            balance: RESERVE * 100,
        }
    }

    /// Notes a call. What is saved up never exceeds the reserve, so that a quiet day does not pay for a storm.
    pub(crate) fn earn(&mut self) {
        self.balance = (self.balance + self.percent).min(RESERVE * 100);
    }

    /// Spends a retry, if there is one.
    pub(crate) fn spend(&mut self) -> bool {
        let left = self.balance.checked_sub(100);
        self.balance = left.unwrap_or(self.balance);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis() -> impl Strategy<Value = Duration> {
        (0_u64..100_000).prop_map(Duration::from_millis)
    }

    proptest! {
        /// A schedule of failing attempts, walked to its end: never too many, never past the deadline, never too early.
        #[test]
        fn a_call_keeps_to_its_attempts_and_its_deadline(
            attempts in 1_u32..=10,
            took in prop::collection::vec(millis(), 10),
            waits in prop::collection::vec(prop::option::of(millis()), 10),
            limit in millis(),
            random: u64,
        ) {
            let policy = DependencyPolicy { attempts, ..DependencyPolicy::default() };
            let mut now = Duration::ZERO;
            let mut made = 0;
            for (took, wait) in took.into_iter().zip(waits) {
                made += 1;
                now += took.min(limit.saturating_sub(now));
                let left = limit.saturating_sub(now);
                match next(&policy, made, wait, left, random) {
                    Next::GiveUp => {
                        let longest = policy.retry.max.max(wait.unwrap_or_default());
                        prop_assert!(made == attempts || longest >= left, "given up for nothing");
                        break;
                    }
                    Next::After(pause) => {
                        let shortest = policy.retry.first * 3 / 4;
                        prop_assert!(pause >= wait.unwrap_or_default() && pause >= shortest);
                        now += pause;
                        prop_assert!(now < limit, "a pause that ends at the deadline or later");
                    }
                }
            }
            prop_assert!(made <= attempts);
        }

        /// Against the plain count: over any run of calls, no more than the reserve and the share of the calls.
        #[test]
        fn retries_are_a_share_of_the_calls(
            percent in 0_u32..=100,
            steps in prop::collection::vec(any::<bool>(), 0..2_000),
        ) {
            let mut budget = RetryBudget::new(percent);
            let mut balance = u64::from(RESERVE) * 100;
            let (mut calls, mut retries) = (0_u64, 0_u64);
            for is_retry in steps {
                if is_retry {
                    prop_assert_eq!(budget.spend(), balance >= 100);
                    if balance >= 100 {
                        balance -= 100;
                        retries += 1;
                    }
                } else {
                    budget.earn();
                    calls += 1;
                    balance = (balance + u64::from(percent)).min(u64::from(RESERVE) * 100);
                }
                prop_assert!(retries * 100 <= u64::from(RESERVE) * 100 + calls * u64::from(percent));
            }
        }
    }
}
