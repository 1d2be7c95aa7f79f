//! The face of the domain: one method a request.

use ground::{Id, Page, PageRequest};
use supervisor::{Address, AskError};

use crate::attachment::Attachment;
use crate::error::PtysError;
use crate::messages::ManagerMsg;
use crate::types::{NewTerminal, TerminalChange, TerminalInfo};

/// Terminals, from outside. Cheap to clone; stays valid over restarts.
#[derive(Debug, Clone)]
pub struct PtysHandle {
    manager: Address<ManagerMsg>,
}

impl PtysHandle {
    pub(crate) fn new(manager: Address<ManagerMsg>) -> Self {
        Self { manager }
    }

    /// Starts a shell on a new terminal.
    ///
    /// # Errors
    /// [`PtysError::Invalid`] with all findings, [`PtysError::TooMany`], [`PtysError::NotMade`], [`PtysError::SlowStart`],
    /// [`PtysError::Open`], [`PtysError::Ask`]. When the caller leaves the terminal may be there all the same.
    pub async fn open(&self, new: NewTerminal) -> Result<TerminalInfo, PtysError> {
        self.manager
            .ask(|reply| ManagerMsg::Open { new, reply })
            .await?
    }

    /// A page of all terminals, oldest first: running ones, those whose shell has ended, those an earlier daemon left.
    ///
    /// # Errors
    /// [`AskError`] alone.
    pub async fn list(&self, page: PageRequest) -> Result<Page<TerminalInfo>, AskError> {
        self.manager
            .ask(|reply| ManagerMsg::List { page, reply })
            .await
    }

    /// One terminal.
    ///
    /// # Errors
    /// [`PtysError::NotFound`], [`PtysError::Ask`].
    pub async fn get(&self, id: Id) -> Result<TerminalInfo, PtysError> {
        self.manager
            .ask(|reply| ManagerMsg::Get { id, reply })
            .await?
    }

    /// Renames or resizes a terminal, and tells what it is then.
    ///
    /// # Errors
    /// [`PtysError::Invalid`], [`PtysError::NotFound`], [`PtysError::Exited`] for a resize, [`PtysError::Lost`],
    /// [`PtysError::Open`], [`PtysError::Ask`].
    pub async fn update(&self, id: Id, change: TerminalChange) -> Result<TerminalInfo, PtysError> {
        self.manager
            .ask(|reply| ManagerMsg::Update { id, change, reply })
            .await?
    }

    /// Ends a terminal with all processes of its session, and forgets it. Answers when they have ended.
    ///
    /// # Errors
    /// [`PtysError::NotFound`], [`PtysError::NotEnded`], [`PtysError::Ask`]. When the caller leaves it goes on.
    pub async fn delete(&self, id: Id) -> Result<(), PtysError> {
        self.manager
            .ask(|reply| ManagerMsg::Delete { id, reply })
            .await?
    }

    /// Attaches a viewer. It gets everything from the byte `since` on, or the scrollback where that is gone or not given.
    ///
    /// # Errors
    /// [`PtysError::NotFound`], [`PtysError::Lost`], [`PtysError::TooManyViewers`], [`PtysError::Ask`].
    pub async fn attach(&self, id: Id, since: Option<u64>) -> Result<Attachment, PtysError> {
        self.manager
            .ask(|reply| ManagerMsg::Attach { id, since, reply })
            .await?
    }
}
