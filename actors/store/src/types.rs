//! What the store tells about itself.

use serde::Serialize;

/// A look at the database: how long it took to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// A small read, in microseconds.
    pub read_us: u64,
    /// A small write until it was on disk, in microseconds.
    pub write_us: u64,
}

/// Figures about the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// The engine's version.
    pub engine_version: String,
    /// Where it is, without secrets.
    pub place: String,
    /// The highest migration that it has.
    pub schema_version: u32,
    /// Its size in bytes.
    pub size_bytes: i64,
    /// The size of SQLite's write-ahead log in bytes; it grows while a long read holds it.
    pub log_bytes: Option<u64>,
    /// The space that is left on the device of the file, in bytes.
    pub free_bytes: Option<u64>,
    /// Writes that wait.
    pub queue_depth: u32,
    /// How many may wait.
    pub queue_limit: u32,
    /// Writes since it was opened.
    pub writes: u64,
    /// The transactions that they shared.
    pub batches: u64,
    /// How long a transaction takes until it is on disk, in microseconds: a moving average.
    pub sync_us: u64,
}
