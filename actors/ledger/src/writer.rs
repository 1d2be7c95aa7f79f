//! The actor that writes: from the supervisor's memory into the table, in batches, from behind.
//!
//! It waits for the next event, a moment longer so that a burst is one write, and writes what memory has after the newest row
//! of this run. Where that is, the table says: after a start of the actor, and after every failure, since a write that failed
//! may have happened all the same. So nothing has to be remembered, and writing twice does no harm.
//!
//! While the store is away each further event is a reason to look again (its return is one), and the clock is another. Writing is the
//! actor's only work and bounded in time, so it is done in its handler: a fault in it is then the supervisor's to see.

use std::time::Duration;

use ground::{DbError, Micros};
use supervisor::{Condition, Context, Level, StartError, StatusEvent, Worker, WorkerError};
use tokio::time::{Instant, sleep, timeout};

use crate::config::Config;
use crate::entries::rows_after;
use crate::error::LedgerError;
use crate::messages::LedgerMsg;
use crate::ports::Ports;
use crate::store;

/// Events of one write.
const BATCH: u16 = 256;
/// Events that are taken from memory at once: supervisors wait that long.
const CHUNK: usize = 32;
/// Batches written before the mailbox is looked at again.
const BATCHES: usize = 4;
/// How long an event waits for others, unless there is a whole batch.
const GATHER: Duration = Duration::from_millis(200);
/// How long one turn of writing or pruning may take.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// How long the last write may take when the daemon stops.
const LAST_WRITE_LIMIT: Duration = Duration::from_secs(1);
/// A store that is away for less than this is told by the store alone.
const PATIENCE: Duration = Duration::from_secs(2);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// Rows that are deleted at once, and the pause between two such steps.
const PRUNED_AT_ONCE: u64 = 500;
const PRUNE_PAUSE: Duration = Duration::from_millis(50);
/// How long after the first write the table is looked through.
const FIRST_PRUNE: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What every incarnation is built from.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    pub(crate) config: Config,
    pub(crate) ports: Ports,
}

/// Where this run of the daemon stands in the table.
#[derive(Debug, Clone, Copy)]
struct Place {
    run: u64,
    /// The newest id that is stored; the run's own when none is.
    newest: u64,
}

/// The actor.
pub(crate) struct WriterActor {
    seed: Seed,
    /// Unknown until the table was asked, and after a failure.
    place: Option<Place>,
    /// The newest id that is known to be stored, or not to be of this run's.
    stored: u64,
    /// How many rows the table has; unknown until they were counted.
    rows: Option<u64>,
    failing_since: Option<Instant>,
    retry: Duration,
    /// Whether a step of pruning is on its way.
    is_pruning: bool,
}

impl Worker for WriterActor {
    type Msg = LedgerMsg;
    type Seed = Seed;

    /// Waits for nothing: the daemon is ready without the ledger.
    async fn start(seed: Seed, cx: &Context<LedgerMsg>) -> Result<Self, StartError> {
        let writer = Self {
            stored: seed.ports.recent.run().unwrap_or(0),
            seed,
            place: None,
            rows: None,
            failing_since: None,
            retry: FIRST_RETRY,
            is_pruning: false,
        };
        writer.wait(cx);
        cx.after(HOUR, LedgerMsg::Hour);
        Ok(writer)
    }

    async fn handle(&mut self, msg: LedgerMsg, cx: &Context<LedgerMsg>) -> Result<(), WorkerError> {
        match msg {
            LedgerMsg::Due => self.due(cx).await,
            LedgerMsg::Prune => self.prune(cx).await,
            LedgerMsg::Hour => {
                self.prune_after(Duration::ZERO, cx);
                cx.after(HOUR, LedgerMsg::Hour);
            }
        }
        Ok(())
    }

    /// What is left is written. The store stops after the ledger, so it is still there.
    async fn stop(&mut self, _cx: &Context<LedgerMsg>) {
        let all = async {
            while !self.write().await? {}
            Ok::<(), DbError>(())
        };
        if !matches!(timeout(LAST_WRITE_LIMIT, all).await, Ok(Ok(()))) {
            tracing::warn!("what happened last was not stored before the stop");
        }
    }

