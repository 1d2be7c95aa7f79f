//! Several reads of one moment.
//!
//! Without it a list and its count may not agree, because somebody wrote between the two statements. A value rather than a
//! closure, so that it can borrow whatever it needs; it has one deadline over all of its reads, since an open snapshot keeps
//! the database from tidying up behind it.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::db::pool::Lease;
use crate::db::{Backend, Conn, Db, DbError, FromRow, Setback, Value};

/// A read transaction.
pub struct Snapshot {
    db: Db,
    backend: Arc<Backend>,
    lease: Lease,
    deadline: Instant,
}

/// One statement within the snapshot's deadline, and told of. A macro, as for the single reads of [`Db`].
macro_rules! reading {
    ($snapshot:ident, $statement:expr) => {{
        let began = Instant::now();
        let (setback, result) = match timeout_at($snapshot.deadline, $statement).await {
            Ok(result) => ($snapshot.lease.take_setback(), result),
            Err(_) => (Some(Setback::Overdue), Err($snapshot.db.overdue())),
        };
        $snapshot.db.watch(&$snapshot.lease);
        $snapshot.backend.tell(began, setback);
        result
    }};
}

impl Snapshot {
    pub(super) async fn begin(db: Db, backend: Arc<Backend>) -> Result<Self, DbError> {
        let began = Instant::now();
        let deadline = began + backend.read_limit;
        let opening = backend
            .engine
            .pick("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        let beginning = async {
            backend.lag().await;
            loop {
                let mut lease = match backend.readers.lease().await {
                    Ok(lease) => lease,
                    // It never came to the database, and tells nothing of it.
                    Err(busy @ DbError::Busy { .. }) => return Err(busy),
                    Err(error) => return Ok((error.setback(), Err(error))),
                };
                lease.enter();
                match lease.script(opening).await {
                    Ok(()) => return Ok((None, Ok(lease))),
                    Err(_) if lease.is_reused() => {}
                    Err(error) => {
                        db.watch(&lease);
                        return Ok((lease.take_setback(), Err(error)));
                    }
                }
            }
        };
        let (setback, lease) = match timeout_at(deadline, beginning).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(refused)) => return Err(refused),
            Err(_) => (Some(Setback::Overdue), Err(db.overdue())),
        };
        backend.tell(began, setback);
        Ok(Self {
            lease: lease?,
            db,
            backend,
            deadline,
        })
    }

    /// As [`Db::fetch_all`].
    ///
    /// # Errors
    /// Any [`DbError`] but `Conflict`.
    pub async fn fetch_all<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<Vec<T>, DbError> {
        reading!(self, self.lease.fetch_all(sql, args))
    }

    /// As [`Db::fetch_optional`].
    ///
    /// # Errors
    /// Any [`DbError`] but `Conflict`.
    pub async fn fetch_optional<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<Option<T>, DbError> {
        reading!(self, self.lease.fetch_optional(sql, args))
    }

    /// As [`Db::fetch_one`].
    ///
    /// # Errors
    /// Any [`DbError`] but `Conflict`.
    pub async fn fetch_one<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<T, DbError> {
        reading!(self, self.lease.fetch_one(sql, args))
    }

    /// The connection itself, for [`Conn::engine`].
    pub fn conn(&self) -> &Conn {
        &self.lease
    }

    /// Gives the connection back.
    pub async fn end(mut self) {
        if let Ok(Ok(())) = timeout_at(self.deadline, self.lease.script("ROLLBACK")).await {
            self.lease.leave();
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
