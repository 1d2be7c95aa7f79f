//! The WebSocket protocol of terminals, `mainstay.pty.v1`, from the viewer's side.
//!
//! Why by hand: tests also send what a proper client never would, so frames are bytes here, with names for the proper
//! ones.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http::HeaderValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::PATIENCE;

/// The sub-protocol's name.
pub(crate) const PROTOCOL: &str = "mainstay.pty.v1";

/// The newest output that is kept for failure messages and [`Terminal::read_until`].
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// One thing that the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Bytes of the terminal's output.
    Output(Vec<u8>),
    /// What the screen or the scrollback held at the time of attaching or of catching up.
    Snapshot(Vec<u8>),
    /// The shell has ended.
    Exit(Value),
    /// The answer to a ping, with its bytes.
    Pong(Vec<u8>),
    /// Something the viewer should know, such as bytes it missed.
    Notice(Value),
    /// A frame that is none of these.
    Other(Vec<u8>),
    /// The server closed the connection; with the close code when it gave one.
    Closed(Option<u16>),
}

/// What the server answered instead of opening the WebSocket.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The status code.
    pub status: u16,
    /// The body, usually a problem document.
    pub body: String,
}

impl Refused {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}

/// An attached viewer.
#[derive(Debug)]
pub struct Terminal {
    socket: WebSocketStream<TcpStream>,
    output: Vec<u8>,
    received: u64,
}

