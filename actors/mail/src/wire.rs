//! A connection as the SMTP client takes it: with something read before it, if need be.
//!
//! Why: the client wants to read a greeting first, and a connection that was turned to TLS has had its greeting. So it is given a
//! greeting of ours, and everything that it hears after that came over TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What stands for the greeting that is not sent again.
pub(crate) const GREETING: &[u8] = b"220 protected\r\n";

/// A connection, and what is read before what comes over it.
pub(crate) struct Wire<S> {
    stream: S,
    peer: SocketAddr,
    first: &'static [u8],
}

impl<S> Wire<S> {
    /// `stream` to `peer`, with `first` in front.
    pub(crate) const fn new(stream: S, peer: SocketAddr, first: &'static [u8]) -> Self {
        Self {
            stream,
            peer,
            first,
        }
    }
}

impl<S> fmt::Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.peer).finish()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let (now, later) = self.first.split_at(self.first.len().min(buf.remaining()));
        buf.put_slice(now);
        self.first = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> AsyncTokioStream for Wire<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_in_front_is_read_first_however_little_is_read_at_once() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 25));
        let mut wire = Wire::new(&b"250 hello"[..], peer, GREETING);
        let mut read = Vec::new();
        let mut few = [0; 4];
        loop {
            let count = wire.read(&mut few).await.expect("memory reads");
            if count == 0 {
                break;
            }
            read.extend_from_slice(&few[..count]);
        }
        assert_eq!(read, b"220 protected\r\n250 hello");
    }
}
