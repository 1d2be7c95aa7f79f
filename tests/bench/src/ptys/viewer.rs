//! A viewer of a terminal of either side, as lean as it can be: it takes the frames and looks at nothing but their payload.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::HeaderValue;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// How long a whole step of a bench may wait for a server.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

const INPUT: u8 = 0;
const OUTPUT: u8 = 0;
const SNAPSHOT: u8 = 1;
const NOTICE: u8 = 4;

/// How output and input are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The payload alone.
    Bare,
    /// `mainstay.pty.v1`: the first byte is the kind.
    Kinds,
}

/// An attached viewer.
pub(crate) struct Viewer {
    socket: WebSocketStream<TcpStream>,
    framing: Framing,
    /// Frames of output so far.
    pub(crate) frames: u64,
}

impl Viewer {
    /// Attaches.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub(crate) async fn connect(
        address: SocketAddr,
        path: &str,
        framing: Framing,
        token: Option<&str>,
    ) -> Result<Self> {
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        let headers = request.headers_mut();
        if let Some(token) = token {
            headers.insert(
                "authorization",
                HeaderValue::try_from(format!("Bearer {token}"))?,
            );
        }
        if framing == Framing::Kinds {
            headers.insert(
                "sec-websocket-protocol",
                HeaderValue::from_static("mainstay.pty.v1"),
            );
        }
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let handshake = tokio_tungstenite::client_async(request, stream);
        let (socket, _) = timeout(PATIENCE, handshake)
            .await?
            .with_context(|| format!("attach to {path}"))?;
        Ok(Self {
            socket,
            framing,
            frames: 0,
        })
    }

    /// Attaches to a terminal of the daemon, from its first byte on.
    ///
    /// # Errors
    ///
    /// When the daemon refuses.
    pub(crate) async fn attach(address: SocketAddr, id: &str, token: &str) -> Result<Self> {
        let path = format!("/api/v1/terminals/{id}/attach?since=0");
        Self::connect(address, &path, Framing::Kinds, Some(token)).await
    }

    /// Types.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub(crate) async fn send(&mut self, input: &[u8]) -> Result<()> {
        let mut frame = BytesMut::with_capacity(input.len() + 1);
        if self.framing == Framing::Kinds {
            frame.extend_from_slice(&[INPUT]);
        }
        frame.extend_from_slice(input);
        Ok(self.socket.send(Message::Binary(frame.freeze())).await?)
    }

    /// The next piece of output; `None` when the server has closed.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the server tells that output was missed.
    pub(crate) async fn output(&mut self) -> Result<Option<Bytes>> {
        while let Some(message) = self.socket.next().await {
            let frame = match message? {
                Message::Binary(frame) => frame,
                Message::Close(_) => return Ok(None),
                _ => continue,
            };
            if let Some(output) = self.unpack(frame)? {
                self.frames += 1;
                return Ok(Some(output));
            }
        }
        Ok(None)
    }

    /// Reads until the output since now holds `wanted`.
    ///
    /// # Errors
    ///
    /// When the server closes before.
    pub(crate) async fn until(&mut self, wanted: &[u8]) -> Result<()> {
        let mut seen = Vec::new();
        let reading = async {
            while !seen.windows(wanted.len()).any(|window| window == wanted) {
                match self.output().await? {
                    Some(output) => seen.extend_from_slice(&output),
                    None => bail!("closed before {:?}", String::from_utf8_lossy(wanted)),
                }
            }
            Ok(())
        };
        timeout(PATIENCE, reading).await.context("no output")?
    }

    /// Leaves, as a client that is done does.
    pub(crate) async fn leave(mut self) {
        if self.socket.close(None).await.is_ok() {
            let rest = async { while matches!(self.socket.next().await, Some(Ok(_))) {} };
            drop(timeout(PATIENCE, rest).await);
        }
    }

    fn unpack(&self, frame: Bytes) -> Result<Option<Bytes>> {
        if self.framing == Framing::Bare {
            return Ok(Some(frame));
        }
        let payload = frame.slice(1.min(frame.len())..);
        match frame.first() {
            Some(&(OUTPUT | SNAPSHOT)) => Ok(Some(payload)),
            Some(&NOTICE) if payload.windows(8).any(|window| window == b"\"missed\"") => {
                bail!("output was missed: {}", String::from_utf8_lossy(&payload))
            }
            _ => Ok(None),
        }
    }
}
