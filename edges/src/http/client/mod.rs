//! Where a request comes from, behind the proxies that are trusted: the one place that says so, for limits, audit and log.
//!
//! Anybody can write `X-Forwarded-For`. So it counts only when the connection itself comes from a configured proxy, and then from
//! the right: each hop is believed as long as it is a proxy too, and the first that is none is the client. What stands left of it
//! is what the client said of itself.
//!
//! Layout: `address` an address as the unit that is counted, `forwarded` the headers (pure).

mod address;
mod forwarded;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;

pub(crate) use address::AddressBlock;

use super::listen::Connection;

/// The networks of the proxies that are trusted.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    /// Proxies in these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Whether this is the address of a trusted proxy.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The address of the client behind all trusted proxies; `None` over the local socket. A request extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

/// How the client reached the outermost trusted proxy, or this server. A request extension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Whether over TLS.
    pub(crate) is_secure: bool,
    /// The host that it asked for, where a trusted proxy tells another one than the `Host` header.
    pub(crate) host: Option<String>,
}

/// Where a request of these headers over this connection comes from.
pub(crate) fn origin_of(
    connection: Option<&Connection>,
    headers: &HeaderMap,
    proxies: &Proxies,
) -> (ClientAddress, Reached) {
    let peer = connection.and_then(|connection| connection.peer.address());
    let reached = Reached {
        is_secure: connection.is_some_and(|connection| connection.is_tls),
        host: None,
    };
    match peer {
        Some(peer) if proxies.contains(peer) => {
            let told = forwarded::read(headers, peer.to_canonical(), proxies);
            let reached = Reached {
                is_secure: told.is_secure.unwrap_or(reached.is_secure),
                host: told.host,
            };
            (ClientAddress(Some(told.client)), reached)
        }
        _ => (ClientAddress(peer.map(|peer| peer.to_canonical())), reached),
    }
}
