//! Durations in bulk, and numbers as a table shows them.

use std::time::Duration;

/// Measured durations, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    sorted: Vec<Duration>,
}

impl Spread {
    /// Of at least one duration; none is taken for one of zero.
    pub(crate) fn of(mut measured: Vec<Duration>) -> Self {
        measured.sort_unstable();
        Self { sorted: measured }
    }

    /// The duration that so many of a thousand do not exceed.
    pub(crate) fn at(&self, permille: usize) -> Duration {
        let rank = (self.sorted.len() * permille).div_ceil(1000);
        let found = self.sorted.get(rank.saturating_sub(1));
        found.copied().unwrap_or_default()
    }

    /// The median.
    pub(crate) fn p50(&self) -> Duration {
        self.at(500)
    }

    /// What one of a hundred exceeds.
    pub(crate) fn p99(&self) -> Duration {
        self.at(990)
    }

    /// The shortest.
    pub(crate) fn min(&self) -> Duration {
        self.at(0)
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        self.at(1000)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// "p50 / p99 / max" in milliseconds.
    pub(crate) fn in_ms(&self) -> String {
        let [p50, p99, max] = [self.p50(), self.p99(), self.max()].map(ms);
        format!("{p50} / {p99} / {max}")
    }
}

/// Milliseconds, with as many digits as tell something.
pub(crate) fn ms(duration: Duration) -> String {
    let value = duration.as_secs_f64() * 1e3;
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Whole microseconds.
pub(crate) fn us(duration: Duration) -> String {
    duration.as_micros().to_string()
}

/// A ratio with two digits.
pub(crate) fn times(ratio: f64) -> String {
    format!("{ratio:.2}×")
}

/// How many times `peer` is in `ours`; not a number when there was nothing to compare with.
pub(crate) fn ratio(ours: Duration, peer: Duration) -> f64 {
    ours.as_secs_f64() / peer.as_secs_f64()
}

/// A count as a number to divide; exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a bench are far below 2^53"
)]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// A count of things in memory as a number to divide.
pub(crate) fn float_of(count: usize) -> f64 {
    float(u64::try_from(count).unwrap_or(u64::MAX))
}

/// The middle one of a few ratios.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let spread = Spread::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(spread.p50(), Duration::from_millis(100));
        assert_eq!(spread.p99(), Duration::from_millis(198));
        assert_eq!(spread.max(), Duration::from_millis(200));
        assert_eq!(spread.min(), Duration::from_millis(1));
        assert_eq!(Spread::default().p99(), Duration::ZERO);
    }

    #[test]
    fn digits_fit_the_size() {
        assert_eq!(ms(Duration::from_micros(1234)), "1.23");
        assert_eq!(ms(Duration::from_micros(12_345)), "12.3");
        assert_eq!(ms(Duration::from_micros(1_234_500)), "1234");
        assert_eq!(times(2.526), "2.53×");
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
