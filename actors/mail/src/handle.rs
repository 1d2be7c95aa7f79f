//! The public face: one method a request.

use ground::audit::By;
use ground::{Id, Page, PageRequest};
use supervisor::Address;

use crate::error::MailError;
use crate::messages::MailMsg;
use crate::types::QueuedMail;

/// Outgoing mail. Cheap to clone; works across restarts of the domain. A mail is not sent here: see [`ground::mail::enqueue`].
#[derive(Debug, Clone)]
pub struct MailHandle {
    address: Address<MailMsg>,
}

impl MailHandle {
    pub(crate) fn new(address: Address<MailMsg>) -> Self {
        Self { address }
    }

    /// The mails in the order in which they were written, those that ended included as long as they are kept. Never their text.
    ///
    /// # Errors
    /// Whatever keeps them from being read.
    pub async fn list(&self, page: PageRequest) -> Result<Page<QueuedMail>, MailError> {
        let list = |reply| MailMsg::List { page, reply };
        self.address.ask(list).await?
    }

    /// Has a waiting mail tried now, however long it was to wait. While the server is away it is tried when that is back.
    ///
    /// # Errors
    /// `NotFound`, `Ended`, and whatever keeps it from being stored. After `Deadline` or `Ask` it may have been stored all the same.
    pub async fn retry(&self, id: Id, by: By) -> Result<(), MailError> {
        let retry = |reply| MailMsg::Retry { id, by, reply };
        self.address.ask(retry).await?
    }
}
