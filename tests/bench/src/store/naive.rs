//! The peer: what a service does that takes a pool of ten connections and runs a transaction for every request.
//!
//! Not a straw man: the write-ahead log, a busy timeout and `BEGIN IMMEDIATE` are there; without the last most attempts fail at
//! once. Everything else is the driver's default.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use ground::Id;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

use super::rows::{BODY, INSERT, POSTGRES_TABLE, SQLITE_TABLE, Taker};

const CONNECTIONS: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(30);

/// A pool, with the table in place.
#[derive(Clone)]
pub(crate) enum Naive {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Naive {
    /// On a new file.
    pub(crate) async fn sqlite(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .min_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await?;
        sqlx::query(SQLITE_TABLE).execute(&pool).await?;
        Ok(Self::Sqlite(pool))
    }

    /// On an empty database of a server.
    pub(crate) async fn postgres(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .min_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect(url)
            .await?;
        sqlx::query(POSTGRES_TABLE).execute(&pool).await?;
        Ok(Self::Postgres(pool))
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Taker for Naive {
    async fn put(&self) -> Result<()> {
        let id = Id::generate().as_uuid();
        match self {
            Self::Sqlite(pool) => {
                let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                sqlx::query(INSERT)
                    .bind(id)
                    .bind(BODY)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
            }
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                sqlx::query(INSERT)
                    .bind(id)
                    .bind(BODY)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
            }
        }
        Ok(())
    }
}
