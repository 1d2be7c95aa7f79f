//! What the actor can be asked. Private to the domain: others use the handle.

use ground::Id;
use ground::audit::Source;
use supervisor::Reply;

use super::error::PasskeyError;
use super::types::{Challenge, NewPasskey, PasskeyInfo, PasskeySignIn};
use crate::factors::By;
use crate::sessions::TokenPair;

/// An answer that can be an error.
pub(crate) type Answer<T> = Reply<Result<T, PasskeyError>>;

/// Requests about passkeys.
#[derive(Debug)]
pub(crate) enum PasskeysMsg {
    /// What is an authenticator to be asked for a new one?
    BeginNew {
        by: By,
        origin: Option<String>,
        reply: Answer<Challenge>,
    },
    /// Its answer.
    FinishNew {
        new: Box<NewPasskey>,
        reply: Answer<PasskeyInfo>,
    },
    /// What is an authenticator to be asked of whoever signs in?
    BeginSignIn {
        source: Source,
        origin: Option<String>,
        reply: Answer<Challenge>,
    },
    /// Its answer.
    FinishSignIn {
        sign_in: Box<PasskeySignIn>,
        reply: Answer<TokenPair>,
    },
    /// Tell the passkeys of a user.
    Of {
        user: Id,
        reply: Answer<Vec<PasskeyInfo>>,
    },
    /// Call one something else.
    Rename {
        by: By,
        id: Id,
        name: String,
        reply: Answer<PasskeyInfo>,
    },
    /// Take one from its user.
    Remove { by: By, id: Id, reply: Answer<()> },
}
