//! What handlers and layers share: the handles of the domains, the bounds, and what is counted.

use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use ground::Micros;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::wire::Handles;

use super::auth::cookies::Jar;
use super::auth::tickets::Tickets;
use super::caller::Gate;
use super::client::Reached;
use super::docs::Documents;
use super::limits::Limits;
use super::listen::{Drain, ListenGauges, Tls};
use super::metrics::Meters;
use super::rates::Rates;
use super::repeats::Repeats;

/// What this program is, as `/info` tells it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct About {
    /// Always `mainstay`.
    pub name: &'static str,
    /// The version, as in semantic versioning.
    pub version: &'static str,
    /// The commit it was built from; null when it was built outside of a repository.
    pub commit: Option<&'static str>,
    /// When it was built (RFC 3339); null when the build did not say.
    pub built_at: Option<&'static str>,
    /// The domains that are switched on.
    pub domains: Vec<String>,
}

/// The state of the HTTP edge; clones share it.
#[derive(Clone)]
pub struct AppState(Arc<Edge>);

/// What [`AppState`] shares.
pub struct Edge {
    /// The handles of the domains.
    pub handles: Handles,
    /// Who bears a token.
    pub gate: Arc<dyn Gate>,
    /// The bounds.
    pub limits: Limits,
    /// Shutting down.
    pub drain: Drain,
    /// How many requests each client has sent.
    pub rates: Arc<Rates>,
    /// The certificate, when this server speaks TLS itself.
    pub tls: Option<Tls>,
    /// What is counted of requests.
    pub meters: Meters,
    /// What is counted of connections.
    pub listening: Arc<ListenGauges>,
    /// What this program is.
    pub about: About,
    /// When the daemon started, by the wall clock.
    pub started_at: Micros,
    /// When the daemon started, for the time it is up.
    pub started: Instant,
    /// Whether the TCP listener can be reached from this machine only.
    pub is_loopback_only: bool,
    /// The OpenAPI document and the docs page, made when they are first needed: a start does not wait for them.
    pub documents: LazyLock<Documents>,
    /// Requests that were sent with a key.
    pub(crate) repeats: Repeats,
    /// The tickets for WebSockets.
    pub(crate) tickets: Tickets,
    /// Places for requests in flight.
    pub places: Semaphore,
    /// Places for WebSockets and event streams.
    pub stream_places: Arc<Semaphore>,
}

/// What the state is made of; the rest follows from it.
pub struct Parts {
    /// The handles of the domains.
    pub handles: Handles,
    /// The bounds.
    pub limits: Limits,
    /// Shutting down; shared with the server.
    pub drain: Drain,
    /// What this program is.
    pub about: About,
    /// When the daemon started.
    pub started: Instant,
    /// Whether the TCP listener can be reached from this machine only.
    pub is_loopback_only: bool,
    /// The certificate, when the listener speaks TLS.
    pub tls: Option<Tls>,
}

impl AppState {
    /// The state for a server that has `parts`.
    pub fn new(parts: Parts) -> Self {
        let gate = Arc::new(parts.handles.accounts.clone());
        Self::with_gate(parts, gate)
    }

    /// The same with tokens looked up at `gate`.
    pub fn with_gate(parts: Parts, gate: Arc<dyn Gate>) -> Self {
        let Parts {
            handles,
            limits,
            drain,
            about,
            started,
            is_loopback_only,
            tls,
        } = parts;
        let up = started.elapsed();
        Self(Arc::new(Edge {
            handles,
            gate,
            drain,
            rates: Arc::new(Rates::new(&limits.rates)),
            tls,
            meters: Meters::new(),
            listening: Arc::default(),
            about,
            started_at: Micros::now() - up,
            started,
            is_loopback_only,
            documents: LazyLock::new(super::router::documents),
            repeats: Repeats::default(),
            tickets: Tickets::default(),
            places: Semaphore::new(limits.max_in_flight),
            stream_places: Arc::new(Semaphore::new(limits.max_streams)),
            limits,
        }))
    }
}

impl Edge {
    /// The cookies of the way that a request came. Only on loopback may a browser's cookie travel over plain HTTP.
    pub(crate) fn jar(&self, request: &http::request::Parts) -> Jar {
        let reached = request.extensions.get::<Reached>();
        let is_secure = reached.is_some_and(|reached| reached.is_secure);
        Jar {
            is_plain: self.is_loopback_only && !is_secure,
        }
    }
}

impl Deref for AppState {
    type Target = Edge;

    fn deref(&self) -> &Edge {
        &self.0
    }
}
