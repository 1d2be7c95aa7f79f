//! What a domain writes: a worker with a start, a handler and a stop.
//!
//! A worker knows nothing of restarts. Each incarnation is built by [`Worker::start`] from the seed alone, so whatever must
//! survive lives in the seed or in the store (crash-only).

use std::future::Future;
use std::time::Duration;

use crate::context::Context;

/// Ends an incarnation: its own state can no longer be trusted. Everything else is a reply.
pub type WorkerError = Box<dyn std::error::Error + Send + Sync>;

/// Why a start failed.
#[derive(Debug)]
pub struct StartError {
    /// Stable code, `<domain>.<what>`.
    pub code: &'static str,
    /// What is wrong and what to do, for an operator. No secrets.
    pub message: String,
    /// Whether trying again is useless until somebody changes something.
    pub permanent: bool,
    /// The inside.
    pub source: Option<WorkerError>,
}

impl StartError {
    /// A failure that may pass: the start is tried again with backoff.
    pub fn retry(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            permanent: false,
            source: None,
        }
    }

    /// A failure that stays until somebody changes something: straight into quarantine.
    pub fn permanent(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            permanent: true,
            ..Self::retry(code, message)
        }
    }

    /// Adds the inside, for log and history.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<WorkerError>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// A supervised actor.
pub trait Worker: Sized + Send + 'static {
    /// Its requests.
    type Msg: Send + 'static;
    /// What every incarnation is built from.
    type Seed: Clone + Send + Sync + 'static;

    /// Builds an incarnation. It is ready when this returns; the start limit of its policy applies.
    ///
    /// # Errors
    /// [`StartError`] decides between backoff and quarantine.
    fn start(
        seed: Self::Seed,
        cx: &Context<Self::Msg>,
    ) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Serves one request. Slow work goes to [`Context::offload`] or [`Context::reply_later`].
    ///
    /// # Errors
    /// An error ends this incarnation and counts against the restart budget.
    fn handle(
        &mut self,
        msg: Self::Msg,
        cx: &Context<Self::Msg>,
    ) -> impl Future<Output = Result<(), WorkerError>> + Send;

    /// Runs after the last message of a graceful stop, within the stop limit. Never after a kill or a panic.
    fn stop(&mut self, _cx: &Context<Self::Msg>) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The name of a request, for the history: which message an incarnation ended with.
    fn message_name(msg: &Self::Msg) -> &'static str;

    /// How long a handler may take for this request without progress; the policy's limit without one. See
    /// [`Context::progress`] and [`Context::protect`] for work that is known to take long.
    fn handler_limit(_msg: &Self::Msg) -> Option<Duration> {
        None
    }

    /// Whether a request that waits in the mailbox when this incarnation ends is served by the next one. The request in hand
    /// never is: it may be what ended it.
    fn survives_restart(_msg: &Self::Msg) -> bool {
        false
    }

    /// Whether a request is served before others, and admitted when the mailbox is full: for few and short ones.
    fn is_control(_msg: &Self::Msg) -> bool {
        false
    }
}
