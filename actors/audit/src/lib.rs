//! The audit: what people did, kept so that it can be read, proven and taken elsewhere.
//!
//! Entries are appended in the transaction of what they tell of (`ground::audit`), or here, for what has no transaction of its own.
//! They are one chain: each holds a hash over itself and all before it. This domain reads the chain, walks it to find the first place
//! where it does not hold, and removes what is older than it is to be kept without breaking the proof of the rest.
//!
//! # What is promised
//! - What was recorded here and answered with `Ok` is on disk. What could not be stored yet is kept in memory, in bounds, and stored
//!   when the database takes it; what did not even fit there is counted, and the count becomes an entry.
//! - A single change, removal, insertion or exchange of entries is found, and its place told. So is a change of what says where the chain
//!   begins and ends. Who rewrites the *whole* chain with all its hashes is found only by comparing it with an export from before: the
//!   hashes have no key.
//! - Wrong tokens make at most one entry per address and minute, with a count, however many there are.
//! - Reading takes bounded time and memory, whatever the length of the chain: it is verified and exported a stretch at a time.
//!
//! # Layout
//! - [`manifest`](Audit): the domain. `config`: its section. `types`: what is asked for and told. `error`: what can go wrong.
//! - `handle`: the public face. `messages`, `writer`: the actor that stores and prunes. `pending`: what waits for it.
//! - `reading`: lists, verification and export, past the actor.
//! - Pure: `chain` (whether it holds), `refusals` (wrong tokens, counted).
//! - `personal`: what is kept of one person. `store`: every statement. `ports`: the database.

#![forbid(unsafe_code)]

mod chain;
mod config;
mod error;
mod handle;
mod manifest;
mod messages;
mod pending;
pub mod personal;
mod ports;
mod reading;
mod refusals;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod writer;

pub use chain::{Break, Mark, MarkError, What};
pub use config::Config;
pub use error::{AuditError, RecordError};
pub use handle::AuditHandle;
pub use manifest::Audit;
pub use messages::AuditMsg;
pub use ports::Ports;
pub use reading::Export;
pub use types::{Kept, KeptActor, Query, Span, Verification};