    fn message_name(msg: &LedgerMsg) -> &'static str {
        match msg {
            LedgerMsg::Due => "due",
            LedgerMsg::Prune => "prune",
            LedgerMsg::Hour => "hour",
        }
    }
}

impl WriterActor {
    /// One turn: writes, says how that went, and sees to the next turn.
    async fn due(&mut self, cx: &Context<LedgerMsg>) {
        let turn = timeout(WRITE_LIMIT, self.write()).await;
        match turn.unwrap_or(Err(DbError::Deadline)) {
            Ok(is_done) => {
                self.is_well(cx);
                if is_done {
                    self.wait(cx);
                } else {
                    cx.after(Duration::ZERO, LedgerMsg::Due);
                }
            }
            Err(error) => {
                self.is_not_well(&error.into(), cx);
                self.wait_to_retry(cx);
            }
        }
    }

    /// Writes some batches. Whether that was all.
    async fn write(&mut self) -> Result<bool, DbError> {
        // Until it is known how this ends, only the table knows where it ends.
        let place = match self.place.take() {
            Some(place) => Some(place),
            None => self.find_place().await?,
        };
        let Some(mut place) = place else {
            return Ok(true);
        };
        for _ in 0..BATCHES {
            let events = self.batch(place.newest);
            let Some(last) = events.last() else {
                self.place = Some(place);
                return Ok(true);
            };
            let newest = last.id;
            let rows = rows_after(place.run, place.newest, &events);
            let added = store::append(&self.seed.ports.db, &rows).await?;
            self.rows = self.rows.map(|rows| rows + added);
            place.newest = newest;
            self.stored = newest;
        }
        self.place = Some(place);
        Ok(false)
    }

    /// Where the table ends; `None` before the tree has started.
    async fn find_place(&self) -> Result<Option<Place>, DbError> {
        let Some(run) = self.seed.ports.recent.run() else {
            return Ok(None);
        };
        let newest = store::newest_of_run(&self.seed.ports.db, run).await?;
        Ok(Some(Place { run, newest }))
    }

    /// The next events after `newest`, taken in small bites.
    fn batch(&self, newest: u64) -> Vec<StatusEvent> {
        let mut events: Vec<StatusEvent> = Vec::new();
        while events.len() < usize::from(BATCH) {
            let last = events.last().map_or(newest, |event| event.id);
            let chunk = self.seed.ports.recent.after(last, CHUNK);
            if chunk.is_empty() {
                break;
            }
            events.extend(chunk);
        }
        events
    }

    /// Comes back when there is something new, and a moment has passed or a whole batch is there.
    fn wait(&self, cx: &Context<LedgerMsg>) {
        let (recent, own) = (self.seed.ports.recent.clone(), cx.clone());
        let stored = self.place.map_or(0, |place| place.newest);
        cx.offload(async move {
            recent.reached(stored + 1).await;
            let whole_batch = stored.max(recent.run().unwrap_or(0)) + u64::from(BATCH);
            tokio::select! {
                () = recent.reached(whole_batch) => {}
                () = sleep(GATHER) => {}
            }
            own.after(Duration::ZERO, LedgerMsg::Due);
        });
    }

    /// Comes back when something happens in the tree, which may be the return of the store, or after a growing pause.
    fn wait_to_retry(&mut self, cx: &Context<LedgerMsg>) {
        let (recent, own, retry) = (self.seed.ports.recent.clone(), cx.clone(), self.retry);
        self.retry = (self.retry * 2).min(LAST_RETRY);
        let newest = self.newest_in_memory();
        cx.offload(async move {
            let something_happens = async {
                recent.reached(newest + 1).await;
                sleep(GATHER).await;
            };
            tokio::select! {
                () = something_happens => {}
                () = sleep(retry) => {}
            }
            own.after(Duration::ZERO, LedgerMsg::Due);
        });
    }

    fn newest_in_memory(&self) -> u64 {
        let newest = self
            .seed
            .ports
            .recent
            .select(crate::Order::NewestFirst, 1, &|_| true);
        newest.first().map_or(0, |event| event.id)
    }

