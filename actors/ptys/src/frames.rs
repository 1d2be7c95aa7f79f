//! What travels over a viewer's WebSocket: `mainstay.pty.v1`.
//!
//! Binary messages whose first byte is the kind. This file alone knows the numbers and the JSON; it decides nothing. A frame that
//! cannot be read is an answer for that viewer, never a fault of the terminal.
//!
//! | from client | payload | from server | payload |
//! | --- | --- | --- | --- |
//! | 0 input | raw bytes | 0 output | raw bytes |
//! | 1 resize | `{"cols":80,"rows":24}` | 1 snapshot | raw bytes |
//! | 2 ack | a number: bytes of output and snapshot processed since the last ack | 2 exit | `{"exit_code":0,"signal":null,"seq":42}` |
//! | 3 ping | at most 125 bytes | 3 pong | the ping's payload |
//! | | | 4 notice | `{"type":…}`, see [`Notice`] |

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::scrollback::framed;
use crate::types::Size;

/// Server: output of the terminal. Client: input.
pub(crate) const OUTPUT: u8 = 0;
/// Server: output from before the attach.
pub(crate) const SNAPSHOT: u8 = 1;
const EXIT: u8 = 2;
const PONG: u8 = 3;
const NOTICE: u8 = 4;

/// Most payload bytes of a ping.
const MAX_PING: usize = 125;

/// The sub-protocol's name.
pub const SUBPROTOCOL: &str = "mainstay.pty.v1";

/// A frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ClientFrame<'a> {
    /// Bytes to type.
    Input(&'a [u8]),
    /// The client's window changed.
    Resize(Size),
    /// So many bytes were processed since the last ack.
    Ack(u64),
    /// To be sent back.
    Ping(&'a [u8]),
}

/// Why a client's frame was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// A message without a kind byte.
    #[error("an empty message has no kind byte")]
    Empty,
    /// A kind that this protocol does not have.
    #[error("kind {0} is not known: expected 0 input, 1 resize, 2 ack or 3 ping")]
    UnknownKind(u8),
    /// Not a size.
    #[error("a resize is {{\"cols\":80,\"rows\":24}}, both from 1 to 1000")]
    BadResize,
    /// Not a count of bytes.
    #[error("an ack is the number of bytes processed since the last one, in digits")]
    BadAck,
    /// A ping with too much payload.
    #[error("a ping carries at most {MAX_PING} bytes")]
    LongPing,
}

impl FrameError {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "ptys.frame_empty",
            Self::UnknownKind(_) => "ptys.frame_kind",
            Self::BadResize => "ptys.frame_resize",
            Self::BadAck => "ptys.frame_ack",
            Self::LongPing => "ptys.frame_ping",
        }
    }
}

#[derive(Deserialize)]
struct Resize {
    cols: u32,
    rows: u32,
}

/// Reads one binary message of a client.
pub(crate) fn parse(message: &[u8]) -> Result<ClientFrame<'_>, FrameError> {
    let (kind, payload) = message.split_first().ok_or(FrameError::Empty)?;
    match kind {
        0 => Ok(ClientFrame::Input(payload)),
        1 => parse_resize(payload).map(ClientFrame::Resize),
        2 => serde_json::from_slice(payload)
            .map(ClientFrame::Ack)
            .map_err(|_| FrameError::BadAck),
        3 if payload.len() > MAX_PING => Err(FrameError::LongPing),
        3 => Ok(ClientFrame::Ping(payload)),
        other => Err(FrameError::UnknownKind(*other)),
    }
}

fn parse_resize(payload: &[u8]) -> Result<Size, FrameError> {
    let wanted: Resize = serde_json::from_slice(payload).map_err(|_| FrameError::BadResize)?;
    Size::checked(wanted.cols, wanted.rows).map_err(|_| FrameError::BadResize)
}

/// Why a terminal was closed; what its viewers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedReason {
    /// Somebody deleted it.
    Deleted,
    /// Nobody used it for the idle limit.
    Idle,
    /// It had ended, and its scrollback was dropped.
    Retention,
    /// The daemon stops.
    Shutdown,
}

