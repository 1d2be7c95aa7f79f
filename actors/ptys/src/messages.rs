//! What the manager and the actor of a terminal can be asked. Private to the domain: others use the handle.

use ground::{Id, Page, PageRequest};
use supervisor::Reply;

use crate::attachment::Attachment;
use crate::error::PtysError;
use crate::types::{NewTerminal, TerminalChange, TerminalInfo};
use crate::viewer::Viewer;

/// An answer that can be an error.
pub(crate) type Answer<T> = Reply<Result<T, PtysError>>;

/// Requests of the manager.
#[derive(Debug)]
pub enum ManagerMsg {
    /// Start a shell.
    Open {
        /// What to start.
        new: NewTerminal,
        /// Who asks.
        viewer: Viewer,
        /// The terminal.
        reply: Answer<TerminalInfo>,
    },
    /// Tell of all terminals.
    List {
        /// Which of them.
        page: PageRequest,
        /// Who asks.
        viewer: Viewer,
        /// The page.
        reply: Reply<Page<TerminalInfo>>,
    },
    /// Tell of one terminal.
    Get {
        /// Which.
        id: Id,
        /// Who asks.
        viewer: Viewer,
        /// What is told.
        reply: Answer<TerminalInfo>,
    },
    /// Rename or resize one.
    Update {
        /// Which.
        id: Id,
        /// Who asks.
        viewer: Viewer,
        /// What changes.
        change: TerminalChange,
        /// The terminal after the change.
        reply: Answer<TerminalInfo>,
    },
    /// End one.
    Delete {
        /// Which.
        id: Id,
        /// Who asks.
        viewer: Viewer,
        /// Sent when all its processes have ended.
        reply: Answer<()>,
    },
    /// End all of one owner.
    DeleteAll {
        /// Whose.
        owner: Id,
        /// Sent when all their processes have ended.
        reply: Answer<()>,
    },
    /// Attach a viewer.
    Attach {
        /// To which.
        id: Id,
        /// Who asks.
        viewer: Viewer,
        /// The first byte that the viewer lacks.
        since: Option<u64>,
        /// The viewer's place.
        reply: Answer<Attachment>,
    },
}

/// Requests of the actor of one terminal.
#[derive(Debug)]
pub(crate) enum TerminalMsg {
    /// Rename or resize it.
    Update {
        change: TerminalChange,
        reply: Answer<TerminalInfo>,
    },
    /// End it.
    Delete { reply: Answer<()> },
    /// Its pump ended before the shell did.
    PumpLost,
    /// Its shell ended.
    Exited,
}
