//! Opens connections, each for one role, with the settings that the promises of the store rest on.
//!
//! SQLite: write-ahead log with `synchronous = FULL`, so that a commit is on disk when it returns (`NORMAL` may lose the last
//! ones when the power fails). No memory-mapped reads: an I/O error there would be a signal that ends the process instead
//! of an error. PostgreSQL: `synchronous_commit` is turned on where a server has it off, and each session has time limits.

use std::path::Path;
use std::time::Duration;

use ground::DbError;
use ground::db::{Conn, Interrupt};
use rustix::fs::{Access, access};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::time::timeout;

use crate::config::StoreConfig;
use crate::error::{Source, StoreError};
use crate::location::{Location, Target};
use crate::migrate::backups_of;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one that writes.
    Write,
    /// One of those that read.
    Read,
    /// Changes the schema; makes the file if there is none. SQLite checks foreign keys only at the end then.
    Migrate,
    /// Looks at a database that may be anything, without changing it.
    Inspect,
}

/// The oldest server that is known to understand every statement.
const OLDEST_POSTGRES: i32 = 130_000;
/// How often a running statement of SQLite looks whether it was interrupted, in virtual machine steps.
const STEPS_BETWEEN_LOOKS: i32 = 4_000;
/// How long a connection waits for the locks of another one.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// How much of the write-ahead log's file is kept after a checkpoint.
const KEPT_LOG_BYTES: &str = "67108864";
/// After how many pages a commit does the checkpoint itself, when the writer found no idle moment for it.
const CHECKPOINT_PAGES: &str = "4000";
/// How long a migration waits for the locks of others.
const MIGRATION_LOCK_LIMIT: Duration = Duration::from_mins(1);

/// Opens a connection.
///
/// # Errors
/// [`StoreError::Unreachable`], `NotADatabase`, `Damaged`, `Full` or `Unsupported`.
pub(crate) async fn connect(
    location: &Location,
    role: Role,
    config: &StoreConfig,
) -> Result<Conn, StoreError> {
    match &location.target {
        Target::Sqlite(path) => sqlite(location, path, role).await,
        Target::Postgres(options) => {
            let opening = postgres(location, options, role, config);
            timeout(config.connect_limit, opening)
                .await
                .unwrap_or_else(|_| {
                    Err(unreachable(
                        location,
                        format!("no answer within {:?}", config.connect_limit),
                        None,
                    ))
                })
        }
    }
}

async fn sqlite(location: &Location, path: &Path, role: Role) -> Result<Conn, StoreError> {
    if role == Role::Migrate {
        create(location, path)?;
    }
    let opened = SqliteConnection::connect_with(&sqlite_options(path, role)).await;
    let mut connection = opened.map_err(|error| sqlite_failure(location, path, error))?;
    let interrupt = Interrupt::default();
    let flag = interrupt.clone();
    let handle = connection.lock_handle().await;
    handle
        .map_err(|error| sqlite_failure(location, path, error))?
        .set_progress_handler(STEPS_BETWEEN_LOOKS, move || !flag.is_raised());
    Ok(Conn::sqlite(connection, interrupt))
}

fn sqlite_options(path: &Path, role: Role) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_LIMIT)
        .foreign_keys(role != Role::Migrate)
        .pragma("temp_store", "MEMORY")
        .pragma("trusted_schema", "OFF")
        .thread_name(move |number| format!("sqlite-{role:?}-{number}").to_lowercase())
        .disable_statement_logging();
    match role {
        Role::Read | Role::Inspect => options.read_only(true).pragma("cache_size", "-1024"),
        Role::Write | Role::Migrate => options
            .auto_vacuum(SqliteAutoVacuum::None)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", "-8192")
            .pragma("journal_size_limit", KEPT_LOG_BYTES)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .statement_cache_capacity(256),
    }
}

/// Makes the file if there is none, readable for its owner alone. An existing one is not opened here: closing any file
/// descriptor of it would drop the locks that SQLite holds on it in this process.
fn create(location: &Location, path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Err(StoreError::Full {
            place: location.to_string(),
        }),
        Err(error) => Err(unreachable(
            location,
            format!("the file cannot be made ({error})"),
            Some(error.into()),
        )),
    }
}

/// `SQLITE_IOERR_SHMSIZE`: the index of the write-ahead log cannot be made any larger, which is a full disk.
const SHARED_MEMORY_FULL: i32 = 4_874;

