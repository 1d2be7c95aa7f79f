//! Hosts and origins: pure decisions about who a browser acts for.
//!
//! A page of a foreign site can make a browser send requests and open WebSockets to a server on the same machine. Two
//! checks stop it: the `Origin` that browsers send must be ours, and while the server listens on loopback only, the
//! `Host` must not be a name that a stranger's DNS pointed here.

use std::net::IpAddr;

use http::HeaderMap;
use http::header;
use http::uri::Authority;

/// A host and, if given, a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    pub(super) fn of(authority: &Authority) -> Self {
        Self {
            name: authority.host().to_ascii_lowercase(),
            port: authority.port_u16(),
        }
    }

    /// The one host that a request names: the URI's (HTTP/2, absolute form) or the `Host` header's. None when there is
    /// none, more than one, or no host at all.
    pub(super) fn of_request(uri: &http::Uri, headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(header::HOST).iter();
        let named = match (given.next(), given.next()) {
            (Some(_), Some(_)) => return None,
            (Some(only), None) => Some(parse(only.as_bytes())?),
            _ => None,
        };
        uri.authority().map(Self::of).or(named)
    }

    /// Whether this is the machine itself, by a name that no DNS server decides about.
    pub(super) fn is_loopback_name(&self) -> bool {
        let bare = self.name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok() || bare == "localhost" || bare.ends_with(".localhost")
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

fn parse(text: &[u8]) -> Option<Host> {
    let authority = Authority::try_from(text).ok()?;
    let has_user = authority.as_str().contains('@');
    (!has_user && !authority.host().is_empty()).then(|| Host::of(&authority))
}

/// Whether a page of `origin` may act on the server that it reached as `host`.
pub(super) fn is_own(origin: &str, host: &Host, allowed: &[String]) -> bool {
    if allowed
        .iter()
        .any(|entry| entry.trim_end_matches('/').eq_ignore_ascii_case(origin))
    {
        return true;
    }
    let Some((scheme, rest)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let Some(from) = parse(rest.as_bytes()) else {
        return false;
    };
    from.name == host.name && from.port.unwrap_or(default_port) == host.port.unwrap_or(default_port)
}

/// The host of a configured origin.
pub(super) fn host_of_origin(origin: &str) -> Option<String> {
    let (_, rest) = origin.split_once("://")?;
    parse(rest.trim_end_matches('/').as_bytes()).map(|host| host.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        parse(text.as_bytes()).expect("a host")
    }

    #[test]
    fn own_origins_are_told_from_foreign_ones() {
        let allowed = vec!["https://console.example".to_owned()];
        for (origin, at, is_ours) in [
            ("http://127.0.0.1:4110", "127.0.0.1:4110", true),
            ("http://LOCALHOST:4110", "localhost:4110", true),
            ("http://box", "box", true),
            ("http://box:80", "box", true),
            ("https://box", "box:443", true),
            ("https://console.example", "127.0.0.1:4110", true),
            ("http://127.0.0.1:4111", "127.0.0.1:4110", false),
            ("http://127.0.0.1", "127.0.0.1:4110", false),
            ("http://evil.example", "127.0.0.1:4110", false),
            (
                "http://127.0.0.1:4110.evil.example",
                "127.0.0.1:4110",
                false,
            ),
            (
                "http://127.0.0.1:4110@evil.example",
                "127.0.0.1:4110",
                false,
            ),
            ("https://console.example.evil", "127.0.0.1:4110", false),
            ("file://", "box", false),
            ("null", "null", false),
            ("", "box", false),
        ] {
            assert_eq!(
                is_own(origin, &host(at), &allowed),
                is_ours,
                "{origin} at {at}"
            );
        }
    }

    #[test]
    fn names_that_dns_decides_about_are_not_loopback() {
        for name in [
            "localhost",
            "127.0.0.1:4110",
            "[::1]:4110",
            "app.localhost",
            "192.168.1.2",
        ] {
            assert!(host(name).is_loopback_name(), "{name}");
        }
        for name in ["rebind.example", "localhost.example", "127.0.0.1.example"] {
            assert!(!host(name).is_loopback_name(), "{name}");
        }
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        let uri = http::Uri::from_static("/");
        let mut headers = HeaderMap::new();
        assert_eq!(Host::of_request(&uri, &headers), None);
        headers.append(header::HOST, "box:1".parse().expect("ascii"));
        assert_eq!(Host::of_request(&uri, &headers), Some(host("box:1")));
        headers.append(header::HOST, "box:1".parse().expect("ascii"));
        assert_eq!(Host::of_request(&uri, &headers), None);
        for wrong in ["", "user@box", "a b", "box/path"] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, wrong.parse().expect("ascii"));
            assert_eq!(Host::of_request(&uri, &headers), None, "{wrong:?}");
        }
    }
}
