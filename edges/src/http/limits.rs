//! The bounds of the edge in one plain value, so that nothing here depends on how the configuration is read.

use std::time::Duration;

use super::client::Proxies;
use crate::config::{HttpConfig, LimitsConfig};

/// Bounds of the listener, of requests and of streams. Each is enforced; none means "no limit".
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections over TCP at once. Further ones are told 503 and closed.
    pub max_connections: usize,
    /// Connections from one address at once; for IPv6 from one /64 network. Trusted proxies are exempt.
    pub max_connections_per_address: usize,
    /// Connections over the Unix socket at once: a reserve of its own, so that a flood over TCP never locks the operator out.
    pub max_local_connections: usize,
    /// Requests that run at once. Further ones are answered 503 at once; health routes are exempt.
    pub max_in_flight: usize,
    /// WebSockets and event streams that are open at once.
    pub max_streams: usize,
    /// How long a client may take to send the head of a request, and how long an idle connection is kept.
    pub header_timeout: Duration,
    /// How long a body may take before it has to come at the least rate.
    pub body_timeout: Duration,
    /// The deadline of a request.
    pub request_timeout: Duration,
    /// Bytes of a JSON body at most.
    pub max_json_bytes: usize,
    /// Bytes of a request's head at most.
    pub max_header_bytes: usize,
    /// Headers of a request at most.
    pub max_headers: usize,
    /// Requests that run at once on one HTTP/2 connection.
    pub max_http2_streams: u32,
    /// How often the server asks whether the other end of a WebSocket is still there.
    pub ping_interval: Duration,
    /// How long the other end of a WebSocket may be silent before it is taken for dead.
    pub dead_after: Duration,
    /// Browser origins besides the server's own, as `https://host[:port]`.
    pub allowed_origins: Vec<String>,
    /// Browser origins whose pages may read the answers, in the same form.
    pub cors_origins: Vec<String>,
    /// The hosts that are served besides loopback names; empty: no limit but that of a loopback listener.
    pub public_hosts: Vec<String>,
    /// Whether a session that began without a second factor is only for setting one up.
    pub requires_second_factor: bool,
    /// Who is believed about the clients behind.
    pub proxies: Proxies,
    /// How many requests a client may send.
    pub rates: LimitsConfig,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_connections_per_address: 256,
            max_local_connections: 128,
            max_in_flight: 512,
            max_streams: 2048,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_json_bytes: 1024 * 1024,
            max_header_bytes: 16 * 1024,
            max_headers: 100,
            max_http2_streams: 100,
            ping_interval: Duration::from_secs(20),
            dead_after: Duration::from_mins(1),
            allowed_origins: Vec::new(),
            cors_origins: Vec::new(),
            public_hosts: Vec::new(),
            requires_second_factor: false,
            proxies: Proxies::default(),
            rates: LimitsConfig::default(),
        }
    }
}

impl Limits {
    /// The bounds that are configured.
    pub fn of(config: &HttpConfig, rates: &LimitsConfig, requires_second_factor: bool) -> Self {
        Self {
            max_connections: config.max_connections,
            max_connections_per_address: config.max_connections_per_address,
            max_in_flight: config.max_in_flight,
            max_streams: config.max_streams,
            header_timeout: config.header_timeout,
            body_timeout: config.body_timeout,
            request_timeout: config.request_timeout,
            max_json_bytes: config.body_limit.as_usize(),
            allowed_origins: config.allowed_origins.clone(),
            cors_origins: config.cors_origins.clone(),
            public_hosts: config.public_hosts.clone(),
            requires_second_factor,
            proxies: Proxies::new(config.trusted_proxies.iter().map(|network| network.0)),
            rates: rates.clone(),
            ..Self::default()
        }
    }
}
