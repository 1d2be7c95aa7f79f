//! Signing in and staying signed in: what is common to the routes of sessions, and the routes themselves.
//!
//! # Layout
//! - `people`: the first owner, registering, signing in with a password. `requester`: who asks. `delivery`: how a client gets its tokens.

pub(crate) mod delivery;
mod people;
mod requester;

pub(super) use people::CONCERN as PEOPLE;
pub(super) use requester::Asking;
