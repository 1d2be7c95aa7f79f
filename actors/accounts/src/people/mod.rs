//! People: users and their roles, the first owner, invitations, passwords, and signing in with one.
//!
//! # What is promised
//! - Of a password only an argon2id hash is kept, of the setup token and of invitations only a SHA-256.
//! - Nobody learns from an answer whether an address has an account: not by its content, its kind, or the work behind it.
//! - Guessing becomes slower with each failure, for an account and for an address; nobody can lock an owner out of the places from
//!   which they sign in.
//! - Hashing takes bounded memory and never more threads than cores; who would wait too long is told to come back.
//! - There is always an owner who can sign in, once there was one; nobody gives a role above their own.
//! - A change and its audit entry are there together or not at all.
//!
//! # Layout
//! - `handle`: the public face. `messages`, `actor`: the actor. `desk`: looking after people; `entering`: coming in.
//! - Pure: `email`, `passwords` with `weak` and `common` (which are taken), `draft` (somebody new), `rules` (who may do what to whom), `guesses` (how
//!   long to wait; with its bounded memory), `types`, `error`, `sign_in_error`.
//! - `hashing`: argon2id behind permits. `once`: tokens for one use. `store`: every statement. `ports`: sessions and second factors.

mod actor;
mod common;
mod desk;
mod draft;
mod email;
mod entering;
mod error;
mod guesses;
mod handle;
mod hashing;
mod messages;
mod once;
mod passwords;
mod ports;
mod rules;
mod sign_in_error;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod weak;

use std::sync::Arc;

use supervisor::Address;

pub use draft::MAX_USER_NAME;
pub use email::MAX_EMAIL_BYTES;
pub use error::PeopleError;
pub use handle::People;
pub use messages::NewInvite;
pub use once::{INVITE_PREFIX, SETUP_PREFIX};
pub use passwords::{MAX_BYTES as MAX_PASSWORD_BYTES, MIN_CHARS as MIN_PASSWORD_CHARS};
pub use rules::Denied;
pub use sign_in_error::SignInError;
pub use types::{
    Change, Credentials, Invite, NewUser, PasswordChange, Registration, Requester, Setup, Standing,
    User,
};

pub(crate) use actor::PeopleActor;
pub(crate) use desk::{Desk, entry};
pub(crate) use email::{Email, check as check_email};
pub(crate) use guesses::{Account, Guess, Network};
pub(crate) use hashing::{HashingError, Kept, Verdict};
pub(crate) use messages::PeopleMsg;
pub(crate) use once::{draw, read};
pub(crate) use passwords::check as check_password;
pub(crate) use ports::{Refused, SecondFactor};
pub(crate) use rules::{Deed, may_do, may_see};
pub(crate) use store::{
    add, known, owners_at_work, remove, remove_invites, remove_invites_for, revoke_tokens,
    set_password, standing, strip_tokens, tokens_of, update, user, user_to_change, user_with_key,
};

/// Requests that the actor admits: those that wait for a hash among them.
const MAILBOX: u32 = 256;

/// What outlives the actor.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) address: Address<PeopleMsg>,
    pub(crate) guesses: Arc<guesses::Guesses>,
    pub(crate) hasher: hashing::Hasher,
}

impl Shared {
    /// Nothing was guessed yet.
    pub(crate) fn new() -> Self {
        Self {
            address: Address::vacant("/accounts/people", MAILBOX),
            guesses: Arc::default(),
            hasher: hashing::Hasher::new(),
        }
    }
}
