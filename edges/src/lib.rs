//! The edges: command line, boot, wiring, HTTP, WebSocket, event streams, log, systemd. Thin: they turn traffic into
//! messages to domains and replies into answers, and decide nothing.
//!
//! # Layout
//! - [`cli`]: verbs; `boot`: the life of the daemon; `wire`, `house`: which domains there are and what each is given.
//! - [`http`]: listeners, routes, problems; [`config`]: layers and findings; [`data_dir`]: where everything lives.
//! - `drills`: faults on purpose; `reload`: SIGHUP; `telemetry`: the log; `master_key`: what stored secrets are sealed with; `systemd`: what the service manager is told.
#![forbid(unsafe_code)]

mod boot;
pub mod cli;
pub mod config;
pub mod data_dir;
pub mod drills;
mod house;
pub mod http;
mod master_key;
mod reload;
mod systemd;
mod telemetry;
pub mod wire;
