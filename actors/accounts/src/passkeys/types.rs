//! The words of passkeys.

use std::time::Duration;

use ground::audit::Source;
use ground::{Id, Micros, Secret};
use serde::Serialize;
use serde_json::Value;

use crate::factors::By;

/// A passkey, as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PasskeyInfo {
    /// Its id, which is no secret.
    pub id: Id,
    /// What its user calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Micros,
    /// When somebody last signed in with it.
    pub last_used_at: Option<Micros>,
}

/// What an authenticator is to be asked.
#[derive(Debug)]
pub struct Challenge {
    /// What must be shown with the answer, once.
    pub id: Secret,
    /// The options for the browser, as WebAuthn writes them in JSON.
    pub options: Value,
    /// For how long the answer is waited for.
    pub expires_in: Duration,
}

/// An authenticator's answer for a new passkey.
#[derive(Debug, Clone)]
pub struct NewPasskey {
    /// Whose it is going to be.
    pub by: By,
    /// The challenge that it answers.
    pub challenge: Secret,
    /// The answer, as WebAuthn writes it in JSON.
    pub credential: Value,
    /// What to call it.
    pub name: Option<String>,
}

/// An authenticator's answer of somebody who signs in.
#[derive(Debug, Clone)]
pub struct PasskeySignIn {
    /// The challenge that it answers.
    pub challenge: Secret,
    /// The answer, as WebAuthn writes it in JSON.
    pub credential: Value,
    /// From where it came.
    pub source: Source,
}
