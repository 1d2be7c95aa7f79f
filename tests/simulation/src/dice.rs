//! Every choice of a run comes from here, so one number replays it.

use std::time::Duration;

/// splitmix64: small, and the same on every machine and with every version of every crate.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Other dice, so that what is thrown there moves nothing here.
    #[must_use]
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `first` up to and without `end`; `first` when that is nothing.
    pub(crate) fn between(&mut self, first: u64, end: u64) -> u64 {
        first + self.next() % end.saturating_sub(first).max(1)
    }

    /// An index into something of this length.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.between(0, len as u64)).unwrap_or(0)
    }

    /// Whether something of this likelihood, in percent, happens.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }

    /// One of these.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())].clone()
    }

    /// A key below `end`.
    pub(crate) fn key(&mut self, end: u32) -> u32 {
        u32::try_from(self.between(0, u64::from(end))).unwrap_or(0)
    }

    /// A span in milliseconds, from `first` up to and without `end`.
    pub(crate) fn millis(&mut self, first: u64, end: u64) -> Duration {
        Duration::from_millis(self.between(first, end))
    }
}
