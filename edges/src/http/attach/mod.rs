//! `GET /api/v1/terminals/{id}/attach`: a viewer's WebSocket.
//!
//! The handler finds the terminal and a place before it agrees to the upgrade, so what cannot be attached is an HTTP
//! error and not a socket that closes. From then on bytes flow between the socket and the terminal's own channels.
//!
//! Layout: `upgrade` the handshake, `session` the life of an attached socket, `close` how it ends.

mod close;
mod session;
#[cfg(test)]
mod tests;
mod upgrade;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::caller::Caller;
use super::input::{PathId, Query};
use super::listen::Connection;
use super::problem::Problem;
use super::state::AppState;
use super::streams::StreamPlace;
use upgrade::Upgrade;

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Since {
    /// Go on with the byte of this number, as `last_seq` counts; 0 is the first ever. Without it, or when the scrollback
    /// does not reach back that far, the scrollback comes first as snapshot frames.
    #[param(minimum = 0)]
    since: Option<u64>,
}

/// Attach to a terminal
///
/// A WebSocket with the sub-protocol `mainstay.pty.v1`: binary messages whose first byte is the kind. From the client:
/// `0` input, `1` resize as `{"cols":80,"rows":24}`, `2` ack (the bytes of output and snapshot processed since the last
/// one, in digits), `3` ping. From the server: `0` output, `1` snapshot, `2` exit as `{"exit_code":0,"signal":null,"seq":42}`,
/// `3` pong, `4` notice as `{"type":…}`.
///
/// A frame that cannot be used is answered with the notice `refused`. Close codes: 1000 the shell has ended and everything
/// was sent, 1001 the server stops, 1002 broken WebSocket, 1003 a text message, 1009 a message over 256 KiB, 4401 the
/// token was revoked or has expired.
#[utoipa::path(get, path = "/api/v1/terminals/{id}/attach", tag = "terminals",
    params(("id" = String, Path, format = "uuid"), Since),
    responses((status = 101, description = "The WebSocket"),
        (status = 400, description = "`http.bad_upgrade`, `http.unknown_sub_protocol`"),
        (status = 403, description = "`http.foreign_origin`, `ptys.role_not_allowed`"),
        (status = 404, description = "`ptys.not_found`"),
        (status = 409, description = "`ptys.lost`"),
        (status = 426, description = "`http.upgrade_required`"),
        (status = 429, description = "`ptys.too_many_viewers`")))]
pub(crate) async fn attach(
    State(edge): State<AppState>,
    caller: Caller,
    Extension(connection): Extension<Connection>,
    PathId(id): PathId,
    Query(asked): Query<Since>,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let place = StreamPlace::take(&edge, &caller)?;
    let terminals = edge.handles.ptys.of(caller.viewer());
    let attachment = terminals.attach(id, asked.since).await?;
    let session = session::Session::new(&edge, attachment, place, connection);
    Ok(upgrade.begin(|socket| session.run(socket)))
}
