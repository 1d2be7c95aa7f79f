//! How long a terminal's reading may wait for its viewers.
//!
//! Two wishes contradict each other: no viewer may ever block the shell, and a viewer that keeps up as well as it can should
//! lose nothing. A program that prints faster than anybody can read would overrun the ring within milliseconds, before a
//! healthy viewer's task ran even once. So reading waits a little: only when even the fastest viewer is more than half a
//! ring behind, and only as long as the terminal still moves [`FLOOR`] bytes a second. A viewer that does not move at all
//! during one full wait is not waited for again until it moves.

use std::time::Duration;

/// A terminal with viewers is read at least this fast when it prints without end, in bytes a second.
pub(crate) const FLOOR: u64 = 10 * 1024 * 1024;

/// The allowance for waiting: earned by reading, spent by waiting.
#[derive(Debug)]
pub(crate) struct Pace {
    credit: Duration,
    most: Duration,
    /// The count of viewers' moves when a wait ran out in vain.
    stalled_at: Option<u64>,
}

impl Pace {
    /// For a ring of `limit` bytes: at most the time that half of it takes at [`FLOOR`].
    pub(crate) fn new(limit: usize) -> Self {
        let most = time_at_floor(limit as u64 / 2);
        Self {
            credit: most,
            most,
            stalled_at: None,
        }
    }

    /// `bytes` were read.
    pub(crate) fn earn(&mut self, bytes: usize) {
        self.credit = (self.credit + time_at_floor(bytes as u64)).min(self.most);
    }

    /// How long to wait now; `moves` counts every step that any viewer took.
    pub(crate) fn allowance(&self, moves: u64) -> Option<Duration> {
        let stalled = self.stalled_at == Some(moves);
        (!stalled && self.credit >= Duration::from_millis(1)).then_some(self.credit)
    }

    /// A wait took `spent`, and `moves` is the count before and after it.
    pub(crate) fn spend(&mut self, spent: Duration, before: u64, after: u64) {
        let ran_out = spent >= self.credit;
        self.credit = self.credit.saturating_sub(spent);
        self.stalled_at = (ran_out && before == after).then_some(after);
    }
}

fn time_at_floor(bytes: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / FLOOR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_viewer_that_does_not_move_is_waited_for_once() {
        let mut pace = Pace::new(1 << 20);
        let wait = pace.allowance(5).expect("a first wait");
        assert_eq!(wait, Duration::from_millis(50));
        pace.spend(wait, 5, 5);
        pace.earn(1 << 20);
        assert_eq!(pace.allowance(5), None);
        assert_eq!(pace.allowance(6), Some(Duration::from_millis(50)));
    }

    proptest! {
        #[test]
        fn the_floor_is_kept(rounds in prop::collection::vec((1usize..=65_536, 0u64..80_000, 0u64..3), 1..400)) {
            let limit = 1 << 20;
            let mut pace = Pace::new(limit);
            let (mut read, mut waited, mut moves) = (0u64, Duration::ZERO, 0u64);
            for (bytes, wish_us, steps) in rounds {
                pace.earn(bytes);
                read += bytes as u64;
                if let Some(most) = pace.allowance(moves) {
                    let spent = Duration::from_micros(wish_us).min(most);
                    pace.spend(spent, moves, moves + steps);
                    moves += steps;
                    waited += spent;
                }
                // Never longer than the bytes read are worth, beside the first half ring.
                prop_assert!(waited <= time_at_floor(read + limit as u64 / 2));
            }
        }
    }
}
