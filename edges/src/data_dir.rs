//! The data directory: where it is, that it is ours alone, and that one daemon at a time uses it.
//!
//! Everything the daemon keeps lives in one directory, which also holds the control socket, so who can write here owns the
//! daemon. The obvious way (`create_dir_all` and hope) leaves three traps, closed here: a directory other users can read,
//! a directory of another user (root would leave files its owner cannot open), and two daemons on one database. The lock is
//! `flock` on a file that is never removed: the kernel drops it when the process ends in any way, so there is no stale lock
//! to clean up, and the number inside only serves the error message.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

/// Name of the lock file inside the data directory.
pub const LOCK_FILE: &str = "mainstay.lock";
/// Name of the control socket inside the data directory.
pub const SOCKET_FILE: &str = "mainstay.sock";
/// Longest path a Unix socket can have on Linux, in bytes, without its closing zero.
pub const SOCKET_PATH_LIMIT: usize = 107;

/// How often a held lock is tried again, and how long apart: `doctor` takes the lock for an instant to see whether it is
/// free, and must not make a daemon that starts at that moment give up.
const LOCK_ATTEMPTS: u32 = 8;
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Neither a flag nor the environment says where it is.
    #[error("no data directory is known: neither --data-dir, MAINSTAY_DATA_DIR nor HOME is set")]
    Unknown,
    /// The path names something else, such as a file.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path in question.
        path: PathBuf,
    },
    /// The directory belongs to another user.
    #[error("{} belongs to user {owner}, this process runs as user {we}", path.display())]
    Foreign {
        /// The path in question.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// Our effective user id.
        we: u32,
    },
    /// Other users may enter it, and it holds files that are not ours, so its mode is not ours to change.
    #[error("{} can be entered by other users (mode {mode:04o}) and holds files that are not mainstay's", path.display())]
    Open {
        /// The path in question.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The control socket's path would be longer than the system allows.
    #[error("{} is too long: the control socket in it would have {length} bytes, at most {SOCKET_PATH_LIMIT} work", path.display())]
    TooLong {
        /// The path in question.
        path: PathBuf,
        /// Length of the socket's path in bytes.
        length: usize,
    },
    /// The system refused.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl DataDirError {
    /// What the operator can do about it, as one plain sentence.
    pub fn next_step(&self) -> String {
        match self {
            Self::Unknown => "pass --data-dir DIR or set MAINSTAY_DATA_DIR".to_owned(),
            Self::NotADirectory { .. } => {
                "name a directory with --data-dir, or move the file away".to_owned()
            }
            Self::Foreign { owner, .. } => {
                format!("run as user {owner}, or name a directory of your own with --data-dir")
            }
            Self::Open { path, .. } => format!(
                "name a directory for mainstay alone with --data-dir, or close this one: chmod 700 {}",
                path.display()
            ),
            Self::TooLong { .. } => "name a shorter path with --data-dir".to_owned(),
            Self::Io { source, path, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    format!(
                        "make {} writable for this user, or name another one with --data-dir",
                        path.display()
                    )
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    "the file system is mounted read-only: name another directory with --data-dir"
                        .to_owned()
                }
                io::ErrorKind::StorageFull => "free some space on that file system".to_owned(),
                _ => "name another directory with --data-dir".to_owned(),
            },
        }
    }
}

/// Why the data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is already in use by {}", path.display(), holder_text(*pid))]
    Held {
        /// The data directory.
        path: PathBuf,
        /// Process id of the holder; `None` when it has not written it yet.
        pid: Option<u32>,
    },
    /// The system refused.
    #[error("cannot lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

fn holder_text(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another mainstay process".to_owned(),
        |pid| format!("mainstay process {pid}"),
    )
}

/// Finds the data directory: the flag, `$MAINSTAY_DATA_DIR`, `$STATE_DIRECTORY` (the first, where systemd names several),
/// `$XDG_DATA_HOME/mainstay`, `~/.local/share/mainstay`. Empty variables count as unset, and a relative `XDG_DATA_HOME` or
/// `HOME` is ignored. The answer is absolute where the current directory is known. Nothing is created or checked.
///
/// # Errors
/// [`DataDirError::Unknown`] when none of them is set.
pub fn resolve(
    flag: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, DataDirError> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let absolute = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let found = flag
        .filter(|path| !path.as_os_str().is_empty())
        .map(Path::to_path_buf)
        .or_else(|| variable("MAINSTAY_DATA_DIR").map(PathBuf::from))
        .or_else(|| variable("STATE_DIRECTORY").and_then(|list| first_of_list(&list)))
        .or_else(|| absolute("XDG_DATA_HOME").map(|home| home.join("mainstay")))
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share/mainstay")))
        .ok_or(DataDirError::Unknown)?;
    Ok(std::path::absolute(&found).unwrap_or(found))
}

