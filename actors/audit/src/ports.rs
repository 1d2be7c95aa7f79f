//! What the domain needs: the database, and what it shares with its own handle.

use std::sync::Arc;

use ground::Db;

use crate::pending::Pending;

/// What a start of the domain is given; [`AuditHandle::ports`](crate::AuditHandle::ports) makes it.
#[derive(Debug, Clone)]
pub struct Ports {
    pub(crate) db: Db,
    /// Belongs to no actor: what waits to be stored outlives a fault of the one that stores it.
    pub(crate) pending: Arc<Pending>,
}
