//! The user's words of recovery.

use std::time::Duration;

use ground::audit::{Actor, Source};
use ground::{Id, Secret};

/// What a token for a new password begins with.
const RESET_PREFIX: &str = "msp_";
/// What a token that proves the present address begins with.
const VERIFY_PREFIX: &str = "mse_";
/// What a token that proves a new address begins with.
const CHANGE_PREFIX: &str = "msn_";

/// What a mailed token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A new password.
    Reset,
    /// Proof of the present address.
    Verify,
    /// Proof of a new address, which then is the present one.
    Change,
}

impl Kind {
    /// The word for it, in the database.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Verify => "verify",
            Self::Change => "change",
        }
    }

    /// What its tokens begin with.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Reset => RESET_PREFIX,
            Self::Verify => VERIFY_PREFIX,
            Self::Change => CHANGE_PREFIX,
        }
    }

    /// How long a token works.
    pub(crate) const fn lifetime(self) -> Duration {
        match self {
            Self::Reset | Self::Change => Duration::from_mins(30),
            Self::Verify => Duration::from_hours(24),
        }
    }
}

/// A user who asks about their own address, signed in.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Who.
    pub user: Id,
    /// The session or token with which it is asked.
    pub credential: Option<Id>,
    /// From where.
    pub source: Source,
}

impl Holder {
    /// As the audit names it.
    pub(crate) const fn actor(&self) -> Actor {
        Actor::User {
            id: self.user,
            credential: self.credential,
        }
    }
}

/// A new password, with the token that was mailed.
#[derive(Debug)]
pub struct Reset {
    /// The token.
    pub token: Secret,
    /// The password.
    pub password: Secret,
    /// A code of the authenticator app or a recovery code, where a second factor is set up.
    pub code: Option<Secret>,
    /// Whether all sessions end.
    pub ends_sessions: bool,
}

/// A new address, with the password that proves who asks.
#[derive(Debug)]
pub struct NewEmail {
    /// The address.
    pub email: String,
    /// The present password.
    pub password: Secret,
}
