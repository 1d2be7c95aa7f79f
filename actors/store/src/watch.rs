//! How the manager sees the database: what there is to see, and the figures.

use std::sync::Arc;
use std::time::Duration;

use ground::db::{Backend, Engine};
use ground::{Db, DbError, Micros};
use rustix::fs::statvfs;
use supervisor::Dependency;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::config::StoreConfig;
use crate::connect::{Role, connect};
use crate::error::{StoreError, chain};
use crate::location::Location;
use crate::place::Place;
use crate::store;
use crate::types::{Probe, Stats};
use crate::writer::{Figures, Health};

/// Reading connections that were idle for that long are closed.
const IDLE_LIMIT: Duration = Duration::from_mins(1);

/// What the database looks like.
#[derive(Debug)]
pub(crate) enum Sight {
    /// It reads and writes.
    Well,
    /// It answers, but all connections are taken or a small read takes too long.
    Slow,
    /// No space is left for writes.
    Full,
    /// It is away.
    Lost(StoreError),
}

/// What is looked at.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) db: Db,
    pub(crate) location: Location,
    pub(crate) config: StoreConfig,
    pub(crate) place: Place,
    pub(crate) database: Dependency,
    pub(crate) health: watch::Receiver<Health>,
    pub(crate) figures: Arc<Figures>,
}

impl View {
    /// Waits until something hints at trouble. False when the writer's thread has gone, and will hint no more.
    pub(crate) async fn hint(&mut self) -> bool {
        tokio::select! {
            () = self.db.suspected() => true,
            changed = self.health.changed() => changed.is_ok(),
        }
    }

    /// Looks at the database.
    pub(crate) async fn look(&mut self) -> Sight {
        let health = *self.health.borrow_and_update();
        if health == Health::Ended || self.health.has_changed().is_err() {
            return self
                .look_again()
                .await
                .unwrap_or_else(|| self.lost_with("its writer has ended"));
        }
        if !self.place.is_in_place() {
            return self.lost_with(
                "the file was moved, deleted or replaced while it was in use; put it back",
            );
        }
        let seen = match timeout(self.config.probe_limit, store::ping(&self.db)).await {
            Ok(Ok(())) => Sight::Well,
            Ok(Err(DbError::Failed(_))) => self.damaged(),
            // A connection that lay idle may be stale while the database is well.
            Ok(Err(DbError::Unavailable { .. })) => self.look_again().await.unwrap_or(Sight::Well),
            Ok(Err(_)) | Err(_) => self.look_again().await.unwrap_or(Sight::Slow),
        };
        if let Ok(backend) = self.db.backend() {
            backend.readers.trim(IDLE_LIMIT).await;
        }
        // Where a drill fills the disk and nobody writes, this is who finds out.
        let may_be_full = health == Health::Full || self.database.is_full();
        match seen {
            Sight::Well | Sight::Slow if may_be_full => self.try_to_write().await,
            seen => seen,
        }
    }

    /// Tries a connection of its own, which neither a taken pool nor a stale connection stands in the way of; nothing when
    /// the database answers there.
    async fn look_again(&self) -> Option<Sight> {
        let looking = async {
            let mut conn = connect(&self.location, Role::Inspect, &self.config).await?;
            let answered = store::ping_on(&mut conn).await;
            conn.close().await;
            answered.map_err(|error| {
                StoreError::of_statement(
                    &self.location.to_string(),
                    crate::migrate::backups_of(&self.location),
                    error,
                    None,
                )
            })
        };
        match timeout(self.config.probe_limit, looking).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Sight::of(error)),
            Err(_) => {
                Some(self.lost_with(&format!("no answer within {:?}", self.config.probe_limit)))
            }
        }
    }

    async fn try_to_write(&self) -> Sight {
        match store::write_probe(&self.db, Micros::now()).await {
            Ok(()) => Sight::Well,
            Err(_) => Sight::Full,
        }
    }

    fn lost_with(&self, hint: &str) -> Sight {
        let (place, hint) = (self.location.to_string(), hint.to_owned());
        Sight::of(StoreError::Unreachable {
            place,
            hint,
            source: None,
        })
    }

    /// The table that every opened database has is not there.
    fn damaged(&self) -> Sight {
        let (place, backups) = (
            self.location.to_string(),
            crate::migrate::backups_of(&self.location),
        );
        Sight::of(StoreError::Damaged {
            place,
            backups,
            source: None,
        })
    }

    /// Reads and writes a little.
    pub(crate) async fn probe(self) -> Result<Probe, DbError> {
        let began = Instant::now();
        store::ping(&self.db).await?;
        let read_us = micros(began.elapsed());
        let began = Instant::now();
        store::write_probe(&self.db, Micros::now()).await?;
        Ok(Probe {
            read_us,
            write_us: micros(began.elapsed()),
        })
    }

    /// Figures about the database.
    pub(crate) async fn stats(self) -> Result<Stats, DbError> {
        use std::sync::atomic::Ordering::Relaxed;
        let backend = self.db.backend()?;
        let engine = backend.engine;
        Ok(Stats {
            engine: engine.name(),
            engine_version: store::engine_version(&self.db, engine).await?,
            place: self.location.to_string(),
            schema_version: store::schema_version(&self.db).await?,
            size_bytes: store::size_bytes(&self.db, engine).await?,
            log_bytes: self.log_bytes(),
            free_bytes: self.free_bytes(),
            queue_depth: queue_depth(&backend),
            queue_limit: self.config.write_queue,
            writes: self.figures.writes.load(Relaxed),
            batches: self.figures.batches.load(Relaxed),
            sync_us: self.figures.commit_us.load(Relaxed),
        })
    }

    /// The size of the write-ahead log, for SQLite.
    pub(crate) fn log_bytes(&self) -> Option<u64> {
        let mut log = self.location.file()?.as_os_str().to_owned();
        log.push("-wal");
        Some(std::fs::metadata(log).map_or(0, |found| found.len()))
    }

    /// The space that is left on the device of the file, for SQLite.
    fn free_bytes(&self) -> Option<u64> {
        let space = statvfs(self.location.file()?).ok()?;
        Some(space.f_bavail.saturating_mul(space.f_frsize))
    }

    pub(crate) const fn engine(&self) -> Engine {
        self.location.engine()
    }
}

impl Sight {
    fn of(error: StoreError) -> Self {
        tracing::debug!(error = chain(&error), "the database does not look well");
        Self::Lost(error)
    }
}

/// Writes that wait.
pub(crate) fn queue_depth(backend: &Backend) -> u32 {
    let depth = backend.writes.max_capacity() - backend.writes.capacity();
    u32::try_from(depth).unwrap_or(u32::MAX)
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
