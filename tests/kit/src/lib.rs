//! The harness for tests that drive the real `mainstay` binary from outside.
//!
//! Why it exists: a black-box test is only worth its run time when it cannot lie. So everything that makes such
//! tests flaky or dirty is solved once, here: no fixed port, no sleep, no shared directory, no process and no file
//! left behind, and a failing test prints what the daemon said.
//!
//! # Layout
//!
//! * [`Home`] is a temporary directory with all that one daemon owns; it can outlive the daemon, for restarts.
//! * [`Daemon`] starts the binary, waits for its ready line, and ends it; ending it asserts exit 0 and nothing left.
//! * [`Client`] and [`Reply`] speak HTTP, anonymously, with a token, or over the Unix socket.
//! * [`Terminal`] and [`Frame`] speak the WebSocket protocol of terminals; [`Events`] reads server-sent events.
//! * [`Issuer`](issuer::Issuer) is an outside issuer by which people sign in, with faults on demand.
//! * [`Authenticator`] makes passkeys and signs with them, and lies on demand.
//! * [`Browser`] is a real browser with an authenticator of its own.
//! * [`Tmux`] is a real terminal whose screen can be looked at.
//! * [`Postgres`] is a server of our own from the installed binaries; [`Database`] names what a test runs on.
//! * [`smtp::Sink`] is a mail server that can be told to fail.
//! * [`eventually`] is the only way to wait for something that has no event of its own.
//!
//! # Failing
//!
//! The harness panics, with the request or the process it was about, where a test could only unwrap. Whatever a test
//! may want to see fail has a variant that returns a `Result` (`try_send`, `try_attach`, `run_to_exit`).
#![forbid(unsafe_code)]

mod authenticator;
mod browser;
mod builder;
mod client;
mod command;
mod daemon;
mod database;
mod events;
mod home;
pub mod issuer;
mod janitor;
mod output;
mod postgres;
mod process;
pub mod smtp;
mod terminal;
mod tmux;
mod wait;

pub use authenticator::{Authenticator, Lie};
pub use browser::Browser;
pub use builder::Builder;
pub use client::{Client, Reply, Request};
pub use command::{Ended, can_mount, run_cli};
pub use daemon::Daemon;
pub use database::{Database, Held, SharedDatabase, hold, sql, sql_text};
pub use events::{Event, Events};
pub use home::Home;
pub use output::Output;
pub use postgres::Postgres;
pub use process::{
    Process, children_of, descendants_of, raise_file_limit, resident_bytes, thread_count,
};
pub use rustix::process::Signal;
pub use terminal::{Frame, Refused, Terminal};
pub use tmux::Tmux;
pub use wait::{PATIENCE, SHORT, eventually, within};
