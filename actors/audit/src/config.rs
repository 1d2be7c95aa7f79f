//! The `[audit]` section: how long what people did is remembered.

ground::section! {
    /// The audit: what people did, kept in the database.
    pub struct Config in "audit" {
        /// For how many days an entry is kept; 0 keeps all of them for ever. What is removed leaves a proof, so that the rest can still be verified.
        keep_days: u32 = 400, range 0..=36_500, reload daemon;
    }
}
