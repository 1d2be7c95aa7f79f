//! The one that writes: takes whatever is queued, puts it into one transaction, answers after the commit.
//!
//! A commit costs a sync of the disk, and a sync costs the same for one row as for five hundred. There is no waiting for
//! company: while one commit runs the next batch gathers by itself, so that a lone write is as fast as the disk and many
//! writers share its syncs. One connection writes, so that nobody ever waits for another's lock.
//!
//! The writer lives on a thread of its own with a small runtime: the futures of writes need not be able to move between threads,
//! and a busy daemon does not delay commits. Whoever holds the [`Writer`] owns the thread: dropping it lets the thread
//! finish what is queued and end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ground::DbError;
use ground::db::{Conn, Engine, LOST_RETRY, Work};
use supervisor::Dependency;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::batch::{self, Ending, Job, Terms};
use crate::config::StoreConfig;
use crate::connect::{Role, connect};
use crate::error::{StoreError, chain};
use crate::location::Location;
use crate::lock::DatabaseLock;
use crate::place::Place;

/// The most writes in one transaction.
const MAX_BATCH: usize = 512;
/// After how much idleness the write-ahead log is brought into the database file.
const CHECKPOINT_AFTER: Duration = Duration::from_millis(500);
/// How often SQLite looks at its statistics for planning queries.
const OPTIMIZE_EVERY: Duration = Duration::from_hours(24);
/// After how much idleness the connection to a server is tried before it gets work.
const PING_AFTER: Duration = Duration::from_secs(2);
/// How often in a row the connection may break before the database counts as lost.
const MAX_BREAKS: u32 = 3;

/// How the writer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It writes.
    Well,
    /// No space is left; each write is tried all the same.
    Full,
    /// It has ended: the database must be opened anew.
    Ended,
}

/// Figures about the writer, since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) batches: AtomicU64,
    pub(crate) writes: AtomicU64,
    /// How long a commit takes, in microseconds: a moving average.
    pub(crate) commit_us: AtomicU64,
}

/// A running writer.
pub(crate) struct Writer {
    pub(crate) queue: mpsc::Sender<Box<dyn Work>>,
    pub(crate) health: watch::Receiver<Health>,
    pub(crate) figures: Arc<Figures>,
    stop: mpsc::Sender<()>,
    hindrance: Hindrance,
}

/// What drills do to the database, once somebody is there to tell.
type Hindrance = Arc<OnceLock<Dependency>>;

impl Writer {
    /// Starts the thread and waits until its connection is open. The lock is given back when the thread ends.
    ///
    /// # Errors
    /// [`StoreError`] when the connection cannot be opened.
    pub(crate) async fn start(
        location: Location,
        config: StoreConfig,
        lock: DatabaseLock,
    ) -> Result<Self, StoreError> {
        let (queue, queued) = mpsc::channel(config.write_queue as usize);
        let (told, health) = watch::channel(Health::Well);
        let (stop, stopped) = mpsc::channel(1);
        let (ready, opened) = oneshot::channel();
        let figures = Arc::new(Figures::default());
        let hindrance = Hindrance::default();
        let place = location.to_string();
        let inside = Inside {
            location,
            config,
            queued,
            stopped,
            told,
            figures: Arc::clone(&figures),
            hindrance: Arc::clone(&hindrance),
        };
        let failed = |hint: &str, source| StoreError::Unreachable {
            place,
            hint: hint.to_owned(),
            source,
        };
        let spawned = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || inside.live(lock, ready));
        match spawned {
            Err(error) => Err(failed("no thread could be made for it", Some(error.into()))),
            Ok(_) => match opened.await {
                Ok(opened) => opened.map(|()| Self {
                    queue,
                    health,
                    figures,
                    stop,
                    hindrance,
                }),
                Err(error) => Err(failed("its thread ended", Some(error.into()))),
            },
        }
    }

    /// From now on the writer suffers what drills do to the database.
    pub(crate) fn hindered_by(&self, database: Dependency) {
        if self.hindrance.set(database).is_err() {
            tracing::debug!("the writer knows its database already");
        }
    }

    /// Has the writer finish what is queued, bring the log into the file and end; waits at most `limit` for it.
    pub(crate) async fn finish(mut self, limit: Duration) {
        if self.stop.try_send(()).is_err() {
            tracing::debug!("the writer knows already that it is to end");
        }
        let ended = self.health.wait_for(|health| *health == Health::Ended);
        if timeout(limit, ended).await.is_err() {
            tracing::warn!("the database writer did not end in time");
        }
    }
}

