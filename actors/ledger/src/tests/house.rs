//! A house with nothing in it but the ledger, and a memory that the test fills.

use ::store::testing::Foundation;
pub(super) use ::store::testing::{Pulled, eventually};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use ground::Db;
use supervisor::{Domain, Level, NodeStatus, StatusEvent, System, SystemBuilder};
use tokio::sync::watch;

use crate::store;
use crate::*;

/// The run of most tests.
pub(super) const RUN: u64 = 1_000;

/// A memory of the newest events.
#[derive(Debug)]
pub(super) struct Memory {
    run: u64,
    capacity: usize,
    ring: Mutex<VecDeque<StatusEvent>>,
    newest: watch::Sender<u64>,
}

impl Memory {
    pub(super) fn new(run: u64, capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            run,
            capacity,
            ring: Mutex::default(),
            newest: watch::Sender::new(run),
        })
    }

    /// Some more events happen, at the paths in turn.
    pub(super) fn happen(&self, count: usize, paths: &[&str]) {
        for index in 0..count {
            let id = *self.newest.borrow() + 1;
            let event = super::event(id, paths[index % paths.len()]);
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            ring.push_back(event);
            if ring.len() > self.capacity {
                ring.pop_front();
            }
            drop(ring);
            self.newest.send_replace(id);
        }
    }

    fn kept(&self) -> Vec<StatusEvent> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().cloned().collect()
    }
}

impl Recent for Memory {
    fn run(&self) -> Option<u64> {
        Some(self.run)
    }

    fn after(&self, id: u64, limit: usize) -> Vec<StatusEvent> {
        let kept = self.kept().into_iter().filter(|event| event.id > id);
        kept.take(limit).collect()
    }

    fn select(
        &self,
        order: Order,
        limit: usize,
        wanted: &dyn Fn(&StatusEvent) -> bool,
    ) -> Vec<StatusEvent> {
        let mut kept = self.kept();
        if order == Order::NewestFirst {
            kept.reverse();
        }
        kept.into_iter().filter(wanted).take(limit).collect()
    }

    fn reached(&self, id: u64) -> BoxFuture<'_, ()> {
        let mut newest = self.newest.subscribe();
        Box::pin(async move {
            drop(newest.wait_for(|newest| *newest >= id).await);
        })
    }
}

/// One daemon, as far as the ledger is concerned.
pub(super) struct House {
    pub(super) system: System,
    pub(super) ledger: LedgerHandle,
    pub(super) db: Db,
}

impl House {
    pub(super) async fn new(db: &Db, memory: &Arc<Memory>) -> Self {
        // The events of these tests are years old.
        let config = Config {
            keep_days: 3_650,
            ..Config::default()
        };
        Self::with(db, memory, config).await
    }

    pub(super) async fn with(db: &Db, memory: &Arc<Memory>, config: Config) -> Self {
        let mut builder = SystemBuilder::new();
        let foundation = builder.address::<Foundation>();
        builder.add::<Foundation>(foundation, (), ());
        let address = builder.address::<Ledger>();
        let ledger = Ledger::handle(address.clone());
        let recent: Arc<dyn Recent> = memory.clone();
        builder.add::<Ledger>(address, config, ledger.ports(db.clone(), recent));
        let system = builder.start().await.expect("a sound tree");
        system.ready().await;
        Self {
            system,
            ledger,
            db: db.clone(),
        }
    }

    pub(super) fn status(&self) -> NodeStatus {
        let status = self.system.status(Some("/ledger"), None);
        status.expect("a domain")
    }

    pub(super) async fn until_level(&self, level: Level) -> NodeStatus {
        eventually(&format!("{level}"), async || self.status().level == level).await;
        self.status()
    }

    /// Waits until the newest stored event is this one.
    pub(super) async fn until_stored(&self, id: u64) {
        let run = RUN.min(id);
        eventually(&format!("{id} is stored"), async || {
            store::newest_of_run(&self.db, run).await.ok() == Some(id)
        })
        .await;
    }

    pub(super) async fn stop(self) {
        let report = self.system.stop().await;
        assert!(report.killed.is_empty(), "{report:?}");
    }
}

/// All that is told, page by page.
pub(super) async fn all(ledger: &LedgerHandle, query: Query) -> Vec<Record> {
    let (mut query, mut told) = (query, Vec::new());
    loop {
        let listed = ledger.list(query.clone()).await;
        assert!(listed.missing.is_none(), "{:?}", listed.missing);
        told.extend(listed.page.items);
        let Some(cursor) = listed.page.next_cursor else {
            return told;
        };
        query.cursor = Some(cursor.parse().expect("an id"));
    }
}

pub(super) fn ids(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.id).collect()
}
