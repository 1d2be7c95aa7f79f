//! What the writer is told. Nobody else asks it anything: reading needs no actor.

/// Messages of the writer.
#[derive(Debug)]
pub enum AuditMsg {
    /// There is something to store.
    Due,
    /// It is time to try again.
    Retry,
    /// A few seconds have passed: counted refusals may be due.
    Tick,
    /// There may be something to prune.
    Prune,
    /// An hour has passed: what grew old goes.
    Hour,
}
