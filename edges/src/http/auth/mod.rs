//! Signing in and staying signed in: what is common to the routes of sessions, and the routes themselves.
//!
//! # Layout
//! - `sessions`: the next pair of tokens, leaving, the list, the public keys. `ws_ticket`: the way in for WebSockets of browsers.
//! - `people`: the first owner, registering, signing in with a password. `requester`: who asks, with role and origin.
//! - `factors`: second factors of the caller. `federation`: coming in by an outside issuer, and the caller's identities.
//! - `passkeys`: signing in with one, and the caller's own.
//! - `recovery`: a forgotten password, the address.
//! - `cookies`: tokens in cookies, read and set. `delivery`: how a client gets its tokens. `tickets`: the memory of tickets.

pub(crate) mod cookies;
pub(crate) mod delivery;
pub(super) mod factors;
pub(super) mod federation;
mod left;
pub(super) mod passkeys;
mod people;
pub(super) mod recovery;
mod requester;
mod sessions;
#[cfg(test)]
mod tests;
pub(crate) mod tickets;
mod ws_ticket;

pub(super) use people::CONCERN as PEOPLE;
pub(super) use requester::Asking;
pub(super) use sessions::CONCERN;
