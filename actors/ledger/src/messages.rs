//! What the writer tells itself. Nobody else asks it anything: reading needs no actor.

/// Messages of the writer.
#[derive(Debug)]
pub enum LedgerMsg {
    /// There may be something to write.
    Due,
    /// There may be something to prune.
    Prune,
    /// An hour has passed: what grew old goes.
    Hour,
}
