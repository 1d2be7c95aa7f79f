//! Supervision: actors that are restarted, degrade instead of dying, and always name the root cause.
//!
//! Knows no domain, no HTTP and no SQL. `README.md` beside this crate lists what it promises.
//!
//! # Layout
//! - What a domain writes: [`Domain`] and [`Manifest`] (`domain.rs`), [`Worker`] (`worker.rs`), [`Context`]
//!   (`context.rs`), [`Policy`] (`spec.rs`), [`ChildSpec`] (`child_spec.rs`), [`Keyed`] (`keyed.rs`), [`Fault`] (`fault.rs`).
//! - How it talks: [`Address`], [`Reply`], [`AskError`] (`address.rs`).
//! - How it calls out: [`Dependency`], [`DependencyPolicy`], [`CallFault`] (`dependency/`).
//! - What edges use: [`System`] (`system.rs`, `reading.rs`), [`NodeStatus`] and [`StatusEvent`] (`status.rs`).
//! - The decisions, pure: `core/` (restart, order, stop) and `rollup.rs` (levels and causes).
//! - The shell around them: `group.rs` (a supervisor), `shell.rs` (a worker), `launch.rs`, `board.rs` and `model.rs` (what is
//!   known of each node), `history.rs`.
#![forbid(unsafe_code)]

mod address;
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
mod group_start;
mod history;
mod keyed;
mod latency;
mod launch;
mod level;
mod model;
mod panics;
mod reading;
mod rollup;
mod shell;
mod spec;
mod status;
mod system;
pub mod task;
#[cfg(test)]
mod tests;
mod worker;

pub use address::{
    Address, AskError, DEFAULT_ASK_LIMIT, Injection, Reply, ambient_deadline, with_deadline,
};
pub use child_spec::ChildSpec;
pub use clock::WallTime;
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
    Cause, Change, Detail, Health, Latency, Mailbox, NodeKind, NodeStatus, Refusal, Restarts,
    StatusEvent,
};
pub use system::{ActError, Action, BuildError, StopReport, System, SystemBuilder};
pub use worker::{StartError, Worker, WorkerError};
