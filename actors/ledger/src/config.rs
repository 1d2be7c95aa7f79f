//! The `[ledger]` section: how long what happened is remembered.

ground::section! {
    /// The ledger: what happened, kept in the database.
    pub struct Config in "ledger" {
        /// How many events are kept at most; the oldest go first.
        keep_rows: u32 = 20_000, range 10..=1_000_000, reload daemon;
        /// For how many days an event is kept at most.
        keep_days: u32 = 30, range 1..=3_650, reload daemon;
    }
}
