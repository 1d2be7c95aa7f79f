//! What terminals need from outside: the store (softly) and the daemon's environment.

use std::sync::Arc;

use ground::Db;

use crate::directory::Directory;
use crate::environment::DaemonEnvironment;

/// Made once, at wiring. Clones share the terminals, which is how those survive a restart of the domain.
#[derive(Debug, Clone)]
pub struct Ports {
    pub(crate) db: Db,
    pub(crate) environment: DaemonEnvironment,
    pub(crate) directory: Arc<Directory>,
}

impl Ports {
    /// `environment` is the daemon's own; a short list of it passes to shells.
    pub fn new(db: Db, environment: DaemonEnvironment) -> Self {
        Self {
            db,
            environment,
            directory: Arc::default(),
        }
    }
}
