//! The face of the domain: one method a request.

use ground::{Id, Page, PageRequest};
use supervisor::{Address, AskError};

use crate::attachment::Attachment;
use crate::error::PtysError;
use crate::messages::ManagerMsg;
use crate::types::{NewTerminal, TerminalChange, TerminalInfo};
use crate::viewer::Viewer;

/// Terminals, from outside. Cheap to clone; stays valid over restarts. Nothing can be asked without saying who asks.
#[derive(Debug, Clone)]
pub struct PtysHandle {
    manager: Address<ManagerMsg>,
}

/// Terminals as one person sees them: those of others do not exist.
#[derive(Debug, Clone)]
pub struct Terminals {
    manager: Address<ManagerMsg>,
    viewer: Viewer,
}

impl PtysHandle {
    pub(crate) fn new(manager: Address<ManagerMsg>) -> Self {
        Self { manager }
    }

    /// The terminals that `viewer` sees.
    pub fn of(&self, viewer: Viewer) -> Terminals {
        let manager = self.manager.clone();
        Terminals { manager, viewer }
    }

    /// Ends all terminals of a user with their processes, and forgets them. Answers when they have ended.
    ///
    /// # Errors
    /// [`PtysError::NotEnded`], [`PtysError::Ask`]; all others have been ended then.
    pub async fn end_all(&self, owner: Id) -> Result<(), PtysError> {
        let ask = |reply| ManagerMsg::DeleteAll { owner, reply };
        self.manager.ask(ask).await?
    }
}

impl Terminals {
    /// The same domain as somebody else sees it.
    #[cfg(test)]
    pub(crate) fn of(&self, viewer: Viewer) -> Self {
        let manager = self.manager.clone();
        Self { manager, viewer }
    }

    /// Starts a shell on a new terminal.
    ///
    /// # Errors
    /// [`PtysError::RoleNotAllowed`], [`PtysError::Invalid`] with all findings, [`PtysError::TooMany`], [`PtysError::NotMade`], [`PtysError::SlowStart`],
    /// [`PtysError::Open`], [`PtysError::Ask`]. When the caller leaves the terminal may be there all the same.
    pub async fn open(&self, new: NewTerminal) -> Result<TerminalInfo, PtysError> {
        let viewer = self.viewer.clone();
        let ask = |reply| ManagerMsg::Open { new, viewer, reply };
        self.manager.ask(ask).await?
    }

    /// A page of all terminals, oldest first: running ones, those whose shell has ended, those an earlier daemon left.
    ///
    /// # Errors
    /// [`AskError`] alone.
    pub async fn list(&self, page: PageRequest) -> Result<Page<TerminalInfo>, AskError> {
        let viewer = self.viewer.clone();
        let ask = |reply| ManagerMsg::List {
            page,
            viewer,
            reply,
        };
        self.manager.ask(ask).await
    }

    /// One terminal.
    ///
    /// # Errors
    /// [`PtysError::NotFound`], [`PtysError::Ask`].
    pub async fn get(&self, id: Id) -> Result<TerminalInfo, PtysError> {
        let viewer = self.viewer.clone();
        let ask = |reply| ManagerMsg::Get { id, viewer, reply };
        self.manager.ask(ask).await?
    }

    /// Renames or resizes a terminal, and tells what it is then.
    ///
    /// # Errors
    /// [`PtysError::Invalid`], [`PtysError::NotFound`], [`PtysError::Exited`] for a resize, [`PtysError::Lost`],
    /// [`PtysError::Open`], [`PtysError::Ask`].
    pub async fn update(&self, id: Id, change: TerminalChange) -> Result<TerminalInfo, PtysError> {
        let viewer = self.viewer.clone();
        let ask = |reply| ManagerMsg::Update {
            id,
            viewer,
            change,
            reply,
        };
        self.manager.ask(ask).await?
    }

    /// Ends a terminal with all processes of its session, and forgets it. Answers when they have ended.
    ///
    /// # Errors
    /// [`PtysError::NotFound`], [`PtysError::NotEnded`], [`PtysError::Ask`]. When the caller leaves it goes on.
    pub async fn delete(&self, id: Id) -> Result<(), PtysError> {
        let viewer = self.viewer.clone();
        let ask = |reply| ManagerMsg::Delete { id, viewer, reply };
        self.manager.ask(ask).await?
    }

    /// Attaches a viewer. It gets everything from the byte `since` on, or the scrollback where that is gone or not given.
    ///
    /// # Errors
    /// [`PtysError::NotFound`], [`PtysError::RoleNotAllowed`], [`PtysError::Lost`], [`PtysError::TooManyViewers`], [`PtysError::Ask`].
    pub async fn attach(&self, id: Id, since: Option<u64>) -> Result<Attachment, PtysError> {
        let viewer = self.viewer.clone();
        let ask = |reply| ManagerMsg::Attach {
            id,
            viewer,
            since,
            reply,
        };
        self.manager.ask(ask).await?
    }
}
