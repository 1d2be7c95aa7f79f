//! The sections `[http]`, with `[http.tls]`, and `[limits]`: where the server listens, whom it believes and what it takes.
//!
//! A mistake here locks everybody out or lets everybody in, so what cannot have been meant is refused when it is read, and what is
//! allowed and hardly meant is told as a warning.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ground::config::{Bytes, Conflict, Field, Group, Key, Limits, Reading, Reload};

use super::network::Network;

ground::section! {
    /// The HTTP server: the API, the WebSockets and the web console.
    pub struct HttpConfig in "http" {
        /// Where to listen. Port 0 takes a free port, which the ready line names. Whoever can reach this address needs a
        /// token; set up `[http.tls]`, or put a proxy with TLS in front, before listening on a public address.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 4110)), check check_listen, reload daemon;
        /// The names that this server is reached by, without scheme and port. If set, only these and the machine's own
        /// loopback names are served; a request to any other is answered 421.
        public_hosts: Vec<String> = Vec::new(), range ..=100, each |host: &String| check_host(host),
            example r#"["mainstay.example.org"]"#, reload daemon;
        /// Proxies in front of this server, as networks or single addresses. From these alone X-Forwarded-For (or Forwarded),
        /// X-Forwarded-Proto and X-Forwarded-Host count; from anybody else they are ignored.
        trusted_proxies: Vec<Network> = Vec::new(), range ..=100, example r#"["10.0.0.0/8"]"#, reload daemon;
        /// Foreign web origins that may use the API and its WebSockets from a browser. The own origin always may.
        allowed_origins: Vec<String> = Vec::new(), range ..=100, each |origin: &String| check_origin(origin),
            example r#"["https://console.example.org"]"#, reload daemon;
        /// Foreign web origins whose pages may also read the answers (CORS), with a token and never with cookies. Each is listed
        /// in full; there is no wildcard.
        cors_origins: Vec<String> = Vec::new(), range ..=100, each |origin: &String| check_origin(origin),
            example r#"["https://app.example.org"]"#, reload daemon;
        /// Every request is answered within this time, if need be with a 504. Streams and WebSockets are exempt.
        request_timeout: Duration = Duration::from_secs(30),
            range Duration::from_millis(100)..=Duration::from_hours(1), reload daemon;
        /// How long a client may take to send the head of its request or to shake hands for TLS, and how long an idle
        /// connection is kept.
        header_timeout: Duration = Duration::from_secs(10),
            range Duration::from_millis(100)..=Duration::from_mins(10), reload daemon;
        /// How long the body of a request may take before it has to come at 4 KiB a second at least; one that is slower, or
        /// stops, is answered 408.
        body_timeout: Duration = Duration::from_secs(10),
            range Duration::from_millis(100)..=Duration::from_mins(10), reload daemon;
        /// How many TCP connections may be open at once; further ones get a 503. The local socket has a reserve of its own.
        max_connections: usize = 4096, range 1..=1_000_000, reload daemon;
        /// How many of them may come from one address (for IPv6, from one /64 network); further ones get a 503. Trusted
        /// proxies are exempt.
        max_connections_per_address: usize = 256, range 1..=1_000_000, reload daemon;
        /// How many requests may be in work at once; further ones are answered 503 with Retry-After at once.
        max_in_flight: usize = 512, range 1..=1_000_000, reload daemon;
        /// How many WebSockets and event streams may be open at once.
        max_streams: usize = 2048, range 1..=1_000_000, reload daemon;
        /// The longest body of a JSON request; longer ones are answered 413.
        body_limit: Bytes = Bytes::mib(1), range Bytes::kib(1)..=Bytes::mib(64), reload daemon;
        /// HTTPS by this server itself, without a proxy. When one of the files changes, the new pair is taken for new connections
        /// within seconds; one that is broken is refused, told in the log and the status, and the old one stays.
        tls: TlsConfig = TlsConfig::default(), reload daemon;
    }
    conflicts unreachable;
}

ground::section! {
    /// The certificate with its chain and the key that belongs to it, both PEM.
    pub struct TlsConfig {
        /// The certificate, followed by those that lead to its authority.
        cert_file: Option<PathBuf> = None, example r#""/etc/mainstay/tls/fullchain.pem""#, reload daemon;
        /// The private key, without a password. Readable by the user of the daemon alone, or owned by root and readable by
        /// a group; a file with wider rights is refused.
        key_file: Option<PathBuf> = None, example r#""/etc/mainstay/tls/privkey.pem""#, reload daemon;
    }
    conflicts half_a_pair;
}

