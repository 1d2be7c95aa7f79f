//! The user's words.

use ground::audit::{Actor, Source};
use ground::{Id, Micros, Secret};
use serde::Serialize;

/// Who changes a factor of their own, and how they are signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The user.
    pub user: Id,
    /// The session or token that the request came with.
    pub credential: Option<Id>,
    /// When its bearer signed in in person; `None` for a personal token, which nobody need be present for.
    pub signed_in_at: Option<Micros>,
    /// From where the request came.
    pub source: Source,
}

impl By {
    /// The same for the audit.
    pub(crate) fn actor(&self) -> Actor {
        Actor::User {
            id: self.user,
            credential: self.credential,
        }
    }
}

/// What an app has to be given. Shown this once.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The secret in base32, to type in.
    pub secret: Secret,
    /// The same with the rest that an app wants, to show as a QR code.
    pub otpauth_uri: Secret,
}

/// What a user has set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactorOverview {
    /// The authenticator app; null: none.
    pub totp: Option<TotpState>,
    /// How many recovery codes are left.
    pub recovery_codes_left: u32,
    /// How many passkeys there are: each is a second factor by itself, and asks for none besides.
    pub passkeys: u32,
}

/// An authenticator app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TotpState {
    /// When it was begun to be set up.
    pub created_at: Micros,
    /// Since when it is asked for; null: its first code was not shown yet, so that it protects nothing.
    pub confirmed_at: Option<Micros>,
}
