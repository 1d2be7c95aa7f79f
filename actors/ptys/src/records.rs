//! Keeping the records of terminals, whenever there is a store.
//!
//! Terminals do not need the store. A change is noted here under the terminal's id, where a later one replaces it, and this actor
//! writes what is noted when the store takes it. The notes survive the actor. While the store takes records, an answer waits for
//! its own, so that what was acknowledged is on disk; while it does not, nobody waits, and the domain says DEGRADED as
//! long as something is noted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ground::{Db, DbError, Id, Micros};
use supervisor::{Address, Condition, Context, Level, StartError, Worker, WorkerError};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::house::House;
use crate::locked::Locked;
use crate::store::{self, Change, Record};

/// Changes written in one transaction.
const BATCH: usize = 256;

/// Changes noted at most; beyond it the oldest deletion is forgotten, whose row then goes when its time is over.
const MAX_NOTED: usize = 20_000;

/// How long one write may take.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// How long an answer waits for its record.
const RECORDED_LIMIT: Duration = Duration::from_secs(2);

/// How long the last write may take when the domain stops.
const LAST_WRITE_LIMIT: Duration = Duration::from_secs(1);

/// How long a start waits for a store that is starting too, so that the terminals of an earlier daemon are listed from the first
/// answer on.
const ADOPT_LIMIT: Duration = Duration::from_secs(1);

/// How often such a start looks.
const ADOPT_POLL: Duration = Duration::from_millis(2);

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Requests of the records actor.
#[derive(Debug)]
pub(crate) enum RecordsMsg {
    /// Something was noted.
    Noted,
    /// It is time to try again.
    Retry,
}

#[derive(Debug, Default)]
struct Notes {
    changes: BTreeMap<Id, (u64, Change)>,
    /// Terminals that may have a row.
    written: BTreeSet<Id>,
    /// Rises with each note, so that a note made during a write is not taken for the written one.
    version: u64,
    adopted: bool,
    /// Writes that failed: who waited for one of them goes on.
    failures: u64,
    wake: Option<Address<RecordsMsg>>,
}

/// What is yet to be recorded.
#[derive(Debug, Default)]
pub(crate) struct Records {
    notes: Locked<Notes>,
    /// Told after each write, whether it succeeded or failed.
    tried: Notify,
}

impl Records {
    /// From now on `address` is told when something was noted.
    pub(crate) fn wake_at(&self, address: Address<RecordsMsg>) {
        self.notes.with(|notes| notes.wake = Some(address));
    }

    /// Notes the present state of a terminal.
    pub(crate) fn save(&self, record: Record) {
        self.note(record.id, Change::Save(Box::new(record)));
    }

    /// Notes that a terminal is gone.
    pub(crate) fn remove(&self, id: Id) {
        let has_row = self.notes.with(|notes| {
            let has_row = notes.written.contains(&id);
            if !has_row {
                notes.changes.remove(&id);
            }
            has_row
        });
        if has_row {
            self.note(id, Change::Remove(id));
        }
    }

    fn note(&self, id: Id, change: Change) {
        let wake = self.notes.with(|notes| {
            notes.version += 1;
            notes.changes.insert(id, (notes.version, change));
            if notes.changes.len() > MAX_NOTED {
                let mut deletions = notes
                    .changes
                    .iter()
                    .filter(|(_, (_, change))| matches!(change, Change::Remove(_)));
                let oldest = deletions.next().map(|(id, _)| *id);
                oldest.map(|id| notes.changes.remove(&id));
            }
            notes.wake.clone()
        });
        if let Some(address) = wake {
            // When it is down or has such a message already, it will look anyway.
            drop(address.tell(RecordsMsg::Noted));
        }
    }

    /// Waits until the newest change of a terminal is recorded: until a write fails, for 2 s at most, and not at all while there
    /// is no store. Cancel-safe.
    pub(crate) async fn recorded(&self, id: Id, db: &Db) {
        if db.backend().is_err() {
            return;
        }
        let failed_before = self.notes.with(|notes| notes.failures);
        let waits = || {
            self.notes
                .with(|notes| notes.failures == failed_before && notes.changes.contains_key(&id))
        };
        let recorded = async {
            loop {
                let mut tried = std::pin::pin!(self.tried.notified());
                tried.as_mut().enable();
                if !waits() {
                    return;
                }
                tried.await;
            }
        };
        // What takes longer is kept in the notes, as if the store were away.
        drop(timeout(RECORDED_LIMIT, recorded).await);
    }

    fn count_failure(&self) {
        self.notes.with(|notes| notes.failures += 1);
        self.tried.notify_waiters();
    }

    /// How many changes are noted.
    pub(crate) fn noted(&self) -> usize {
        self.notes.with(|notes| notes.changes.len())
    }

    fn is_adopted(&self) -> bool {
        self.notes.with(|notes| notes.adopted)
    }

    fn set_adopted(&self, records: &[Record]) {
        self.notes.with(|notes| {
            notes.adopted = true;
            notes.written.extend(records.iter().map(|record| record.id));
        });
    }

