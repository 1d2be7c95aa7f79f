//! What a statement can come back with, told apart by what the caller does next rather than by engine.
//!
//! The two drivers report the same fault in different words; a domain that matched on those would be written twice. The
//! text of the database stays inside (as the source, for the log): it may quote values and never goes to a client.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::{DatabaseError, ErrorKind};

/// After how long a caller that met a full queue may try again.
pub const BUSY_RETRY: Duration = Duration::from_millis(250);
/// After how long a caller may try again when a connection just broke: about what a reconnect takes.
pub const LOST_RETRY: Duration = Duration::from_secs(1);

/// Why the database did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// The database cannot be reached, or cannot take writes now. After a *write* this may leave open whether it
    /// happened: the connection was lost between commit and answer.
    #[error("the database is not available")]
    Unavailable {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// Too much is queued already, or another transaction was in the way; nothing happened.
    #[error("the database is busy")]
    Busy {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The time for it ran out. A read was interrupted; a write may still happen.
    #[error("the database did not answer in time")]
    Deadline,
    /// A constraint forbids it; nothing happened. The name follows PostgreSQL's pattern in both engines:
    /// `<table>_<columns>_key`, `<table>_pkey`, the name of a check; `foreign_key` for any foreign key in SQLite.
    #[error("constraint {constraint} forbids it")]
    Conflict {
        /// The name of the constraint.
        constraint: String,
    },
    /// A statement or a row is not what the code expects: a fault of the program. Nothing happened.
    #[error("a statement failed")]
    Failed(#[source] Arc<dyn StdError + Send + Sync>),
}

/// What a failure says about the connection it happened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The connection, or the database behind it, is gone.
    Lost,
    /// No space is left for writes; reads go on.
    Full,
    /// The file is damaged or is no database.
    Damaged,
}

/// How the database itself failed a statement, as its owner counts it. A constraint that forbids something, a closure that
/// decides against itself, a full disk (which reads do not notice) and a fault of the program are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setback {
    /// It was not there, or went away.
    Away,
    /// Somebody else's lock or transaction was in the way.
    Busy,
    /// It did not answer in time.
    Overdue,
}

impl DbError {
    /// What it tells of the database, when it comes from there: a [`DbError::Busy`] may also be the handle's own, of a full
    /// queue.
    pub const fn setback(&self) -> Option<Setback> {
        match self {
            Self::Unavailable { .. } => Some(Setback::Away),
            Self::Busy { .. } => Some(Setback::Busy),
            Self::Deadline => Some(Setback::Overdue),
            Self::Conflict { .. } | Self::Failed(_) => None,
        }
    }

    /// Wraps a failure that is the program's own.
    pub fn failed(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Failed(Arc::new(source))
    }

    /// Whether this is the violation of the constraint of that name.
    pub fn is_conflict_on(&self, name: &str) -> bool {
        matches!(self, Self::Conflict { constraint } if constraint == name)
    }

    /// When trying again makes sense, if it does.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after } | Self::Busy { retry_after } => Some(*retry_after),
            Self::Deadline | Self::Conflict { .. } | Self::Failed(_) => None,
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        classify(error).0
    }
}

