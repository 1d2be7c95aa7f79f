//! What domains need of one another and of the supervisor, filled in.

use std::sync::Arc;

use futures::future::BoxFuture;
use ledger::{Order, Recent};
use supervisor::{StatusEvent, System};
use tokio::sync::SetOnce;

/// The tree's memory of what happened. Handed out before there is a tree: until then nothing has happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct TreeHistory(Arc<SetOnce<System>>);

impl TreeHistory {
    /// The tree has started. What is said a second time is not heard.
    pub(crate) fn begin(&self, system: System) {
        drop(self.0.set(system));
    }
}

impl Recent for TreeHistory {
    fn run(&self) -> Option<u64> {
        self.0.get().map(System::event_origin)
    }

    fn after(&self, id: u64, limit: usize) -> Vec<StatusEvent> {
        let system = self.0.get();
        system.map_or_else(Vec::new, |system| system.events(Some(id), None, limit))
    }

    fn select(
        &self,
        order: Order,
        limit: usize,
        wanted: &dyn Fn(&StatusEvent) -> bool,
    ) -> Vec<StatusEvent> {
        let newest_first = order == Order::NewestFirst;
        let system = self.0.get();
        system.map_or_else(Vec::new, |system| {
            system.events_where(newest_first, limit, wanted)
        })
    }

    fn reached(&self, id: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.0.wait().await.event_reached(id).await })
    }
}