ground::section! {
    /// How many requests a client may send a minute; as many at once, and then evenly. More are answered 429 with Retry-After. The
    /// local socket, health and metrics are exempt.
    pub struct LimitsConfig in "limits" {
        /// Whether requests are counted at all.
        enabled: bool = true, reload live;
        /// From one address without a token, on routes that sign in. For IPv6 a /64 network counts as one address.
        anonymous_auth_per_minute: u32 = 10, range 1..=1_000_000, reload live;
        /// From one address without a token, elsewhere. A wrong token counts here, too.
        anonymous_per_minute: u32 = 60, range 1..=1_000_000, reload live;
        /// From one account, over all its tokens and addresses.
        signed_in_per_minute: u32 = 600, range 1..=1_000_000, reload live;
        /// From one account of the tier `premium`.
        premium_per_minute: u32 = 6_000, range 1..=1_000_000, reload live;
    }
}

impl TlsConfig {
    /// The two files, certificate first; `None` when this server speaks plain HTTP.
    pub fn files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.cert_file.as_ref().zip(self.key_file.as_ref())
    }
}

impl Field for TlsConfig {
    fn describe(_default: &Self, key: Key) -> Key {
        Key {
            words: "section".to_owned(),
            members: Self::keys(),
            ..key
        }
    }

    fn read(
        reading: &mut Reading<'_>,
        name: &str,
        _reload: Reload,
        default: Self,
        _limits: &dyn Fn(&Self, &mut Limits),
    ) -> Self {
        reading.beside(name).unwrap_or(default)
    }
}

/// `[http.tls]` stands there and does not say what TLS needs.
fn half_a_pair(keys: &TlsConfig) -> Vec<Conflict> {
    let missing = [
        ("cert_file", keys.cert_file.is_none()),
        ("key_file", keys.key_file.is_none()),
    ];
    missing
        .into_iter()
        .filter(|(_, is_missing)| *is_missing)
        .map(|(key, _)| Conflict {
            key,
            message: "expected a file: TLS needs both cert_file and key_file".to_owned(),
        })
        .collect()
}

/// What would leave nobody a name to reach the server by.
fn unreachable(keys: &HttpConfig) -> Vec<Conflict> {
    let is_loopback = |host: &String| is_loopback_name(host);
    let hosts = &keys.public_hosts;
    if keys.listen.ip().is_loopback() || hosts.is_empty() || !hosts.iter().all(is_loopback) {
        return Vec::new();
    }
    vec![Conflict {
        key: "public_hosts",
        message: format!(
            "expected a name that others reach {} by, found names of this machine alone: everybody else would be refused",
            keys.listen
        ),
    }]
}

/// Whether a name means the machine that uses it.
fn is_loopback_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |ip: std::net::IpAddr| ip.is_loopback();
    bare == "localhost" || bare.ends_with(".localhost") || bare.parse().is_ok_and(is_loopback)
}

impl HttpConfig {
    /// What is allowed here and hardly meant: key and sentence.
    pub(super) fn doubts(&self) -> Vec<(&'static str, String)> {
        let mut doubts: Vec<_> = self
            .trusted_proxies
            .iter()
            .filter(|network| network.0.prefix_len() == 0)
            .map(|network| {
                let doubt = format!(
                    "{network} is the whole world: anybody may then claim to be any address"
                );
                ("http.trusted_proxies", doubt)
            })
            .collect();
        let is_bare = !self.listen.ip().is_loopback()
            && self.tls.files().is_none()
            && self.trusted_proxies.is_empty();
        if is_bare {
            let doubt = format!(
                "{} can be reached from outside in plain HTTP: set [http.tls], or name the proxy in front in http.trusted_proxies",
                self.listen
            );
            doubts.push(("http.listen", doubt));
        }
        doubts
    }
}

/// An origin is `scheme://host[:port]` and nothing behind it: a browser sends exactly that.
fn check_origin(origin: &str) -> Result<(), String> {
    let host = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return Err(format!(
            "expected an origin such as \"https://console.example.org\", found {origin:?}"
        ));
    };
    if host.contains(['/', '?', '#', '@', ' ', '*']) {
        return Err(format!(
            "expected an origin without a path, user or wildcard, found {origin:?}"
        ));
    }
    if host.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(format!(
            "a browser sends its origin in lowercase: write {:?}",
            origin.to_lowercase()
        ));
    }
    Ok(())
}

/// A host is a name or an address, as it stands in a `Host` header before the port.
fn check_host(host: &str) -> Result<(), String> {
    let expected = || {
        format!(
            "expected a host such as \"mainstay.example.org\", without scheme, port and path, found {host:?}"
        )
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return if bare.contains(':') && bare == host {
            Err(format!(
                "an IPv6 address goes in brackets: write \"[{host}]\""
            ))
        } else {
            Ok(())
        };
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(expected());
    }
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("write it in lowercase: {:?}", host.to_lowercase()));
    }
    Ok(())
}

/// An address that nothing can listen on is told here and not at the start.
fn check_listen(listen: &SocketAddr) -> Result<(), String> {
    if listen.ip().is_multicast() {
        return Err(format!(
            "expected an address of this machine, found the multicast address {}",
            listen.ip()
        ));
    }
    Ok(())
}
