//! The listener: from a socket to requests, with every wait bounded and every task owned.
//!
//! axum's own serve loop has no limit on connections, gives a silent client all the time in the world, and leaves its
//! tasks to the runtime. So this is a loop of our own over hyper: a connection takes a permit, must send its first
//! request within a limit, keeps its place only while it is used, and ends with the set of tasks that owns it.
//!
//! Shutdown is three steps of [`Server`]: `refuse` (no new connections; requests on live ones get 503 from the request
//! layer), `drain` (waits for what is in flight, then closes every connection), and at last the drop of whatever is
//! left. A connection that sits idle costs one timer and no work.
//!
//! With TLS the first bytes say nothing about the request, so such a connection goes to the main runtime as it is, and shakes
//! hands there.
//!
//! Layout: `socket` binding (TCP, Unix socket with peer credentials), `front` the thread that accepts and serves health, `accept` the loop, `connection` one connection,
//! `crowd` the connections of each address, `tls` HTTPS, `descriptors` the limit of open files, `drain` the state of
//! shutting down, `owned` the executor of HTTP/2.

mod accept;
mod connection;
mod crowd;
mod descriptors;
mod drain;
mod front;
#[cfg(test)]
mod front_tests;
mod owned;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
#[cfg(test)]
mod wire_tests;

pub use accept::{Drained, Server};
pub use connection::Connection;
pub use drain::Drain;
pub use socket::{ListenError, Listeners};
pub use tls::{Pair, PairFault, Tls};

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicUsize;

/// Who is at the other end of a connection, as far as the transport knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A process of the daemon's own user or of root, over the Unix socket.
    Local {
        /// Its user id.
        uid: u32,
        /// Its process id, where the kernel tells it.
        pid: Option<i32>,
    },
    /// A TCP client.
    Tcp(SocketAddr),
}

impl Peer {
    /// Whether this is the local operator.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Local { .. })
    }

    /// The address at the other end; `None` over the Unix socket.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Local { .. } => None,
            Self::Tcp(address) => Some(address.ip()),
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local {
                uid,
                pid: Some(pid),
            } => write!(f, "local uid={uid} pid={pid}"),
            Self::Local { uid, pid: None } => write!(f, "local uid={uid}"),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

/// What the listener counts.
#[derive(Debug, Default)]
pub struct ListenGauges {
    /// TCP connections that are open.
    pub tcp: AtomicUsize,
    /// Unix socket connections that are open.
    pub local: AtomicUsize,
    /// Connections refused because the limit was reached.
    pub refused: AtomicUsize,
}

impl ListenGauges {
    /// The count of open connections of this peer's sort.
    fn open(&self, peer: &Peer) -> &AtomicUsize {
        if peer.is_local() {
            &self.local
        } else {
            &self.tcp
        }
    }
}