fn sqlite_failure(location: &Location, path: &Path, error: sqlx::Error) -> StoreError {
    let place = location.to_string();
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    let code = code.and_then(|code| code.parse::<i32>().ok());
    match code.map(|code| {
        if code == SHARED_MEMORY_FULL {
            13
        } else {
            code & 0xff
        }
    }) {
        Some(26) => StoreError::NotADatabase {
            place,
            found: "not an SQLite file at all",
        },
        Some(11) => StoreError::Damaged {
            place,
            backups: backups_of(location),
            source: Some(error.into()),
        },
        Some(13) => StoreError::Full { place },
        Some(5 | 6) => unreachable(
            location,
            "another program has locked the file".to_owned(),
            Some(error.into()),
        ),
        _ => unreachable(location, why_not(path), Some(error.into())),
    }
}

/// Why a file cannot be opened, which SQLite does not tell.
fn why_not(path: &Path) -> String {
    match std::fs::metadata(path) {
        Err(error) => format!("{error}"),
        Ok(found) if !found.is_file() => "it is not a file".to_owned(),
        Ok(_) if access(path, Access::READ_OK | Access::WRITE_OK).is_err() => {
            "this user may not read and write the file".to_owned()
        }
        Ok(_) => match path
            .parent()
            .map(|folder| access(folder, Access::WRITE_OK | Access::EXEC_OK))
        {
            Some(Err(_)) => "this user may not write into its folder".to_owned(),
            _ => "see the log for what SQLite answered".to_owned(),
        },
    }
}

async fn postgres(
    location: &Location,
    options: &PgConnectOptions,
    role: Role,
    config: &StoreConfig,
) -> Result<Conn, StoreError> {
    let options = options
        .clone()
        .statement_cache_capacity(256)
        .disable_statement_logging();
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("mainstay"),
    };
    let opened = PgConnection::connect_with(&options)
        .await
        .map_err(|error| postgres_failure(location, error))?;
    let mut conn = Conn::postgres(opened);
    let lost = |error: DbError| {
        unreachable(
            location,
            "it refused the session's settings".to_owned(),
            Some(error.into()),
        )
    };
    conn.script(&session(role, config)).await.map_err(lost)?;
    if matches!(role, Role::Migrate) {
        check_server(location, &mut conn).await?;
    }
    Ok(conn)
}

/// The settings of a session. Waiting for locks, idling in a transaction and running are all bounded.
fn session(role: Role, config: &StoreConfig) -> String {
    let (statement, lock) = match role {
        Role::Read => (config.read_limit, config.read_limit),
        Role::Write => (config.write_limit, config.write_limit),
        Role::Migrate => (Duration::ZERO, MIGRATION_LOCK_LIMIT),
        Role::Inspect => (MIGRATION_LOCK_LIMIT, config.read_limit),
    };
    let idle = if role == Role::Migrate {
        Duration::ZERO
    } else {
        statement
    };
    let is_read_only = matches!(role, Role::Read | Role::Inspect);
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
         SET default_transaction_read_only = {is_read_only}; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        statement.as_millis(),
        lock.as_millis(),
        idle.as_millis(),
    )
}

async fn check_server(location: &Location, conn: &mut Conn) -> Result<(), StoreError> {
    let (version, encoding) = crate::store::server(conn).await.map_err(|error| {
        unreachable(
            location,
            "it does not tell its version".to_owned(),
            Some(error.into()),
        )
    })?;
    let unsupported = |reason: String| {
        Err(StoreError::Unsupported {
            place: location.to_string(),
            reason,
        })
    };
    if version < OLDEST_POSTGRES {
        return unsupported(format!(
            "it is PostgreSQL {}, and 13 or newer is needed",
            version / 10_000
        ));
    }
    if encoding != "UTF8" {
        return unsupported(format!(
            "its database has the encoding {encoding}; make one with ENCODING 'UTF8'"
        ));
    }
    Ok(())
}

fn postgres_failure(location: &Location, error: sqlx::Error) -> StoreError {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .map(std::borrow::Cow::into_owned);
    let hint = match (&error, code.as_deref()) {
        (_, Some("28P01" | "28000")) => "the server refuses the user or the password".to_owned(),
        (_, Some("3D000")) => "the server has no such database; make it with createdb".to_owned(),
        (_, Some("53300")) => "the server has too many connections".to_owned(),
        (_, Some("57P03")) => "the server is starting or stopping".to_owned(),
        (_, Some(code)) => format!("the server refuses the connection (SQLSTATE {code})"),
        (sqlx::Error::Io(inner), _) => format!("no server answers there ({})", inner.kind()),
        (sqlx::Error::Tls(_), _) => {
            "no encrypted connection could be made; see sslmode and sslrootcert".to_owned()
        }
        _ => "what answers there does not speak the protocol".to_owned(),
    };
    unreachable(location, hint, Some(error.into()))
}

fn unreachable(location: &Location, hint: String, source: Option<Source>) -> StoreError {
    StoreError::Unreachable {
        place: location.to_string(),
        hint,
        source,
    }
}
