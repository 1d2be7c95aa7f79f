//! What waits to be stored. It belongs to the handle and the writer together and outlives a fault of the writer.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use ground::audit::{Actor, Entry, Outcome, Source};
use ground::{Db, Id, Micros};
use supervisor::Address;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::error::RecordError;
use crate::messages::AuditMsg;
use crate::refusals::Refusals;
use ground::lock;

/// Entries that wait at most.
pub(crate) const MOST: usize = 1024;
/// How long whoever records waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same while nobody is there to write: a writer that restarts is back within milliseconds, and begins with what waits.
const RESTART_PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// Entries that found no room since the last time that this was told.
    lost: u64,
    /// Writes that failed: who waited for one of them goes on.
    failures: u64,
    refusals: Refusals,
}

/// What waits to be stored.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    waiting: Mutex<Waiting>,
    /// Told after each write, whether it succeeded or failed.
    tried: Notify,
}

impl Pending {
    /// Puts an entry behind those that wait.
    pub(crate) fn push(&self, entry: Entry) -> Result<(), RecordError> {
        let mut waiting = lock(&self.waiting);
        if waiting.entries.len() >= MOST {
            waiting.lost += 1;
            return Err(RecordError::Full);
        }
        waiting.entries.push_back(entry);
        Ok(())
    }

    /// Has an entry stored, and waits for the disk.
    pub(crate) async fn record(
        &self,
        entry: Entry,
        db: &Db,
        writer: &Address<AuditMsg>,
    ) -> Result<(), RecordError> {
        let id = entry.id;
        let failed_before = lock(&self.waiting).failures;
        self.push(entry)?;
        let is_told = writer.tell(AuditMsg::Due).is_ok();
        if db.backend().is_err() {
            return Err(RecordError::Waiting);
        }
        let patience = if is_told || writer.is_up() {
            PATIENCE
        } else {
            RESTART_PATIENCE
        };
        // What takes longer stays in memory, as if the database were away.
        let stored = timeout(patience, self.stored(id, failed_before)).await;
        stored.unwrap_or(Err(RecordError::Waiting))
    }

    async fn stored(&self, id: Id, failed_before: u64) -> Result<(), RecordError> {
        loop {
            let mut tried = std::pin::pin!(self.tried.notified());
            tried.as_mut().enable();
            {
                let waiting = lock(&self.waiting);
                if !waiting.entries.iter().any(|entry| entry.id == id) {
                    return Ok(());
                }
                if waiting.failures != failed_before {
                    return Err(RecordError::Waiting);
                }
            }
            tried.await;
        }
    }

    /// Counts a wrong token; whether there is something to store at once.
    pub(crate) fn refused(&self, source: &Source, code: &'static str, now: Micros) -> bool {
        let told = lock(&self.waiting).refusals.note(source, code, now);
        told.is_some_and(|entry| self.push(entry).is_ok())
    }

    /// Puts counted refusals whose minute is over behind those that wait; with `all` those of this minute, too.
    pub(crate) fn gather(&self, now: Micros, all: bool) {
        let due = lock(&self.waiting).refusals.due(now, all);
        for entry in due {
            // One that finds no room is counted.
            drop(self.push(entry));
        }
    }

    /// The first that wait.
    pub(crate) fn batch(&self, most: usize) -> Vec<Entry> {
        let waiting = lock(&self.waiting);
        waiting.entries.iter().take(most).cloned().collect()
    }

    /// The first so many are on disk. What found no room before is told behind the rest.
    pub(crate) fn settle(&self, stored: usize) {
        let mut waiting = lock(&self.waiting);
        let stored = stored.min(waiting.entries.len());
        waiting.entries.drain(..stored);
        let lost = std::mem::take(&mut waiting.lost);
        if lost > 0 {
            let entry = Entry::new(Actor::System, "audit.lose", Source::default())
                .with_outcome(Outcome::Failed)
                .with("count", lost);
            waiting.entries.push_back(entry);
        }
        drop(waiting);
        self.tried.notify_waiters();
    }

    /// A write failed.
    pub(crate) fn failed(&self) {
        lock(&self.waiting).failures += 1;
        self.tried.notify_waiters();
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.waiting).entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry::new(Actor::System, "node.restart", Source::default())
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told() {
        let pending = Pending::default();
        for _ in 0..MOST {
            assert_eq!(pending.push(entry()), Ok(()));
        }
        for _ in 0..3 {
            assert_eq!(pending.push(entry()), Err(RecordError::Full));
        }
        assert_eq!(pending.len(), MOST);
        pending.settle(MOST);
        let told = pending.batch(10);
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].action, &told[0].detail["count"]),
            ("audit.lose", &3.into())
        );
        pending.settle(1);
        assert_eq!(pending.len(), 0, "once");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_database_that_is_away() {
        let pending = Pending::default();
        let writer = Address::vacant("/audit/writer", 4);
        let recorded = pending.record(entry(), &Db::vacant(), &writer).await;
        assert_eq!(recorded, Err(RecordError::Waiting));
        assert_eq!(pending.len(), 1, "and it is kept");
    }
}
