//! The front: accepts every connection on a thread of its own, and serves health there.
//!
//! Whoever asks how the daemon is must get an answer just when the daemon is not well: when handlers block every thread of the
//! main runtime. So the first bytes of a connection are looked at (not taken) here. Health and, for the local operator, the
//! status are served on this thread, which runs no actor; every other connection is handed to the main runtime, once.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::connection::{Connection, Protocol};

/// Connections on their way to the main runtime at most; more wait here.
pub(super) const HANDOVERS: usize = 64;
/// As many of the first bytes as tell what is asked for.
const PEEKED: usize = 24;
/// What a TLS client's first record begins with.
const HANDSHAKE: u8 = 0x16;
/// Bytes of plain text on a TLS port that are read before it is closed for good.
const MAX_IGNORED: u64 = 64 * 1024;
/// What anybody may ask for here.
const FOR_ALL: [&[u8]; 4] = [b"GET /health", b"HEAD /health", b"GET /info", b"HEAD /info"];
/// What the local operator may ask for here besides; a status needs nothing of the main runtime.
const FOR_OPERATOR: [&[u8]; 1] = [b"GET /api/v1/status"];

/// The thread. Dropping it ends every connection that it still serves.
#[derive(Debug)]
pub(super) struct Front {
    cut: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    /// Runs the future that `serve` makes, on a thread and a runtime of their own, until it ends or this is dropped.
    pub(super) fn start<F>(serve: impl FnOnce() -> F + Send + 'static) -> io::Result<Self>
    where
        F: Future<Output = ()>,
    {
        let cut = CancellationToken::new();
        let until = cut.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("front".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    // Made in here: what it registers belongs to this runtime.
                    let _ended = until.run_until_cancelled(serve()).await;
                });
            })?;
        Ok(Self {
            cut,
            thread: Some(thread),
        })
    }
}

impl Front {
    /// Ends the thread with everything that it serves.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.cut();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the accepting thread panicked");
        }
    }
}

/// A connection for the main runtime.
pub(super) struct Handover {
    pub(super) io: Detached,
    pub(super) connection: Connection,
    pub(super) counted: TaskTrackerToken,
}

/// A socket that belongs to no runtime.
pub(super) enum Detached {
    Tcp(std::net::TcpStream),
    Local(std::os::unix::net::UnixStream),
}

/// A socket that has just been accepted here.
pub(super) trait Arrived:
    tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + Sync + Sized + 'static
{
    /// Whether this is the local operator.
    const IS_LOCAL: bool;
    /// Looks at the first bytes when there are any, without taking them. None at the end of the stream.
    fn peek(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;
    fn detach(self) -> io::Result<Detached>;
}

impl Arrived for TcpStream {
    const IS_LOCAL: bool = false;

    async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::peek(self, buffer).await
    }

    fn detach(self) -> io::Result<Detached> {
        self.into_std().map(Detached::Tcp)
    }
}

impl Arrived for UnixStream {
    const IS_LOCAL: bool = true;

    async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.async_io(Interest::READABLE, || {
            let (peeked, _) = rustix::net::recv(self, &mut *buffer, RecvFlags::PEEK)?;
            Ok(peeked)
        })
        .await
    }

    fn detach(self) -> io::Result<Detached> {
        self.into_std().map(Detached::Local)
    }
}

/// Where connections go.
#[derive(Clone)]
pub(super) struct Sorter {
    pub(super) protocol: Arc<Protocol>,
    pub(super) router: Router,
    pub(super) main: mpsc::Sender<Handover>,
    /// How long a client may be silent before its first byte.
    pub(super) silence: Duration,
}

impl Sorter {
    /// Serves the connection here, or hands it over.
    pub(super) async fn sort<I: Arrived>(
        self,
        io: I,
        connection: Connection,
        counted: TaskTrackerToken,
    ) {
        let mut first = [0; PEEKED];
        let Some(peeked) = self.first_bytes(&io, &mut first).await else {
            return;
        };
        let is_tls = self.protocol.is_tls() && !I::IS_LOCAL;
        if is_tls && first.first() != Some(&HANDSHAKE) {
            return self.hang_up(io).await;
        }
        if !is_tls && is_served_here(first.get(..peeked).unwrap_or_default(), I::IS_LOCAL) {
            self.protocol.serve(io, connection, self.router).await;
            drop(counted);
            return;
        }
        match io.detach() {
            Ok(io) => {
                let handover = Handover {
                    io,
                    connection,
                    counted,
                };
                // Fails only when the server is gone, and the connection with it.
                drop(self.main.send(handover).await);
            }
            Err(error) => tracing::debug!(%error, "connection lost"),
        }
    }

    /// Ends a connection that speaks plain HTTP to a port that wants TLS: an end and no reset, so that the client is told that
    /// nobody answers and not that the network failed.
    async fn hang_up<I: Arrived>(&self, mut io: I) {
        let end = async {
            io.shutdown().await?;
            // What is left unread would turn the end into a reset.
            tokio::io::copy(&mut (&mut io).take(MAX_IGNORED), &mut tokio::io::sink()).await
        };
        let ended = tokio::select! {
            ended = tokio::time::timeout(self.silence, end) => ended.is_ok(),
            () = self.protocol.closed() => false,
        };
        tracing::debug!(ended, "plain text on a TLS port");
    }

    /// How many of the first bytes there are; `None` when the client left, stays silent, or connections are closed.
    async fn first_bytes<I: Arrived>(&self, io: &I, first: &mut [u8]) -> Option<usize> {
        let peek = tokio::time::timeout(self.silence, io.peek(first));
        let peeked = tokio::select! {
            peeked = peek => peeked,
            () = self.protocol.closed() => return None,
        };
        if peeked.is_err() {
            tracing::debug!("silent connection closed");
        }
        peeked.ok()?.ok().filter(|peeked| *peeked > 0)
    }
}

fn is_served_here(first: &[u8], is_local: bool) -> bool {
    let begins = |with: &&[u8]| first.starts_with(with);
    FOR_ALL.iter().any(begins) || is_local && FOR_OPERATOR.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_served_here_and_the_status_for_the_operator_alone() {
        assert!(is_served_here(b"GET /health/live HTTP/1.", false));
        assert!(is_served_here(b"GET /info HTTP/1.1", false));
        assert!(!is_served_here(b"GET /api/v1/status HTTP/", false));
        assert!(is_served_here(b"GET /api/v1/status HTTP/", true));
        assert!(!is_served_here(b"GET /api/v1/terminals", true));
        assert!(!is_served_here(b"PRI * HTTP/2.0", true));
        assert!(!is_served_here(b"GET /hea", false));
    }
}
