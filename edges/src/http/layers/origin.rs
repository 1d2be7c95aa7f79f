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

    /// Reads a host as a header spells it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        parse(text.as_bytes())
    }

    /// Whether no DNS server decides where this leads: an address, or a name of the machine itself.
    pub(super) fn is_not_for_dns(&self) -> bool {
        self.address().is_some() || self.is_localhost()
    }

    /// Whether this is the machine that the client runs on.
    pub(super) fn is_this_machine(&self) -> bool {
        self.is_localhost() || self.address().is_some_and(|address| address.is_loopback())
    }

    fn address(&self) -> Option<IpAddr> {
        let bare = self.name.trim_start_matches('[').trim_end_matches(']');
        bare.parse().ok()
    }

    fn is_localhost(&self) -> bool {
        self.name == "localhost" || self.name.ends_with(".localhost")
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

/// Whether `origin` is one of those that are configured.
pub(super) fn is_listed(origin: &str, listed: &[String]) -> bool {
    let mut listed = listed.iter();
    listed.any(|entry| entry.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

/// Whether a page of `origin` comes from the server itself, reached as `host`. One that came in plain text may have been
/// altered on its way, so it is foreign to a server that was reached over TLS.
pub(super) fn is_own(origin: &str, host: &Host, is_secure: bool) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" if !is_secure => 80,
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
        let may = |origin: &str, at: &str, is_secure: bool| {
            is_listed(origin, &allowed) || is_own(origin, &host(at), is_secure)
        };
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
            assert_eq!(may(origin, at, false), is_ours, "{origin} at {at}");
        }
        assert!(may("https://box", "box", true) && !may("http://box", "box", true));
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
            assert!(host(name).is_not_for_dns(), "{name}");
        }
        for (name, is_here) in [
            ("localhost:1", true),
            ("a.localhost", true),
            ("127.0.0.2", true),
            ("[::1]", true),
            ("192.168.1.2", false),
            ("rebind.example", false),
        ] {
            assert_eq!(host(name).is_this_machine(), is_here, "{name}");
        }
        for name in ["rebind.example", "localhost.example", "127.0.0.1.example"] {
            assert!(!host(name).is_not_for_dns(), "{name}");
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
