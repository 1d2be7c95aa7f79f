//! The connections for reading: a few, opened when needed and closed when idle.
//!
//! A pool of our own, because a read has a deadline that must *end the statement* and not only the waiting: a read that
//! goes on unseen keeps SQLite's write-ahead log from shrinking and PostgreSQL from vacuuming. A connection whose read was
//! given up is interrupted and closed, never handed to the next reader. There is no task of its own either: the store
//! closes idle connections with [`Pool::trim`].

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::db::error::BUSY_RETRY;
use crate::db::{Conn, DbError, Fault};

/// Opens a connection for reading.
pub type Connect =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Conn, DbError>> + Send>> + Send + Sync>;

/// At most this many readers wait for a connection; the next one is told that the database is busy.
const MAX_WAITING: u32 = 1024;

/// The read connections of one opened database.
pub struct Pool(Arc<Shared>);

struct Shared {
    connect: Connect,
    /// Locked for a push or a pop, never across an await.
    idle: Mutex<Vec<Idle>>,
    permits: Arc<Semaphore>,
    waiting: AtomicU32,
    is_closed: AtomicBool,
}

struct Idle {
    conn: Conn,
    since: Instant,
}

/// A connection that is in use; it returns to the pool when it was [left clean](Lease::leave).
pub struct Lease {
    conn: Option<Conn>,
    is_reused: bool,
    is_clean: bool,
    home: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of at most `limit` connections; none is opened yet.
    pub fn new(limit: u32, connect: Connect) -> Self {
        Self(Arc::new(Shared {
            connect,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(limit.max(1) as usize)),
            waiting: AtomicU32::new(0),
            is_closed: AtomicBool::new(false),
        }))
    }

    /// Takes the connection that was used last, or opens one; waits while all are in use. Cancel-safe.
    ///
    /// # Errors
    /// [`DbError::Busy`] when too many wait already, [`DbError::Unavailable`] when none can be opened.
    pub async fn lease(&self) -> Result<Lease, DbError> {
        let permit = self.permit().await?;
        let reused = self.0.idle().pop().map(|idle| idle.conn);
        let is_reused = reused.is_some();
        let conn = match reused {
            Some(conn) => conn,
            None => (self.0.connect)().await?,
        };
        Ok(Lease {
            conn: Some(conn),
            is_reused,
            is_clean: true,
            home: Arc::clone(&self.0),
            _permit: permit,
        })
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, DbError> {
        if let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = Waiting::enter(&self.0.waiting).ok_or(DbError::Busy {
            retry_after: BUSY_RETRY,
        })?;
        let permit = Arc::clone(&self.0.permits).acquire_owned().await;
        drop(waiting);
        permit.map_err(|_| DbError::Unavailable {
            retry_after: BUSY_RETRY,
        })
    }

    /// Closes the connections that have been idle for that long.
    pub async fn trim(&self, age: Duration) {
        let old: Vec<Idle> = self
            .0
            .idle()
            .extract_if(.., |idle| idle.since.elapsed() >= age)
            .collect();
        for idle in old {
            idle.conn.close().await;
        }
    }

    /// How many connections are open and idle.
    pub fn idle(&self) -> usize {
        self.0.idle().len()
    }

    /// Hands out nothing more and closes what is idle; what is in use is closed when it comes back.
    pub async fn close(&self) {
        self.0.is_closed.store(true, Ordering::Relaxed);
        self.0.permits.close();
        self.trim(Duration::ZERO).await;
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Whether the connection lay idle before, and so may have gone stale.
    pub const fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Says that a statement is about to run: from here on the connection is not clean.
    pub(super) const fn enter(&mut self) {
        self.is_clean = false;
    }

    /// Says that the statement has ended and that no transaction is open.
    pub(super) const fn leave(&mut self) {
        self.is_clean = true;
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("is_clean", &self.is_clean)
            .finish_non_exhaustive()
    }
}

impl Deref for Lease {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        // Taken out in `drop` alone.
        self.conn
            .as_ref()
            .unwrap_or_else(|| unreachable!("the lease has ended"))
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn
            .as_mut()
            .unwrap_or_else(|| unreachable!("the lease has ended"))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        let is_sound = self.is_clean && !matches!(conn.fault(), Some(Fault::Lost | Fault::Damaged));
        if is_sound && !self.home.is_closed.load(Ordering::Relaxed) {
            self.home.idle().push(Idle {
                conn,
                since: Instant::now(),
            });
        } else {
            // Dropping it closes it once its statement has ended, which the interrupt makes soon.
            conn.interrupt().raise();
        }
    }
}

/// Counts one waiting reader, until it is dropped.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicU32) -> Option<Self> {
        let guard = Self(count);
        // The guard takes the count back in either case.
        (count.fetch_add(1, Ordering::Relaxed) < MAX_WAITING).then_some(guard)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
