//! Applies and undoes steps on a real database.

use std::path::PathBuf;
use std::time::Duration;

use ground::db::{Conn, Engine, classify};
use ground::{DbError, Micros};

use super::plan::{self, EMBEDDED, Entry, Standing, Status, Step};
use super::{Migration, backup};
use crate::config::StoreConfig;
use crate::connect::{Role, connect};
use crate::error::StoreError;
use crate::location::Location;
use crate::lock::DatabaseLock;
use crate::store;

/// How long an offline command waits for a daemon that is just stopping.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The version before; 0 for a new database.
    pub from: u32,
    /// The version after.
    pub to: u32,
    /// The steps that were applied or undone, in that order, as paths under `migrations/`.
    pub steps: Vec<String>,
    /// The backup that was made before.
    pub backup: Option<PathBuf>,
}

/// Tells how every step stands. Changes nothing, and needs no lock.
///
/// # Errors
/// [`StoreError`] when the database cannot be read. Edited and unknown steps are no error here: they are told.
pub async fn status(location: &Location) -> Result<Status, StoreError> {
    if location
        .file()
        .is_some_and(|file| matches!(file.try_exists(), Ok(false)))
    {
        return Ok(report_on(location, EMBEDDED, &[]));
    }
    let mut conn = connect(location, Role::Inspect, &StoreConfig::default()).await?;
    let applied = Session {
        location,
        conn: &mut conn,
    }
    .history()
    .await;
    conn.close().await;
    Ok(report_on(location, EMBEDDED, &applied?))
}

/// Checks that the database fits this binary, and an SQLite file also from end to end. Changes nothing.
///
/// # Errors
/// [`StoreError::Newer`], `Edited`, `Damaged`, `NotADatabase`, or that it cannot be read.
pub async fn verify(location: &Location) -> Result<Status, StoreError> {
    let mut conn = connect(location, Role::Inspect, &StoreConfig::default()).await?;
    let mut session = Session {
        location,
        conn: &mut conn,
    };
    let verified = async {
        let applied = session.check(EMBEDDED).await?;
        session.check_content().await?;
        Ok(report_on(location, EMBEDDED, &applied))
    };
    let verified = verified.await;
    conn.close().await;
    verified
}

/// Applies all pending steps, as a command beside a daemon that is not running. Makes the database if there is none.
///
/// # Errors
/// Any [`StoreError`]; [`StoreError::InUse`] while a daemon works on the same file.
pub async fn up(location: &Location) -> Result<Report, StoreError> {
    let _lock = DatabaseLock::acquire(location, PATIENCE).await?;
    up_with(location, &StoreConfig::default(), EMBEDDED).await
}

/// Undoes all steps above `target`, newest first, after a backup. **The data in what they made is lost.**
///
/// # Errors
/// Any [`StoreError`]; [`StoreError::InUse`] while a daemon works on the same file.
pub async fn down(location: &Location, target: u32) -> Result<Report, StoreError> {
    let _lock = DatabaseLock::acquire(location, PATIENCE).await?;
    down_with(location, target, EMBEDDED).await
}

/// Looks an SQLite file through, faster than [`verify`], before it is used again after trouble.
///
/// # Errors
/// [`StoreError::Damaged`], or that it cannot be read.
pub(crate) async fn recheck(location: &Location, config: &StoreConfig) -> Result<(), StoreError> {
    if location.engine() == Engine::Postgres {
        return Ok(());
    }
    let mut conn = connect(location, Role::Write, config).await?;
    let session = Session {
        location,
        conn: &mut conn,
    };
    let checked = match store::quick_check(session.conn).await {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(session.damaged(found)),
        Err(error) => Err(session.failed(error)),
    };
    conn.close().await;
    checked
}

/// As [`up`], by a caller that holds the lock.
pub(crate) async fn up_with(
    location: &Location,
    config: &StoreConfig,
    embedded: &[Migration],
) -> Result<Report, StoreError> {
    let mut conn = connect(location, Role::Migrate, config).await?;
    let mut session = Session {
        location,
        conn: &mut conn,
    };
    let done = session.up(embedded).await;
    conn.close().await;
    done
}

pub(crate) async fn down_with(
    location: &Location,
    target: u32,
    embedded: &[Migration],
) -> Result<Report, StoreError> {
    let mut conn = connect(location, Role::Migrate, &StoreConfig::default()).await?;
    let mut session = Session {
        location,
        conn: &mut conn,
    };
    let done = session.down(target, embedded).await;
    conn.close().await;
    done
}

