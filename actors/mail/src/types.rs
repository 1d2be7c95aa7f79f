//! What is told of a mail: everything but its text.

use std::fmt;
use std::str::FromStr;

use ground::{Id, Micros};
use serde::Serialize;

/// What has become of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// It waits to be sent, or is being sent.
    Waiting,
    /// The server has taken it.
    Sent,
    /// It was put into the outbox.
    Outbox,
    /// It will not be sent: refused, or not wanted any more.
    GivenUp,
}

/// The word is no state of a mail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a state of a mail")]
pub struct MailStateError;

impl MailState {
    /// The word for it, in the database and in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Outbox => "outbox",
            Self::GivenUp => "given_up",
        }
    }
}

impl fmt::Display for MailState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for MailState {
    type Err = MailStateError;

    fn from_str(word: &str) -> Result<Self, MailStateError> {
        [Self::Waiting, Self::Sent, Self::Outbox, Self::GivenUp]
            .into_iter()
            .find(|state| state.word() == word)
            .ok_or(MailStateError)
    }
}

/// A mail of the queue, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueuedMail {
    /// Its id, which is in its `Message-ID`, too.
    pub id: Id,
    /// To whom.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// What it is for, like `password.reset`.
    pub kind: String,
    /// What has become of it.
    pub state: MailState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next; null when it waits no more.
    pub next_attempt_at: Option<Micros>,
    /// From when on nobody wants it any more.
    pub not_after: Micros,
    /// The code of the last error, if there was one.
    pub last_code: Option<String>,
    /// What went wrong the last time.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: Micros,
    /// When it was sent, put into the outbox or given up.
    pub ended_at: Option<Micros>,
}
