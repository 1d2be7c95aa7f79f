//! The actor that owns the database: opens it, watches it, lets it go when it is lost and opens it again.
//!
//! It never waits for the database itself: looking, closing and opening again happen in tasks that tell it the outcome, so that
//! it answers at once while the database hangs. A lost database is no reason to end: the actor opens the breaker of the
//! database (whose node says CRITICAL with the cause) and empties the handle, so that everybody is answered at once. The
//! breaker says when to look and when to try again. Only a start without any database fails, and leaves the trying to the
//! supervisor.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ground::Db;
use ground::db::LOST_RETRY;
use supervisor::{
    BreakerState, Condition, Context, Dependency, Level, Reply, StartError, Worker, WorkerError,
};
use tokio::time::Instant;

use crate::config::StoreConfig;
use crate::error::{CheckError, StoreError, chain};
use crate::location::Location;
use crate::messages::{Checked, Msg, StoreMsg};
use crate::opened::{self, Opened};
use crate::watch::{Sight, View, queue_depth};
use crate::writer::Writer;

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
    pub(crate) database: Dependency,
}

/// The actor.
pub(crate) struct ManagerActor {
    seed: Seed,
    /// The opened database; none while it is lost.
    live: Option<Live>,
    /// Counts openings: what the watcher of a former one still says is not heard.
    opening: u64,
    lost_at: Option<Instant>,
    /// Held by whatever is closing or opening the database at this moment, and lost even with a task that panics.
    busy: Weak<()>,
}

struct Live {
    writer: Writer,
    view: View,
}

impl Worker for ManagerActor {
    type Msg = StoreMsg;
    type Seed = Seed;

    async fn start(seed: Seed, cx: &Context<StoreMsg>) -> Result<Self, StartError> {
        let opened = open(&seed)
            .await
            .inspect_err(|error| seed.database.trip(error))?;
        let mut manager = Self {
            seed,
            live: None,
            opening: 0,
            lost_at: None,
            busy: Weak::new(),
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
            Msg::Check { reply } => self.check(reply, cx),
            Msg::Seen {
                opening,
                sight,
                reply,
            } => reply.send(self.seen(opening, sight, cx)),
            Msg::Away { opening } if opening == self.opening => self.let_go(cx),
            Msg::Away { .. } => {}
            Msg::Reopened {
                result,
                reply,
                busy,
            } => {
                reply.send(self.reopened(result, cx));
                drop(busy);
            }
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
            Msg::Check { .. } => "check",
            Msg::Seen { .. } => "seen",
            Msg::Away { .. } => "away",
            Msg::Reopened { .. } => "reopened",
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

    /// Fills the handle with an opened database, which is well then.
    fn take_up(&mut self, opened: Opened, cx: &Context<StoreMsg>) {
        let Seed {
            location,
            config,
            db,
            database,
        } = &self.seed;
        let version = opened.report.to;
        let (writer, place) = opened.install(db, location.engine(), config, database);
        let view = View {
            db: db.clone(),
            location: location.clone(),
            config: config.clone(),
            place,
            database: database.clone(),
            health: writer.health.clone(),
            figures: Arc::clone(&writer.figures),
        };
        self.opening += 1;
        cx.detail("engine", view.engine().name());
        cx.detail("place", location.to_string());
        cx.detail("schema_version", version);
        database.reset();
        let attending = attend(database.clone(), view.clone(), self.opening, cx.clone());
        cx.offload(attending);
        self.live = Some(Live { writer, view });
    }

    /// Looks at the database, or opens it again, in a task.
    fn check(&mut self, reply: Reply<Checked>, cx: &Context<StoreMsg>) {
        let own = cx.clone();
        if let Some(mut view) = self.view() {
            let opening = self.opening;
            cx.offload(async move {
                let sight = view.look().await;
                tell_figures(&view, &own);
                let seen = Msg::Seen {
                    opening,
                    sight,
                    reply,
                };
                own.after(Duration::ZERO, StoreMsg(seen));
            });
        } else if self.busy.strong_count() > 0 {
            reply.send(Err(CheckError::Opening));
        } else {
            let busy = self.set_busy();
            let seed = self.seed.clone();
            cx.offload(async move {
                let opening = opened::reopen(&seed.location, &seed.config).await;
                let reopened = Msg::Reopened {
                    result: opening.map(Box::new),
                    reply,
                    busy,
                };
                own.after(Duration::ZERO, StoreMsg(reopened));
            });
        }
    }

    fn set_busy(&mut self) -> Arc<()> {
        let busy = Arc::new(());
        self.busy = Arc::downgrade(&busy);
        busy
    }

    /// What a look found.
    fn seen(&mut self, opening: u64, sight: Sight, cx: &Context<StoreMsg>) -> Checked {
        if opening != self.opening || self.live.is_none() {
            return Err(CheckError::Opening);
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
            Sight::Lost(error) => {
                self.seed.database.trip(&error);
                if self.seed.database.state() != BreakerState::Closed {
                    self.let_go(cx);
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// The database is away: nobody waits for it any longer.
    fn let_go(&mut self, cx: &Context<StoreMsg>) {
        let Some(live) = self.live.take() else {
            return;
        };
        tracing::error!("the database is lost");
        let remains = self.seed.db.vacate(self.pause());
        self.lost_at = Some(Instant::now());
        cx.clear();
        let busy = self.set_busy();
        cx.offload(async move {
            live.writer.finish(REMAINS_LIMIT).await;
            if let Some(remains) = remains {
                // What does not close in time is closed by its readers when they return it.
                drop(tokio::time::timeout(REMAINS_LIMIT, remains.readers.close()).await);
            }
            drop(busy);
        });
    }

    /// How opening it again went.
    fn reopened(
        &mut self,
        result: Result<Box<Opened>, StoreError>,
        cx: &Context<StoreMsg>,
    ) -> Checked {
        let away_ms = self.lost_at.map_or(0, |since| since.elapsed().as_millis());
        match result {
            Ok(opened) => {
                tracing::info!(away_ms, "the database is back");
                self.lost_at = None;
                self.take_up(*opened, cx);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), away_ms, "the database is still away");
                self.seed.database.trip(&error);
                self.seed.db.vacate(self.pause());
                Err(error.into())
            }
        }
    }

    /// How long callers should stay away.
    fn pause(&self) -> Duration {
        self.seed.database.retry_after().unwrap_or(LOST_RETRY)
    }
}

/// Opens the database for the first time; a drill may have something against it.
async fn open(seed: &Seed) -> Result<Opened, StoreError> {
    seed.database.suffer::<StoreError>().await?;
    opened::open(&seed.location, &seed.config).await
}

/// Passes on what hints at trouble for as long as the database is there, and tells the manager when it is to be let go.
async fn attend(database: Dependency, mut view: View, opening: u64, cx: Context<StoreMsg>) {
    let hints = async {
        while view.hint().await {
            database.suspect();
        }
        database.suspect();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = database.away() => {}
        () = hints => {}
    }
    cx.after(Duration::ZERO, StoreMsg(Msg::Away { opening }));
}

/// Publishes what a look brought.
fn tell_figures(view: &View, cx: &Context<StoreMsg>) {
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
}