/// Something a viewer should know, beside the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Notice {
    /// The first frame of every attachment.
    Attached {
        /// Number of the first byte that follows.
        seq: u64,
        /// Number of the byte after the last that was there at the attach. What lies before it comes as snapshot frames,
        /// unless the attachment resumes.
        end: u64,
        /// Whether it goes on from the `since` that was asked for.
        resumed: bool,
    },
    /// Output left the scrollback before this viewer had read it.
    Missed {
        /// Number of the first byte missed.
        from: u64,
        /// Number of the byte that follows.
        to: u64,
        /// How many were missed.
        bytes: u64,
    },
    /// Input was not typed: the program does not read it, or has ended.
    InputDropped {
        /// How many bytes.
        bytes: u64,
    },
    /// A frame of this client could not be used.
    Refused {
        /// Stable code.
        code: &'static str,
        /// What was expected.
        message: String,
    },
    /// The terminal is gone; nothing follows.
    Closed {
        /// Why.
        reason: ClosedReason,
    },
}

impl From<FrameError> for Notice {
    fn from(error: FrameError) -> Self {
        Self::Refused {
            code: error.code(),
            message: error.to_string(),
        }
    }
}

/// How a shell ended, as its viewers are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExitEvent {
    /// The exit code, or 128 plus the number of the signal that ended it.
    pub exit_code: i32,
    /// The signal's name, such as `SIGKILL`.
    pub signal: Option<String>,
    /// How many bytes of output there were: all of them precede this event.
    pub seq: u64,
}

pub(crate) fn exit(event: &ExitEvent) -> Bytes {
    json(EXIT, event)
}

pub(crate) fn pong(payload: &[u8]) -> Bytes {
    framed(PONG, payload)
}

pub(crate) fn notice(notice: &Notice) -> Bytes {
    json(NOTICE, notice)
}

fn json(kind: u8, value: &impl Serialize) -> Bytes {
    let payload = serde_json::to_vec(value).unwrap_or_else(|error| {
        tracing::error!(%error, "a frame could not be written as JSON");
        b"{}".to_vec()
    });
    framed(kind, &payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_of_client_frame_is_read() {
        assert_eq!(parse(b"\x00ls\n"), Ok(ClientFrame::Input(b"ls\n")));
        let size = Size { cols: 80, rows: 24 };
        assert_eq!(
            parse(b"\x01{\"cols\":80,\"rows\":24}"),
            Ok(ClientFrame::Resize(size))
        );
        assert_eq!(parse(b"\x024096"), Ok(ClientFrame::Ack(4096)));
        assert_eq!(parse(b"\x03hi"), Ok(ClientFrame::Ping(b"hi")));
    }

    #[test]
    fn bad_frames_are_told_apart() {
        assert_eq!(parse(b""), Err(FrameError::Empty));
        assert_eq!(parse(b"\x09x"), Err(FrameError::UnknownKind(9)));
        assert_eq!(parse(b"\x02-1"), Err(FrameError::BadAck));
        assert_eq!(parse(&[3; 200]), Err(FrameError::LongPing));
        for size in ["", "{}", "80", r#"{"cols":0,"rows":24}"#] {
            let frame = [b"\x01", size.as_bytes()].concat();
            assert_eq!(parse(&frame), Err(FrameError::BadResize), "{size}");
        }
        let wide = br#"?{"cols":100000,"rows":24}"#;
        let frame = [&[1], &wide[1..]].concat();
        assert_eq!(parse(&frame), Err(FrameError::BadResize));
    }

    #[test]
    fn notices_have_their_documented_shape() {
        let missed = Notice::Missed {
            from: 1,
            to: 4,
            bytes: 3,
        };
        assert_eq!(
            notice(&missed).as_ref(),
            b"\x04{\"type\":\"missed\",\"from\":1,\"to\":4,\"bytes\":3}"
        );
        let closed = Notice::Closed {
            reason: ClosedReason::Idle,
        };
        assert_eq!(
            notice(&closed).as_ref(),
            b"\x04{\"type\":\"closed\",\"reason\":\"idle\"}"
        );
    }

    proptest! {
        #[test]
        fn no_message_panics(message: Vec<u8>) {
            if let Err(error) = parse(&message) {
                prop_assert!(notice(&error.into()).len() > 1);
            }
        }
    }
}