fn first_of_list(list: &OsString) -> Option<PathBuf> {
    std::env::split_paths(list).find(|path| !path.as_os_str().is_empty())
}

/// The control socket's path inside `data_dir`.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_FILE)
}

/// Makes `path` usable as the data directory: creates it (and what is missing above it) with mode 0700, or checks that it
/// is a directory of this user. A directory that others may enter is closed when it is empty or already mainstay's.
///
/// # Errors
/// A [`DataDirError`] that says what is in the way; see [`DataDirError::next_step`].
pub fn prepare(path: &Path) -> Result<(), DataDirError> {
    let length = socket_path(path).as_os_str().len();
    if length > SOCKET_PATH_LIMIT {
        return Err(DataDirError::TooLong {
            path: path.to_path_buf(),
            length,
        });
    }
    let failed = |what, source| DataDirError::Io {
        what,
        path: path.to_path_buf(),
        source,
    };
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => {}
        Err(source)
            if matches!(
                source.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
            ) =>
        {
            return Err(DataDirError::NotADirectory {
                path: path.to_path_buf(),
            });
        }
        Err(source) => return Err(failed("create", source)),
    }
    let about = fs::metadata(path).map_err(|source| failed("look at", source))?;
    let we = rustix::process::geteuid().as_raw();
    if about.uid() != we {
        return Err(DataDirError::Foreign {
            path: path.to_path_buf(),
            owner: about.uid(),
            we,
        });
    }
    let mode = about.mode() & 0o7777;
    if mode & 0o077 != 0 {
        if !is_ours_to_close(path).map_err(|source| failed("read", source))? {
            return Err(DataDirError::Open {
                path: path.to_path_buf(),
                mode,
            });
        }
        fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(|source| failed("close", source))?;
    }
    rustix::fs::access(
        path,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )
    .map_err(|source| failed("write to", source.into()))
}

/// Empty, or with our lock file in it: then nobody else's files depend on its mode.
fn is_ours_to_close(path: &Path) -> io::Result<bool> {
    let mut is_empty = true;
    for entry in fs::read_dir(path)? {
        is_empty = false;
        if entry?.file_name() == LOCK_FILE {
            return Ok(true);
        }
    }
    Ok(is_empty)
}

/// The data directory is ours while this lives. The kernel releases the lock when the process ends in any way.
#[derive(Debug)]
pub struct DataDirLock {
    file: File,
    path: PathBuf,
}

impl DataDirLock {
    /// Takes the lock of the data directory `path`, which must exist, and writes our process id into the lock file.
    /// Waits at most 40 ms for a lock that is held.
    ///
    /// # Errors
    /// [`LockError::Held`] with the holder's process id, or [`LockError::Io`] when the lock file cannot be opened.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let lock_path = path.join(LOCK_FILE);
        let failed = |source| LockError::Io {
            path: lock_path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed)?;
        if !try_lock(
            &file,
            FlockOperation::NonBlockingLockExclusive,
            LOCK_ATTEMPTS,
        )
        .map_err(failed)?
        {
            return Err(LockError::Held {
                path: path.to_path_buf(),
                pid: pid_inside(&mut file),
            });
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
        })
    }

    /// The locked data directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DataDirLock {
    fn drop(&mut self) {
        // Only the message of a later error reads the number, so a failure here costs nothing.
        let _ignored = self.file.set_len(0);
    }
}

/// Whether a process holds the data directory `path` right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nobody does, or the directory has never been used.
    Nobody,
    /// A process does, with its id where it has written it.
    Process(Option<u32>),
}

/// Looks whether the data directory is in use, without keeping the lock.
///
/// # Errors
/// [`LockError::Io`] when the lock file is there but cannot be opened or locked.
pub fn holder(path: &Path) -> Result<Holder, LockError> {
    let lock_path = path.join(LOCK_FILE);
    let mut file = match File::open(&lock_path) {
        Ok(file) => file,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(source) => {
            return Err(LockError::Io {
                path: lock_path,
                source,
            });
        }
    };
    match try_lock(&file, FlockOperation::NonBlockingLockShared, 1) {
        Ok(true) => Ok(Holder::Nobody),
        Ok(false) => Ok(Holder::Process(pid_inside(&mut file))),
        Err(source) => Err(LockError::Io {
            path: lock_path,
            source,
        }),
    }
}

/// `false` when somebody else held it at each attempt.
fn try_lock(file: &File, operation: FlockOperation, attempts: u32) -> io::Result<bool> {
    for attempt in 1..=attempts {
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::WOULDBLOCK) if attempt < attempts => pause(),
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(false)
}