    /// What to write next, with the newest version among it.
    fn batch(&self) -> (u64, Vec<Change>) {
        self.notes.with(|notes| {
            let batch: Vec<Change> = notes
                .changes
                .values()
                .take(BATCH)
                .map(|(_, change)| change.clone())
                .collect();
            let saved = batch.iter().filter_map(|change| match change {
                Change::Save(record) => Some(record.id),
                Change::Remove(_) => None,
            });
            notes.written.extend(saved);
            (notes.version, batch)
        })
    }

    /// A batch is on disk.
    fn settle(&self, version: u64, batch: &[Change]) {
        self.notes.with(|notes| {
            for change in batch {
                let id = match change {
                    Change::Save(record) => record.id,
                    Change::Remove(id) => {
                        notes.written.remove(id);
                        *id
                    }
                };
                if notes
                    .changes
                    .get(&id)
                    .is_some_and(|(noted, _)| *noted <= version)
                {
                    notes.changes.remove(&id);
                }
            }
        });
        self.tried.notify_waiters();
    }
}

/// Writes the records.
pub(crate) struct RecordsActor {
    house: Arc<House>,
    /// How long to wait after the next failure.
    retry: Duration,
    is_waiting: bool,
}

impl RecordsActor {
    /// Writes all that is noted. This is the actor's only work and bounded in time, so it is done in its handler: a fault in it is then the
    /// supervisor's to see.
    async fn write(&mut self, cx: &Context<RecordsMsg>) {
        if self.is_waiting && self.house.ports.db.backend().is_err() {
            return;
        }
        match timeout(WRITE_LIMIT, self.write_all())
            .await
            .unwrap_or(Err(DbError::Deadline))
        {
            Ok(()) => {
                self.retry = FIRST_RETRY;
                cx.clear();
            }
            Err(error) => self.postpone(&error, cx),
        }
        cx.detail("noted", self.house.records().noted());
    }

    async fn write_all(&self) -> Result<(), DbError> {
        let records = self.house.records();
        if !records.is_adopted() {
            self.adopt().await?;
        }
        loop {
            let (version, batch) = records.batch();
            if batch.is_empty() {
                return Ok(());
            }
            store::apply(&self.house.ports.db, batch.clone()).await?;
            records.settle(version, &batch);
        }
    }

    /// Takes over the rows of an earlier daemon. Nothing of this one is written before.
    async fn adopt(&self) -> Result<(), DbError> {
        let now = Micros::now();
        let config = &self.house.config;
        let forget_before = now - config.keep_exited_for;
        let left =
            store::adopt(&self.house.ports.db, now, forget_before, config.keep_exited).await?;
        self.house.records().set_adopted(&left);
        self.house.directory().set_departed(left);
        Ok(())
    }

    async fn adopt_when_open(&self) -> Result<(), DbError> {
        while self.house.ports.db.backend().is_err() {
            tokio::time::sleep(ADOPT_POLL).await;
        }
        self.adopt().await
    }

    fn postpone(&mut self, error: &DbError, cx: &Context<RecordsMsg>) {
        self.house.records().count_failure();
        if !self.is_waiting {
            self.is_waiting = true;
            cx.after(self.retry, RecordsMsg::Retry);
            self.retry = (self.retry * 2).min(LAST_RETRY);
        }
        let noted = self.house.records().noted();
        if noted == 0 {
            cx.clear();
            return;
        }
        tracing::debug!(%error, noted, "terminal records not saved");
        let condition = Condition::new(
            Level::Degraded,
            "ptys.records_not_saved",
            format!("terminal records not saved: {noted} change(s) wait for the store: {error}"),
        );
        let is_store = matches!(
            error,
            DbError::Unavailable { .. } | DbError::Busy { .. } | DbError::Deadline
        );
        cx.report(if is_store {
            condition.with_root("/store")
        } else {
            condition
        });
    }
}

impl Worker for RecordsActor {
    type Msg = RecordsMsg;
    type Seed = Arc<House>;

    async fn start(house: Self::Seed, cx: &Context<Self::Msg>) -> Result<Self, StartError> {
        let actor = Self {
            house,
            retry: FIRST_RETRY,
            is_waiting: false,
        };
        if !actor.house.records().is_adopted() {
            // Without a store the terminals serve all the same, and the rows are taken over when it comes.
            drop(timeout(ADOPT_LIMIT, actor.adopt_when_open()).await);
        }
        // What was noted while nobody was here.
        cx.after(Duration::ZERO, RecordsMsg::Retry);
        Ok(actor)
    }

    async fn handle(&mut self, msg: Self::Msg, cx: &Context<Self::Msg>) -> Result<(), WorkerError> {
        match msg {
            RecordsMsg::Noted => self.write(cx).await,
            RecordsMsg::Retry => {
                self.is_waiting = false;
                self.write(cx).await;
            }
        }
        Ok(())
    }

    async fn stop(&mut self, _cx: &Context<Self::Msg>) {
        let written = timeout(LAST_WRITE_LIMIT, self.write_all()).await;
        if !matches!(written, Ok(Ok(()))) {
            let noted = self.house.records().noted();
            tracing::warn!(noted, "terminal records not saved before the stop");
        }
    }

    fn message_name(msg: &Self::Msg) -> &'static str {
        match msg {
            RecordsMsg::Noted => "noted",
            RecordsMsg::Retry => "retry",
        }
    }
}
