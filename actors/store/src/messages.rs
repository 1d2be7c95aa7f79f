//! What the manager is asked, and what its own tasks tell it.

use std::sync::Arc;

use ground::DbError;
use supervisor::Reply;

use crate::error::{CheckError, StoreError};
use crate::opened::Opened;
use crate::types::{Probe, Stats};
use crate::watch::Sight;

/// What a check found.
pub(crate) type Checked = Result<(), CheckError>;

/// Requests of the manager, and the reports of its tasks.
#[derive(Debug)]
pub struct StoreMsg(pub(crate) Msg);

#[derive(Debug)]
pub(crate) enum Msg {
    /// Look at the database now.
    Probe {
        reply: Reply<Result<Probe, DbError>>,
    },
    /// Tell figures.
    Stats {
        reply: Reply<Result<Stats, DbError>>,
    },
    /// Look at the database, or open it again while it is lost.
    Check { reply: Reply<Checked> },
    /// What a look at the database of this opening found.
    Seen {
        opening: u64,
        sight: Sight,
        reply: Reply<Checked>,
    },
    /// The breaker of the database is no longer closed.
    Away { opening: u64 },
    /// How opening it again went.
    Reopened {
        result: Result<Box<Opened>, StoreError>,
        reply: Reply<Checked>,
        /// Held until the answer is handled.
        busy: Arc<()>,
    },
}