impl Terminal {
    pub(crate) async fn attach(
        address: SocketAddr,
        terminal: &str,
        since: Option<u64>,
        headers: &[(&'static str, String)],
    ) -> Result<Self, Refused> {
        let query = since
            .map(|since| format!("?since={since}"))
            .unwrap_or_default();
        let url = format!("ws://{address}/api/v1/terminals/{terminal}/attach{query}");
        let mut request = url.into_client_request().expect("an attach URL is a URL");
        let all = request.headers_mut();
        all.insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
        for (name, text) in headers {
            let value = HeaderValue::try_from(text).expect("a header value");
            all.insert(*name, value);
        }
        let stream = TcpStream::connect(address)
            .await
            .expect("the daemon takes connections");
        stream.set_nodelay(true).expect("a TCP option");
        let handshake = tokio_tungstenite::client_async(request, stream);
        match crate::within(PATIENCE, "the WebSocket handshake", handshake).await {
            Ok((socket, _)) => Ok(Self {
                socket,
                output: Vec::new(),
                received: 0,
            }),
            Err(Error::Http(response)) => Err(Refused {
                status: response.status().as_u16(),
                body: String::from_utf8_lossy(response.body().as_deref().unwrap_or_default())
                    .into_owned(),
            }),
            Err(error) => panic!("the WebSocket handshake: {error}"),
        }
    }

    /// Types.
    pub async fn send_input(&mut self, input: impl AsRef<[u8]>) {
        self.send_frame(0, input.as_ref()).await;
    }

    /// Types a line and the Enter key.
    pub async fn send_line(&mut self, line: &str) {
        self.send_input(format!("{line}\r")).await;
    }

    /// Asks for another size, sensible or not.
    pub async fn resize(&mut self, cols: u32, rows: u32) {
        self.send_frame(
            1,
            json!({ "cols": cols, "rows": rows }).to_string().as_bytes(),
        )
        .await;
    }

    /// Acknowledges that `bytes` more bytes of output have been processed.
    pub async fn ack(&mut self, bytes: u64) {
        self.send_frame(2, bytes.to_string().as_bytes()).await;
    }

    /// Sends a ping of the sub-protocol.
    pub async fn ping(&mut self, payload: &[u8]) {
        self.send_frame(3, payload).await;
    }

    /// Sends a frame of any kind.
    ///
    /// # Panics
    ///
    /// When the connection takes nothing for 30 s. A connection that the server has closed is no failure here.
    pub async fn send_frame(&mut self, kind: u8, payload: &[u8]) {
        let mut frame = Vec::with_capacity(payload.len() + 1);
        frame.push(kind);
        frame.extend(payload);
        self.send_raw(Message::binary(frame)).await;
    }

    /// Sends a text message, which the protocol does not know.
    pub async fn send_text(&mut self, text: &str) {
        self.send_raw(Message::text(text.to_owned())).await;
    }

    /// The bytes of output seen so far, the snapshot's included.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The newest output, at most 4 MiB of it, as text.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// The next frame.
    ///
    /// # Panics
    ///
    /// When none comes within `limit`, with the output so far.
    pub async fn next(&mut self, limit: Duration) -> Frame {
        match self.poll(limit).await {
            Some(frame) => frame,
            None => panic!("no frame within {limit:?}; output so far:\n{}", self.tail()),
        }
    }

    /// The next frame, or `None` when none comes within `limit`.
    pub async fn poll(&mut self, limit: Duration) -> Option<Frame> {
        tokio::time::timeout(limit, self.read()).await.ok()
    }

    /// Reads until the output holds `needle`, which is then cut off with all before it and given back.
    ///
    /// # Panics
    ///
    /// When it does not come within 30 s, or the connection closes before: with the output so far.
    pub async fn read_until(&mut self, needle: impl AsRef<[u8]>) -> Vec<u8> {
        let needle = needle.as_ref();
        let deadline = Instant::now() + PATIENCE;
        let mut searched = 0;
        loop {
            let fresh = self.output.get(searched..).unwrap_or_default();
            if let Some(at) = fresh
                .windows(needle.len())
                .position(|window| window == needle)
            {
                return self.output.drain(..searched + at + needle.len()).collect();
            }
            let before = self.received;
            let left = deadline.saturating_duration_since(Instant::now());
            let frame = self.next(left).await;
            // What is new, and as much before it as a needle across the seam may need; the rest has been searched.
            let fresh = usize::try_from(self.received - before).unwrap_or(usize::MAX);
            let unsearched = fresh.saturating_add(needle.len());
            searched = self.output.len().saturating_sub(unsearched);
            if let Frame::Closed(code) = frame {
                panic!(
                    "closed ({code:?}) before {:?}; output so far:\n{}",
                    String::from_utf8_lossy(needle),
                    self.tail()
                );
            }
        }
    }

    /// Reads on until the exit frame, and gives back its document.
    ///
    /// # Panics
    ///
    /// When it does not come within 30 s, or the connection closes before: with the output so far.
    pub async fn read_exit(&mut self) -> Value {
        match self.read_to(|frame| matches!(frame, Frame::Exit(_))).await {
            Frame::Exit(exit) => exit,
            other => panic!("{other:?} before the exit; output so far:\n{}", self.tail()),
        }
    }

    /// Reads on until a notice with this `type`, and gives back its document.
    ///
    /// # Panics
    ///
    /// When none comes within 30 s, or the connection closes before.
    pub async fn read_notice_of(&mut self, kind: &str) -> Value {
        let wanted =
            |frame: &Frame| matches!(frame, Frame::Notice(notice) if notice["type"] == kind);
        match self.read_to(wanted).await {
            Frame::Notice(notice) => notice,
            other => panic!(
                "{other:?} before a notice `{kind}`; output so far:\n{}",
                self.tail()
            ),
        }
    }

    /// Reads on until the server has closed the connection, and gives back the close code.
    ///
    /// # Panics
    ///
    /// When it has not within 30 s.
    pub async fn read_close(&mut self) -> Option<u16> {
        match self.read_to(|_| false).await {
            Frame::Closed(code) => code,
            other => panic!("{other:?} is not the end"),
        }
    }

    /// Detaches as a proper client does.
    ///
    /// # Panics
    ///
    /// When the server does not take part within 30 s.
    pub async fn detach(mut self) {
        // A server that has closed already is as good.
        drop(self.socket.close(None).await);
        self.read_close().await;
    }

    async fn read_to(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let frame = self
                .next(deadline.saturating_duration_since(Instant::now()))
                .await;
            if wanted(&frame) || matches!(frame, Frame::Closed(_)) {
                return frame;
            }
        }
    }

    async fn send_raw(&mut self, message: Message) {
        drop(
            crate::within(
                PATIENCE,
                "the WebSocket takes a message",
                self.socket.send(message),
            )
            .await,
        );
    }

    async fn read(&mut self) -> Frame {
        loop {
            let Some(Ok(message)) = self.socket.next().await else {
                return Frame::Closed(None);
            };
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Text(text) => return Frame::Other(text.as_bytes().to_vec()),
                Message::Close(close) => {
                    return Frame::Closed(close.map(|close| close.code.into()));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            let frame = parse(&bytes);
            if let Frame::Output(output) | Frame::Snapshot(output) = &frame {
                self.keep(output);
            }
            return frame;
        }
    }

    fn keep(&mut self, output: &[u8]) {
        self.received += output.len() as u64;
        self.output.extend(output);
        let excess = self.output.len().saturating_sub(KEPT_BYTES);
        self.output.drain(..excess);
    }

    fn tail(&self) -> String {
        let from = self.output.len().saturating_sub(4096);
        String::from_utf8_lossy(self.output.get(from..).unwrap_or_default()).into_owned()
    }
}

fn parse(frame: &[u8]) -> Frame {
    let Some((kind, payload)) = frame.split_first() else {
        return Frame::Other(Vec::new());
    };
    let document = || serde_json::from_slice(payload).ok();
    let parsed = match kind {
        0 => Some(Frame::Output(payload.to_vec())),
        1 => Some(Frame::Snapshot(payload.to_vec())),
        2 => document().map(Frame::Exit),
        3 => Some(Frame::Pong(payload.to_vec())),
        4 => document().map(Frame::Notice),
        _ => None,
    };
    parsed.unwrap_or_else(|| Frame::Other(frame.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_known_by_their_first_byte() {
        assert_eq!(parse(b"\x00hi"), Frame::Output(b"hi".to_vec()));
        assert_eq!(parse(b"\x01hi"), Frame::Snapshot(b"hi".to_vec()));
        assert_eq!(parse(b"\x02{\"code\":3}"), Frame::Exit(json!({"code": 3})));
        assert_eq!(parse(b"\x04{broken"), Frame::Other(b"\x04{broken".to_vec()));
        assert_eq!(parse(b""), Frame::Other(Vec::new()));
        assert_eq!(parse(b"\x09"), Frame::Other(vec![9]));
    }
}
