//! Which addresses are spoken to. No I/O.
//!
//! A code, a client's secret and a token travel to these addresses, so they are https; plain http only to this machine itself, where
//! no wire is listened to. An address that an issuer announces may not be less than the issuer's own: an issuer on the network must
//! not send this daemon's requests to services of its own machine or, where it is itself in the open, of the network around it.
//! Names are asked for their addresses when a connection is made, and judged then ([`is_allowed`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Bytes of an address at most.
pub(crate) const MAX_URL: usize = 2_000;

/// Why an address is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    /// It is none, or too long.
    #[error("expected an address such as \"https://id.example.org\"")]
    Form,
    /// It is neither https nor this machine.
    #[error("expected https, or http to this machine itself (127.0.0.1, ::1, localhost)")]
    Scheme,
    /// It holds a user's name, a password or a fragment.
    #[error("expected no user, no password and no fragment in it")]
    Parts,
    /// It holds a query.
    #[error("expected no query in it")]
    Query,
    /// It leads to this machine or the network around it, and whoever announces it does not live there.
    #[error("it leads to this machine itself, or into its own network")]
    Inward,
}

/// Reads an address that may be spoken to.
///
/// # Errors
/// [`UrlError`], the first that applies.
pub(crate) fn read(text: &str) -> Result<Url, UrlError> {
    if text.len() > MAX_URL || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(UrlError::Form);
    }
    let url = Url::parse(text).map_err(|_| UrlError::Form)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => return Err(UrlError::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(UrlError::Parts);
    }
    Ok(url)
}

/// Reads an address without a query: an issuer, or the base of an API.
///
/// # Errors
/// [`UrlError`], the first that applies.
pub(crate) fn read_base(text: &str) -> Result<Url, UrlError> {
    let url = read(text)?;
    if url.query().is_some() {
        return Err(UrlError::Query);
    }
    Ok(url)
}

/// Reads an address that `issuer` announces.
///
/// # Errors
/// [`UrlError`], the first that applies.
pub(crate) fn read_announced(text: &str, issuer: &Url) -> Result<Url, UrlError> {
    let url = read(text)?;
    let is_inward = match (address_of(&url), address_of(issuer)) {
        _ if url.host() == issuer.host() => false,
        (Some(to), from) => !is_allowed(to, from),
        (None, _) => is_loopback(&url) && !is_loopback(issuer),
    };
    if is_inward {
        return Err(UrlError::Inward);
    }
    Ok(url)
}

/// How far an address reaches: who lives further out has no business further in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// This machine, and what only it can speak to: the services of a cloud that tell a machine its secrets live there.
    Machine,
    /// The network around it.
    Network,
    /// Everywhere.
    World,
}

impl Reach {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, ..] = address.octets();
        let is_of_machine = address.is_loopback()
            || address.is_link_local()
            || address.is_multicast()
            || first == 0
            || first >= 240;
        let is_shared = first == 100 && second & 0xc0 == 64;
        match (is_of_machine, address.is_private() || is_shared) {
            (true, _) => Self::Machine,
            (false, true) => Self::Network,
            (false, false) => Self::World,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let is_of_machine = address.is_loopback()
            || address.is_unspecified()
            || address.is_unicast_link_local()
            || address.is_multicast();
        match (is_of_machine, address.is_unique_local()) {
            (true, _) => Self::Machine,
            (false, true) => Self::Network,
            (false, false) => Self::World,
        }
    }
}

/// Whether who lives at `from` may send us to `to`. Who lives nowhere in particular lives in the world.
pub(crate) fn is_allowed(to: IpAddr, from: Option<IpAddr>) -> bool {
    Reach::of(to) >= from.map_or(Reach::World, Reach::of)
}

/// The address that stands in it, or that a name of this machine means.
pub(crate) fn address_of(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => is_loopback(url).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

/// Whether the address is this machine itself.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
        None => false,
    }
}

