//! Migrations: the schema moves forward and back in numbered steps that are inside the binary.
//!
//! A runner of our own, because the driver's one has no lock on SQLite, no backup, one history a crate, and speaks of checksums
//! where an operator needs to hear what to do. What it promises:
//!
//! - Each step runs in one transaction together with its entry in `store_migrations`: it is there whole or not at all.
//! - Before the first step on a database that has data a backup is made. Without a backup no migration (SQLite).
//! - Two processes never migrate at once: a transaction that holds the write lock (SQLite) or an advisory lock (PostgreSQL)
//!   is open during each step, and what is still to do is read inside it.
//! - A database with a step that the binary does not know, or with one that reads differently now, is refused untouched.
//! - In SQLite foreign keys are not enforced *during* a step (a table could not be rebuilt otherwise; `ON DELETE` does
//!   nothing then) but checked as a whole before its commit.
//!
//! # Layout
//! [`plan`] is the pure part: what is applied, pending, edited, unknown. `runner` does it; `backup` comes before it.

mod backup;
mod plan;
mod runner;

pub use plan::{Standing, Status, Step};
pub use runner::{Report, down, status, up, verify};

pub(crate) use backup::folder as backups_of;
pub(crate) use plan::{EMBEDDED, Entry};
#[cfg(test)]
pub(crate) use runner::down_with;
pub(crate) use runner::{recheck, up_with};

/// One step, as it is in the binary.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Migration {
    /// Its number, unique over all domains; steps are applied in this order.
    pub(crate) version: u32,
    /// Whose tables it changes.
    pub(crate) domain: &'static str,
    /// What it does, in a word.
    pub(crate) name: &'static str,
    pub(crate) sqlite: Script,
    pub(crate) postgres: Script,
}

/// The way there and back, for one engine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}
