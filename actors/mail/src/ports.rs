//! What the domain needs: the database, a place for the outbox, and what tells whether the server is there.

use std::path::PathBuf;

use ground::Db;
use supervisor::Dependency;

/// What a start of the domain is given.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The database.
    pub db: Db,
    /// The data directory, in which the outbox is.
    pub data_dir: PathBuf,
    /// What tells whether the SMTP server is there, at [`SMTP`](crate::SMTP). In the tree only where a server is configured.
    pub smtp: Dependency,
}
