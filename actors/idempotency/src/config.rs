//! The `[idempotency]` section: how many answers are kept.

ground::section! {
    /// Answers to requests with an `Idempotency-Key`.
    pub struct Config in "idempotency" {
        /// How many keys are kept at most, each for 24 hours; beyond it the oldest answers are forgotten.
        max_keys: u32 = 10_000, range 16..=1_000_000, reload subtree;
    }
}
