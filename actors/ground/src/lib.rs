//! The little that every domain stands on, so that none of them invents its own.
//!
//! Ids, time, secrets, lists in pages, the database handle and the declaration of configuration live here because at
//! least three domains need each of them. Nothing here knows a domain, an actor or HTTP; a module that only one domain
//! uses belongs into that domain.
//!
//! # Layout
//! - [`ids`]: [`Id`], the time-ordered identifier of everything that is stored.
//! - [`clock`]: [`Micros`], the one unit of time in storage and on the wire, and the one place that reads the clock.
//! - [`secret`]: [`Secret`], text that never shows in a log.
//! - [`sealed`]: [`Sealer`], secrets that are stored so that the database alone tells nothing.
//! - [`paging`]: [`PageRequest`] and [`Page`], lists with an opaque cursor.
//! - [`db`]: [`Db`], the handle every `store.rs` is written against, over SQLite and PostgreSQL alike.
//! - [`audit`]: what somebody did, appended in the transaction of the change it tells of.
//! - [`mail`]: a mail to be sent, written in the transaction of what it belongs to.
//! - [`lock`]: the one way to take a mutex.
//! - [`config`]: how a domain declares its section of the configuration file.

#![forbid(unsafe_code)]

pub mod audit;
pub mod clock;
pub mod config;
pub mod db;
pub mod ids;
pub mod locked;
pub mod mail;
pub mod paging;
pub mod sealed;
pub mod secret;

pub use clock::Micros;
pub use db::{Db, DbError};
pub use ids::Id;
pub use locked::lock;
pub use paging::{Page, PageRequest};
pub use sealed::Sealer;
pub use secret::Secret;
