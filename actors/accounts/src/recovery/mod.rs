//! Recovery over mail: a new password for who forgot theirs, and proof of whose an address is.
//!
//! # What is promised
//! - Who asks for a new password hears the same at the same moment, whether the address has an account or not.
//! - A mailed token works once, for half an hour (to prove an address: for a day); only its hash is kept. Who holds the mailbox does
//!   not get past a second factor.
//! - Each step is one transaction with all that belongs to it: the token used up, the password set, the sessions ended, the entry of
//!   the audit, the notice mailed. A `kill -9` at any moment leaves all of it or nothing.
//! - Nobody is flooded: at most three mails an hour of one kind for an account.
//! - Whoever loses something by a change hears of it: at the present address about a new password, at the old one about a new address.
//!
//! # Layout
//! - `handle`: the public face. `messages`, `actor`: the actor. `desk`: its work. `letters` (pure): what is mailed.
//! - `types`, `error`. `store`: every statement.

mod actor;
mod desk;
mod error;
mod handle;
mod letters;
mod messages;
mod posted;
mod store;
#[cfg(test)]
mod tests;
mod types;

pub use error::RecoveryError;
pub use handle::Recovery;
pub use types::{Holder, NewEmail, Reset};

pub(crate) use actor::RecoveryActor;
pub(crate) use desk::Desk;
pub(crate) use letters::Letters;
pub(crate) use messages::RecoveryMsg;
pub(crate) use posted::{Posted, queued};
pub(crate) use store::close_mailed;
