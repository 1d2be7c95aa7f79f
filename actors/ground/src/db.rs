//! The database as a domain sees it: one handle, one text per statement, two engines.
//!
//! Why not the drivers' own types: everything there is generic over the database, so each query would be written twice
//! or drag a type parameter through every domain. Here a statement is a string with `$1…$n`, its arguments are
//! [`args!`](crate::args), its rows are read through [`FromRow`], and SQLite and PostgreSQL both take it.
//!
//! Promises:
//! - A write that was answered with `Ok` is on disk.
//! - Reads never wait for writes, nor the other way round; a [`Snapshot`] sees one moment.
//! - All writes go through one queue, in order, and share commits: see [`Work`]. A failing one does not harm the others.
//! - Everything is bounded: the queue, the waiting readers, and the time that either may take.
//! - How each statement ended is heard by whoever owns the database ([`OnOutcome`]), who lets it go when too many fail.
//! - While the database is away everything answers [`DbError::Unavailable`] at once.
//!
//! The handle is made empty at wiring time, before anything runs. The store domain fills it when the database is open
//! and empties it when it is lost; whoever holds a clone needs not know.

mod conn;
mod error;
mod pool;
mod row;
mod snapshot;
#[cfg(test)]
mod tests;
mod value;
mod work;

pub use conn::{Conn, Engine, Interrupt};
pub use error::{BUSY_RETRY, DbError, Fault, LOST_RETRY, Setback, classify};
pub use pool::{Connect, Lease, Pool};
pub use row::{At, Column, FromRow, Row};
pub use snapshot::Snapshot;
pub use value::{Bind, Kind, Value};
pub use work::{Running, Verdict, Work};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

/// One statement on a read connection, within the limit: how the database failed it, and its result. A connection that lay idle may have been closed from the
/// other side: then another one is tried. A macro, since a closure that borrows its arguments would make the future one that
/// the compiler cannot prove to cross threads.
macro_rules! ended {
    ($db:ident, $backend:ident, $lease:ident => $statement:expr) => {{
        let reading = async {
            $backend.lag().await;
            loop {
                let mut $lease = match $backend.readers.lease().await {
                    Ok(lease) => lease,
                    // It never came to the database, and tells nothing of it.
                    Err(busy @ DbError::Busy { .. }) => return Err(busy),
                    Err(error) => return Ok((error.setback(), Err(error))),
                };
                $lease.enter();
                let result = $statement.await;
                $lease.leave();
                if $lease.fault() == Some(Fault::Lost) && $lease.is_reused() {
                    continue;
                }
                $db.watch(&$lease);
                return Ok(($lease.take_setback(), result));
            }
        };
        timeout($backend.read_limit, reading)
            .await
            .unwrap_or_else(|_| Ok((Some(Setback::Overdue), Err($db.overdue()))))
    }};
}

/// The same, and told of.
macro_rules! reading {
    ($db:ident, $lease:ident => $statement:expr) => {{
        let backend = $db.backend()?;
        let began = Instant::now();
        let (setback, result) = ended!($db, backend, $lease => $statement)?;
        backend.tell(began, setback);
        result
    }};
}

/// The database. Cheap to clone; all clones are the same slot.
#[derive(Clone)]
pub struct Db(Arc<Slot>);

struct Slot {
    backend: ArcSwapOption<Backend>,
    /// When callers should come back while there is no backend, in milliseconds.
    retry_after_ms: AtomicU64,
    /// Rung when a statement met a broken connection, or ran out of time.
    suspicion: Notify,
    /// Rises with each committed write that rang.
    bell: Arc<watch::Sender<u64>>,
}

/// An opened database: what the store fills the handle with.
pub struct Backend {
    /// Which engine it is.
    pub engine: Engine,
    /// The connections for reading.
    pub readers: Pool,
    /// The queue of the writer.
    pub writes: mpsc::Sender<Box<dyn Work>>,
    /// How long a read may take, the wait for a connection included.
    pub read_limit: Duration,
    /// How long a write may take, the wait in the queue included.
    pub write_limit: Duration,
    /// How much longer each read takes at this moment: nothing, but in a drill.
    pub drag: Drag,
    /// Hears how each statement ended that the database was asked for.
    pub on_outcome: OnOutcome,
}

