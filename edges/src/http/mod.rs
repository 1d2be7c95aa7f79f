//! The HTTP edge: turns requests into calls of handles and replies into answers. It decides nothing about any domain.
//!
//! A request passes the listener (`listen`), the layers (`layers`: id, admission, origin, caller, negotiation) and its
//! handler, which extracts, converts, calls one handle method and maps the reply. Errors of every sort become
//! problem+json in one place (`problem`).
//!
//! # Layout
//! - From a socket to a request: `listen`, `limits`, `client` (where it comes from), `rates` (how many are too many), `layers`, `router`,
//!   `routes` (who may do what), `caller` (who asks), `sight` (what of the tree they see), `source` (who, from where, for the record), `trail` (putting it there), `state`
//!   (what handlers share).
//! - In and out: `input` (bodies, queries, ids), `problem`, `codes` (every error code), `streams` (long-lived answers), `repeats`
//!   and `lasting` (`Idempotency-Key`).
//! - Handlers by concern: `health`, `metrics`, `status`, `events`, `waits`, `supervise`, `terminals`, `attach`, `tokens`, `audit`, `auth`
//!   (coming in, sessions, second factors, outside issuers, passkeys, recovery), `users`, `mail`, `drills`, `docs`.
//!
//! # Use
//! Bind [`Listeners`] first, so that a taken port is told before anything starts. Then [`AppState::new`], [`router`] and
//! [`Server::start`]; at the end [`Server::refuse`] and [`Server::drain`].

mod attach;
mod audit;
mod auth;
pub mod caller;
mod client;
pub mod codes;
mod concern;
mod docs;
mod drills;
mod events;
mod exports;
mod gate;
mod health;
mod input;
mod lasting;
mod layers;
mod limits;
mod listen;
mod mail;
mod metrics;
mod problem;
mod rates;
mod repeats;
mod router;
mod routes;
mod schema;
mod second_factor;
mod sight;
mod source;
mod state;
mod status;
mod streams;
mod supervise;
mod terminals;
#[cfg(test)]
mod tests;
mod tokens;
mod trail;
mod users;
mod waits;

/// The concerns of the edge. A new domain is one line here.
pub(crate) static CONCERNS: &[Concern] = &[
    router::OPERATORS,
    router::KEYS,
    events::CONCERN,
    terminals::CONCERN,
    tokens::CONCERN,
    auth::factors::CONCERN,
    auth::federation::CONCERN,
    auth::passkeys::CONCERN,
    auth::recovery::CONCERN,
    audit::CONCERN,
    auth::PEOPLE,
    users::CONCERN,
    auth::CONCERN,
    mail::CONCERN,
];

use concern::Concern;

pub(crate) use caller::caller_of_user;
pub use client::{ClientAddress, Proxies};
pub use limits::Limits;
pub use listen::{
    Connection, Drain, Drained, ListenError, ListenGauges, Listeners, Pair, PairFault, Peer,
    Server, Tls,
};
pub use problem::Problem;
pub use rates::Rates;
pub use router::{documents, router};
pub use routes::{Needs, Route, TABLE};
pub use state::{About, AppState, Parts};
