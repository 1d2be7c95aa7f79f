//! A latency histogram that costs a few hundred bytes and no lock.
//!
//! Buckets are powers of two of a microsecond (1 µs to 2^27 µs, about 134 s), so a percentile is right within a factor of two: enough
//! to see what is slow, cheap enough for every one of thousands of actors. Two generations are kept, so that figures
//! describe the last one to two periods instead of all time.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::status::Latency;

const BUCKETS: usize = 28;
/// Length of a generation.
const PERIOD_S: u64 = 60;

#[derive(Debug, Default)]
struct Generation {
    counts: [AtomicU32; BUCKETS],
}

#[derive(Debug, Default)]
pub(crate) struct LatencyBook {
    generations: [Generation; 2],
    /// The period that the current generation belongs to.
    period: AtomicU64,
    total: AtomicU64,
}

impl LatencyBook {
    /// Counts one reply that took `took`; `now` is the span since the tree was built.
    pub(crate) fn record(&self, took: Duration, now: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = (64 - micros.leading_zeros() as usize).min(BUCKETS - 1);
        let current = self.turn(now);
        self.generations[current].counts[bucket].fetch_add(1, Relaxed);
        self.total.fetch_add(1, Relaxed);
    }

    /// Replies counted since the start.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// p50 and p99 over the last one to two periods; `None` before the first reply in them.
    pub(crate) fn read(&self, now: Duration) -> Option<Latency> {
        self.turn(now);
        let mut sums = [0_u64; BUCKETS];
        for generation in &self.generations {
            for (sum, count) in sums.iter_mut().zip(&generation.counts) {
                *sum += u64::from(count.load(Relaxed));
            }
        }
        let all: u64 = sums.iter().sum();
        (all > 0).then(|| Latency {
            p50: percentile_ms(&sums, all, 50),
            p99: percentile_ms(&sums, all, 99),
        })
    }

    /// Moves on to the generation of `now`, emptying what is older than one period, and gives its index.
    fn turn(&self, now: Duration) -> usize {
        let period = now.as_secs() / PERIOD_S;
        let current = usize::from(!period.is_multiple_of(2));
        let before = self.period.load(Relaxed);
        if before < period
            && self
                .period
                .compare_exchange(before, period, Relaxed, Relaxed)
                .is_ok()
        {
            self.empty(current);
            if period - before > 1 {
                self.empty(1 - current);
            }
        }
        current
    }

    fn empty(&self, generation: usize) {
        for count in &self.generations[generation].counts {
            count.store(0, Relaxed);
        }
    }
}

/// The upper bound, in milliseconds, of the bucket that holds the given percentile.
#[expect(
    clippy::cast_precision_loss,
    reason = "bucket bounds are far below 2^52"
)]
fn percentile_ms(sums: &[u64; BUCKETS], all: u64, percent: u64) -> f64 {
    let wanted = (all * percent).div_ceil(100).max(1);
    let mut seen = 0;
    for (bucket, sum) in sums.iter().enumerate() {
        seen += sum;
        if seen >= wanted {
            return (1_u64 << bucket) as f64 / 1_000.0;
        }
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_upper_bounds_within_a_factor_of_two() {
        let book = LatencyBook::default();
        for micros in 1..=1_000 {
            book.record(Duration::from_micros(micros), Duration::ZERO);
        }
        let read = book.read(Duration::ZERO).unwrap();
        assert!((0.5..=1.024).contains(&read.p50), "{read:?}");
        assert!((0.99..=1.98).contains(&read.p99), "{read:?}");
        assert_eq!(book.total(), 1_000);
    }

    #[test]
    fn old_generations_are_forgotten() {
        let book = LatencyBook::default();
        book.record(Duration::from_micros(5), Duration::ZERO);
        assert!(book.read(Duration::from_secs(PERIOD_S)).is_some());
        assert!(book.read(Duration::from_secs(3 * PERIOD_S)).is_none());
    }
}
