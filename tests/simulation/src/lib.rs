//! Seeded runs of the whole supervisor: a random tree under load, broken at random, checked at every moment.
//!
//! Everything of a run comes from one number: the tree, the policies, the load, the faults, the orders, the end, and, in the
//! program `simulation`, what the standard library and the runtime take for chance and time. The clock is tokio's paused one:
//! a minute takes some milliseconds, and nothing in a run depends on the machine.
//!
//! # Layout
//! - `dice.rs` throws, `plan.rs` says what a run consists of, `houses.rs` makes domains of it.
//! - `lab.rs` is what all parts share, `worker.rs` the one kind of actor, `run.rs` plays a plan.
//! - `keys.rs` opens, uses, hurts and closes children by key, and says what must hold of them.
//! - `checks.rs` says what must hold of a trace, `roots.rs` what the status must tell of a fault.
//! - `network.rs` is another run, with a server and a network that breaks; `upstream.rs` is its tree.
//! - `main.rs` plays one seed in a process of its own, `bin/sweep.rs` many, each twice.
#![forbid(unsafe_code)]

mod checks;
mod dice;
mod houses;
mod keys;
mod lab;
mod network;
mod plan;
mod roots;
mod run;
mod upstream;
mod worker;

pub use network::network;
pub use plan::Plan;
pub use run::{Report, run};