/// `base` with `path` behind it; `path` begins with a slash.
pub(crate) fn below(base: &str, path: &str) -> Result<Url, UrlError> {
    read(&format!("{}{path}", base.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_https_and_this_machine_are_spoken_to() {
        for fine in [
            "https://id.example.org",
            "https://id.example.org:8443/realms/a",
            "http://127.0.0.1:4000",
            "http://[::1]:4000/x",
            "http://localhost/",
        ] {
            assert!(read_base(fine).is_ok(), "{fine}");
        }
        for (wrong, why) in [
            ("", UrlError::Form),
            ("id.example.org", UrlError::Form),
            ("https://a b", UrlError::Form),
            ("https://a\n", UrlError::Form),
            ("http://id.example.org", UrlError::Scheme),
            ("http://127.0.0.1.example.org", UrlError::Scheme),
            ("http://10.0.0.1", UrlError::Scheme),
            ("ftp://127.0.0.1", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("https://user@id.example.org", UrlError::Parts),
            ("https://:word@id.example.org", UrlError::Parts),
            ("https://id.example.org/#x", UrlError::Parts),
            ("https://id.example.org/?a=b", UrlError::Query),
        ] {
            assert_eq!(read_base(wrong), Err(why), "{wrong}");
        }
        let long = format!("https://id.example.org/{}", "x".repeat(MAX_URL));
        assert_eq!(read(&long), Err(UrlError::Form));
    }

    #[test]
    fn an_issuer_elsewhere_sends_nobody_to_this_machine() {
        let outside = read("https://id.example.org").expect("an address");
        let here = read("http://127.0.0.1:1").expect("an address");
        for inward in [
            "https://localhost/token",
            "https://127.0.0.1/token",
            "http://127.8.9.1/token",
            "https://[::ffff:127.0.0.1]/token",
            "https://a.localhost./token",
        ] {
            assert_eq!(
                read_announced(inward, &outside),
                Err(UrlError::Inward),
                "{inward}"
            );
            assert!(read_announced(inward, &here).is_ok(), "{inward}");
        }
        assert!(read_announced("https://other.example.org/token?a=b", &outside).is_ok());
    }

    #[test]
    fn nobody_is_sent_further_in_than_they_are() {
        let outside = read("https://id.example.org").expect("an address");
        let office = read("https://10.1.2.3").expect("an address");
        for (inner, is_of_office) in [
            ("https://10.9.9.9/token", true),
            ("https://192.168.1.1/token", true),
            ("https://100.64.0.1/token", true),
            ("https://[fd00::1]/token", true),
            ("https://[::ffff:172.16.0.1]/token", true),
            // Other spellings of 10.0.0.1.
            ("https://0x0a000001/token", true),
            ("https://167772161/token", true),
            ("https://169.254.169.254/latest/meta-data", false),
            ("https://[fe80::1]/token", false),
            ("https://0.0.0.0/token", false),
            ("https://[::]/token", false),
            ("https://224.0.0.1/token", false),
            ("https://255.255.255.255/token", false),
        ] {
            let announced = read_announced(inner, &outside);
            assert_eq!(announced, Err(UrlError::Inward), "{inner}");
            let announced = read_announced(inner, &office);
            assert_eq!(announced.is_ok(), is_of_office, "{inner}");
        }
        // Where the configuration says it is, there it may be.
        let odd = read("https://169.254.1.1/realm").expect("an address");
        assert!(read_announced("https://169.254.1.1/token", &odd).is_ok());
        assert!(read_announced("https://203.0.113.9/token", &outside).is_ok());
    }

    #[test]
    fn a_path_goes_behind_the_base_once() {
        let joined = |base| below(base, "/.well-known/x").map(String::from);
        let expected = "https://a.example/b/.well-known/x".to_owned();
        assert_eq!(joined("https://a.example/b"), Ok(expected.clone()));
        assert_eq!(joined("https://a.example/b/"), Ok(expected));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_lets_a_foreign_host_pass_in_plain(text in ".{0,60}", host in "[a-z0-9.:\\[\\]@]{0,20}") {
            for text in [text, format!("http://{host}/"), format!("https://{host}")] {
                if let Ok(url) = read(&text) {
                    prop_assert!(url.scheme() == "https" || is_loopback(&url));
                    prop_assert!(url.username().is_empty() && url.password().is_none());
                }
            }
        }
    }
}