/// What the thread owns.
struct Inside {
    location: Location,
    config: StoreConfig,
    queued: mpsc::Receiver<Box<dyn Work>>,
    /// A message, or the end of the channel, asks the writer to end.
    stopped: mpsc::Receiver<()>,
    told: watch::Sender<Health>,
    figures: Arc<Figures>,
    hindrance: Hindrance,
}

/// The writer's connection and the file behind it.
struct Desk {
    conn: Conn,
    place: Place,
    used_at: Instant,
    /// Whether something was written since the last checkpoint.
    has_log: bool,
    /// When SQLite last looked at its statistics for planning queries.
    optimized_at: Instant,
    /// Whether it should do so whatever the time.
    is_optimize_due: bool,
    /// A drill has kept the file from growing.
    is_filled: bool,
}

impl Inside {
    /// The whole life of the thread.
    fn live(self, lock: DatabaseLock, ready: oneshot::Sender<Result<(), StoreError>>) {
        let told = self.told.clone();
        match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime.block_on(self.work(ready)),
            Err(error) => {
                let (place, hint) = (
                    self.location.to_string(),
                    "no runtime could be made for it".to_owned(),
                );
                drop(ready.send(Err(StoreError::Unreachable {
                    place,
                    hint,
                    source: Some(error.into()),
                })));
            }
        }
        // First the lock, then the word that it is free.
        drop(lock);
        told.send_replace(Health::Ended);
    }

    async fn work(mut self, ready: oneshot::Sender<Result<(), StoreError>>) {
        let mut desk = match self.open().await {
            Ok(desk) => desk,
            // The caller hears it; when it has gone nobody needs to.
            Err(error) => return drop(ready.send(Err(error))),
        };
        if ready.send(Ok(())).is_err() {
            return;
        }
        let mut breaks = 0;
        let mut back = Vec::new();
        while let Some(jobs) = self.next(&mut desk, std::mem::take(&mut back)).await {
            match self.batch(&mut desk, jobs).await {
                Ending::Answered => breaks = 0,
                Ending::Full => self.tell(Health::Full),
                Ending::Broken(jobs) => {
                    breaks += 1;
                    back = jobs;
                    if breaks >= MAX_BREAKS || !self.reopen(&mut desk).await {
                        break;
                    }
                }
                Ending::Lost => break,
            }
        }
        self.close(desk, back).await;
    }

    async fn open(&self) -> Result<Desk, StoreError> {
        let conn = connect(&self.location, Role::Write, &self.config).await?;
        let place = Place::of(&self.location)?;
        let now = Instant::now();
        Ok(Desk {
            conn,
            place,
            used_at: now,
            has_log: false,
            optimized_at: now,
            is_optimize_due: false,
            is_filled: false,
        })
    }

    /// Replaces a connection that must not be used any more; false when there is no other to be had.
    async fn reopen(&self, desk: &mut Desk) -> bool {
        desk.conn.interrupt().raise();
        match self.open().await {
            // A file of the same name that is another one is not our database.
            Ok(fresh) if fresh.place == desk.place => {
                tracing::warn!("the database writer has a new connection");
                *desk = fresh;
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "the database writer has lost its connection"
                );
                false
            }
        }
    }

    /// The next batch: what came back from the last one, and what is queued. None when it is time to end.
    async fn next(&mut self, desk: &mut Desk, mut back: Vec<Job>) -> Option<Vec<Job>> {
        let mut fresh: Vec<Box<dyn Work>> = Vec::new();
        while back.is_empty() && fresh.is_empty() {
            let is_log_due = desk.has_log && desk.conn.engine() == Engine::Sqlite;
            tokio::select! {
                biased;
                taken = self.queued.recv_many(&mut fresh, MAX_BATCH) => if taken == 0 { return None },
                _ = self.stopped.recv() => {
                    // Refuses what comes now; what is queued already is served before `recv_many` says 0.
                    self.queued.close();
                    self.queued.recv_many(&mut fresh, MAX_BATCH).await;
                    if fresh.is_empty() {
                        return None;
                    }
                }
                () = tokio::time::sleep(CHECKPOINT_AFTER), if is_log_due => tidy(desk, "PASSIVE").await,
            }
        }
        back.extend(fresh.into_iter().map(Job::new));
        Some(back)
    }

    async fn batch(&self, desk: &mut Desk, jobs: Vec<Job>) -> Ending {
        if !desk.place.is_in_place() || !self.is_alive(desk).await {
            return Ending::Broken(jobs);
        }
        let filler = self.hinder(desk).await;
        let count = jobs.len() as u64;
        let Desk { conn, place, .. } = desk;
        let terms = Terms {
            job_limit: self.config.write_limit,
            is_in_place: &|| place.is_in_place(),
            filler,
        };
        let began = Instant::now();
        let ending = batch::run(conn, jobs, &terms).await;
        desk.used_at = Instant::now();
        desk.has_log = true;
        if matches!(ending, Ending::Answered) {
            self.figures.note(count, began.elapsed());
            self.tell(Health::Well);
        }
        ending
    }

    /// Suffers what a drill wants: waits, and tells what is to leave no space for the next batch.
    async fn hinder(&self, desk: &mut Desk) -> Option<&'static str> {
        let database = self.hindrance.get()?;
        let drag = database.drag();
        if !drag.is_zero() {
            tokio::time::sleep(drag).await;
        }
        let is_full = database.is_full() && desk.conn.engine() == Engine::Sqlite;
        if desk.is_filled && !is_full {
            noted(desk.conn.script(crate::store::LET_GROW).await);
        }
        desk.is_filled = is_full;
        is_full.then_some(crate::store::FILL)
    }

    fn tell(&self, health: Health) {
        self.told
            .send_if_modified(|told| std::mem::replace(told, health) != health);
    }

    /// Whether a connection that has been idle is still there, before work is entrusted to it.
    async fn is_alive(&self, desk: &mut Desk) -> bool {
        if desk.conn.engine() == Engine::Sqlite || desk.used_at.elapsed() < PING_AFTER {
            return true;
        }
        let answered = timeout(
            self.config.connect_limit,
            crate::store::ping_on(&mut desk.conn),
        )
        .await;
        matches!(answered, Ok(Ok(())))
    }

    /// Tells everybody who still waits, and says goodbye to the database.
    async fn close(mut self, mut desk: Desk, back: Vec<Job>) {
        self.queued.close();
        let unavailable = DbError::Unavailable {
            retry_after: LOST_RETRY,
        };
        batch::fail_all(back, &unavailable);
        while let Some(work) = self.queued.recv().await {
            work.fail(unavailable.clone(), unavailable.setback());
        }
        if desk.conn.fault().is_none() && desk.place.is_in_place() {
            desk.is_optimize_due = true;
            tidy(&mut desk, "TRUNCATE").await;
        }
        if timeout(self.config.connect_limit, desk.conn.close())
            .await
            .is_err()
        {
            tracing::warn!("the database writer's connection did not close in time");
        }
    }
}

/// Brings the write-ahead log into the database file, and once a day looks at the statistics. A failure costs nothing: the
/// log stays, and is tried again.
async fn tidy(desk: &mut Desk, mode: &str) {
    desk.has_log = false;
    if desk.conn.engine() == Engine::Postgres {
        return;
    }
    if desk.is_optimize_due || desk.optimized_at.elapsed() >= OPTIMIZE_EVERY {
        desk.optimized_at = Instant::now();
        noted(desk.conn.script("PRAGMA optimize").await);
    }
    noted(
        desk.conn
            .script(&format!("PRAGMA wal_checkpoint({mode})"))
            .await,
    );
}

fn noted(done: Result<(), DbError>) {
    if let Err(error) = done {
        tracing::debug!(error = chain(&error), "the database could not be tidied up");
    }
}

impl Figures {
    fn note(&self, writes: u64, took: Duration) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(writes, Ordering::Relaxed);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let before = self.commit_us.load(Ordering::Relaxed);
        let average = if before == 0 {
            took_us
        } else {
            before - before / 8 + took_us / 8
        };
        self.commit_us.store(average, Ordering::Relaxed);
    }
}
