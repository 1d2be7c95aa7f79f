//! One process at a time on an embedded database.
//!
//! SQLite itself would let two daemons share the file; each would hold its own idea of what the terminals are doing. So the
//! owner of the writer holds a lock file beside the database, and so does an offline migration. A file of its own, because
//! closing any descriptor of the database file drops the locks that SQLite holds on it in the same process.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::time::{Instant, sleep};

use crate::error::StoreError;
use crate::location::Location;

/// How often a taken lock is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// The lock; it is given back when this value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DatabaseLock(
    #[expect(dead_code, reason = "held for its lock alone")] Option<File>,
);

impl DatabaseLock {
    /// Takes the lock, waiting at most `patience` for a former owner to let go. A server needs none: it is shared.
    ///
    /// # Errors
    /// [`StoreError::InUse`], or [`StoreError::Unreachable`] when the lock file cannot be made.
    pub(crate) async fn acquire(
        location: &Location,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let Some(database) = location.file() else {
            return Ok(Self(None));
        };
        let path = beside(database);
        let place = || location.to_string();
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|error| {
            if error.kind() == std::io::ErrorKind::StorageFull {
                return StoreError::Full { place: place() };
            }
            let hint = format!("{} cannot be made ({error})", path.display());
            StoreError::Unreachable {
                place: place(),
                hint,
                source: Some(error.into()),
            }
        })?;
        let give_up = Instant::now() + patience;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(Some(file))),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < give_up => {
                    sleep(PAUSE).await;
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    return Err(StoreError::InUse { place: place() });
                }
                Err(error) => {
                    let hint = format!("{} cannot be locked ({error})", path.display());
                    return Err(StoreError::Unreachable {
                        place: place(),
                        hint,
                        source: Some(error.into()),
                    });
                }
            }
        }
    }
}

/// `mainstay.db` is locked by `mainstay.db.lock`.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
