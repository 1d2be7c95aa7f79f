//! The ledger: what happened in the tree, kept in the store, so that it can be read after a restart of the daemon.
//!
//! The supervisor keeps the newest events in memory and knows nothing of a store. Nothing that happens waits for the ledger:
//! it reads that memory from behind, writes what is new in batches, and goes on where the table ends, after a fault of
//! its own just as after a loss of the store. What the memory had dropped by then is told as a *gap* with the number of events lost.
//!
//! # What is promised
//! - The ledger only reads: no restart waits for it, whatever the store does.
//! - Every event is in the table once, or a gap tells how many are not. Of a run that was killed the events of its last moments
//!   (a quarter of a second) may be missing without a gap, since nobody was there to count them.
//! - What happened is told in order, from table and memory as one list, without doubles. While the table cannot be read, the list
//!   is what memory holds, and says so.
//! - An event is told as it was written, whatever fields it had then.
//! - Bounded: rows and days of the table, batches, the size of one event, the time of each read and write.
//!
//! # Layout
//! - [`manifest`](Ledger): the domain. `config`: its section. `types`: what is asked for and told. `error`: what keeps the table away.
//! - `handle`: the public face. `messages`, `writer`: the actor that writes. `reading`: table and memory as one list.
//! - Pure: `entries` (from events to rows and gaps), `bounds` (what a question takes), `pages` (two lists as one).
//! - `store`: every statement. `ports`: the memory of the supervisor, as the ledger sees it.

#![forbid(unsafe_code)]

mod bounds;
mod config;
mod entries;
mod error;
mod handle;
mod manifest;
mod messages;
mod pages;
mod ports;
mod reading;
mod store;
#[cfg(test)]
mod tests;
mod types;
mod writer;

pub use config::Config;
pub use error::LedgerError;
pub use handle::LedgerHandle;
pub use manifest::Ledger;
pub use messages::LedgerMsg;
pub use ports::{Ports, Recent};
pub use types::{Listed, Moment, MomentError, Order, Query, Record};
