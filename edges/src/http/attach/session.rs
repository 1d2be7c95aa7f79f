//! The life of an attached socket.
//!
//! Two loops in one task, one a direction, so that a client that is slow to read can still be heard: its Ctrl-C is what
//! ends the flood that it cannot keep up with. Neither loop waits for the other, no other viewer waits for either, and
//! what does not fit stays in the terminal's scrollback rather than in a queue here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt, SinkExt, StreamExt};
use ptys::{Attachment, ViewerInput};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::close::{Ending, close};
use crate::http::listen::Connection;
use crate::http::state::AppState;
use crate::http::streams::StreamPlace;

/// What an attached socket holds on to.
pub(super) struct Session {
    attachment: Attachment,
    place: StreamPlace,
    ping_interval: Duration,
    dead_after: Duration,
    /// The socket took over the connection, and with it its place among the connections.
    _connection: Connection,
}

impl Session {
    pub(super) fn new(
        edge: &AppState,
        attachment: Attachment,
        place: StreamPlace,
        connection: Connection,
    ) -> Self {
        Self {
            attachment,
            place,
            ping_interval: edge.limits.ping_interval,
            dead_after: edge.limits.dead_after,
            _connection: connection,
        }
    }

    /// Serves the socket to its end.
    pub(super) async fn run(mut self, socket: WebSocket) {
        let (mut sink, mut stream) = socket.split();
        let input = self.attachment.input();
        let heard = Heard::now();
        let ending = tokio::select! {
            ending = send(&mut sink, &mut self.attachment, self.ping_interval) => ending,
            ending = receive(&mut stream, &input, &heard) => ending,
            ending = heard.nothing_for(self.dead_after) => ending,
            end = self.place.end() => end.into(),
        };
        tracing::debug!(?ending, "viewer detached");
        drop(self.attachment);
        close(sink, stream, ending).await;
    }
}

/// Sends what the terminal has for this viewer. Frames that are there already go out together; the socket is flushed
/// before waiting for more.
async fn send(
    sink: &mut SplitSink<WebSocket, Message>,
    attachment: &mut Attachment,
    ping_interval: Duration,
) -> Ending {
    let mut pings = interval_at(Instant::now() + ping_interval, ping_interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = match attachment.next_frame().now_or_never() {
            Some(Some(frame)) => Message::Binary(frame.into_wire()),
            Some(None) => return Ending::Finished,
            None => {
                if sink.flush().await.is_err() {
                    return Ending::Left;
                }
                tokio::select! {
                    frame = attachment.next_frame() => match frame {
                        Some(frame) => Message::Binary(frame.into_wire()),
                        None => return Ending::Finished,
                    },
                    _due = pings.tick() => Message::Ping(Bytes::new()),
                }
            }
        };
        if sink.feed(message).await.is_err() {
            return Ending::Left;
        }
    }
}

/// Hands what the client sends to the terminal.
async fn receive(
    stream: &mut SplitStream<WebSocket>,
    input: &ViewerInput,
    heard: &Heard,
) -> Ending {
    while let Some(message) = stream.next().await {
        heard.something();
        match message {
            Ok(Message::Binary(bytes)) => input.receive(&bytes),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Text(_)) => return Ending::Text,
            Ok(Message::Close(_)) => return Ending::Left,
            Err(error) => return Ending::of(error),
        }
    }
    Ending::Left
}

/// When the client was last heard.
struct Heard {
    start: Instant,
    last_ms: AtomicU64,
}

impl Heard {
    fn now() -> Self {
        Self {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
        }
    }

    fn something(&self) {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    /// Returns once nothing was heard for `limit`.
    async fn nothing_for(&self, limit: Duration) -> Ending {
        loop {
            let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
            let dead_at = self.start + last + limit;
            if Instant::now() >= dead_at {
                return Ending::Dead;
            }
            sleep_until(dead_at).await;
        }
    }
}
