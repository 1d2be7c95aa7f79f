//! The words of sessions: what begins one, what is handed out, what is told about one.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ground::audit::{Actor, Source};
use ground::{Id, Micros, Secret};
use serde::Serialize;

use crate::known::Remembered;
use crate::types::{Role, Tier};

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// With the setup token of the first start.
    Setup,
    /// By registering.
    Register,
    /// With a password.
    Password,
    /// With a passkey.
    Passkey,
    /// At an outside issuer.
    Federated,
}

/// A word that names no method or reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such word")]
pub struct WordError;

impl Method {
    /// The word for it, on the wire and in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Register => "register",
            Self::Password => "password",
            Self::Passkey => "passkey",
            Self::Federated => "federated",
        }
    }
}

impl FromStr for Method {
    type Err = WordError;

    fn from_str(word: &str) -> Result<Self, WordError> {
        [
            Self::Setup,
            Self::Register,
            Self::Password,
            Self::Passkey,
            Self::Federated,
        ]
        .into_iter()
        .find(|method| method.word() == word)
        .ok_or(WordError)
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// Its user left.
    Logout,
    /// It was ended from another session, or by an administrator.
    Revoked,
    /// All sessions of the user were ended.
    All,
    /// A refresh token was used twice.
    Reuse,
    /// It was not used for too long.
    Idle,
    /// Its time was over.
    Expired,
    /// The user has too many; it was the oldest.
    Replaced,
}

impl EndReason {
    /// The word for it, in the database.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Revoked => "revoked",
            Self::All => "all",
            Self::Reuse => "reuse",
            Self::Idle => "idle",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
        }
    }
}

/// Somebody whose credentials were all checked.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Who.
    pub user: Id,
    /// How they proved it.
    pub method: Method,
    /// Whether a second factor was shown and right.
    pub second_factor: bool,
    /// From where.
    pub source: Source,
}

/// What a session is used with. Told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// What requests are sent with: a signed token, valid for [`TokenPair::expires_in`].
    pub access_token: Secret,
    /// What the next pair is got with, once.
    pub refresh_token: Secret,
    /// How much longer the access token is valid, in whole seconds.
    pub expires_in: Duration,
    /// The session, which stays the same from pair to pair.
    pub session: Id,
}

/// Which session is to end, of whom, by whom.
#[derive(Debug, Clone)]
pub struct EndSession {
    /// The session.
    pub session: Id,
    /// Whose it has to be.
    pub user: Id,
    /// Whether the user leaves by themself, with this very session.
    pub is_logout: bool,
    /// Who wants it.
    pub actor: Actor,
    /// From where.
    pub source: Source,
}

/// What is told about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionInfo {
    /// Its id, which is no secret.
    pub id: Id,
    /// How its user signed in.
    pub method: Method,
    /// Whether a second factor was shown.
    pub second_factor: bool,
    /// When it began.
    pub created_at: Micros,
    /// When it was last used, to the minute.
    pub last_used_at: Micros,
    /// When it ends at the latest, if it is used no more.
    pub idle_expires_at: Micros,
    /// When it ends at the latest.
    pub expires_at: Micros,
    /// From which address it began.
    pub address: Option<String>,
    /// What the client said it is.
    pub user_agent: Option<String>,
}

/// Who bears an access token. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionIdentity {
    /// The session.
    pub session: Id,
    /// Whose it is.
    pub user: Id,
    /// The user's e-mail address.
    pub email: Arc<str>,
    /// What the user may do at most, at present.
    pub role: Role,
    /// How much the user may ask for, at present.
    pub tier: Tier,
    /// How the user signed in.
    pub method: Method,
    /// Whether a second factor was shown.
    pub second_factor: bool,
    /// When the user proved who they are.
    pub auth_time: Micros,
    /// When the session ends at the latest.
    pub expires_at: Micros,
}

impl Remembered for SessionIdentity {
    fn id(&self) -> Id {
        self.session
    }

    fn is_expired(&self, now: Micros) -> bool {
        self.expires_at <= now
    }
}