/// The error for the caller, and what it says about the connection.
pub fn classify(error: sqlx::Error) -> (DbError, Option<Fault>) {
    let lost = || {
        (
            DbError::Unavailable {
                retry_after: LOST_RETRY,
            },
            Some(Fault::Lost),
        )
    };
    match &error {
        sqlx::Error::Database(inner) => {
            of_database(&**inner).unwrap_or_else(|| (DbError::failed(error), None))
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::PoolClosed
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::BeginFailed => lost(),
        _ => (DbError::failed(error), None),
    }
}

/// What the engine itself reported; nothing when it is none of the known cases.
fn of_database(error: &dyn DatabaseError) -> Option<(DbError, Option<Fault>)> {
    if let Some(constraint) = constraint(error) {
        return Some((DbError::Conflict { constraint }, None));
    }
    let code = error.code()?;
    match code.parse::<i32>() {
        // SQLSTATE has five characters, SQLite's extended codes at most four.
        Ok(number) if code.len() < 5 => of_sqlite(number),
        _ => of_postgres(&code),
    }
}

/// By SQLite's result code (the low byte of the extended one).
fn of_sqlite(code: i32) -> Option<(DbError, Option<Fault>)> {
    let unavailable = |fault| {
        Some((
            DbError::Unavailable {
                retry_after: LOST_RETRY,
            },
            Some(fault),
        ))
    };
    // IOERR_SHMSIZE: the index of the write-ahead log cannot be made any larger, which is a full disk.
    if code == 4_874 {
        return unavailable(Fault::Full);
    }
    match code & 0xff {
        // BUSY, LOCKED, PROTOCOL (a race for the write-ahead log's locks)
        5 | 6 | 15 => Some((
            DbError::Busy {
                retry_after: BUSY_RETRY,
            },
            None,
        )),
        // INTERRUPT
        9 => Some((DbError::Deadline, None)),
        // NOMEM, READONLY (also: the file was moved), IOERR, CANTOPEN
        7 | 8 | 10 | 14 => unavailable(Fault::Lost),
        // FULL
        13 => unavailable(Fault::Full),
        // CORRUPT, NOTADB
        11 | 26 => unavailable(Fault::Damaged),
        _ => None,
    }
}

/// By PostgreSQL's SQLSTATE.
fn of_postgres(code: &str) -> Option<(DbError, Option<Fault>)> {
    let unavailable = |fault| {
        Some((
            DbError::Unavailable {
                retry_after: LOST_RETRY,
            },
            Some(fault),
        ))
    };
    match code {
        // serialization failure, deadlock, lock not available
        "40001" | "40P01" | "55P03" => Some((
            DbError::Busy {
                retry_after: BUSY_RETRY,
            },
            None,
        )),
        // statement canceled, idle-in-transaction and transaction timeouts
        "57014" => Some((DbError::Deadline, None)),
        "25P03" | "25P04" => Some((DbError::Deadline, Some(Fault::Lost))),
        // disk full
        "53100" => unavailable(Fault::Full),
        // data and index corruption
        "XX001" | "XX002" => unavailable(Fault::Damaged),
        // out of memory, too many connections; shutting down, starting up; a standby that takes no writes;
        // the database was dropped or refuses us since
        "53200" | "53300" | "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25006" | "3D000" => {
            unavailable(Fault::Lost)
        }
        // connection exceptions, invalid authorization
        _ if code.starts_with("08") || code.starts_with("28") => unavailable(Fault::Lost),
        _ => None,
    }
}

/// The constraint that was violated, named as PostgreSQL would.
fn constraint(error: &dyn DatabaseError) -> Option<String> {
    match error.kind() {
        ErrorKind::UniqueViolation
        | ErrorKind::ForeignKeyViolation
        | ErrorKind::CheckViolation
        | ErrorKind::ExclusionViolation => {}
        _ => return None,
    }
    if let Some(name) = error.constraint() {
        return Some(name.to_owned());
    }
    let is_primary_key = error.code().is_some_and(|code| code == "1555");
    Some(named_as_in_postgres(error.message(), is_primary_key))
}

/// SQLite says `UNIQUE constraint failed: tokens.owner, tokens.name`; PostgreSQL calls that `tokens_owner_name_key`.
fn named_as_in_postgres(message: &str, is_primary_key: bool) -> String {
    let Some((kind, rest)) = message.split_once(" constraint failed") else {
        return message.to_owned();
    };
    let subject = rest.trim_start_matches(": ");
    match kind {
        "FOREIGN KEY" => "foreign_key".to_owned(),
        "UNIQUE" => {
            if let Some(index) = subject.strip_prefix("index '") {
                return index.trim_end_matches('\'').to_owned();
            }
            let mut columns = subject
                .split(", ")
                .filter_map(|column| column.split_once('.'));
            let Some((table, first)) = columns.next() else {
                return subject.to_owned();
            };
            if is_primary_key {
                return format!("{table}_pkey");
            }
            columns.fold(format!("{table}_{first}"), |name, (_, column)| {
                format!("{name}_{column}")
            }) + "_key"
        }
        _ => subject.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_bear_the_names_of_postgres() {
        for (message, is_primary_key, name) in [
            (
                "UNIQUE constraint failed: tokens.secret_hash",
                false,
                "tokens_secret_hash_key",
            ),
            (
                "UNIQUE constraint failed: tokens.owner, tokens.name",
                false,
                "tokens_owner_name_key",
            ),
            ("UNIQUE constraint failed: tokens.id", true, "tokens_pkey"),
            (
                "UNIQUE constraint failed: index 'tokens_lower_name_key'",
                false,
                "tokens_lower_name_key",
            ),
            (
                "CHECK constraint failed: tokens_role_check",
                false,
                "tokens_role_check",
            ),
            ("FOREIGN KEY constraint failed", false, "foreign_key"),
            ("something else", false, "something else"),
        ] {
            assert_eq!(named_as_in_postgres(message, is_primary_key), name);
        }
    }

    #[test]
    fn codes_tell_what_is_wrong_with_the_connection() {
        let fault = |found: Option<(DbError, Option<Fault>)>| found.and_then(|(_, fault)| fault);
        assert_eq!(fault(of_sqlite(13)), Some(Fault::Full));
        assert_eq!(fault(of_sqlite(26)), Some(Fault::Damaged));
        assert_eq!(fault(of_sqlite(0x040a)), Some(Fault::Lost));
        assert!(matches!(of_sqlite(5), Some((DbError::Busy { .. }, None))));
        assert!(of_sqlite(1).is_none());
        assert_eq!(fault(of_postgres("08006")), Some(Fault::Lost));
        assert_eq!(fault(of_postgres("57P01")), Some(Fault::Lost));
        assert_eq!(fault(of_postgres("53100")), Some(Fault::Full));
        assert!(matches!(
            of_postgres("40P01"),
            Some((DbError::Busy { .. }, None))
        ));
        assert!(of_postgres("42601").is_none());
    }

    #[test]
    fn the_text_of_the_database_is_only_the_source() {
        let error = DbError::from(sqlx::Error::ColumnNotFound("inner detail".to_owned()));
        assert!(!error.to_string().contains("inner detail"));
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert!(source.is_some_and(|text| text.contains("inner detail")));
    }
}
