//! The whole of opening a database, in order: lock, migrate, writer, readers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ground::db::{Backend, Engine, LOST_RETRY, Pool};
use ground::{Db, DbError};
use supervisor::Dependency;

use crate::config::StoreConfig;
use crate::connect::{Role, connect};
use crate::error::{StoreError, chain};
use crate::location::Location;
use crate::lock::DatabaseLock;
use crate::migrate::{self, EMBEDDED, Report};
use crate::place::Place;
use crate::statement::Statement;
use crate::writer::Writer;

/// How long to wait for a former owner of the file to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A database that is open and fits the binary.
pub(crate) struct Opened {
    pub(crate) writer: Writer,
    pub(crate) readers: Pool,
    pub(crate) place: Place,
    pub(crate) report: Report,
}

/// Opens the database; makes it when it is embedded and not there yet.
///
/// # Errors
/// Any [`StoreError`].
pub(crate) async fn open(location: &Location, config: &StoreConfig) -> Result<Opened, StoreError> {
    let lock = DatabaseLock::acquire(location, PATIENCE).await?;
    let report = migrate::up_with(location, config, EMBEDDED).await?;
    finish_opening(location, config, lock, report).await
}

/// Opens a database again that was lost while it was in use. A file that is gone is not made anew, and one that is there is
/// looked through first: what made it go away may have damaged it.
///
/// # Errors
/// Any [`StoreError`].
pub(crate) async fn reopen(
    location: &Location,
    config: &StoreConfig,
) -> Result<Opened, StoreError> {
    Place::of(location)?;
    let lock = DatabaseLock::acquire(location, PATIENCE).await?;
    migrate::recheck(location, config).await?;
    let report = migrate::up_with(location, config, EMBEDDED).await?;
    finish_opening(location, config, lock, report).await
}

async fn finish_opening(
    location: &Location,
    config: &StoreConfig,
    lock: DatabaseLock,
    report: Report,
) -> Result<Opened, StoreError> {
    let place = Place::of(location)?;
    let writer = Writer::start(location.clone(), config.clone(), lock).await?;
    Ok(Opened {
        writer,
        readers: readers(location, config),
        place,
        report,
    })
}

/// The pool of connections for reading. What goes wrong there is logged here: a reader only hears that the database is away.
fn readers(location: &Location, config: &StoreConfig) -> Pool {
    let surroundings = Arc::new((location.clone(), config.clone()));
    let connect = move || {
        let surroundings = Arc::clone(&surroundings);
        let connecting = async move {
            let (location, config) = &*surroundings;
            connect(location, Role::Read, config)
                .await
                .map_err(|error| {
                    tracing::warn!(error = chain(&error), "no connection for reading");
                    DbError::Unavailable {
                        retry_after: LOST_RETRY,
                    }
                })
        };
        Box::pin(connecting) as _
    };
    Pool::new(config.read_connections, Box::new(connect))
}

impl Opened {
    /// Fills the handle; what stays with the manager is the writer and the file's place.
    /// Drills reach the database through `database`, which hears how each statement ends.
    pub(crate) fn install(
        self,
        db: &Db,
        engine: Engine,
        config: &StoreConfig,
        database: &Dependency,
    ) -> (Writer, Place) {
        self.writer.hindered_by(database.clone());
        let (drag, heard) = (database.clone(), database.clone());
        db.install(Backend {
            engine,
            readers: self.readers,
            writes: self.writer.queue.clone(),
            read_limit: config.read_limit,
            write_limit: config.write_limit,
            drag: Box::new(move || drag.drag()),
            on_outcome: Box::new(move |took, setback| {
                heard.heard(took, setback.map(Statement).as_ref());
            }),
        });
        (self.writer, self.place)
    }
}

/// Empties the handle, has the writer finish what is queued and closes everything, within `limit`.
pub(crate) async fn close(db: &Db, writer: Writer, limit: Duration) {
    let backend = db.vacate(LOST_RETRY);
    writer.finish(limit).await;
    if let Some(backend) = backend
        && tokio::time::timeout(limit, backend.readers.close())
            .await
            .is_err()
    {
        tracing::warn!("the connections for reading did not close in time");
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}
