//! Passkeys: signing in with what an authenticator holds, and a finger, a face or a PIN unlocks.
//!
//! # What is promised
//! - What is stored of a passkey signs nothing: a stolen database opens no account.
//! - An answer counts once, within five minutes, for the challenge that it was made for, from a page of a configured origin, with the
//!   person verified. Such a sign-in needs no second factor besides.
//! - An authenticator that counts its uses never counts backwards: who shows an older count shows a copy, and is refused.
//! - Nobody learns by a sign-in who has an account or a passkey: whoever begins one gets the same options, and whoever fails the same
//!   answer. The audit has the reason.
//! - Passkeys are made and removed only by who signed in within ten minutes, at most 20 a user, and never removed as the last way in.
//! - Challenges are bounded, and outlive the actor, not the daemon.
//!
//! # Layout
//! - Pure: `relying` (for which domain and origins), `ceremony` (what is asked, whether the answer is right), `challenges` (those that
//!   wait), `rules` (what clients send).
//! - `handle`, `messages`, `actor`, `desk`: the face, the actor, its slow work. `store`: the statements. `config`, `types`, `error`.

mod actor;
mod ceremony;
mod challenges;
mod config;
mod desk;
mod error;
mod handle;
mod messages;
mod relying;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use actor::PasskeysActor;
pub use config::PasskeysConfig;
pub(crate) use config::conflicts;
pub(crate) use desk::Desk;
pub use error::PasskeyError;
pub use handle::Passkeys;
pub(crate) use relying::relying_party;
pub use rules::MAX_PASSKEY_NAME;
pub(crate) use store::{hold, ways_in};
pub use types::{Challenge, NewPasskey, PasskeyInfo, PasskeySignIn};
