//! How an attached socket ends: why, with which code, and without losing the reason on the way.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite;

use crate::http::streams::StreamEnd;

/// How long a client gets to read and answer the close.
const FAREWELL: Duration = Duration::from_millis(500);

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client closed it, or is gone: nobody is left to tell.
    Left,
    /// The shell ended and everything was sent.
    Finished,
    /// The server is stopping.
    Stopping,
    /// The token was revoked or has expired.
    TokenEnded,
    /// A text message came.
    Text,
    /// A message over the limit came.
    TooLarge,
    /// The client broke the WebSocket protocol.
    Broken,
    /// Nothing was heard for too long.
    Dead,
}

impl From<StreamEnd> for Ending {
    fn from(end: StreamEnd) -> Self {
        match end {
            StreamEnd::Stopping => Self::Stopping,
            StreamEnd::TokenEnded => Self::TokenEnded,
        }
    }
}

impl Ending {
    /// Why reading failed.
    pub(super) fn of(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Capacity(_)) => Self::TooLarge,
            Some(tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_)) => Self::Broken,
            _ => Self::Left,
        }
    }

    /// The close frame; none when nobody is left to read it.
    fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Left | Self::Dead => return None,
            Self::Finished => (1000, "the shell has ended"),
            Self::Stopping => (1001, "the server is stopping"),
            Self::Broken => (1002, "not a WebSocket message"),
            Self::Text => (1003, "only binary messages are read"),
            Self::TooLarge => (1009, "a message may have at most 256 KiB"),
            Self::TokenEnded => (4401, "the token was revoked or has expired"),
        };
        Some(CloseFrame {
            code,
            reason: reason.into(),
        })
    }
}

/// Says good-bye and waits a moment for the answer: closing at once, with bytes of the client's unread, would make the
/// kernel throw away what was sent last.
pub(super) async fn close(
    mut sink: SplitSink<WebSocket, Message>,
    mut stream: SplitStream<WebSocket>,
    ending: Ending,
) {
    let Some(frame) = ending.frame() else { return };
    let farewell = async {
        if sink.send(Message::Close(Some(frame))).await.is_ok() {
            while stream.next().await.is_some_and(|message| message.is_ok()) {}
        }
    };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        tracing::debug!("client did not answer the close");
    }
}
