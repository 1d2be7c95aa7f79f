//! The WebSocket handshake, with errors in our own form and buffers in a size that fits many idle sockets.

use axum::extract::FromRequestParts;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, header};
use ptys::SUBPROTOCOL;

use crate::http::codes;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// Bytes of a client's message at most. What a person types or pastes is far below; a bigger paste goes in pieces.
pub(super) const MAX_MESSAGE: usize = 256 * 1024;
/// Bytes read at once: clients send little.
const READ_BUFFER: usize = 4 * 1024;
/// Bytes that may wait unwritten; a frame of output has at most 64 KiB.
const MAX_WRITE_BUFFER: usize = 256 * 1024;

/// A right handshake that has not been answered yet.
#[derive(Debug)]
pub(crate) struct Upgrade(WebSocketUpgrade);

impl FromRequestParts<AppState> for Upgrade {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &AppState) -> Result<Self, Problem> {
        if !parts.headers.contains_key(header::UPGRADE) {
            let problem = Problem::new(&codes::UPGRADE_REQUIRED, codes::UPGRADE_REQUIRED.meaning);
            return Err(problem.with_header(header::UPGRADE, HeaderValue::from_static("websocket")));
        }
        let upgrade = WebSocketUpgrade::from_request_parts(parts, edge)
            .await
            .map_err(|rejection| Problem::new(&codes::BAD_UPGRADE, rejection.body_text()))?;
        let offers_other = upgrade.requested_protocols().next().is_some();
        let upgrade = upgrade.protocols([SUBPROTOCOL]);
        if offers_other && upgrade.selected_protocol().is_none() {
            let detail = format!("this route speaks the sub-protocol `{SUBPROTOCOL}`");
            return Err(Problem::new(&codes::UNKNOWN_SUB_PROTOCOL, detail));
        }
        Ok(Self(upgrade))
    }
}

impl Upgrade {
    /// Agrees; `attend` has the socket from then on.
    pub(super) fn begin<F>(self, attend: impl FnOnce(WebSocket) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_WRITE_BUFFER)
            .max_message_size(MAX_MESSAGE)
            .max_frame_size(MAX_MESSAGE)
            .on_failed_upgrade(|error| tracing::debug!(%error, "client left during the upgrade"))
            .on_upgrade(attend)
    }
}
