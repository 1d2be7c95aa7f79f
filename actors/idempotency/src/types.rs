//! What is claimed and what is kept.

use std::time::Duration;

use ground::{Id, Micros};
use serde::Serialize;

/// How long a key counts.
pub const KEPT_FOR: Duration = Duration::from_hours(24);
/// Bytes of an answer's body that are stored at most. What makes something new answers with one small document; a larger answer is
/// withheld.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// Whose request it is, for what, under which name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The caller, in words that stay the same over restarts.
    pub caller: String,
    /// The route, as method and pattern.
    pub route: String,
    /// The path.
    pub path: String,
    /// What the client called the request.
    pub key: String,
}

/// The right to run a request and to say what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim(pub(crate) Id);

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody ran it: run it, then settle it.
    Fresh(Claim),
    /// It was done; this was the answer.
    Done(Answer),
    /// The key was used for something else.
    Reused,
}

/// An answer. Its body is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers by name.
    pub headers: Vec<(String, String)>,
    /// The body, at most [`MAX_ANSWER_BYTES`].
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// How a claimed request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It was done, with this answer.
    Done(Answer),
    /// It was done, and its answer must not be stored.
    Withheld,
    /// It did nothing: the key is free.
    Released,
}

/// A request with a key, as it is told to who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptRequest {
    /// The route, as method and pattern.
    pub route: String,
    /// The path.
    pub path: String,
    /// What the client called it.
    pub key: String,
    /// The HTTP status of the kept answer; null when none is kept.
    pub status: Option<u16>,
    /// When it was sent.
    pub created_at: Micros,
}
