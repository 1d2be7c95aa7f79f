//! Why a database cannot be used, in words for the operator who has to do something about it.
//!
//! Every variant is one decision: is trying again of use, and what should the operator do. The database's own text is the
//! source, for the log; it is not part of the message.

use std::path::PathBuf;
use std::time::Duration;

use ground::DbError;
use ground::db::{Fault as LinkFault, LOST_RETRY};
use supervisor::{AskError, Blame, CallFault, Fault, FaultKind, StartError};

use crate::location::LocationError;

/// The inside of an error.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// The pause when trying again is useless until somebody does something.
const PERMANENT_PAUSE: Duration = Duration::from_mins(1);
/// The place of the database in errors that are made without knowing it.
const OF_THIS_DAEMON: &str = "of this daemon";

/// Why a database cannot be opened, migrated or backed up.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `store.url` is wrong.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// The server does not answer, refuses us, or the file cannot be opened.
    #[error("the database {place} cannot be reached: {hint}")]
    Unreachable {
        /// Where it should be, without secrets.
        place: String,
        /// What to look at.
        hint: String,
        /// The inside.
        source: Option<Source>,
    },
    /// No space is left on the device.
    #[error("the disk that holds {place} is full: free some space")]
    Full {
        /// Which database.
        place: String,
    },
    /// Another process works on the file.
    #[error("the database {place} is in use by another mainstay process: stop that one first")]
    InUse {
        /// Which database.
        place: String,
    },
    /// The file is something else.
    #[error(
        "{place} is not a Mainstay database ({found}): move it away, or point store.url at another file"
    )]
    NotADatabase {
        /// Which file.
        place: String,
        /// What it seems to be.
        found: &'static str,
    },
    /// The file is broken.
    #[error("the database {place} is damaged: restore a backup, see the folder {}", backups.display())]
    Damaged {
        /// Which database.
        place: String,
        /// Where the backups are.
        backups: PathBuf,
        /// The inside.
        source: Option<Source>,
    },
    /// A newer binary has worked on it.
    #[error(
        "the database {place} has migration {migration}, which this binary does not know: a newer mainstay has used it. \
         Run that version, or restore a backup from before"
    )]
    Newer {
        /// Which database.
        place: String,
        /// The first unknown migration.
        migration: String,
    },
    /// A migration that was applied reads differently now.
    #[error(
        "migration {migration} was changed after it was applied to {place}: undo the change to the file and add a new \
         migration instead, or run the binary that applied it"
    )]
    Edited {
        /// Which database.
        place: String,
        /// The path of the migration, as under `migrations/`.
        migration: String,
    },
    /// A migration failed; nothing of it stays.
    #[error(
        "migration {migration} failed on {place}; nothing of it was kept. Report this, with the log: {reason}"
    )]
    Migration {
        /// Which database.
        place: String,
        /// The path of the migration.
        migration: String,
        /// What the database said.
        reason: String,
    },
    /// The backup that must come before a migration failed, so that nothing was migrated.
    #[error("no backup could be made of {place}, so that nothing was migrated: {hint}")]
    Backup {
        /// Which database.
        place: String,
        /// What to look at.
        hint: String,
        /// The inside.
        source: Option<Source>,
    },
    /// The server is too old or set up in a way that cannot work.
    #[error("the database server {place} cannot be used: {reason}")]
    Unsupported {
        /// Which server.
        place: String,
        /// Why, and what is needed.
        reason: String,
    },
}

impl StoreError {
    /// Whether trying again is useless until somebody changes something.
    pub const fn is_permanent(&self) -> bool {
        !matches!(
            self,
            Self::Unreachable { .. } | Self::Full { .. } | Self::InUse { .. } | Self::Backup { .. }
        )
    }

    /// What the failure of a statement means, where any failure is unexpected.
    pub(crate) fn of_statement(
        place: &str,
        backups: PathBuf,
        error: DbError,
        fault: Option<LinkFault>,
    ) -> Self {
        let place = place.to_owned();
        match fault {
            Some(LinkFault::Full) => Self::Full { place },
            Some(LinkFault::Damaged) => Self::Damaged {
                place,
                backups,
                source: Some(error.into()),
            },
            Some(LinkFault::Lost) | None => {
                let hint = "see the log for what it answered".to_owned();
                Self::Unreachable {
                    place,
                    hint,
                    source: Some(error.into()),
                }
            }
        }
    }
}

