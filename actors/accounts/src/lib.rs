//! Who may come in: personal access tokens, and what each of them allows.
//!
//! A token (`mst_…`) is opaque: 256 random bits of which only the SHA-256 is stored, so that a stolen database opens
//! nothing and a revocation is immediate, with no key to leak or rotate. The price of opaque tokens is that each request
//! must look its token up. A bounded memory of tokens that were looked up lately pays it: a known token costs no message
//! and no statement, an unknown one costs one of each, and losing the database does not lock out who is at work.
//!
//! # What is promised
//! - A token that was revoked here is refused from the moment the revocation is acknowledged, and its streams are told at
//!   once. One that another process revoked is refused within `accounts.recheck_after`.
//! - A token that has expired is refused from that moment, whatever is remembered of it.
//! - While the database is away, remembered tokens go on working (for `accounts.offline_limit`); an unknown one hears that
//!   it cannot be checked, never that it is wrong.
//! - Everything is bounded: remembered, refused, waiting, stored.
//! - No secret is in a log, a message or a `Debug`.
//!
//! Sessions of users are in [`sessions`](Sessions), with promises of their own.
//!
//! # Layout
//! - [`manifest`](Accounts): the domain. `config`: its section. `types`: the user's words. `error`: what can go wrong.
//! - `handle`: the public face; `verify`: its hot path. `messages`, `manager`: the actor. `desk`: its slow work.
//! - Pure: `token` (make, read, hash), `scopes`, `draft` (the rules of a new token), `refusals` (what was refused lately).
//! - Shared by handle and manager: `known` (the remembered tokens), `profiles` (the remembered users), `revocations` (who is told when a token ends).
//! - `lookups`: one statement for all who ask about one token. `store_watch`: whether the database is there.
//! - `sessions`: sign-ins that last. `jose`: signed tokens, read strictly.
//! - `factors`: second factors, an actor of its own: authenticator apps and recovery codes.
//! - `people`: users, passwords, signing in. `recovery`: tokens that are mailed, for a new password or to prove an address.
//! - `store`: every statement about tokens. `ports`: what the domain needs.

#![forbid(unsafe_code)]

mod config;
mod desk;
mod draft;
mod error;
mod factors;
mod federation;
mod handle;
mod jose;
mod known;
mod lookups;
mod manager;
mod manifest;
mod messages;
mod people;
mod ports;
mod profiles;
mod recovery;
mod refusals;
mod revocations;
mod scopes;
mod sessions;
mod store;
mod store_watch;
#[cfg(test)]
mod tests;
mod token;
mod types;
mod verify;

pub use config::{Config, RegistrationPolicy};
pub use draft::{DEFAULT_NAME, MAX_LIFETIME, MAX_NAME, MIN_LIFETIME};
pub use error::AccountsError;
pub use factors::{
    By, Enrolment, FRESH_FOR, FactorError, FactorOverview, Factors, RECOVERY_CODES, TotpState,
};
pub use federation::{
    Begin, Begun, Federation, FederationError, Finish, Finished, IdentityInfo, IssuerConfig,
    IssuerError, IssuerInfo, IssuerKind, Issuers, NewcomerRole, Newcomers, Refused,
};
pub use handle::AccountsHandle;
pub use manifest::Accounts;
pub use people::{
    Change, Credentials, Denied, INVITE_PREFIX, Invite, MAX_EMAIL_BYTES, MAX_PASSWORD_BYTES,
    MAX_USER_NAME, MIN_PASSWORD_CHARS, NewInvite, NewUser, PasswordChange, People, PeopleError,
    Registration, Requester, SETUP_PREFIX, Setup, SignInError, Standing, User,
};
pub use ports::Ports;
pub use recovery::{Holder, NewEmail, Recovery, RecoveryError, Reset};
pub use revocations::{Ending, TokenWatch};
pub use scopes::{Scope, ScopeError, Scopes};
pub use sessions::{
    EndSession, Method, PublicKey, SessionError, SessionIdentity, SessionInfo, Sessions, SignIn,
    TokenPair, WordError,
};
pub use token::{Malformed, TOKEN_CHARS, TOKEN_PREFIX};
pub use types::{Identity, NewToken, Role, RoleError, Tier, TierError, TokenInfo};