/// Tells a delay that a drill wants, at this moment.
pub type Drag = Box<dyn Fn() -> Duration + Send + Sync>;

/// Hears how long a statement took, as its caller saw it (with the wait for a connection, or in the queue and for the commit), and
/// how the database failed it, if it did. Called for every read and write where it ends: it must be quick, and never wait.
pub type OnOutcome = Box<dyn Fn(Duration, Option<Setback>) + Send + Sync>;

impl Backend {
    /// Suffers the delay of a drill, before a connection is taken.
    async fn lag(&self) {
        let drag = (self.drag)();
        if !drag.is_zero() {
            tokio::time::sleep(drag).await;
        }
    }

    /// Tells how a statement ended that began then.
    fn tell(&self, began: Instant, setback: Option<Setback>) {
        (self.on_outcome)(began.elapsed(), setback);
    }
}

impl Db {
    /// A handle without a database behind it: everything answers [`DbError::Unavailable`] until the store fills it.
    pub fn vacant() -> Self {
        Self(Arc::new(Slot {
            backend: ArcSwapOption::empty(),
            retry_after_ms: AtomicU64::new(1000),
            suspicion: Notify::new(),
            bell: Arc::new(watch::Sender::new(0)),
        }))
    }

    /// The engine behind the handle, while there is one.
    pub fn engine(&self) -> Option<Engine> {
        self.0.backend.load().as_ref().map(|backend| backend.engine)
    }

