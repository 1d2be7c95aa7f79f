//! What can go wrong with a session, in the user's words.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use ground::{DbError, Id};
use supervisor::{AskError, Fault, FaultKind};

use super::access::AccessError;

/// Why a request about sessions was not done, or a token of one not believed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    /// What was presented is no access token of ours.
    #[error("not an access token: {0}")]
    BadAccessToken(String),
    /// The access token has expired.
    #[error("the access token has expired")]
    ExpiredAccessToken,
    /// The session has ended, or never was.
    #[error("the session has ended")]
    Ended,
    /// What was presented is no refresh token that is good.
    #[error("the refresh token is not good")]
    BadRefreshToken,
    /// The refresh token was used before; its session was ended.
    #[error("the refresh token was used before")]
    Reused,
    /// The user has no such session.
    #[error("session {0} does not exist")]
    NotFound(Id),
    /// There is no such user, or they may not sign in.
    #[error("user {0} cannot sign in")]
    UserGone(Id),
    /// The database is away, so nothing can be looked up or changed.
    #[error("the database is not available")]
    StoreLost {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// Too much is under way already; nothing happened.
    #[error("too many requests about sessions are under way")]
    Busy {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The database took too long.
    #[error("the database did not answer in time")]
    Deadline,
    /// A fault of the program, or of the system below it.
    #[error("a request about sessions failed")]
    Internal(#[source] Arc<dyn StdError + Send + Sync>),
    /// The actor gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl SessionError {
    /// Whether it says that the session could not be checked, rather than anything about it.
    pub(crate) fn is_unchecked(&self) -> bool {
        matches!(self.kind(), FaultKind::Unavailable | FaultKind::Deadline)
    }

    /// A fault of the program.
    pub(crate) fn internal(source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(source))
    }

    /// Too much is under way.
    pub(crate) const fn busy() -> Self {
        Self::Busy {
            retry_after: ground::db::BUSY_RETRY,
        }
    }
}

impl From<AccessError> for SessionError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Expired => Self::ExpiredAccessToken,
            other => Self::BadAccessToken(other.to_string()),
        }
    }
}

impl From<DbError> for SessionError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable { retry_after } => Self::StoreLost { retry_after },
            DbError::Busy { retry_after } => Self::Busy { retry_after },
            DbError::Deadline => Self::Deadline,
            // No constraint of the tables can be broken by what a client sends.
            DbError::Conflict { .. } | DbError::Failed(_) => Self::internal(error),
        }
    }
}

impl Fault for SessionError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::BadAccessToken(_)
            | Self::ExpiredAccessToken
            | Self::Ended
            | Self::BadRefreshToken
            | Self::Reused
            | Self::UserGone(_) => FaultKind::Unauthenticated,
            Self::NotFound(_) => FaultKind::NotFound,
            Self::StoreLost { .. } | Self::Busy { .. } => FaultKind::Unavailable,
            Self::Deadline => FaultKind::Deadline,
            Self::Internal(_) => FaultKind::Internal,
            Self::Ask(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::BadAccessToken(_) => "accounts.bad_access_token",
            Self::ExpiredAccessToken => "accounts.expired_access_token",
            Self::Ended => "accounts.session_ended",
            Self::BadRefreshToken => "accounts.bad_refresh_token",
            Self::Reused => "accounts.refresh_token_reused",
            Self::NotFound(_) => "accounts.session_not_found",
            Self::UserGone(_) => "accounts.user_gone",
            Self::StoreLost { .. } => "accounts.store_lost",
            Self::Busy { .. } => "accounts.busy",
            Self::Deadline => "accounts.deadline",
            Self::Internal(_) => "accounts.internal",
            Self::Ask(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::BadAccessToken(_) => {
                "this is no access token of this server; sign in to get one".to_owned()
            }
            Self::ExpiredAccessToken => {
                "the access token has expired; get another one with the refresh token".to_owned()
            }
            Self::Ended => "the session has ended; sign in again".to_owned(),
            Self::BadRefreshToken => {
                "this refresh token is not known here or its session has ended; sign in again"
                    .to_owned()
            }
            Self::Reused => {
                "this refresh token was used before, so somebody else may have it; the session was ended: sign in again"
                    .to_owned()
            }
            Self::NotFound(_) => {
                "there is no such session; list the sessions to see which there are".to_owned()
            }
            Self::UserGone(_) => "this account cannot sign in; ask an administrator".to_owned(),
            Self::StoreLost { .. } => {
                "the database is not available, so sessions can be neither looked up nor changed; try again later"
                    .to_owned()
            }
            Self::Busy { .. } => {
                "too many requests about sessions are under way; try again".to_owned()
            }
            Self::Deadline => {
                "the database did not answer in time; look whether the change was made before you repeat it"
                    .to_owned()
            }
            Self::Internal(_) => {
                "something went wrong with the sessions; the log of the daemon tells what"
                    .to_owned()
            }
            Self::Ask(error) => error.outside(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::StoreLost { retry_after } | Self::Busy { retry_after } => Some(*retry_after),
            Self::Ask(error) => error.retry_after(),
            _ => None,
        }
    }
}
