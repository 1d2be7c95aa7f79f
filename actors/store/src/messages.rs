//! What the manager is asked, and what its own tasks tell it.

use std::time::Duration;

use ground::DbError;
use supervisor::Reply;

use crate::error::StoreError;
use crate::opened::Opened;
use crate::types::{Probe, Stats};
use crate::watch::Sight;

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
    /// The watching task sees something new.
    Seen { opening: u64, sight: Sight },
    /// The database was opened again.
    Reopened { opened: Box<Opened> },
    /// It could not be opened again yet; the next attempt comes after `pause`.
    StillAway { error: StoreError, pause: Duration },
}