    /// Reads all rows of one statement; bound them with a `LIMIT`.
    ///
    /// # Errors
    /// Any [`DbError`] but `Conflict`.
    pub async fn fetch_all<T: FromRow>(
        &self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<Vec<T>, DbError> {
        reading!(self, lease => lease.fetch_all(sql, args))
    }

    /// Reads the first row of one statement, if there is one.
    ///
    /// # Errors
    /// Any [`DbError`] but `Conflict`.
    pub async fn fetch_optional<T: FromRow>(
        &self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<Option<T>, DbError> {
        reading!(self, lease => lease.fetch_optional(sql, args))
    }

    /// Reads the row of a statement that always has one, a count for example.
    ///
    /// # Errors
    /// Any [`DbError`] but `Conflict`.
    pub async fn fetch_one<T: FromRow>(
        &self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<T, DbError> {
        reading!(self, lease => lease.fetch_one(sql, args))
    }

    /// As [`Db::fetch_one`], for whoever looks whether the database is well, and counts the looks otherwise: how it ended is not told.
    ///
    /// # Errors
    /// Any [`DbError`] but `Conflict`.
    pub async fn look<T: FromRow>(
        &self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<T, DbError> {
        let backend = self.backend()?;
        let (_, result) = ended!(self, backend, lease => lease.fetch_one(sql, args))?;
        result
    }

    /// Begins to read: all that is read through the snapshot is of the same moment. Give it back with [`Snapshot::end`];
    /// dropping it is safe but closes its connection.
    ///
    /// # Errors
    /// Any [`DbError`] but `Conflict`.
    pub async fn snapshot(&self) -> Result<Snapshot, DbError> {
        let backend = self.backend()?;
        Snapshot::begin(self.clone(), backend).await
    }

    /// Writes with one statement and tells how many rows it changed, once they are on disk.
    ///
    /// # Errors
    /// Any [`DbError`]. After `Deadline` or `Unavailable` the write may have happened all the same.
    pub async fn execute(&self, sql: &'static str, args: &[Value<'_>]) -> Result<u64, DbError> {
        let args = value::owned(args);
        self.submit(|reply| {
            Box::new(work::Single {
                sql,
                args,
                kept: None,
                reply,
            })
        })
        .await
    }

    /// Writes with several statements: all of them happen or, when the closure returns an error, none. The closure may be
    /// run **twice**; it must have no other effect than its statements. A failed statement fails the write: PostgreSQL
    /// accepts nothing after it, so that a closure that returns `Ok` all the same is undone too (use `ON CONFLICT`). The
    /// answer comes when the changes are on disk.
    ///
    /// # Errors
    /// What the closure returns, and any [`DbError`]. After `Deadline` or `Unavailable` from here (not from a statement
    /// in the closure) the write may have happened all the same.
    pub async fn write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: AsyncFn(&mut Conn) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.submit(|reply| {
            Box::new(work::Closure {
                body,
                kept: None,
                reply,
                bell: Arc::clone(&self.0.bell),
                rings: false,
            })
        })
        .await
    }

    /// Hears of every write of this process, committed from now on, that rang ([`Conn::ring`]): work may be waiting. What other
    /// processes write is not heard here, and neither is a write whose outcome nobody knows.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.0.bell.subscribe()
    }

    /// Fills the handle: from now on everybody uses this database. For the store alone, as are those below.
    pub fn install(&self, backend: Backend) {
        self.0.backend.store(Some(Arc::new(backend)));
    }

    /// Empties the handle, if it is full, and hands out what was in it; callers are told to come back after
    /// `retry_after`.
    pub fn vacate(&self, retry_after: Duration) -> Option<Arc<Backend>> {
        let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
        self.0
            .retry_after_ms
            .store(retry_after_ms, Ordering::Relaxed);
        self.0.backend.swap(None)
    }

    /// What the handle is filled with.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] while it is empty.
    pub fn backend(&self) -> Result<Arc<Backend>, DbError> {
        let retry_after = || Duration::from_millis(self.0.retry_after_ms.load(Ordering::Relaxed));
        self.0
            .backend
            .load_full()
            .ok_or_else(|| DbError::Unavailable {
                retry_after: retry_after(),
            })
    }

    /// Waits until a statement meets a broken connection or runs out of time: reason to look at the database now rather than later.
    pub async fn suspected(&self) {
        self.0.suspicion.notified().await;
    }

    fn watch(&self, conn: &Conn) {
        if conn.fault().is_some() {
            self.0.suspicion.notify_one();
        }
    }

    /// The error of a statement whose time ran out: reason to look at the database, too.
    fn overdue(&self) -> DbError {
        self.0.suspicion.notify_one();
        DbError::Deadline
    }

    /// Queues a write and waits for its answer.
    async fn submit<T, E>(
        &self,
        work: impl FnOnce(work::Reply<T, E>) -> Box<dyn Work>,
    ) -> Result<T, E>
    where
        E: From<DbError>,
    {
        let backend = self.backend()?;
        let began = Instant::now();
        let (reply, answer) = oneshot::channel();
        let (setback, result) = match backend.writes.try_send(work(reply)) {
            Ok(()) => match timeout(backend.write_limit, answer).await {
                Ok(Ok(answer)) => (answer.setback, answer.result),
                // The writer ended with the job in its hands.
                Ok(Err(_)) => (Some(Setback::Away), Err(lost().into())),
                Err(_) => (Some(Setback::Overdue), Err(self.overdue().into())),
            },
            Err(TrySendError::Closed(_)) => (Some(Setback::Away), Err(lost().into())),
            // It never came to the database, and tells nothing of it.
            Err(TrySendError::Full(_)) => return Err(busy().into()),
        };
        backend.tell(began, setback);
        result
    }
}

const fn busy() -> DbError {
    DbError::Busy {
        retry_after: BUSY_RETRY,
    }
}

const fn lost() -> DbError {
    DbError::Unavailable {
        retry_after: LOST_RETRY,
    }
}

impl Default for Db {
    fn default() -> Self {
        Self::vacant()
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Db").field(&self.engine()).finish()
    }
}
