//! The section `[store]` of the configuration file.

use std::path::Path;
use std::time::Duration;

use ground::Secret;
use supervisor::{Backoff, DependencyPolicy, Level};

use crate::location::Location;

ground::section! {
    /// The database. Without any key: an embedded SQLite file, `mainstay.db` in the data directory.
    pub struct StoreConfig in "store" {
        /// Where the database is: "postgres://user:password@host:5432/database" or "sqlite:/path/file.db". Unset: the
        /// embedded file in the data directory. May hold a password, so give it as { file = "…" } or { credential = "…" }. A server on
        /// another machine is spoken to over TLS, with a certificate for its name; "?sslmode=…" and "&sslrootcert=FILE" change that.
        url: Secret = Secret::default(), check check_url, example r#""postgres://mainstay@localhost:5432/mainstay""#, reload subtree;
        /// The most connections that read at the same time. They are opened when needed and closed when idle.
        read_connections: u32 = 4, range 1..=256, reload subtree;
        /// How long a read may take, the wait for a connection included.
        read_limit: Duration = Duration::from_secs(5), range Duration::from_millis(100)..=Duration::from_mins(10), reload subtree;
        /// How long a write may take, the wait in the queue included.
        write_limit: Duration = Duration::from_secs(10), range Duration::from_millis(100)..=Duration::from_mins(10), reload subtree;
        /// How many writes may wait; more are answered with "busy".
        write_queue: u32 = 4096, range 16..=1_000_000, reload subtree;
        /// How long a connection to a server may take to open.
        connect_limit: Duration = Duration::from_secs(5), range Duration::from_millis(100)..=Duration::from_mins(1), reload subtree;
        /// How often the database is looked at while nothing is wrong.
        probe_interval: Duration = Duration::from_secs(2), range Duration::from_millis(50)..=Duration::from_mins(5), reload subtree;
        /// How long the database may take to answer a probe before it counts as slow or lost.
        probe_limit: Duration = Duration::from_secs(2), range Duration::from_millis(50)..=Duration::from_mins(1), reload subtree;
    }
}

/// The pause before a lost database is tried for the first time, and the longest one.
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(100),
    max: Duration::from_secs(5),
};

impl StoreConfig {
    /// What the database is like as a dependency, where that differs from `base`. Its calls are the statements of all
    /// domains, which have limits of their own; it is looked at every `probe_interval` besides.
    pub fn dependency(&self, base: DependencyPolicy) -> DependencyPolicy {
        DependencyPolicy {
            // One look is at most three questions.
            timeout: base.timeout.max(self.probe_limit * 4),
            // While little happens a few statements are all there is to judge by.
            min_calls: base.min_calls.min(5),
            open: PAUSES,
            half_open_calls: 1,
            // Nothing faster serves instead.
            slow_opens: false,
            probe_every: Some(self.probe_interval),
            bears: Level::Critical,
            ..base
        }
    }
}

/// A URL that nothing could be opened by is a fault of the configuration, not of the database.
fn check_url(url: &Secret) -> Result<(), String> {
    Location::parse(url, Path::new("/"))
        .map(drop)
        .map_err(|error| error.to_string())
}
