//! The closed list of fault kinds that every layer shares.
//!
//! A domain error says *what* went wrong in its own words; the kind says what a caller can do about it. Edges turn kinds
//! into protocol answers in one place, so that no domain knows a status code and no edge knows a domain's variants.

use std::time::Duration;

use serde::Serialize;

/// What a caller can do about a fault. Edges map each kind to one answer (HTTP statuses are named for orientation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The input could not be read at all (400).
    Malformed,
    /// The input was read and breaks rules; the findings name all of them (422).
    Invalid,
    /// Nobody is signed in, or the credential is bad (401).
    Unauthenticated,
    /// Signed in, but not allowed (403).
    Forbidden,
    /// There is no such thing, or the caller may not know of it (404).
    NotFound,
    /// The request contradicts the present state (409).
    Conflict,
    /// An `If-Match` names a version that is no longer current (412).
    Stale,
    /// The input is larger than the limit (413).
    TooLarge,
    /// A limit or quota is used up; try later (429).
    Limited,
    /// An external dependency answered badly (502).
    Upstream,
    /// The component is down, restarting or full; try later (503).
    Unavailable,
    /// No answer within the deadline (504).
    Deadline,
    /// A fault of ours (500).
    Internal,
}

/// One finding about an input: where, what and a stable code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// JSON pointer into the input (RFC 6901), or a parameter's name.
    pub pointer: String,
    /// Stable machine-readable code.
    pub code: String,
    /// What was expected, in plain words.
    pub message: String,
}

impl Finding {
    /// A finding at `pointer`.
    pub fn new(
        pointer: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            code: code.into(),
            message: message.into(),
        }
    }
}

/// An error that can leave its domain: it has a kind, a stable code and a sentence for the user.
///
/// The *outside* is what a user may read. The *inside* is the [`std::error::Error::source`] chain, which goes to the
/// log and the event history only.
pub trait Fault: std::error::Error + Send + Sync + 'static {
    /// What a caller can do about it.
    fn kind(&self) -> FaultKind;
    /// Stable code, `<domain>.<what>`.
    fn code(&self) -> &'static str;
    /// A plain sentence for the user, with what to do next. Never internals.
    fn outside(&self) -> String;
    /// All findings about the input at once; empty unless the kind is [`FaultKind::Invalid`] or
    /// [`FaultKind::Malformed`].
    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }
    /// When trying again makes sense.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}
