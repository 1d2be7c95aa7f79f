//! The store domain: opens the database, keeps it healthy, and fills the one [`Db`](ground::Db) handle that all other domains use.
//!
//! Other domains never talk to this crate: they write statements against `ground::Db`. What is here is everything around
//! that handle, for SQLite (embedded, the default) and PostgreSQL (by URL) alike: opening, migrating, backing up
//! before a migration, the one writer whose commits are shared, watching, losing and finding the database again.
//!
//! # Promises
//! - An acknowledged write is on disk; it survives `kill -9` and, as far as the disk keeps its word, a power failure.
//! - One failing write does not harm those that share its commit.
//! - A database that is not ours, is newer, or has an edited migration is refused untouched, with what to do.
//! - While the database is away everything answers at once that it is; it is tried again with backoff, and what is lost
//!   is told in the status. A full disk stops writes only.
//! - Every statement counts: where too many fail or hang, the database is let go and opened anew, even while it looks well.
//!
//! # Layout
//! - What others see: [`handle`], [`types`], [`error`], [`config`], [`manifest`], [`location`], [`migrate`] (also for the command
//!   line, without a daemon).
//! - The actor: `manager` and its `messages`; `watch` is what it looks at the database with. When it looks, and when it tries
//!   again, is up to the database's breaker, a node of its own in the tree.
//! - `statement` is how a statement of any domain speaks for or against the database, to that breaker.
//! - Opening: `opened` (all of it, in order), `connect` (one connection), `lock`, `place`.
//! - Writing: `writer` (the thread and its queue), `batch` (one transaction).
//! - `store`: every statement. [`testing`]: real databases for the tests of every domain.

#![forbid(unsafe_code)]

mod batch;
pub mod config;
mod connect;
pub mod error;
pub mod handle;
pub mod location;
mod lock;
mod manager;
pub mod manifest;
mod messages;
pub mod migrate;
mod opened;
mod place;
mod statement;
mod store;
pub mod testing;
#[cfg(test)]
mod tests;
pub mod types;
mod watch;
mod writer;

pub use config::StoreConfig;
pub use error::{RequestError, StoreError};
pub use handle::StoreHandle;
pub use location::{Location, LocationError};
pub use manifest::{DATABASE, Ports, Store};
pub use types::{Probe, Stats};