#[expect(
    clippy::disallowed_methods,
    reason = "runs before the runtime exists; the kernel offers no lock with a deadline"
)]
fn pause() {
    std::thread::sleep(LOCK_RETRY);
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn pid_inside(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(
        pairs: &'static [(&'static str, &'static str)],
    ) -> impl Fn(&str) -> Option<OsString> {
        move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        }
    }

    fn resolved(flag: Option<&str>, pairs: &'static [(&'static str, &'static str)]) -> PathBuf {
        resolve(flag.map(Path::new), environment(pairs)).unwrap()
    }

    #[test]
    fn the_nearest_answer_wins() {
        let all = &[
            ("MAINSTAY_DATA_DIR", "/env"),
            ("STATE_DIRECTORY", "/state:/other"),
            ("XDG_DATA_HOME", "/xdg"),
            ("HOME", "/home/ada"),
        ];
        assert_eq!(resolved(Some("/flag"), all), Path::new("/flag"));
        assert_eq!(resolved(None, all), Path::new("/env"));
        assert_eq!(
            resolved(
                None,
                &[("STATE_DIRECTORY", "/state:/other"), ("HOME", "/h")]
            ),
            Path::new("/state")
        );
        assert_eq!(
            resolved(None, &[("XDG_DATA_HOME", "/xdg"), ("HOME", "/h")]),
            Path::new("/xdg/mainstay")
        );
        assert_eq!(
            resolved(None, &[("HOME", "/h")]),
            Path::new("/h/.local/share/mainstay")
        );
    }

    #[test]
    fn empty_and_relative_variables_count_as_unset() {
        let pairs = &[
            ("MAINSTAY_DATA_DIR", ""),
            ("STATE_DIRECTORY", ""),
            ("XDG_DATA_HOME", "data"),
            ("HOME", "/h"),
        ];
        assert_eq!(resolved(None, pairs), Path::new("/h/.local/share/mainstay"));
        assert!(matches!(
            resolve(None, environment(&[("HOME", "")])),
            Err(DataDirError::Unknown)
        ));
    }

    #[test]
    fn a_relative_flag_becomes_absolute() {
        assert!(resolved(Some("data"), &[]).is_absolute());
    }

    #[test]
    fn it_is_created_for_the_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b");
        prepare(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
        prepare(&path).unwrap();
    }

    #[test]
    fn an_open_directory_is_closed_only_when_it_is_ours() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("shared");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        prepare(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);

        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        fs::write(path.join("thesis.txt"), "years of work").unwrap();
        assert!(matches!(
            prepare(&path),
            Err(DataDirError::Open { mode: 0o755, .. })
        ));
        fs::write(path.join(LOCK_FILE), "").unwrap();
        prepare(&path).unwrap();
    }

    #[test]
    fn a_file_and_a_long_path_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(
            prepare(&file),
            Err(DataDirError::NotADirectory { .. })
        ));
        assert!(matches!(
            prepare(&file.join("below")),
            Err(DataDirError::NotADirectory { .. })
        ));
        assert!(matches!(
            prepare(&place.path().join("x".repeat(120))),
            Err(DataDirError::TooLong { .. })
        ));
    }

    #[test]
    fn one_holder_at_a_time_and_the_next_is_told_who() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(holder(place.path()).unwrap(), Holder::Nobody);
        let lock = DataDirLock::acquire(place.path()).unwrap();
        let we = Some(std::process::id());
        assert_eq!(holder(place.path()).unwrap(), Holder::Process(we));
        match DataDirLock::acquire(place.path()) {
            Err(LockError::Held { pid, .. }) => assert_eq!(pid, we),
            other => panic!("expected a refusal, got {other:?}"),
        }
        drop(lock);
        assert_eq!(holder(place.path()).unwrap(), Holder::Nobody);
        drop(DataDirLock::acquire(place.path()).unwrap());
    }

    #[test]
    fn a_stale_number_in_the_lock_file_holds_nobody_up() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(LOCK_FILE), "999999\n").unwrap();
        assert_eq!(holder(place.path()).unwrap(), Holder::Nobody);
        drop(DataDirLock::acquire(place.path()).unwrap());
    }

    #[test]
    fn without_the_directory_the_lock_says_so() {
        let place = tempfile::tempdir().unwrap();
        let missing = place.path().join("missing");
        assert!(matches!(
            DataDirLock::acquire(&missing),
            Err(LockError::Io { .. })
        ));
        assert_eq!(holder(&missing).unwrap(), Holder::Nobody);
    }
}