fn report_on(location: &Location, embedded: &[Migration], applied: &[Entry]) -> Status {
    let engine = location.engine();
    Status {
        engine: engine.name(),
        place: location.to_string(),
        version: highest(applied),
        steps: plan::steps(engine, embedded, applied),
    }
}

fn highest(applied: &[Entry]) -> u32 {
    applied.iter().map(|entry| entry.version).max().unwrap_or(0)
}

/// Which way a step goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// A connection that migrates, and where to.
struct Session<'a> {
    location: &'a Location,
    conn: &'a mut Conn,
}

impl Session<'_> {
    async fn up(&mut self, embedded: &[Migration]) -> Result<Report, StoreError> {
        let applied = self.check(embedded).await?;
        let is_pending = |migration: &&Migration| {
            applied
                .iter()
                .all(|entry| entry.version != migration.version)
        };
        let pending: Vec<&Migration> = embedded.iter().filter(is_pending).collect();
        let from = highest(&applied);
        let to = pending.last().map_or(from, |last| last.version.max(from));
        let mut report = Report {
            from,
            to,
            steps: Vec::new(),
            backup: None,
        };
        if pending.is_empty() {
            return Ok(report);
        }
        if from > 0 {
            report.backup =
                backup::before_migration(self.location, self.conn, (from, to), Micros::now())
                    .await?;
        }
        self.ensure_history().await?;
        for migration in pending {
            if self.step(migration, Way::Up).await? {
                report.steps.push(migration.path(self.engine()));
            }
        }
        Ok(report)
    }

    async fn down(&mut self, target: u32, embedded: &[Migration]) -> Result<Report, StoreError> {
        let applied = self.check(embedded).await?;
        let is_above = |migration: &&Migration| {
            migration.version > target
                && applied
                    .iter()
                    .any(|entry| entry.version == migration.version)
        };
        let above: Vec<&Migration> = embedded.iter().rev().filter(is_above).collect();
        let from = highest(&applied);
        let remaining: Vec<Entry> = applied
            .into_iter()
            .filter(|entry| entry.version <= target)
            .collect();
        let mut report = Report {
            from,
            to: highest(&remaining),
            steps: Vec::new(),
            backup: None,
        };
        if above.is_empty() {
            return Ok(report);
        }
        report.backup =
            backup::before_migration(self.location, self.conn, (from, report.to), Micros::now())
                .await?;
        for migration in above {
            if self.step(migration, Way::Down).await? {
                report.steps.push(migration.path(self.engine()));
            }
        }
        Ok(report)
    }

    const fn engine(&self) -> Engine {
        self.location.engine()
    }

    /// Refuses a database that is not ours, newer, or has an edited step; tells its history otherwise.
    async fn check(&mut self, embedded: &[Migration]) -> Result<Vec<Entry>, StoreError> {
        self.check_identity().await?;
        let applied = self.history().await?;
        let engine = self.engine();
        let steps = plan::steps(engine, embedded, &applied);
        let place = self.location.to_string();
        let first = |standing: Standing| {
            let step: Option<&Step> = steps.iter().find(|step| step.standing == standing);
            step.map(|step| plan::path(engine, &step.domain, step.version, &step.name))
        };
        if let Some(migration) = first(Standing::Unknown) {
            return Err(StoreError::Newer { place, migration });
        }
        if let Some(migration) = first(Standing::Edited) {
            return Err(StoreError::Edited { place, migration });
        }
        Ok(applied)
    }

    async fn check_identity(&mut self) -> Result<(), StoreError> {
        if self.engine() == Engine::Postgres {
            return Ok(());
        }
        let (application_id, objects) = store::identity(self.conn)
            .await
            .map_err(|error| self.failed(error))?;
        let is_new = application_id == 0 && objects == 0;
        if is_new || application_id == store::APPLICATION_ID {
            return Ok(());
        }
        let found = "an SQLite database of another program";
        Err(StoreError::NotADatabase {
            place: self.location.to_string(),
            found,
        })
    }

    async fn check_content(&mut self) -> Result<(), StoreError> {
        if self.engine() == Engine::Postgres {
            return Ok(());
        }
        let found = store::integrity(self.conn)
            .await
            .map_err(|error| self.failed(error))?;
        let dangling = store::dangling_reference(self.conn)
            .await
            .map_err(|error| self.failed(error))?;
        let fault = match dangling {
            _ if found != "ok" => Some(found),
            Some(table) => Some(format!("a row of {table} refers to one that is gone")),
            None => None,
        };
        fault.map_or(Ok(()), |fault| Err(self.damaged(fault)))
    }

    fn damaged(&self, fault: String) -> StoreError {
        let place = self.location.to_string();
        StoreError::Damaged {
            place,
            backups: backup::folder(self.location),
            source: Some(fault.into()),
        }
    }

    async fn history(&mut self) -> Result<Vec<Entry>, StoreError> {
        let is_there = store::has_history(self.conn)
            .await
            .map_err(|error| self.failed(error))?;
        if !is_there {
            return Ok(Vec::new());
        }
        store::history(self.conn)
            .await
            .map_err(|error| self.failed(error))
    }

    async fn ensure_history(&mut self) -> Result<(), StoreError> {
        let made = async {
            store::begin_step(self.conn).await?;
            if !store::has_history(self.conn).await? {
                store::create_history(self.conn).await?;
                self.mark().await?;
            }
            self.conn.script("COMMIT").await
        };
        made.await.map_err(|error| self.failed(error))
    }

    async fn mark(&mut self) -> Result<(), DbError> {
        if self.engine() == Engine::Sqlite {
            store::mark(self.conn).await
        } else {
            Ok(())
        }
    }

    /// Takes one step in its own transaction; false when another process took it in the meantime.
    async fn step(&mut self, migration: &Migration, way: Way) -> Result<bool, StoreError> {
        store::begin_step(self.conn)
            .await
            .map_err(|error| self.failed(error))?;
        let done = self.step_inside(migration, way).await;
        if !matches!(done, Ok(true)) {
            // A connection that cannot even roll back is closed by the caller, which has the same effect.
            drop(self.conn.script("ROLLBACK").await);
        }
        done
    }

    async fn step_inside(&mut self, migration: &Migration, way: Way) -> Result<bool, StoreError> {
        let history = store::history(self.conn)
            .await
            .map_err(|error| self.failed(error))?;
        let is_applied = history
            .iter()
            .any(|entry| entry.version == migration.version);
        if is_applied == (way == Way::Up) {
            return Ok(false);
        }
        let engine = self.engine();
        let script = migration.script(engine);
        let text = if way == Way::Up {
            script.up
        } else {
            script.down
        };
        self.conn
            .script_raw(text)
            .await
            .map_err(|error| self.step_failed(migration, error))?;
        let noted = match way {
            Way::Up => store::record(self.conn, &entry(engine, migration)).await,
            Way::Down => store::forget(self.conn, migration.version).await,
        };
        noted.map_err(|error| self.failed(error))?;
        if engine == Engine::Sqlite {
            self.check_references(migration).await?;
        }
        self.mark().await.map_err(|error| self.failed(error))?;
        self.conn
            .script("COMMIT")
            .await
            .map_err(|error| self.failed(error))?;
        tracing::info!(
            migration = migration.path(engine),
            undone = way == Way::Down,
            "migrated the database"
        );
        Ok(true)
    }

    /// Foreign keys are not enforced during a step of SQLite: nothing may dangle at its end.
    async fn check_references(&mut self, migration: &Migration) -> Result<(), StoreError> {
        let dangling = store::dangling_reference(self.conn)
            .await
            .map_err(|error| self.failed(error))?;
        let Some(table) = dangling else { return Ok(()) };
        Err(StoreError::Migration {
            place: self.location.to_string(),
            migration: migration.path(self.engine()),
            reason: format!("it leaves a row of {table} that refers to one that is gone"),
        })
    }

    fn step_failed(&self, migration: &Migration, error: sqlx::Error) -> StoreError {
        let place = self.location.to_string();
        let reason = error.to_string();
        let (error, fault) = classify(error);
        if fault.is_some() {
            return StoreError::of_statement(&place, backup::folder(self.location), error, fault);
        }
        StoreError::Migration {
            place,
            migration: migration.path(self.engine()),
            reason,
        }
    }

    fn failed(&self, error: DbError) -> StoreError {
        let place = self.location.to_string();
        StoreError::of_statement(
            &place,
            backup::folder(self.location),
            error,
            self.conn.fault(),
        )
    }
}

fn entry(engine: Engine, migration: &Migration) -> Entry {
    Entry {
        version: migration.version,
        domain: migration.domain.to_owned(),
        name: migration.name.to_owned(),
        checksum: migration.checksum(engine),
        applied_at: Micros::now(),
    }
}
