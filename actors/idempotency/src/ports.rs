//! What the domain needs: the database.

use ground::Db;

/// What a start of the domain is given.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The database.
    pub db: Db,
}
