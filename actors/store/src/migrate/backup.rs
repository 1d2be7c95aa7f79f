//! The copy that is made before the schema of a database with data changes.
//!
//! SQLite writes a compact, consistent copy itself (`VACUUM INTO`), which is then opened and checked: a backup that was not
//! read back is a hope. PostgreSQL has its own program for it, `pg_dump`; where that is missing or fails, the migration goes
//! on with a warning, since a failing step leaves nothing behind there either, and a server has backups of its own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ground::Micros;
use ground::db::Conn;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::process::Command;
use tokio::time::timeout;

use crate::config::StoreConfig;
use crate::connect::{Role, connect};
use crate::error::StoreError;
use crate::location::{Location, Target};

/// How many of these backups are kept.
const KEPT: usize = 5;
/// The beginning of their names; files that begin otherwise are never deleted.
const PREFIX: &str = "pre-migration-";
/// How long `pg_dump` may take.
const DUMP_LIMIT: Duration = Duration::from_mins(10);

/// Where backups are kept.
pub(crate) fn folder(location: &Location) -> PathBuf {
    location.home.join("backups")
}

/// Backs the database up before it goes from one version to another; tells the file, if one was made.
///
/// # Errors
/// [`StoreError::Backup`], for SQLite alone.
pub(super) async fn before_migration(
    location: &Location,
    conn: &mut Conn,
    versions: (u32, u32),
    now: Micros,
) -> Result<Option<PathBuf>, StoreError> {
    let (from, to) = versions;
    let stem = format!("{PREFIX}{from:04}-{to:04}-{}", now.compact());
    let made = match &location.target {
        Target::Sqlite(_) => Some(sqlite(location, conn, &format!("{stem}.db")).await?),
        Target::Postgres(options) => postgres(location, options, &format!("{stem}.pg")).await,
    };
    if let Some(file) = &made {
        tracing::info!(file = %file.display(), "backed the database up before migrating it");
        prune(&folder(location));
    }
    Ok(made)
}

async fn sqlite(location: &Location, conn: &mut Conn, name: &str) -> Result<PathBuf, StoreError> {
    let failed = |hint: &str, source: Option<crate::error::Source>| StoreError::Backup {
        place: location.to_string(),
        hint: hint.to_owned(),
        source,
    };
    let folder = folder(location);
    make_folder(&folder).map_err(|error| {
        failed(
            &format!("{} cannot be made ({error})", folder.display()),
            Some(error.into()),
        )
    })?;
    let partial = Partial(folder.join(format!(".{name}.partial")));
    let target = partial
        .0
        .to_str()
        .ok_or_else(|| failed("the path of the data directory is not UTF-8", None))?;
    let copy = format!("VACUUM INTO '{}'", target.replace('\'', "''"));
    conn.script(&copy).await.map_err(|error| {
        failed(
            "is there space for a copy in the data directory?",
            Some(error.into()),
        )
    })?;
    check(location, &partial.0)
        .await
        .map_err(|error| failed("the copy does not read back", Some(error.into())))?;
    let done = folder.join(name);
    keep(&partial.0, &done)
        .map_err(|error| failed("the copy could not be put in place", Some(error.into())))?;
    Ok(done)
}

/// Opens the copy and has SQLite look at all of it.
async fn check(location: &Location, copy: &Path) -> Result<(), StoreError> {
    let copied = Location {
        target: Target::Sqlite(copy.to_owned()),
        home: location.home.clone(),
    };
    let mut conn = connect(&copied, Role::Inspect, &StoreConfig::default()).await?;
    let found = crate::store::integrity(&mut conn).await;
    conn.close().await;
    match found {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(StoreError::Damaged {
            place: copied.to_string(),
            backups: folder(location),
            source: Some(answer.into()),
        }),
        Err(error) => Err(StoreError::of_statement(
            &copied.to_string(),
            folder(location),
            error,
            None,
        )),
    }
}

async fn postgres(location: &Location, options: &PgConnectOptions, name: &str) -> Option<PathBuf> {
    let folder = folder(location);
    let partial = Partial(folder.join(format!(".{name}.partial")));
    match dump(&folder, options, &partial.0).await.and_then(|()| {
        let done = folder.join(name);
        keep(&partial.0, &done).map(|()| done)
    }) {
        Ok(file) => Some(file),
        Err(error) => {
            tracing::warn!(%error, "no backup before the migration: pg_dump could not make one; going on, since a failed migration is rolled back");
            None
        }
    }
}

/// Runs `pg_dump`. The password goes through the environment, where other users of the machine cannot see it.
async fn dump(folder: &Path, options: &PgConnectOptions, into: &Path) -> io::Result<()> {
    make_folder(folder)?;
    let url = options.to_url_lossy();
    let host = options.get_socket().map_or_else(
        || options.get_host().to_owned(),
        |path| path.display().to_string(),
    );
    let mut command = Command::new("pg_dump");
    command
        .args(["--format=custom", "--no-password", "--file"])
        .arg(into)
        .env("PGHOST", host)
        .env("PGPORT", options.get_port().to_string())
        .env("PGUSER", options.get_username())
        .env(
            "PGDATABASE",
            options.get_database().unwrap_or(options.get_username()),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        // As the daemon itself does it: the authorities of the system, unless the URL names one. pg_dump knows "system" since version 16.
        command
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", "system");
    }
    for (parameter, value) in url.query_pairs() {
        let variable = match &*parameter {
            "sslmode" => "PGSSLMODE",
            "sslrootcert" => "PGSSLROOTCERT",
            _ => continue,
        };
        command.env(variable, &*value);
    }
    if let Some(password) = url.password() {
        command.env("PGPASSWORD", unescape(password));
    }
    let ended = timeout(DUMP_LIMIT, command.output())
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    Err(io::Error::other(format!(
        "pg_dump: {}",
        said.lines().next().unwrap_or("no message")
    )))
}

/// Undoes percent-encoding.
fn unescape(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let escaped = (byte == b'%')
            .then(|| digit(bytes.next()).zip(digit(bytes.next())))
            .flatten();
        let value = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        plain.push(value.unwrap_or(byte));
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Gives the finished copy its name, in such a way that it is there after a power failure too.
fn keep(partial: &Path, done: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let file = File::open(partial)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.sync_all()?;
    fs::rename(partial, done)?;
    done.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Deletes all but the newest of these backups. Their names sort by versions and time; the time counts.
fn prune(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut found: Vec<(std::time::SystemTime, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    found.sort();
    let surplus = found.len().saturating_sub(KEPT);
    for (_, old) in found.into_iter().take(surplus) {
        if let Err(error) = fs::remove_file(&old) {
            tracing::warn!(file = %old.display(), %error, "could not delete an old backup");
        }
    }
}

/// A file that is not finished; it goes away with this value unless it was renamed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already when it was renamed, or never made.
        drop(fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_unescaped() {
        assert_eq!(unescape("a%40b%2Fc"), "a@b/c");
        assert_eq!(unescape("%C3%A9"), "é");
        assert_eq!(unescape("plain"), "plain");
    }
}
