//! A temporary directory that holds everything one daemon owns.
//!
//! Why apart from the daemon: a test that kills or restarts a daemon wants the same data under the next one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{janitor, process};

/// A data directory, a home directory and a place for files of the test, removed with the last clone.
///
/// Its path is also the mark by which the harness knows the processes of a test: they all get it in `HOME`.
#[derive(Clone, Debug)]
pub struct Home {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: TempDir,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// A fresh, empty one.
    ///
    /// # Panics
    ///
    /// When the system's temporary directory cannot be written to.
    #[must_use]
    pub fn new() -> Self {
        // Short, because the path of a Unix socket below it has 107 bytes at most.
        let root = tempfile::Builder::new()
            .prefix("mst-")
            .tempdir()
            .expect("a temporary directory can be made");
        janitor::add(root.path());
        std::fs::create_dir(root.path().join("home")).expect("a new directory takes a directory");
        Self {
            inner: Arc::new(Inner { root }),
        }
    }

    /// The directory that holds the others.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.inner.root.path()
    }

    /// The data directory; the daemon makes it.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.root().join("data")
    }

    /// The `HOME` of the daemon, of its command line and of every shell.
    #[must_use]
    pub fn user_home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// Writes a file below the root and gives its path.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root().join(name);
        std::fs::write(&path, content).expect("the file can be written");
        path
    }

    /// The running processes that were started with this home, other than direct children of the test process.
    #[must_use]
    pub fn processes(&self) -> Vec<process::Process> {
        process::marked(self.root())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for left in process::marked(self.root.path()) {
            left.signal(Signal::KILL);
        }
        // A killed process may still be writing its last file; what cannot be removed now, the janitor removes.
        if std::fs::remove_dir_all(self.root.path()).is_ok() {
            janitor::done(self.root.path());
        }
    }
}
