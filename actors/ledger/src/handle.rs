//! The public face. Reading goes past the actor: the history can be read while the ledger itself is down, and reading never
//! waits behind a write.

use std::sync::{Arc, OnceLock};

use ground::Db;

use crate::ports::{Ports, Recent};
use crate::reading;
use crate::types::{Listed, Query};

/// The ledger. Cheap to clone; works across restarts of the domain.
#[derive(Debug, Clone, Default)]
pub struct LedgerHandle {
    ports: Arc<OnceLock<Ports>>,
}

impl LedgerHandle {
    /// What the domain behind this handle is to be started with. From now on the handle reads there; a second call changes
    /// nothing and gives the same.
    pub fn ports(&self, db: Db, recent: Arc<dyn Recent>) -> Ports {
        self.ports.get_or_init(|| Ports { db, recent }).clone()
    }

    /// What happened, a page at a time. Never fails: while the table cannot be read, the page is what memory holds, and says so.
    /// Takes at most two seconds.
    pub async fn list(&self, query: Query) -> Listed {
        reading::list(self.ports.get(), &query).await
    }
}
