//! What the sender can be asked. Others use the handle.

use ground::audit::By;
use ground::{Id, Page, PageRequest};
use supervisor::Reply;

use crate::error::MailError;
use crate::types::QueuedMail;

/// An answer that can be an error.
pub(crate) type Answer<T> = Reply<Result<T, MailError>>;

/// Requests of the sender.
#[derive(Debug)]
pub enum MailMsg {
    /// Tell of all mails, a page at a time.
    List {
        /// Which page.
        page: PageRequest,
        /// The answer.
        reply: Reply<Result<Page<QueuedMail>, MailError>>,
    },
    /// Send a waiting mail now rather than later.
    Retry {
        /// Which mail.
        id: Id,
        /// Who wants it, and from where.
        by: By,
        /// The answer.
        reply: Reply<Result<(), MailError>>,
    },
}
