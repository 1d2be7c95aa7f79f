//! One connection, of either engine, with one set of methods.
//!
//! SQLite binds `$1…$n` by number exactly like PostgreSQL, so that a statement is written once. Where the text must
//! differ, both versions stand side by side in [`Engine::pick`]. The driver's generic `Any` connection is not used: it
//! cannot read `uuid` columns, among others.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{
    AssertSqlSafe, Connection as _, Either, Executor as _, PgConnection, SqlSafeStr as _,
    SqliteConnection,
};

use crate::db::error::classify;
use crate::db::row::Inner;
use crate::db::value::{for_postgres, for_sqlite};
use crate::db::{DbError, Fault, FromRow, Row, Setback, Value};

/// Which database is behind the handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// The embedded one, a file in the data directory.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// A connection, inside a read or a write.
pub struct Conn {
    link: Link,
    interrupt: Interrupt,
    fault: Option<Fault>,
    failures: u64,
    /// The present write wants its end to be heard.
    rings: bool,
    setback: Option<Setback>,
}

enum Link {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

/// Makes a running statement of SQLite end: its progress handler looks at this flag.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Engine {
    /// The text for this engine, for the few statements that cannot be the same.
    pub const fn pick(self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }

    /// The name as it stands in paths and in the status: `sqlite` or `postgres`.
    pub const fn name(self) -> &'static str {
        self.pick("sqlite", "postgres")
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Interrupt {
    /// Ends the statement that is running, and every later one.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Conn {
    /// A connection to SQLite; `interrupt` is what its progress handler looks at.
    pub fn sqlite(connection: SqliteConnection, interrupt: Interrupt) -> Self {
        Self {
            link: Link::Sqlite(Box::new(connection)),
            interrupt,
            fault: None,
            failures: 0,
            rings: false,
            setback: None,
        }
    }

    /// A connection to PostgreSQL.
    pub fn postgres(connection: PgConnection) -> Self {
        Self {
            link: Link::Postgres(Box::new(connection)),
            interrupt: Interrupt::default(),
            fault: None,
            failures: 0,
            rings: false,
            setback: None,
        }
    }

    /// Which engine it is connected to.
    pub const fn engine(&self) -> Engine {
        match self.link {
            Link::Sqlite(_) => Engine::Sqlite,
            Link::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs a statement and tells how many rows it changed.
    ///
    /// # Errors
    /// Any [`DbError`]; inside a write the statement has then changed nothing.
    pub async fn execute(&mut self, sql: &'static str, args: &[Value<'_>]) -> Result<u64, DbError> {
        let done = match &mut self.link {
            Link::Sqlite(link) => {
                let args = for_sqlite(args)?;
                sqlx::query_with(sql, args)
                    .execute(&mut **link)
                    .await
                    .map(|done| done.rows_affected())
            }
            Link::Postgres(link) => {
                let args = for_postgres(args)?;
                sqlx::query_with(sql, args)
                    .execute(&mut **link)
                    .await
                    .map(|done| done.rows_affected())
            }
        };
        done.map_err(|error| self.note(error))
    }

    /// Runs a statement and reads all of its rows; bound them with a `LIMIT`.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn fetch_all<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<Vec<T>, DbError> {
        let rows = match &mut self.link {
            Link::Sqlite(link) => {
                let rows = sqlx::query_with(sql, for_sqlite(args)?)
                    .fetch_all(&mut **link)
                    .await;
                rows.map(|rows| {
                    rows.into_iter()
                        .map(|row| T::from_row(&Row(Inner::Sqlite(row))))
                        .collect()
                })
            }
            Link::Postgres(link) => {
                let rows = sqlx::query_with(sql, for_postgres(args)?)
                    .fetch_all(&mut **link)
                    .await;
                rows.map(|rows| {
                    rows.into_iter()
                        .map(|row| T::from_row(&Row(Inner::Postgres(row))))
                        .collect()
                })
            }
        };
        rows.unwrap_or_else(|error| Err(self.note(error)))
    }

    /// Runs a statement and reads its first row, if there is one.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn fetch_optional<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<Option<T>, DbError> {
        let row = match &mut self.link {
            Link::Sqlite(link) => {
                let row = sqlx::query_with(sql, for_sqlite(args)?)
                    .fetch_optional(&mut **link)
                    .await;
                row.map(|row| row.map(Inner::Sqlite))
            }
            Link::Postgres(link) => {
                let row = sqlx::query_with(sql, for_postgres(args)?)
                    .fetch_optional(&mut **link)
                    .await;
                row.map(|row| row.map(Inner::Postgres))
            }
        };
        let row = row.map_err(|error| self.note(error))?;
        row.map(|row| T::from_row(&Row(row))).transpose()
    }

