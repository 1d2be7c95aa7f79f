//! What the ledger needs: the database, and the supervisor's memory of what happened.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use ground::Db;
use supervisor::StatusEvent;

use crate::types::Order;

/// The newest events, as the supervisor keeps them. Ids of one run rise by one; a run begins after its own id.
///
/// Whoever reads holds up supervisors for that long, so little is asked for at a time.
pub trait Recent: fmt::Debug + Send + Sync + 'static {
    /// The id after which this run of the daemon counts; `None` before the tree has started.
    fn run(&self) -> Option<u64>;

    /// The oldest `limit` kept events after the event with this id.
    fn after(&self, id: u64, limit: usize) -> Vec<StatusEvent>;

    /// The first `limit` kept events, in this order, that `wanted` takes.
    fn select(
        &self,
        order: Order,
        limit: usize,
        wanted: &dyn Fn(&StatusEvent) -> bool,
    ) -> Vec<StatusEvent>;

    /// Waits until there has been an event with this id or a later one. Cancel-safe.
    fn reached(&self, id: u64) -> BoxFuture<'_, ()>;
}

/// What a start of the domain is given; [`LedgerHandle::ports`](crate::LedgerHandle::ports) makes it.
#[derive(Debug, Clone)]
pub struct Ports {
    pub(crate) db: Db,
    pub(crate) recent: Arc<dyn Recent>,
}
