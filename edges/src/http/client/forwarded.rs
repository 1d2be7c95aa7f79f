//! What proxies tell of the client: `Forwarded` (RFC 7239) and the older `X-Forwarded-*`. Pure.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

use super::Proxies;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Hops that are looked at, from the right.
const MAX_HOPS: usize = 32;
/// Characters of a host at most.
const MAX_HOST: usize = 255;

/// What the trusted proxies tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) client: IpAddr,
    pub(super) is_secure: Option<bool>,
    pub(super) host: Option<String>,
}

/// Reads what `proxy`, which is trusted, and those behind it tell.
///
/// A proxy sets one sort of header and may pass the other on as the client sent it. So where both are there and name different
/// clients, neither is believed and the client is the proxy.
pub(super) fn read(headers: &HeaderMap, proxy: IpAddr, proxies: &Proxies) -> Told {
    let elements = elements_of(headers);
    let told = |client, is_secure, host| Told {
        client,
        is_secure,
        host,
    };
    let by_old = by_old(headers, proxy, proxies);
    if elements.is_empty() {
        let (is_secure, host) = (last_proto(headers), last_host(headers));
        return told(by_old, is_secure, host);
    }
    let (by_new, element) = by_new(&elements, proxy, proxies);
    if headers.contains_key(FOR) && by_old != by_new {
        return told(proxy, None, None);
    }
    let is_secure = element.proto.as_deref().and_then(secure_of);
    told(by_new, is_secure, element.host.clone())
}

/// The client by `X-Forwarded-For`.
fn by_old(headers: &HeaderMap, proxy: IpAddr, proxies: &Proxies) -> IpAddr {
    let hops = listed(headers, &FOR);
    let hops = hops.iter().rev().take(MAX_HOPS).map(|hop| address(hop));
    walk(hops, proxy, proxies).0
}

/// The client by `Forwarded`, and the element that names it.
fn by_new<'a>(elements: &'a [Element], proxy: IpAddr, proxies: &Proxies) -> (IpAddr, &'a Element) {
    const NOTHING: &Element = &Element {
        from: None,
        proto: None,
        host: None,
    };
    let hops = elements.iter().rev().take(MAX_HOPS).map(|hop| hop.from);
    let (client, steps) = walk(hops, proxy, proxies);
    let element = elements.iter().rev().nth(steps.saturating_sub(1));
    (client, element.unwrap_or(NOTHING))
}

/// Goes from the nearest hop outwards as long as each is a proxy: the client, and how many hops were believed.
fn walk(
    hops: impl Iterator<Item = Option<IpAddr>>,
    proxy: IpAddr,
    proxies: &Proxies,
) -> (IpAddr, usize) {
    let mut client = proxy;
    let mut steps = 0;
    for hop in hops {
        let Some(hop) = hop else { break };
        (client, steps) = (hop, steps + 1);
        if !proxies.contains(hop) {
            break;
        }
    }
    (client, steps)
}

/// The entries of a header that is a list, over all of its lines.
fn listed(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()));
    let lines = lines.flat_map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    lines.map(|entry| entry.trim().to_owned()).collect()
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|both| both.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

fn last_proto(headers: &HeaderMap) -> Option<bool> {
    listed(headers, &PROTO)
        .last()
        .and_then(|word| secure_of(word))
}

fn secure_of(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}

fn last_host(headers: &HeaderMap) -> Option<String> {
    listed(headers, &HOST).pop().and_then(host)
}

fn host(text: String) -> Option<String> {
    (1..=MAX_HOST).contains(&text.len()).then_some(text)
}

/// One hop of `Forwarded`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Element {
    from: Option<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

fn elements_of(headers: &HeaderMap) -> Vec<Element> {
    let lines = headers.get_all(header::FORWARDED).iter();
    let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()));
    let elements = lines.flat_map(|line| match parts(&line, ',') {
        Some(elements) => elements.iter().map(|text| element(text)).collect(),
        None => vec![Element::default()],
    });
    elements.collect()
}

fn element(text: &str) -> Element {
    let mut element = Element::default();
    for pair in parts(text, ';').unwrap_or_default() {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => element.from = address(value),
            "proto" => element.proto = Some(value.to_owned()),
            "host" => element.host = host(value.to_owned()),
            _ => {}
        }
    }
    element
}

/// Splits at `separator`, but not inside quotes. None when a quote is left open: what a proxy has appended would then belong to what
/// the client wrote before it.
fn parts(text: &str, separator: char) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for c in text.chars() {
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = is_quoted && c == '\\' && !is_escaped;
        if c == separator && !is_quoted {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    (!is_quoted).then_some(parts)
}