    /// Runs a statement that always has a row (a count, say) and reads it.
    ///
    /// # Errors
    /// Any [`DbError`]; no row is [`DbError::Failed`].
    pub async fn fetch_one<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<T, DbError> {
        self.fetch_optional(sql, args)
            .await?
            .ok_or_else(|| DbError::from(sqlx::Error::RowNotFound))
    }

    /// Runs a script of statements without arguments: migrations, `BEGIN`, `PRAGMA`. Rows are thrown away. For the store
    /// alone: nothing checks the text, which must not hold anything from outside.
    ///
    /// # Errors
    /// Any [`DbError`]; the statements before the failing one have happened unless a transaction is open.
    pub async fn script(&mut self, sql: &str) -> Result<(), DbError> {
        self.script_raw(sql).await.map_err(|error| self.note(error))
    }

    /// As [`Conn::script`], with the driver's own error, for a message that must name the failing place.
    ///
    /// # Errors
    /// The driver's error.
    pub async fn script_raw(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql).into_sql_str();
        match &mut self.link {
            Link::Sqlite(link) => link.execute(sqlx::raw_sql(sql)).await.map(drop),
            Link::Postgres(link) => link.execute(sqlx::raw_sql(sql)).await.map(drop),
        }
    }

    /// Prepares a statement without running it and tells its parameters' number and its columns' names: for the test
    /// that both engines understand every statement alike.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn describe(&mut self, sql: &str) -> Result<(usize, Vec<String>), DbError> {
        use sqlx::{Column as _, Statement as _};
        let sql = AssertSqlSafe(sql).into_sql_str();
        let count = |parameters: Option<Either<usize, usize>>| match parameters {
            Some(Either::Left(count) | Either::Right(count)) => count,
            None => 0,
        };
        let described = match &mut self.link {
            Link::Sqlite(link) => link.prepare(sql).await.map(|statement| {
                let parameters = statement
                    .parameters()
                    .map(|found| found.map_left(<[_]>::len));
                (
                    count(parameters),
                    statement
                        .columns()
                        .iter()
                        .map(|column| column.name().to_owned())
                        .collect(),
                )
            }),
            Link::Postgres(link) => link.prepare(sql).await.map(|statement| {
                let parameters = statement
                    .parameters()
                    .map(|found| found.map_left(<[_]>::len));
                (
                    count(parameters),
                    statement
                        .columns()
                        .iter()
                        .map(|column| column.name().to_owned())
                        .collect(),
                )
            }),
        };
        described.map_err(|error| self.note(error))
    }

    /// Asks that those who listen to [`Db::bell`](crate::Db::bell) are told once the present write is committed: something waits for
    /// an owner that would otherwise have to look again and again. Without effect outside of a write.
    pub const fn ring(&mut self) {
        self.rings = true;
    }

    /// Whether somebody rang since this was last asked.
    pub(super) const fn take_ring(&mut self) -> bool {
        std::mem::replace(&mut self.rings, false)
    }

    /// The worst that a statement on this connection told about the connection itself.
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Forgets what [`Conn::fault`] and [`Conn::take_setback`] hold, once it was dealt with.
    pub const fn forgive(&mut self) {
        self.fault = None;
        self.setback = None;
    }

    /// How many statements have failed here so far.
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// How the database failed the newest statement that it failed here; asking forgets it.
    pub const fn take_setback(&mut self) -> Option<Setback> {
        self.setback.take()
    }

    /// What ends the statement running here.
    pub const fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Says goodbye and waits until the connection is closed.
    pub async fn close(self) {
        let closed = match self.link {
            Link::Sqlite(link) => link.close().await,
            Link::Postgres(link) => link.close().await,
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "database connection did not close cleanly");
        }
    }

    /// Keeps what the error says about the connection, and makes it the caller's.
    fn note(&mut self, error: sqlx::Error) -> DbError {
        let shown = error.to_string();
        let (told, fault) = classify(error);
        if fault.is_some() {
            tracing::warn!(error = shown, ?fault, engine = %self.engine(), "the database failed a statement");
        }
        self.fault = self.fault.max(fault);
        self.failures += 1;
        if fault != Some(Fault::Full) {
            self.setback = told.setback().or(self.setback);
        }
        told
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("engine", &self.engine())
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}
