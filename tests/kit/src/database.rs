//! What a test stores in: the embedded database, or a database of its own on a server of ours.
//!
//! Why tests name it: a promise holds on both, so a test is written once, takes a [`Database`], and runs twice.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::sync::Mutex;

use crate::Postgres;

/// The database that a test is to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// The embedded default.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Database {
    /// A fresh database; `None` when there is no server on this machine, which is then said on stderr.
    ///
    /// # Panics
    ///
    /// When a server is installed, but does not start.
    pub async fn fresh(self) -> Option<SharedDatabase> {
        match self {
            Self::Sqlite => Some(SharedDatabase::default()),
            Self::Postgres => {
                let server = shared_server().await?;
                let url = server.create_database(&next_name()).await;
                Some(SharedDatabase {
                    server: Some(server),
                    url: Some(url),
                })
            }
        }
    }
}

/// A database, and the server under it for as long as anybody uses it.
#[derive(Clone, Debug, Default)]
pub struct SharedDatabase {
    server: Option<Arc<Postgres>>,
    url: Option<String>,
}

impl SharedDatabase {
    /// Its URL; `None` is the embedded default.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The server it is on, when there is one.
    #[must_use]
    pub fn server(&self) -> Option<&Postgres> {
        self.server.as_deref()
    }
}

/// One server for all tests of this process that run at the same time; the last of them ends it.
async fn shared_server() -> Option<Arc<Postgres>> {
    static SERVER: Mutex<Weak<Postgres>> = Mutex::const_new(Weak::new());
    let mut server = SERVER.lock().await;
    if let Some(running) = server.upgrade() {
        return Some(running);
    }
    let started = Arc::new(Postgres::start().await?);
    *server = Arc::downgrade(&started);
    Some(started)
}

fn next_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Says on the real stderr, past the test runner's capture, that a test was skipped and why.
pub(crate) fn say_skipped(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test}: {reason}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("stderr can be written");
}

/// Runs a statement as the administrator of a database would, with the daemon left out: `sqlite://PATH` or
/// `postgres://…`. Gives back how many rows it touched.
///
/// # Panics
///
/// When the database cannot be reached or refuses it.
pub async fn sql(url: &str, statement: &str) -> u64 {
    let statement = AssertSqlSafe(statement.to_owned());
    let outcome = if url.starts_with("sqlite:") {
        let mut connection = sqlx::SqliteConnection::connect(url)
            .await
            .expect("the file opens");
        let outcome = sqlx::query(statement).execute(&mut connection).await;
        drop(connection.close().await);
        outcome.map(|done| done.rows_affected())
    } else {
        let mut connection = sqlx::PgConnection::connect(url)
            .await
            .expect("the server answers");
        let outcome = sqlx::query(statement).execute(&mut connection).await;
        drop(connection.close().await);
        outcome.map(|done| done.rows_affected())
    };
    outcome.expect("the database takes the statement")
}

/// The first column of the first row of a query, which must be text, or `None` when there is no row.
///
/// # Panics
///
/// When the database cannot be reached or refuses it.
pub async fn sql_text(url: &str, query: &str) -> Option<String> {
    let query = AssertSqlSafe(query.to_owned());
    if url.starts_with("sqlite:") {
        let mut connection = sqlx::SqliteConnection::connect(url)
            .await
            .expect("the file opens");
        let row = sqlx::query(query).fetch_optional(&mut connection).await;
        drop(connection.close().await);
        row.expect("the database takes the query")
            .map(|row| row.get(0))
    } else {
        let mut connection = sqlx::PgConnection::connect(url)
            .await
            .expect("the server answers");
        let row = sqlx::query(query).fetch_optional(&mut connection).await;
        drop(connection.close().await);
        row.expect("the database takes the query")
            .map(|row| row.get(0))
    }
}

/// A transaction of another program, which keeps what it locks until this is dropped.
#[must_use = "dropping it ends the transaction"]
pub struct Held {
    _link: Link,
}

/// Kept for its end alone.
enum Link {
    Sqlite { _open: sqlx::SqliteConnection },
    Postgres { _open: sqlx::PgConnection },
}

/// Begins a transaction past the daemon and runs a script in it: `BEGIN` and whatever is to be locked. Nothing is committed.
///
/// # Panics
///
/// When the database cannot be reached or refuses it.
pub async fn hold(url: &str, script: &str) -> Held {
    let script = sqlx::raw_sql(AssertSqlSafe(script.to_owned()));
    let link = if url.starts_with("sqlite:") {
        let mut open = sqlx::SqliteConnection::connect(url)
            .await
            .expect("the file opens");
        script
            .execute(&mut open)
            .await
            .expect("the database takes the script");
        Link::Sqlite { _open: open }
    } else {
        let mut open = sqlx::PgConnection::connect(url)
            .await
            .expect("the server answers");
        script
            .execute(&mut open)
            .await
            .expect("the database takes the script");
        Link::Postgres { _open: open }
    };
    Held { _link: link }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

/// Runs each named `async fn(SharedDatabase)` once on each database, as tests in the modules `sqlite` and `postgres`.
#[macro_export]
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                if let Some(database) = $crate::Database::Sqlite.fresh().await {
                    super::$test(database).await;
                }
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                if let Some(database) = $crate::Database::Postgres.fresh().await {
                    super::$test(database).await;
                }
            })+
        }
    };
}
