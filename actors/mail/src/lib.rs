//! Outgoing mail: takes what waits in the queue and hands it to an SMTP server, or to a folder where there is none.
//!
//! Whoever wants a mail sent writes it in the transaction of what it belongs to ([`ground::mail::enqueue`]) and thinks of it no
//! more. This domain owns what happens then. Sending a mail and storing that it was sent cannot be one step, so that a mail
//! is sent **at least once**: whoever dies in between leaves a lease that runs out, and the next one sends the mail again under
//! the same `Message-ID`, by which a mailbox knows it for the same.
//!
//! # What is promised
//! - A mail whose transaction was committed is sent, put into the outbox, or given up with its reason: after a `kill -9`, too.
//! - Of two processes on one database one sends a mail: it is claimed with a lease.
//! - The server is tried again for as long as the mail is wanted, with growing pauses; a mail that the server refuses for good
//!   is given up at once. A refused password is no refusal of a mail: the mails wait.
//! - The password and the mails go over TLS or nowhere, but to this machine itself. What is said in clear text before TLS begins
//!   counts for nothing after it.
//! - The text of a mail, which may hold a secret link, is in no log, no list and no error, and leaves the database with the mail.
//! - Everything is bounded: waiting mails, mails a second, mails at once, attempts by time, files of the outbox, rows kept.
//!
//! # Layout
//! - [`manifest`](Outgoing): the domain. `config`: its section. `types`: what is told. `error`: what can go wrong for who asks.
//! - `handle`: the public face. `messages`, `sender`: the actor. `courier`: its work. `ports`: what the domain needs.
//! - Ways out: `smtp` (a server) with `fault` (its answers, told apart), `starttls` and `wire`; `outbox` (a folder).
//! - Pure: `schedule` (when next), `letter` (a row as a message).
//! - `personal`: what is kept of one person. `store`: every statement.

#![forbid(unsafe_code)]

mod config;
mod courier;
mod error;
mod fault;
mod handle;
mod letter;
mod manifest;
mod messages;
mod outbox;
pub mod personal;
mod ports;
mod schedule;
mod sender;
mod smtp;
mod starttls;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod wire;

pub use config::{MailConfig, TlsMode};
pub use error::MailError;
pub use handle::MailHandle;
pub use manifest::{Outgoing, SMTP};
pub use messages::MailMsg;
pub use ports::Ports;
pub use types::{MailState, MailStateError, QueuedMail};
