//! The public face. Only recording goes to the actor.

use std::sync::Arc;

use ground::audit::{Entry, Source};
use ground::{Db, Page, clock};
use supervisor::Address;

use crate::error::{AuditError, RecordError};
use crate::messages::AuditMsg;
use crate::pending::Pending;
use crate::ports::Ports;
use crate::reading::{self, Export};
use crate::types::{Kept, Query, Span, Verification};

/// The audit. Cheap to clone; works across restarts of the domain.
#[derive(Debug, Clone)]
pub struct AuditHandle {
    writer: Address<AuditMsg>,
    pending: Arc<Pending>,
    db: Db,
}

impl AuditHandle {
    pub(crate) fn new(writer: Address<AuditMsg>) -> Self {
        Self {
            writer,
            pending: Arc::default(),
            db: Db::vacant(),
        }
    }

    /// The same handle on this database, and what the domain behind it is to be started with.
    #[must_use]
    pub fn ports(self, db: Db) -> (Self, Ports) {
        let pending = Arc::clone(&self.pending);
        (
            Self {
                db: db.clone(),
                ..self
            },
            Ports { db, pending },
        )
    }

    /// Records what has no transaction of its own. `Ok`: it is on disk. Takes at most two seconds.
    ///
    /// # Errors
    /// `Waiting`: it is kept in memory until the database takes it. `Full`: it is counted only.
    pub async fn record(&self, entry: Entry) -> Result<(), RecordError> {
        self.pending.record(entry, &self.db, &self.writer).await
    }

    /// Counts a wrong token. Waits for nothing.
    pub fn refused(&self, source: &Source, code: &'static str) {
        if self.pending.refused(source, code, clock::now()) {
            drop(self.writer.tell(AuditMsg::Due));
        }
    }

    /// A page of entries, newest first.
    ///
    /// # Errors
    /// Any [`AuditError`].
    pub async fn list(&self, query: &Query) -> Result<Page<Kept>, AuditError> {
        reading::list(&self.db, query).await
    }

    /// Verifies a stretch of the chain and tells where to go on. Takes a few seconds at most.
    ///
    /// # Errors
    /// Any [`AuditError`]; a broken chain is none.
    pub async fn verify(&self, span: Span) -> Result<Verification, AuditError> {
        reading::verify(&self.db, span).await
    }

    /// Begins to read all entries, oldest first.
    ///
    /// # Errors
    /// Any [`AuditError`].
    pub async fn export(&self) -> Result<Export, AuditError> {
        Export::begin(self.db.clone()).await
    }
}
