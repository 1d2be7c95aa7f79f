//! The actor that stores: what waits, in batches; counted refusals when their minute is over; and, once an hour, it removes what is older
//! than it is to be kept.
//!
//! Writing is its only work and bounded in time, so it is done in its handler: a fault in it is then the supervisor's to see. It keeps
//! nothing that matters, so a restart loses nothing.

use std::time::Duration;

use ground::{DbError, Micros, clock};
use supervisor::{Condition, Context, Level, StartError, Worker, WorkerError};
use tokio::time::timeout;

use crate::config::Config;
use crate::messages::AuditMsg;
use crate::ports::Ports;
use crate::store;

/// Entries of one write.
const BATCH: usize = 64;
/// How long one write may take.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How long the last write may take when the daemon stops.
const LAST_WRITE_LIMIT: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// How often counted refusals are looked over.
const TICK: Duration = Duration::from_secs(5);
/// Entries that are removed at once, and the pause between two such steps.
const PRUNED_AT_ONCE: u16 = 500;
const PRUNE_PAUSE: Duration = Duration::from_millis(50);
/// How long after a start the chain is pruned first.
const FIRST_PRUNE: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What every incarnation is built from.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    pub(crate) config: Config,
    pub(crate) ports: Ports,
}

/// The actor.
pub(crate) struct WriterActor {
    seed: Seed,
    /// Whether the last write may have happened although it was not answered: by this one, or by one before it.
    is_doubtful: bool,
    /// How long to wait after the next failure.
    retry: Duration,
    is_waiting: bool,
}

impl Worker for WriterActor {
    type Msg = AuditMsg;
    type Seed = Seed;

    async fn start(seed: Seed, cx: &Context<AuditMsg>) -> Result<Self, StartError> {
        cx.after(Duration::ZERO, AuditMsg::Due);
        cx.after(TICK, AuditMsg::Tick);
        cx.after(FIRST_PRUNE, AuditMsg::Prune);
        cx.after(HOUR, AuditMsg::Hour);
        Ok(Self {
            seed,
            is_doubtful: true,
            retry: FIRST_RETRY,
            is_waiting: false,
        })
    }

    async fn handle(&mut self, msg: AuditMsg, cx: &Context<AuditMsg>) -> Result<(), WorkerError> {
        match msg {
            AuditMsg::Due => self.write(cx).await,
            AuditMsg::Retry => {
                self.is_waiting = false;
                self.write(cx).await;
            }
            AuditMsg::Tick => {
                self.seed.ports.pending.gather(clock::now(), false);
                self.write(cx).await;
                cx.after(TICK, AuditMsg::Tick);
            }
            AuditMsg::Prune => self.prune(cx).await,
            AuditMsg::Hour => {
                self.prune(cx).await;
                cx.after(HOUR, AuditMsg::Hour);
            }
        }
        Ok(())
    }

    /// What is left is stored. The store stops after the audit, so it is still there.
    async fn stop(&mut self, _cx: &Context<AuditMsg>) {
        self.seed.ports.pending.gather(clock::now(), true);
        if !matches!(
            timeout(LAST_WRITE_LIMIT, self.write_all()).await,
            Ok(Ok(()))
        ) {
            let left = self.seed.ports.pending.len();
            tracing::warn!(left, "audit entries were not stored before the stop");
        }
    }

    fn message_name(msg: &AuditMsg) -> &'static str {
        match msg {
            AuditMsg::Due => "due",
            AuditMsg::Retry => "retry",
            AuditMsg::Tick => "tick",
            AuditMsg::Prune => "prune",
            AuditMsg::Hour => "hour",
        }
    }
}

impl WriterActor {
    async fn write(&mut self, cx: &Context<AuditMsg>) {
        if self.is_waiting && self.seed.ports.db.backend().is_err() {
            return;
        }
        let written = timeout(WRITE_LIMIT, self.write_all()).await;
        match written.unwrap_or(Err(DbError::Deadline)) {
            Ok(()) => {
                self.retry = FIRST_RETRY;
                cx.clear();
            }
            Err(error) => self.postpone(&error, cx),
        }
        cx.detail("waiting", self.seed.ports.pending.len());
    }

    async fn write_all(&mut self) -> Result<(), DbError> {
        loop {
            let batch = self.seed.ports.pending.batch(BATCH);
            let stored = batch.len();
            if stored == 0 {
                return Ok(());
            }
            // Until it is known how this ends, it may have happened.
            let is_doubtful = std::mem::replace(&mut self.is_doubtful, true);
            store::append(&self.seed.ports.db, batch, is_doubtful).await?;
            self.is_doubtful = false;
            self.seed.ports.pending.settle(stored);
        }
    }

    fn postpone(&mut self, error: &DbError, cx: &Context<AuditMsg>) {
        self.seed.ports.pending.failed();
        if !self.is_waiting {
            self.is_waiting = true;
            cx.after(self.retry, AuditMsg::Retry);
            self.retry = (self.retry * 2).min(LAST_RETRY);
        }
        let waiting = self.seed.ports.pending.len();
        tracing::debug!(%error, waiting, "audit entries not stored");
        let message = format!("{waiting} audit entries wait for the store: {error}");
        let condition = Condition::new(Level::Degraded, "audit.not_stored", message);
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

    /// One step of pruning, and the next one soon when there is more to go. What fails now is tried with the next hour.
    async fn prune(&self, cx: &Context<AuditMsg>) {
        match timeout(WRITE_LIMIT, self.prune_step(clock::now())).await {
            Ok(Ok(true)) => cx.after(PRUNE_PAUSE, AuditMsg::Prune),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the audit was not pruned"),
            Err(_late) => tracing::debug!("pruning the audit took too long"),
        }
    }

    /// Whether there may be more to remove.
    async fn prune_step(&self, now: Micros) -> Result<bool, DbError> {
        let days = self.seed.config.keep_days;
        if days == 0 {
            return Ok(false);
        }
        let db = &self.seed.ports.db;
        let gone = store::prune(db, now - DAY * days, now, PRUNED_AT_ONCE).await?;
        if gone > 0 {
            tracing::info!(
                gone,
                "audit entries removed that were older than audit.keep_days"
            );
        }
        Ok(gone == usize::from(PRUNED_AT_ONCE))
    }
}
