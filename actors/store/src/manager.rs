//! The actor that owns the database: opens it, watches it, lets it go when it is lost and opens it again.
//!
//! It never waits for the database itself: looking, closing and opening again happen in tasks that tell it the outcome, so that
//! it answers at once while the database hangs. A lost database is no reason to end: the actor says CRITICAL with the
//! cause, empties the handle (so that everybody is answered at once) and tries again with backoff. Only a start without
//! any database fails, and leaves the trying to the supervisor.

use std::time::Duration;

use ground::Db;
use ground::db::LOST_RETRY;
use supervisor::{Backoff, Condition, Context, Level, StartError, Worker, WorkerError};
use tokio::time::Instant;

use crate::config::StoreConfig;
use crate::error::{StoreError, chain};
use crate::location::Location;
use crate::messages::{Msg, StoreMsg};
use crate::opened::{self, Opened};
use crate::watch::{Sight, View, queue_depth};
use crate::writer::Writer;

/// The first pause before a lost database is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The pause when trying again is useless until somebody does something.
const PERMANENT_PAUSE: Duration = Duration::from_mins(1);
/// How long the writer may take to finish when the store stops.
const FINISH_LIMIT: Duration = Duration::from_secs(3);
/// How long the remains of a lost database may take to close.
const REMAINS_LIMIT: Duration = Duration::from_secs(1);

/// What every incarnation is built from.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    pub(crate) location: Location,
    pub(crate) config: StoreConfig,
    pub(crate) db: Db,
}

/// The actor.
pub(crate) struct ManagerActor {
    seed: Seed,
    /// The opened database; none while it is lost.
    live: Option<Live>,
    /// Counts openings: what the watcher of a former one still says is not heard.
    opening: u64,
    lost_at: Option<Instant>,
}

struct Live {
    writer: Writer,
    view: View,
}

impl Worker for ManagerActor {
    type Msg = StoreMsg;
    type Seed = Seed;

    async fn start(seed: Seed, cx: &Context<StoreMsg>) -> Result<Self, StartError> {
        let opened = opened::open(&seed.location, &seed.config).await?;
        let mut manager = Self {
            seed,
            live: None,
            opening: 0,
            lost_at: None,
        };
        manager.take_up(opened, cx);
        Ok(manager)
    }

    async fn handle(&mut self, msg: StoreMsg, cx: &Context<StoreMsg>) -> Result<(), WorkerError> {
        match msg.0 {
            Msg::Probe { reply } => match self.view() {
                Some(view) => cx.reply_later(reply, view.probe()),
                None => reply.send(Err(self.away())),
            },
            Msg::Stats { reply } => match self.view() {
                Some(view) => cx.reply_later(reply, view.stats()),
                None => reply.send(Err(self.away())),
            },
            Msg::Seen { opening, sight } => self.seen(opening, sight, cx),
            Msg::Reopened { opened } => self.found_again(*opened, cx),
            Msg::StillAway { error, pause } => self.still_away(&error, pause, cx),
        }
        Ok(())
    }

    async fn stop(&mut self, _cx: &Context<StoreMsg>) {
        if let Some(live) = self.live.take() {
            opened::close(&self.seed.db, live.writer, FINISH_LIMIT).await;
        }
    }

    fn message_name(msg: &StoreMsg) -> &'static str {
        match msg.0 {
            Msg::Probe { .. } => "probe",
            Msg::Stats { .. } => "stats",
            Msg::Seen { .. } => "seen",
            Msg::Reopened { .. } => "reopened",
            Msg::StillAway { .. } => "still_away",
        }
    }
}

impl ManagerActor {
    fn view(&self) -> Option<View> {
        self.live.as_ref().map(|live| live.view.clone())
    }

    fn away(&self) -> ground::DbError {
        self.seed
            .db
            .backend()
            .err()
            .unwrap_or(ground::DbError::Unavailable {
                retry_after: LOST_RETRY,
            })
    }

    /// Fills the handle with an opened database and begins to watch it.
    fn take_up(&mut self, opened: Opened, cx: &Context<StoreMsg>) {
        let Seed {
            location,
            config,
            db,
        } = &self.seed;
        let version = opened.report.to;
        let (writer, place) = opened.install(db, location.engine(), config);
        let view = View {
            db: db.clone(),
            location: location.clone(),
            config: config.clone(),
            place,
            health: writer.health.clone(),
            figures: std::sync::Arc::clone(&writer.figures),
        };
        self.opening += 1;
        cx.detail("engine", view.engine().name());
        cx.detail("place", location.to_string());
        cx.detail("schema_version", version);
        cx.offload(watch(view.clone(), self.opening, cx.clone()));
        self.live = Some(Live { writer, view });
    }

