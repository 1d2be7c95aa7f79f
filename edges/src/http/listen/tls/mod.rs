//! TLS by this server itself: the handshake, and a certificate that can be renewed while it serves.
//!
//! A certificate lives for weeks and the daemon for longer, so both files are looked at every few seconds and whenever the
//! configuration is read again. A new pair holds for new connections. One that cannot be used changes nothing but the log and the
//! status: the old certificate may still be good for days, and to serve none is never better.
//!
//! Layout: `pair` the two files.

mod pair;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use ground::Micros;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use pair::{Pair, PairFault};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Handshakes under way at once; more wait, within the limit of each.
const HANDSHAKES: usize = 256;

/// TLS on a listener. Clones share it.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    certificate: PathBuf,
    key: PathBuf,
    shown: Arc<Shown>,
    /// Why the files that are there now are not in force.
    refused: ArcSwapOption<Refused>,
    acceptor: TlsAcceptor,
    handshakes: Semaphore,
    asked: Notify,
}

/// Why a newer pair is not in force, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When it was first found.
    pub since: Micros,
    /// What is wrong with it, for operators.
    pub reason: String,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.0.certificate)
            .finish_non_exhaustive()
    }
}

/// The pair that clients are shown.
#[derive(Debug)]
struct Shown(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// With these files.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn load(certificate: PathBuf, key: PathBuf) -> Result<Self, PairFault> {
        let pair = Pair::load(&certificate, &key)?;
        let shown = Arc::new(Shown(ArcSwap::new(pair.0)));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|source| PairFault::Mismatch { source })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(Shared {
            certificate,
            key,
            shown,
            refused: ArcSwapOption::empty(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            handshakes: Semaphore::new(HANDSHAKES),
            asked: Notify::new(),
        })))
    }

    /// Has the files looked at now.
    pub fn look_again(&self) {
        self.0.asked.notify_one();
    }

    /// Why the files that are there now are not in force; `None` when they are.
    pub fn refused(&self) -> Option<Refused> {
        self.0.refused.load().as_deref().cloned()
    }

    /// Shakes hands within `limit`, the wait for a turn included.
    pub(super) async fn accept(
        &self,
        io: TcpStream,
        limit: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        let shake = async {
            let _turn = self.0.handshakes.acquire().await;
            self.0.acceptor.accept(io).await
        };
        let shaken = tokio::time::timeout(limit, shake).await;
        shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Follows the files; never ends.
    pub(super) async fn follow(self) {
        let mut seen = self.stamps();
        loop {
            let asked = self.0.asked.notified();
            let is_asked = tokio::time::timeout(LOOK_EVERY, asked).await.is_ok();
            let now = self.stamps();
            // A pair that was refused is tried again when somebody asks: its directory may have been the fault.
            if now != seen || is_asked && self.0.refused.load().is_some() {
                seen = now;
                self.renew();
            }
        }
    }

    /// Puts the files that are there now into force, if they are sound.
    fn renew(&self) {
        match Pair::load(&self.0.certificate, &self.0.key) {
            Ok(pair) => {
                self.0.shown.0.store(pair.0);
                self.0.refused.store(None);
                tracing::info!("certificate renewed");
            }
            Err(fault) => {
                tracing::error!(%fault, "certificate not renewed; the old one stays in force");
                let since = self.refused().map_or_else(Micros::now, |old| old.since);
                let reason = fault.to_string();
                self.0
                    .refused
                    .store(Some(Arc::new(Refused { since, reason })));
            }
        }
    }

    fn stamps(&self) -> [Option<Stamp>; 2] {
        [&self.0.certificate, &self.0.key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some(Stamp {
                inode: metadata.ino(),
                bytes: metadata.len(),
                mode: metadata.mode(),
                changed: (metadata.mtime(), metadata.mtime_nsec()),
            })
        })
    }
}

/// What tells that a file is another one than before.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    mode: u32,
    changed: (i64, i64),
}
