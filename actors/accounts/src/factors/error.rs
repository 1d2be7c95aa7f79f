//! What can go wrong with a second factor, in the user's words.

use std::time::Duration;

use ground::DbError;
use ground::sealed::SealError;
use supervisor::{AskError, Fault, FaultKind, Finding};

/// Why a second factor was not accepted or not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FactorError {
    /// The user has one, and none was shown.
    #[error("a second factor is required")]
    Required,
    /// What was shown at a sign-in is wrong, used already, or of another time.
    #[error("the second factor is wrong")]
    Wrong,
    /// The same in a request of somebody who is signed in.
    #[error("{} finding(s) in the request", .0.len())]
    Invalid(Vec<Finding>),
    /// Too many wrong codes; this one was not looked at.
    #[error("too many wrong codes")]
    Limited {
        /// When the next one is looked at.
        retry_after: Duration,
    },
    /// The caller did not sign in in person, or too long ago.
    #[error("the sign-in is not fresh")]
    NotFresh,
    /// There is an app already.
    #[error("an authenticator app is set up already")]
    AlreadySetUp,
    /// There is none to confirm.
    #[error("no authenticator app waits for its first code")]
    NothingPending,
    /// There is none.
    #[error("no authenticator app is set up")]
    NotSetUp,
    /// The user does not exist any more.
    #[error("there is no such user")]
    NoUser,
    /// The secret could not be sealed or opened.
    #[error("a secret could not be sealed or opened")]
    Sealed(#[from] SealError),
    /// The database did not do its part.
    #[error("a request about second factors failed")]
    Store(#[from] DbError),
    /// The actor gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl FactorError {
    /// The answer to more requests than can be under way.
    pub(crate) const fn busy() -> Self {
        Self::Store(DbError::Busy {
            retry_after: ground::db::BUSY_RETRY,
        })
    }
}

impl Fault for FactorError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Required | Self::Wrong => FaultKind::Unauthenticated,
            Self::Invalid(_) => FaultKind::Invalid,
            Self::Limited { .. } => FaultKind::Limited,
            Self::NotFresh => FaultKind::Forbidden,
            Self::AlreadySetUp | Self::NothingPending | Self::NotSetUp => FaultKind::Conflict,
            Self::NoUser => FaultKind::NotFound,
            Self::Sealed(SealError::NoKey(_) | SealError::UnknownKey(_))
            | Self::Store(DbError::Unavailable { .. } | DbError::Busy { .. }) => {
                FaultKind::Unavailable
            }
            Self::Store(DbError::Deadline) => FaultKind::Deadline,
            Self::Sealed(_) | Self::Store(_) => FaultKind::Internal,
            Self::Ask(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Required => "factors.required",
            Self::Wrong => "factors.wrong",
            Self::Invalid(_) => "factors.invalid",
            Self::Limited { .. } => "factors.limited",
            Self::NotFresh => "factors.not_fresh",
            Self::AlreadySetUp => "factors.already_set_up",
            Self::NothingPending => "factors.nothing_pending",
            Self::NotSetUp => "factors.not_set_up",
            Self::NoUser => "factors.no_user",
            Self::Sealed(SealError::NoKey(_) | SealError::UnknownKey(_)) => "factors.no_master_key",
            Self::Store(DbError::Unavailable { .. }) => "factors.store_lost",
            Self::Store(DbError::Busy { .. }) => "factors.busy",
            Self::Store(DbError::Deadline) => "factors.deadline",
            Self::Sealed(_) | Self::Store(_) => "factors.internal",
            Self::Ask(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        let plain = match self {
            Self::Required => {
                "this account has a second factor; send a code of the authenticator app, or a recovery code"
            }
            Self::Wrong => {
                "the code is wrong or was used before; wait for the next one, and see that the clock of your device is right"
            }
            Self::Invalid(_) => "the request has errors; see each of them",
            Self::Limited { .. } => {
                "too many wrong codes; wait, or use a recovery code, which is looked at even now"
            }
            Self::NotFresh => {
                "this needs a fresh sign-in in person; sign in again, then repeat it soon. A personal token is not enough"
            }
            Self::AlreadySetUp => {
                "an authenticator app is set up already; disable it before you set up another one"
            }
            Self::NothingPending => {
                "no authenticator app waits for its first code, or it waited too long; begin to set it up again"
            }
            Self::NotSetUp => "no authenticator app is set up",
            Self::NoUser => "this account does not exist any more",
            Self::Sealed(SealError::NoKey(_) | SealError::UnknownKey(_)) => {
                "the server lacks the key that authenticator apps are kept with; use a recovery code, and tell the operator, whom the status tells more"
            }
            Self::Store(DbError::Unavailable { .. }) => {
                "the database is not available, so second factors can be neither checked nor changed; try again later"
            }
            Self::Store(DbError::Busy { .. }) => {
                "too many requests about second factors are under way; try again"
            }
            Self::Store(DbError::Deadline) => {
                "the database did not answer in time; look whether the change was made before you repeat it"
            }
            Self::Sealed(_) | Self::Store(_) => {
                "something went wrong with the second factors; the log of the daemon tells what"
            }
            Self::Ask(error) => return error.outside(),
        };
        plain.to_owned()
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Invalid(findings) => findings.clone(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited { retry_after }
            | Self::Store(DbError::Unavailable { retry_after } | DbError::Busy { retry_after }) => {
                Some(*retry_after)
            }
            // Somebody has to bring the key first.
            Self::Sealed(SealError::NoKey(_) | SealError::UnknownKey(_)) => {
                Some(Duration::from_mins(1))
            }
            Self::Ask(error) => error.retry_after(),
            _ => None,
        }
    }
}