    /// The watcher of the present opening sees the database change.
    fn seen(&mut self, opening: u64, sight: Sight, cx: &Context<StoreMsg>) {
        if opening != self.opening || self.live.is_none() {
            return;
        }
        match sight {
            Sight::Well => cx.clear(),
            Sight::Slow => cx.report(
                Condition::new(
                    Level::Degraded,
                    "store.slow",
                    format!("the database {} answers slowly", self.seed.location),
                )
                .with_fallback("none; requests wait up to their deadline"),
            ),
            Sight::Full => {
                let error = StoreError::Full {
                    place: self.seed.location.to_string(),
                };
                cx.report(
                    Condition::new(Level::Critical, "store.disk_full", error.to_string())
                        .with_impact("nothing can be saved; what is stored can still be read")
                        .with_fallback("reads go on; saving works again as soon as there is space"),
                );
            }
            Sight::Lost { code, message } => self.let_go(code, message, cx),
        }
    }

    /// The database is lost: nobody waits for it any longer, and it is tried again in a task.
    fn let_go(&mut self, code: &'static str, message: String, cx: &Context<StoreMsg>) {
        tracing::error!(code, message, "the database is lost");
        let remains = self.seed.db.vacate(FIRST_PAUSE);
        let writer = self.live.take().map(|live| live.writer);
        self.lost_at = Some(Instant::now());
        cx.report(Condition::new(Level::Critical, code, message));
        let (seed, own) = (self.seed.clone(), cx.clone());
        cx.offload(async move {
            if let Some(writer) = writer {
                writer.finish(REMAINS_LIMIT).await;
            }
            if let Some(remains) = remains {
                // What does not close in time is closed by its readers when they return it.
                drop(tokio::time::timeout(REMAINS_LIMIT, remains.readers.close()).await);
            }
            reopen(&seed, &own).await;
        });
    }

    fn found_again(&mut self, opened: Opened, cx: &Context<StoreMsg>) {
        let away_ms = self
            .lost_at
            .take()
            .map_or(0, |since| since.elapsed().as_millis());
        tracing::info!(away_ms, "the database is back");
        self.take_up(opened, cx);
        cx.clear();
    }

    fn still_away(&self, error: &StoreError, pause: Duration, cx: &Context<StoreMsg>) {
        use supervisor::Fault as _;
        self.seed.db.vacate(pause);
        cx.report(Condition::new(
            Level::Critical,
            error.code(),
            error.outside(),
        ));
    }
}

/// Looks at the database for as long as it is there, and tells the manager what is new.
async fn watch(mut view: View, opening: u64, cx: Context<StoreMsg>) {
    let mut last = Sight::Well;
    loop {
        view.next_look().await;
        let sight = view.look().await;
        if let Ok(backend) = view.db.backend() {
            cx.detail("queue_depth", queue_depth(&backend));
        }
        if let Some(bytes) = view.log_bytes() {
            cx.detail("log_bytes", i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        let commit_us = view
            .figures
            .commit_us
            .load(std::sync::atomic::Ordering::Relaxed);
        cx.detail("sync_us", i64::try_from(commit_us).unwrap_or(i64::MAX));
        if sight != last {
            let is_lost = matches!(sight, Sight::Lost { .. });
            last = sight.clone();
            cx.after(Duration::ZERO, StoreMsg(Msg::Seen { opening, sight }));
            if is_lost {
                return;
            }
        }
    }
}

/// Tries until the database is open again.
async fn reopen(seed: &Seed, cx: &Context<StoreMsg>) {
    let backoff = Backoff {
        first: FIRST_PAUSE,
        max: seed.config.reconnect_limit,
    };
    let mut attempt = 0;
    let mut pause = Duration::ZERO;
    loop {
        tokio::time::sleep(pause).await;
        match opened::reopen(&seed.location, &seed.config).await {
            Ok(opened) => {
                cx.after(
                    Duration::ZERO,
                    StoreMsg(Msg::Reopened {
                        opened: Box::new(opened),
                    }),
                );
                return;
            }
            Err(error) => {
                pause = if error.is_permanent() {
                    PERMANENT_PAUSE
                } else {
                    backoff.delay(attempt, jitter())
                };
                attempt += 1;
                tracing::warn!(
                    error = chain(&error),
                    attempt,
                    pause_ms = pause.as_millis(),
                    "the database is still away"
                );
                cx.after(Duration::ZERO, StoreMsg(Msg::StillAway { error, pause }));
            }
        }
    }
}

/// Some bits that differ between daemons that lost the same server, so that they do not return all at once.
fn jitter() -> u64 {
    let (_, low) = ground::Id::generate().as_uuid().as_u64_pair();
    low
}
