//! The sections that belong to the edges themselves: `[http]`, `[log]`, `[secrets]` and `[drills]`. Each domain declares its own.

use std::net::SocketAddr;
use std::time::Duration;

use ground::Secret;
use ground::config::{Bytes, nearest};
use ground::sealed::MasterKey;
use tracing_subscriber::EnvFilter;

ground::section! {
    /// The HTTP server: the API, the WebSockets and the web console.
    pub struct HttpConfig in "http" {
        /// Where to listen. Port 0 takes a free port, which the ready line names. Whoever can reach this address needs a
        /// token; put a proxy with TLS in front before listening on a public address.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 4110)), check check_listen, reload daemon;
        /// Every request is answered within this time, if need be with a 504. Streams and WebSockets are exempt.
        request_timeout: Duration = Duration::from_secs(30),
            range Duration::from_millis(100)..=Duration::from_hours(1), reload daemon;
        /// How long a client may take to send the head of its request, and how long an idle connection is kept.
        header_timeout: Duration = Duration::from_secs(10),
            range Duration::from_millis(100)..=Duration::from_mins(10), reload daemon;
        /// How many TCP connections may be open at once; further ones get a 503. The local socket has a reserve of its own.
        max_connections: usize = 4096, range 1..=1_000_000, reload daemon;
        /// How many requests may be in work at once; further ones are answered 503 with Retry-After at once.
        max_in_flight: usize = 512, range 1..=1_000_000, reload daemon;
        /// How many WebSockets and event streams may be open at once.
        max_streams: usize = 2048, range 1..=1_000_000, reload daemon;
        /// The longest body of a JSON request; longer ones are answered 413.
        body_limit: Bytes = Bytes::mib(1), range Bytes::kib(1)..=Bytes::mib(64), reload daemon;
        /// Foreign web origins that may use the API and its WebSockets from a browser. The own origin always may.
        allowed_origins: Vec<String> = Vec::new(), range ..=100, each |origin: &String| check_origin(origin),
            example r#"["https://console.example.org"]"#, reload daemon;
    }
}

ground::choices! {
    /// How a log line is written.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line, for machines.
        Json = "json",
    }
}

ground::section! {
    /// The log, which goes to stderr.
    pub struct LogConfig in "log" {
        /// What is logged: a level (error, warn, info, debug, trace), also by part, as in "info,ptys=debug".
        filter: String = "info".to_owned(), range 1..=1000, check |filter: &String| check_filter(filter), reload live;
        /// How a line is written.
        format: LogFormat = LogFormat::Text, reload daemon;
    }
}

ground::section! {
    /// Fault drills: real faults, injected on purpose to see that they are told and healed.
    pub struct DrillsConfig in "drills" {
        /// Whether an operator may start them.
        enabled: bool = false, reload daemon;
    }
}

ground::section! {
    /// The key that stored secrets are sealed with, such as those of authenticator apps.
    pub struct SecretsConfig in "secrets" {
        /// The master key: 32 random bytes as base64 or hexadecimal digits, as `openssl rand -base64 32` prints them. Unset: the
        /// file master.key in the data directory, which the first start makes. Keep a copy apart from the database's backups.
        master_key: Secret = Secret::default(), check check_master_key, example r#"{ file = "/etc/mainstay/master-key" }"#, reload daemon;
        /// Master keys of before. They open what they sealed and seal nothing; each secret moves to the present key when it is used.
        older_keys: Vec<Secret> = Vec::new(), range ..=8, each check_master_key, reload daemon;
    }
}

/// What cannot be a key is a fault of the configuration. The message holds nothing of it.
fn check_master_key(key: &Secret) -> Result<(), String> {
    let parsed = MasterKey::parse(key.expose());
    parsed.map(drop).map_err(|error| error.to_string())
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

/// The log library takes any bare word for the name of a part: a misspelt level would then log nothing, or everything.
fn check_filter(filter: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let is_level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    let words = filter.split(',').map(str::trim);
    if let Some(word) = words
        .filter(|word| !word.contains(['=', '[']))
        .find(|word| !is_level(word))
    {
        let near = nearest(word, LEVELS)
            .map_or_else(String::new, |level| format!("; did you mean {level:?}?"));
        return Err(format!(
            "expected a level ({}) or part=level, found {word:?}{near}",
            LEVELS.join(", ")
        ));
    }
    match EnvFilter::builder().parse(filter) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "expected a level or part=level pairs such as \"info,ptys=debug\": {error}"
        )),
    }
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