/// Why a check of the database did not find it well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// The database is not well.
    #[error(transparent)]
    Database(#[from] StoreError),
    /// It is being closed or opened at this moment.
    #[error("the database is being opened again")]
    Opening,
    /// The manager did not answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl Fault for CheckError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Database(error) => error.kind(),
            Self::Opening => FaultKind::Unavailable,
            Self::Ask(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Database(error) => error.code(),
            Self::Opening => "store.opening",
            Self::Ask(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Database(error) => error.outside(),
            Self::Opening => self.to_string(),
            Self::Ask(error) => error.outside(),
        }
    }
}

impl CallFault for CheckError {
    fn unreachable(detail: &str) -> Self {
        StoreError::unreachable(detail).into()
    }

    fn garbage(detail: &str) -> Self {
        StoreError::garbage(detail).into()
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Database(error) => error.blame(),
            Self::Opening | Self::Ask(_) => Blame::Nobody,
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::Database(error) => error.wait(),
            Self::Opening | Self::Ask(_) => None,
        }
    }
}

/// The error with everything inside it, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inside = error.source();
    while let Some(source) = inside {
        text.push_str(": ");
        text.push_str(&source.to_string());
        inside = source.source();
    }
    text
}

impl Fault for StoreError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Location(_) => FaultKind::Invalid,
            Self::Unreachable { .. } | Self::Full { .. } => FaultKind::Unavailable,
            Self::Migration { .. } | Self::Backup { .. } => FaultKind::Internal,
            _ => FaultKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Location(_) => "store.invalid_url",
            Self::Unreachable { .. } => "store.unreachable",
            Self::Full { .. } => "store.disk_full",
            Self::InUse { .. } => "store.in_use",
            Self::NotADatabase { .. } => "store.not_a_database",
            Self::Damaged { .. } => "store.damaged",
            Self::Newer { .. } => "store.newer_database",
            Self::Edited { .. } => "store.edited_migration",
            Self::Migration { .. } => "store.migration_failed",
            Self::Backup { .. } => "store.backup_failed",
            Self::Unsupported { .. } => "store.unsupported_server",
        }
    }

    fn outside(&self) -> String {
        self.to_string()
    }

    fn retry_after(&self) -> Option<Duration> {
        (!self.is_permanent()).then_some(LOST_RETRY)
    }
}

/// Every [`StoreError`] speaks against the database: it is made where the database is opened or looked at, and nowhere else.
impl CallFault for StoreError {
    fn unreachable(detail: &str) -> Self {
        Self::Unreachable {
            place: OF_THIS_DAEMON.to_owned(),
            hint: detail.to_owned(),
            source: None,
        }
    }

    fn garbage(detail: &str) -> Self {
        let hint = "what answers there does not speak the protocol".to_owned();
        Self::Unreachable {
            place: OF_THIS_DAEMON.to_owned(),
            hint,
            source: Some(detail.into()),
        }
    }

    fn blame(&self) -> Blame {
        Blame::Dependency
    }

    fn wait(&self) -> Option<Duration> {
        self.is_permanent().then_some(PERMANENT_PAUSE)
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        let (code, message) = (error.code(), error.outside());
        let start = if error.is_permanent() {
            Self::permanent(code, message)
        } else {
            Self::retry(code, message)
        };
        start.with_source(error)
    }
}

/// Why a request to the store got no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The store's actor did not answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl Fault for RequestError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Ask(error) => error.kind(),
            Self::Database(DbError::Unavailable { .. } | DbError::Busy { .. }) => {
                FaultKind::Unavailable
            }
            Self::Database(DbError::Deadline) => FaultKind::Deadline,
            Self::Database(DbError::Conflict { .. } | DbError::Failed(_)) => FaultKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Ask(error) => error.code(),
            Self::Database(DbError::Unavailable { .. }) => "store.unavailable",
            Self::Database(DbError::Busy { .. }) => "store.busy",
            Self::Database(DbError::Deadline) => "store.deadline",
            Self::Database(DbError::Conflict { .. } | DbError::Failed(_)) => "store.failed",
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Ask(error) => error.outside(),
            Self::Database(error) => match error.retry_after() {
                Some(_) => format!("{error}; try again later"),
                None => error.to_string(),
            },
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Ask(error) => error.retry_after(),
            Self::Database(error) => error.retry_after(),
        }
    }
}