    fn is_well(&mut self, cx: &Context<LedgerMsg>) {
        self.retry = FIRST_RETRY;
        if let Some(since) = self.failing_since.take() {
            let away_ms = since.elapsed().as_millis();
            tracing::debug!(away_ms, "the ledger writes");
            cx.clear();
        }
        cx.detail("not_stored", 0_usize);
        match self.rows {
            None => self.prune_after(FIRST_PRUNE, cx),
            Some(rows) if rows > u64::from(self.seed.config.keep_rows) => {
                self.prune_after(Duration::ZERO, cx);
            }
            Some(_) => {}
        }
        self.tell_rows(cx);
    }

    fn tell_rows(&self, cx: &Context<LedgerMsg>) {
        if let Some(rows) = self.rows {
            cx.detail("rows", i64::try_from(rows).unwrap_or(i64::MAX));
        }
    }

    /// A store that is away says so itself, and what needs it follows. Only when that lasts, or when a store that is there takes
    /// nothing, the ledger says so too.
    fn is_not_well(&mut self, error: &LedgerError, cx: &Context<LedgerMsg>) {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        self.tell_waiting(cx);
        let is_away = self.seed.ports.db.engine().is_none();
        if is_away && since.elapsed() < PATIENCE {
            return;
        }
        tracing::debug!(%error, "what happened is not stored");
        let (code, is_store) = match error {
            LedgerError::Store(_) | LedgerError::Unwired => ("ledger.store_lost", true),
            LedgerError::Refused(_) => ("ledger.write_failed", false),
        };
        let message = format!("what happens is not stored: {error}");
        let condition = Condition::new(Level::Degraded, code, message);
        cx.report(if is_store {
            condition.with_root("/store")
        } else {
            condition
        });
    }

    /// Tells how much waits in memory, as far as it is known where the table ends.
    fn tell_waiting(&self, cx: &Context<LedgerMsg>) {
        let waiting = self.newest_in_memory().saturating_sub(self.stored);
        cx.detail("not_stored", i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    fn prune_after(&mut self, pause: Duration, cx: &Context<LedgerMsg>) {
        if !std::mem::replace(&mut self.is_pruning, true) {
            cx.after(pause, LedgerMsg::Prune);
        }
    }

    /// One step of pruning, and the next one soon when there is more to go. What fails now is tried with the next hour.
    async fn prune(&mut self, cx: &Context<LedgerMsg>) {
        self.is_pruning = false;
        let step = timeout(WRITE_LIMIT, self.prune_step()).await;
        match step.unwrap_or(Err(DbError::Deadline)) {
            Ok(true) => self.prune_after(PRUNE_PAUSE, cx),
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "the ledger was not pruned"),
        }
        self.tell_rows(cx);
    }

    /// Deletes some of what is too much or too old. Whether there may be more.
    async fn prune_step(&mut self) -> Result<bool, DbError> {
        let Seed { config, ports } = &self.seed;
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => store::count(&ports.db).await?,
        };
        let surplus = surplus(rows, u64::from(config.keep_rows));
        let gone = if surplus > 0 {
            store::drop_oldest(&ports.db, surplus.min(PRUNED_AT_ONCE)).await?
        } else {
            let before = Micros::now() - DAY * config.keep_days;
            store::drop_expired(&ports.db, before, PRUNED_AT_ONCE).await?
        };
        self.rows = Some(rows.saturating_sub(gone));
        Ok(gone == PRUNED_AT_ONCE || (surplus > 0 && gone > 0))
    }
}

/// How many rows are to go when there are `rows` and `keep` may stay: some more than are too many, so that not every write is
/// followed by a deletion.
fn surplus(rows: u64, keep: u64) -> u64 {
    if rows <= keep {
        return 0;
    }
    rows - keep + (keep / 50).min(200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_nearly_what_may() {
        assert_eq!(surplus(100, 100), 0);
        assert_eq!(surplus(101, 100), 3);
        assert_eq!(surplus(11, 10), 1);
        assert_eq!(surplus(2_000_000, 1_000_000), 1_000_200);
    }
}
