//! Requests that are done once, however often they are sent: the answer to a request with an `Idempotency-Key`, kept for 24 hours and over
//! the end of the daemon.
//!
//! A key is *claimed* on disk before its request runs, and *settled* after. Who asks again gets the kept answer; who asks again after
//! the daemon was killed in between hears that nobody knows what came of it, and to look first. That is the point: the one thing that
//! must not happen is that the request is done twice.
//!
//! # What is promised
//! - A request runs at most once under its key within 24 hours, on all daemons of one database together.
//! - A refusal did nothing, so it frees its key.
//! - **No secret is stored.** An answer that shows one (a new token) is kept in the memory of the daemon alone. After a restart its key
//!   tells that the request took effect and that its answer is gone: the secret would otherwise be the only one in the database that
//!   opens something as it is.
//! - Bounded: the number of keys (the oldest answers make room), the size of an answer, what waits to be settled.
//!
//! # Layout
//! - [`manifest`](Idempotency): the domain. `config`: its section. `types`: what is kept. `error`: what can go wrong.
//! - `handle`: the public face. `messages`, `keeper`: the actor. `desk`: its slow work, and what is to be settled yet.
//! - `personal`: what is kept of one caller. `store`: every statement. `ports`: the database.

#![forbid(unsafe_code)]

mod config;
mod desk;
mod error;
mod handle;
mod keeper;
mod manifest;
mod messages;
pub mod personal;
mod ports;
mod store;
#[cfg(test)]
mod tests;
mod types;

pub use config::Config;
pub use error::IdempotencyError;
pub use handle::IdempotencyHandle;
pub use manifest::Idempotency;
pub use messages::KeeperMsg;
pub use ports::Ports;
pub use types::{Answer, Claim, Claimed, KEPT_FOR, KeptRequest, Key, MAX_ANSWER_BYTES, Settlement};
