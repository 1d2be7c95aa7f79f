//! Several reads of one moment.
//!
//! Without it a list and its count may not agree, because somebody wrote between the two statements. A value rather than a
//! closure, so that it can borrow whatever it needs; it has one deadline over all of its reads, since an open snapshot keeps
//! the database from tidying up behind it.

use tokio::time::{Instant, timeout_at};

use crate::db::pool::Lease;
use crate::db::{Backend, Conn, Db, DbError, FromRow, Value};

/// A read transaction.
#[derive(Debug)]
pub struct Snapshot {
    db: Db,
    lease: Lease,
    deadline: Instant,
}

impl Snapshot {
    pub(super) async fn begin(db: Db, backend: &Backend) -> Result<Self, DbError> {
        let deadline = Instant::now() + backend.read_limit;
        let begin = backend
            .engine
            .pick("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        let beginning = async {
            backend.lag().await;
            loop {
                let mut lease = backend.readers.lease().await?;
                lease.enter();
                match lease.script(begin).await {
                    Ok(()) => return Ok(lease),
                    Err(_) if lease.is_reused() => {}
                    Err(error) => {
                        db.watch(&lease);
                        return Err(error);
                    }
                }
            }
        };
        let lease = timeout_at(deadline, beginning)
            .await
            .unwrap_or(Err(DbError::Deadline))?;
        Ok(Self {
            db,
            lease,
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
        let rows = timeout_at(self.deadline, self.lease.fetch_all(sql, args)).await;
        self.noted(rows.unwrap_or(Err(DbError::Deadline)))
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
        let row = timeout_at(self.deadline, self.lease.fetch_optional(sql, args)).await;
        self.noted(row.unwrap_or(Err(DbError::Deadline)))
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
        let row = timeout_at(self.deadline, self.lease.fetch_one(sql, args)).await;
        self.noted(row.unwrap_or(Err(DbError::Deadline)))
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

    fn noted<T>(&self, result: Result<T, DbError>) -> Result<T, DbError> {
        self.db.watch(&self.lease);
        result
    }
}
