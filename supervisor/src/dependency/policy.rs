//! What a dependency may cost and when it counts as lost: plain data with documented defaults and ranges.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::level::Level;
use crate::spec::Backoff;

/// How calls to one dependency are bounded, repeated and given up.
///
/// The defaults suit a network service that answers within a second. Values outside of their ranges are drawn to the nearest
/// bound by [`Dependency::new`](crate::Dependency::new), so that no configuration can make a breaker that never closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyPolicy {
    /// How long one attempt may take. 1 ms to 1 h, default 5 s.
    pub timeout: Duration,
    /// How long a call may take with all its attempts and pauses, where its caller has no deadline or a later one. 1 ms
    /// to 1 h, default 10 s.
    pub call_limit: Duration,
    /// Attempts of a call, the first included. 1 to 10, default 3.
    pub attempts: u32,
    /// Pauses between attempts; `Retry-After` makes them longer. Default 100 ms doubling to 2 s.
    pub retry: Backoff,
    /// Retries allowed for every 100 calls, beyond a reserve of ten: an outage is not multiplied by its callers. 0 to
    /// 100, default 20.
    pub retry_budget_percent: u32,
    /// Share of failed calls from which the breaker opens. 1 to 100, default 50.
    pub failure_rate_percent: u32,
    /// A call that takes this long is slow. 1 ms to 1 h, default 2 s.
    pub slow_call: Duration,
    /// Share of slow calls from which the dependency counts as slow. 1 to 100, default 50.
    pub slow_rate_percent: u32,
    /// Whether the breaker opens when the dependency is slow: right where something faster serves instead. Otherwise
    /// (the default) it goes on being called, at DEGRADED.
    pub slow_opens: bool,
    /// Calls that are looked back at, at most. 1 to 10,000, default 100.
    pub window_calls: u32,
    /// How far is looked back, at most. 1 ms to 1 h, default 30 s.
    pub window: Duration,
    /// Calls in the window below which no rate means anything. 1 to `window_calls`, default 10.
    pub min_calls: u32,
    /// How long the breaker stays open: the first time, and at most when it opens again and again. 1 ms to 1 h each,
    /// default 1 s doubling to 60 s.
    pub open: Backoff,
    /// Trial calls while it is half-open; when all of them succeed it closes. 1 to 100, default 3.
    pub half_open_calls: u32,
    /// Calls at the same time; more are refused at once. 1 to 1,000,000, default 64.
    pub max_in_flight: u32,
    /// How often it is probed while the breaker is closed and no call tells how it is; never without. 1 ms to 24 h,
    /// default never.
    pub probe_every: Option<Duration>,
    /// The node's level while the breaker is not closed, and the worst level that the parent takes from it. Default
    /// CRITICAL.
    pub bears: Level,
}

impl Default for DependencyPolicy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            call_limit: Duration::from_secs(10),
            attempts: 3,
            retry: Backoff {
                first: Duration::from_millis(100),
                max: Duration::from_secs(2),
            },
            retry_budget_percent: 20,
            failure_rate_percent: 50,
            slow_call: Duration::from_secs(2),
            slow_rate_percent: 50,
            slow_opens: false,
            window_calls: 100,
            window: Duration::from_secs(30),
            min_calls: 10,
            open: Backoff {
                first: Duration::from_secs(1),
                max: Duration::from_mins(1),
            },
            half_open_calls: 3,
            max_in_flight: 64,
            probe_every: None,
            bears: Level::Critical,
        }
    }
}

const SPAN: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);
const PERCENT: RangeInclusive<u32> = 1..=100;

impl DependencyPolicy {
    /// The same with every value inside its range.
    #[must_use]
    pub fn bounded(self) -> Self {
        let window_calls = within(self.window_calls, 1..=10_000);
        Self {
            timeout: within(self.timeout, SPAN),
            call_limit: within(self.call_limit, SPAN),
            attempts: within(self.attempts, 1..=10),
            retry: bounded(self.retry),
            retry_budget_percent: self.retry_budget_percent.min(100),
            failure_rate_percent: within(self.failure_rate_percent, PERCENT),
            slow_call: within(self.slow_call, SPAN),
            slow_rate_percent: within(self.slow_rate_percent, PERCENT),
            slow_opens: self.slow_opens,
            window_calls,
            window: within(self.window, SPAN),
            min_calls: within(self.min_calls, 1..=window_calls),
            open: bounded(self.open),
            half_open_calls: within(self.half_open_calls, 1..=100),
            max_in_flight: within(self.max_in_flight, 1..=1_000_000),
            probe_every: self
                .probe_every
                .map(|every| within(every, Duration::from_millis(1)..=Duration::from_hours(24))),
            bears: self.bears,
        }
    }
}

fn within<T: Ord + Copy>(value: T, range: RangeInclusive<T>) -> T {
    value.clamp(*range.start(), *range.end())
}

fn bounded(backoff: Backoff) -> Backoff {
    let first = within(backoff.first, SPAN);
    Backoff {
        first,
        max: within(backoff.max, first..=*SPAN.end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_inside_their_ranges() {
        let policy = DependencyPolicy::default();
        assert_eq!(policy.bounded(), policy);
    }

    #[test]
    fn what_is_out_of_range_is_drawn_to_the_nearest_bound() {
        let odd = DependencyPolicy {
            timeout: Duration::ZERO,
            attempts: 0,
            failure_rate_percent: 400,
            window_calls: 5,
            min_calls: 9,
            open: Backoff {
                first: Duration::from_secs(9),
                max: Duration::from_secs(1),
            },
            half_open_calls: 0,
            max_in_flight: 0,
            ..DependencyPolicy::default()
        }
        .bounded();
        assert_eq!(odd.timeout, Duration::from_millis(1));
        assert_eq!((odd.attempts, odd.failure_rate_percent), (1, 100));
        assert_eq!((odd.window_calls, odd.min_calls), (5, 5));
        assert_eq!(odd.open.first, odd.open.max);
        assert_eq!((odd.half_open_calls, odd.max_in_flight), (1, 1));
    }
}
