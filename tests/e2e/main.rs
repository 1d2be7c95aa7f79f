//! End-to-end tests: the real binary, from outside, as a user and as bad luck meet it.
//!
//! Why one program with a module a theme: it links once, and its tests share the one database server that the harness
//! starts. What holds on both databases runs on both, see `kit::on_both_databases`.
//!
//! # Layout
//!
//! * `first_light` is the whole story of a newcomer in one test.
//! * `process`, `service`, `configuration`, `database`, `disk` are what an operator and a machine do to the daemon.
//! * `http_input`, `bad_input`, `repeats`, `access`, `sessions`, `factors`, `overload`, `armour` are what clients do to it,
//!   `schemathesis` what a program does that has read the description; `every_route` is who may do what; `people` is who they are,
//!   `federation` how they come in from outside, `passkeys` with what an authenticator holds, `personal_data` what is kept of them,
//!   `mishaps` what goes wrong in between.
//! * `terminals`, `terminal_frames` are what the domain promises; `cli` is the command line, `top` its full screen,
//!   `supervision` the tree, `drills` faults on purpose, `watchdog` what holds it up, `ledger` what is remembered of it,
//!   `audit` what people did, `mail` what is sent to them, `recovery` how they get in again with it.

mod access;
mod armour;
mod audit;
mod bad_input;
mod cli;
mod configuration;
mod database;
mod disk;
mod drills;
mod every_route;
mod factors;
mod federation;
mod first_light;
mod http_input;
mod ledger;
mod mail;
mod mishaps;
mod overload;
mod passkeys;
mod people;
mod personal_data;
mod process;
mod recovery;
mod repeats;
mod schemathesis;
mod service;
mod sessions;
mod supervision;
mod support;
mod terminal_frames;
mod terminals;
mod top;
mod watchdog;
