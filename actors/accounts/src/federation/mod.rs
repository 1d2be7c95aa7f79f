//! Signing in by an outside issuer: OpenID Connect, and what Google and GitHub make of it.
//!
//! An attempt begins here (state, nonce and a PKCE verifier are made, and a secret for whoever began), goes to the issuer, and comes
//! back with a code, which this daemon turns into who somebody is. Then it decides: a known identity is its user, an unknown one a
//! newcomer, a link or nobody.
//!
//! # What is promised
//! - An identity is the issuer's address and its word for the person. No e-mail address ever makes anybody somebody.
//! - An attempt is finished once, by who began it, with an answer of the issuer that it went to.
//! - An ID token is believed only with the signature of a key that the issuer publishes, by an algorithm that it announces and that is
//!   believed here, and when it is for us, for this attempt and for this moment.
//! - The second factor of an account is asked for all the same, unless the configuration says that the issuer's word stands for it.
//! - An issuer that is away takes nobody with it: its node in the tree says so, and every other way in goes on.
//! - Every failed attempt is an audit entry with the reason; the client hears no more than it needs.
//!
//! # Layout
//! - Pure: `urls` (who may be spoken to), `secrets`, `flows` (attempts under way), `rules` (what clients send), `discovery`,
//!   `id_token`, `github`, `decide`.
//! - `issuer`: one issuer; `http`: requests to it. `store`: the statements. `seams`: what other parts of this crate do.
//! - `handle`, `messages`, `actor`, `desk`: the face, the actor, its slow work. `config`, `types`, `error`.

mod actor;
mod config;
mod decide;
mod desk;
mod discovery;
mod error;
mod flows;
mod github;
mod handle;
mod http;
mod id_token;
mod issuer;
mod messages;
mod rules;
mod seams;
pub(crate) mod secrets;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod types;
mod urls;

pub(crate) use actor::{FederationActor, Seed};
pub(crate) use config::conflicts;
pub use config::{IssuerConfig, IssuerKind, NewcomerRole, Newcomers};
pub use error::{FederationError, IssuerError, Refused};
pub use handle::Federation;
pub use issuer::Issuers;
pub(crate) use seams::{BeginsSessions, Neighbours, OwnUsers};
pub use types::{Begin, Begun, Finish, Finished, IdentityInfo, IssuerInfo};
