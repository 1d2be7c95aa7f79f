//! How errors of calls are told apart, and what a caller hears when there was no call.

use std::sync::Arc;
use std::time::Duration;

use crate::fault::{Fault, FaultKind};

/// Whom a failed call speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The dependency: it was not there, broke, or answered nonsense. Counts as a failure.
    Dependency,
    /// Whoever asked: the dependency answered properly that it will not do this. Counts as a success.
    Caller,
    /// Neither: the call says nothing about the dependency. Counts as nothing.
    Nobody,
}

/// An error of a call to a dependency: its [`Fault`] says what a user hears, this says what follows for the dependency.
///
/// The two constructors are what drills make errors with. They go the way of any other error (breaker, retries, the caller's
/// own handling), so they must be errors that real calls can yield.
pub trait CallFault: Fault + Sized {
    /// The error of a call that reached nobody. `detail` is for the log.
    fn unreachable(detail: &str) -> Self;

    /// The error of a call whose answer made no sense. `detail` is for the log.
    fn garbage(detail: &str) -> Self;

    /// Whom it speaks against.
    fn blame(&self) -> Blame {
        match self.kind() {
            FaultKind::Upstream | FaultKind::Unavailable | FaultKind::Deadline => Blame::Dependency,
            FaultKind::Internal => Blame::Nobody,
            _ => Blame::Caller,
        }
    }

    /// Whether the same call may succeed a moment later, and does no harm when it is made twice.
    fn is_retryable(&self) -> bool {
        self.kind() == FaultKind::Limited || self.blame() == Blame::Dependency
    }

    /// How long the dependency asks to be left alone (`Retry-After`): neither a retry nor a trial comes earlier.
    fn wait(&self) -> Option<Duration> {
        self.retry_after()
    }
}

/// Why a call to a dependency has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// The breaker is open: nobody was called.
    #[error("{path} is away; calls to it are refused")]
    Open {
        /// Which dependency.
        path: Arc<str>,
        /// When it is tried again.
        retry_after: Duration,
    },
    /// As many calls as allowed are under way: nobody was called.
    #[error("{path} has {in_flight} calls under way already")]
    Full {
        /// Which dependency.
        path: Arc<str>,
        /// Calls under way.
        in_flight: u32,
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// No answer in time; the call may have taken effect.
    #[error("{path} did not answer in time")]
    Timeout {
        /// Which dependency.
        path: Arc<str>,
    },
    /// The last attempt failed.
    #[error(transparent)]
    Failed(E),
}

impl<E: Fault> Fault for CallError<E> {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Open { .. } | Self::Full { .. } => FaultKind::Unavailable,
            Self::Timeout { .. } => FaultKind::Deadline,
            Self::Failed(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Open { .. } => "dependency.open",
            Self::Full { .. } => "dependency.full",
            Self::Timeout { .. } => "dependency.timeout",
            Self::Failed(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Open { path, .. } => {
                format!("{path} does not answer at the moment; try again later")
            }
            Self::Full { path, .. } => {
                format!("{path} has as many calls as it may have; try again later")
            }
            Self::Timeout { path } => {
                format!("{path} did not answer in time; the request may have taken effect")
            }
            Self::Failed(error) => error.outside(),
        }
    }

    fn findings(&self) -> Vec<crate::fault::Finding> {
        match self {
            Self::Failed(error) => error.findings(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Open { retry_after, .. } | Self::Full { retry_after, .. } => Some(*retry_after),
            Self::Timeout { .. } => None,
            Self::Failed(error) => error.retry_after(),
        }
    }
}
