//! Nobody outside of the trusted networks decides what his address is.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::super::listen::{Connection, Peer};
use super::{AddressBlock, ClientAddress, Proxies, Reached, origin_of};

fn proxies() -> Proxies {
    let networks = ["10.0.0.0/8", "fd00::/8", "127.0.0.1/32"];
    Proxies::new(networks.map(|network| network.parse().expect("a network")))
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

fn asked(peer: &str, pairs: &[(&str, &str)]) -> (String, Reached) {
    let peer: IpAddr = peer.parse().expect("an address");
    let connection = Connection::for_tests(Peer::Tcp((peer, 50_000).into()));
    let (ClientAddress(client), reached) =
        origin_of(Some(&connection), &headers(pairs), &proxies());
    (client.expect("an address").to_string(), reached)
}

#[test]
fn strangers_say_nothing_about_themselves() {
    let lies = [
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1;proto=https;host=bank.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "bank.example"),
    ];
    assert_eq!(
        asked("203.0.113.9", &lies),
        ("203.0.113.9".to_owned(), Reached::default())
    );
}

#[test]
fn the_rightmost_hop_that_is_no_proxy_is_the_client() {
    for (told, client) in [
        ("198.51.100.7", "198.51.100.7"),
        ("192.0.2.1, 198.51.100.7", "198.51.100.7"),
        ("192.0.2.1, 198.51.100.7, 10.1.1.1", "198.51.100.7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db8::7]:4711, fd00::1", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        // What cannot be read is not believed, and nothing left of it.
        ("198.51.100.7, unknown", "10.0.0.1"),
        ("198.51.100.7, _hidden, 10.0.0.2", "10.0.0.2"),
        ("", "10.0.0.1"),
        // All are proxies: the outermost of them asked.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ] {
        let (found, _) = asked("10.0.0.1", &[("x-forwarded-for", told)]);
        assert_eq!(found, client, "{told:?}");
    }
    let lines = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-for", "198.51.100.7"),
    ];
    assert_eq!(asked("10.0.0.1", &lines).0, "198.51.100.7");
    assert_eq!(asked("::ffff:10.0.0.1", &lines).0, "198.51.100.7");
}

#[test]
fn the_newer_header_is_read_too() {
    let told = "for=192.0.2.1, for=\"[2001:db8::7]:4711\";proto=https;host=\"a.example\", For=10.0.0.2;proto=http";
    let (client, reached) = asked("10.0.0.1", &[("forwarded", told)]);
    assert_eq!(client, "2001:db8::7");
    let expected = Reached {
        is_secure: true,
        host: Some("a.example".to_owned()),
    };
    assert_eq!(reached, expected);
}

#[test]
fn headers_that_contradict_each_other_are_not_believed() {
    let both = [
        ("x-forwarded-for", "198.51.100.7"),
        ("forwarded", "for=192.0.2.1;proto=https"),
    ];
    assert_eq!(
        asked("10.0.0.1", &both),
        ("10.0.0.1".to_owned(), Reached::default())
    );
    let agreed = [
        ("x-forwarded-for", "198.51.100.7"),
        ("forwarded", "for=198.51.100.7;proto=https"),
    ];
    assert_eq!(asked("10.0.0.1", &agreed).0, "198.51.100.7");
}

#[test]
fn a_proxy_tells_scheme_and_host() {
    let told = [
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-proto", "http, https"),
        ("x-forwarded-host", "evil.example, a.example"),
    ];
    let (_, reached) = asked("10.0.0.1", &told);
    assert!(reached.is_secure);
    assert_eq!(reached.host.as_deref(), Some("a.example"));
}

#[test]
fn the_local_socket_has_no_address() {
    let local = Connection::for_tests(Peer::Local { uid: 0, pid: None });
    let told = headers(&[("x-forwarded-for", "192.0.2.1")]);
    let (client, _) = origin_of(Some(&local), &told, &proxies());
    assert_eq!(client, ClientAddress(None));
}

#[test]
fn neighbours_in_a_network_of_ipv6_are_one() {
    let block = |text: &str| AddressBlock::from(text.parse::<IpAddr>().expect("an address"));
    assert_eq!(block("2001:db8:1:2::1"), block("2001:db8:1:2:ffff::9"));
    assert_ne!(block("2001:db8:1:2::1"), block("2001:db8:1:3::1"));
    assert_ne!(block("192.0.2.1"), block("192.0.2.2"));
    assert_eq!(block("::ffff:192.0.2.1"), block("192.0.2.1"));
}

proptest! {
    /// Whatever a client writes, it cannot get left of the hop that its proxy has written.
    #[test]
    fn nothing_before_the_trusted_hop_counts(
        lies in prop::collection::vec("[ -~]{0,24}", 0..6), client: std::net::Ipv4Addr,
    ) {
        prop_assume!(!proxies().contains(client.into()));
        let mut hops = lies;
        hops.push(client.to_string());
        let told = hops.join(", ");
        let (found, _) = asked("10.0.0.1", &[("x-forwarded-for", &told)]);
        prop_assert_eq!(found, client.to_string());
    }

    /// The same in the newer header, where an open quote could swallow the hop: then the proxy itself is the client.
    #[test]
    fn no_quote_swallows_the_trusted_hop(
        lies in prop::collection::vec("(for=9[.]9[.]9[.]9)?;?[a-z=\"\\\\; ]{0,12}", 0..4), client: std::net::Ipv4Addr,
    ) {
        prop_assume!(!proxies().contains(client.into()));
        let mut hops = lies;
        hops.push(format!("for=\"{client}\";proto=https"));
        let (found, _) = asked("10.0.0.1", &[("forwarded", &hops.join(", "))]);
        prop_assert!(found == client.to_string() || found == "10.0.0.1", "{}", found);
    }

    /// No bytes of a header make the reader fail.
    #[test]
    fn any_bytes_are_read(
        old in prop::collection::vec(any::<u8>(), 0..64), new in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut headers = HeaderMap::new();
        for (name, bytes) in [("x-forwarded-for", old), ("forwarded", new)] {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        let peer: IpAddr = [10, 0, 0, 1].into();
        let connection = Connection::for_tests(Peer::Tcp((peer, 1).into()));
        origin_of(Some(&connection), &headers, &proxies());
    }
}
