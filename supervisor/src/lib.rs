//! Supervision: actors that are restarted, degrade instead of dying, and always name the root cause.
//!
//! Knows no domain, no HTTP and no SQL. `README.md` beside this crate lists what it promises.
//!
//! # Layout
//! - What a domain writes: [`Domain`] and [`Manifest`] (`domain.rs`), [`Worker`] (`worker.rs`), [`Context`]
//!   (`context.rs`), [`Policy`] (`spec.rs`), [`ChildSpec`] (`child_spec.rs`), [`Keyed`] (`keyed.rs`), [`Fault`] (`fault.rs`).
//! - How it talks: [`Address`], [`Reply`] (`address.rs`), [`AskError`] (`ask_error.rs`), the bounded queue behind them (`slot.rs`).
//! - How it calls out: [`Dependency`], [`DependencyPolicy`], [`CallFault`] (`dependency/`).
//! - What edges use: [`System`] (`system.rs`, `reading.rs`), [`NodeStatus`] and [`StatusEvent`] (`status.rs`).
//! - The decisions, pure: `core/` (restart, order, stop) and `rollup.rs` (levels and causes).
//! - The shell around them: `group.rs` (a supervisor; its children's starts and ends in `group_start.rs`, `group_ends.rs`), `shell.rs` (a worker), `launch.rs`, `board.rs`, `model.rs` and
//!   `node.rs` (what is known of each node), `settle.rs`, `history.rs`.
//! - The watch: `guard.rs` (over one handler call), `on_thread.rs` (whose code runs where), `waits.rs` (who waits for whom),
//!   `watchdog.rs` (a thread of its own over all of it).
#![forbid(unsafe_code)]

mod address;
mod ask_error;
mod board;
mod cell;
mod child_spec;
mod clock;
mod context;
mod core;
mod dependency;
mod domain;
mod end;
mod fault;
mod group;
mod group_ends;
mod group_start;
mod guard;
mod history;
mod inbox;
mod keyed;
mod latency;
mod launch;
mod level;
mod model;
mod node;
mod on_thread;
mod panics;
mod reading;
mod rollup;
mod settle;
mod shell;
mod slot;
mod spec;
mod status;
mod sync;
mod system;
pub mod task;
#[cfg(test)]
mod tests;
mod waits;
mod watchdog;
mod worker;

pub use address::{
    Address, DEFAULT_ASK_LIMIT, Injection, LONGEST_BLOCK, Reply, ambient_deadline, with_deadline,
};
pub use ask_error::AskError;
pub use child_spec::ChildSpec;
pub use clock::{ClockShift, WallTime};
pub use context::{Condition, Context};
pub use dependency::{
    Blame, BreakerState, CallError, CallFault, Dependency, DependencyPolicy, Disturbance, Forced,
    Pass, Rates,
};
pub use domain::{Domain, DomainContext, Impact, Manifest, Need, Priority, Started, Strength};
pub use fault::{Fault, FaultKind, Finding};
pub use keyed::{Key, Keyed, OpenError};
pub use level::{Level, State};
pub use reading::Subscription;
pub use spec::{Backoff, Budget, Policy, Restart, Strategy};
pub use status::{
    Cause, Change, Detail, Ended, EndedBy, Health, Latency, Mailbox, NodeKind, NodeStatus, Refusal,
    Restarts, StatusEvent,
};
pub use system::{ActError, Action, BuildError, StopReport, System, SystemBuilder};
pub use waits::Wait;
pub use watchdog::{Blocked, Vitals, Watchdog};
pub use worker::{StartError, Worker, WorkerError};
