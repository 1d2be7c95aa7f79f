//! `POST /api/v1/ws-ticket`: a ticket for a WebSocket.

use axum::Json as Answer;
use axum::extract::State;
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use supervisor::Finding;
use utoipa::ToSchema;

use super::tickets::LIFETIME;
use crate::http::caller::Caller;
use crate::http::input::Json;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// What a ticket is wanted for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTicket)]
pub(crate) struct TicketBody {
    /// The path of the WebSocket, without a query.
    #[schema(min_length = 1, max_length = 512)]
    path: String,
}

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// What to offer as the sub-protocol `ticket.<this>`, besides the one that is to be spoken.
    ticket: String,
    /// How many seconds it is good.
    expires_in: u64,
}

impl TicketBody {
    /// The path, if it can be one of the API.
    fn path(self) -> Result<String, Problem> {
        let is_plain = self.path.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain && self.path.starts_with("/api/v1/") && !self.path.contains(['?', '#']) {
            return Ok(self.path);
        }
        let message = "expected a path below /api/v1/, without a query";
        Err(Problem::invalid(vec![Finding::new(
            "/path",
            "bad_format",
            message,
        )]))
    }
}

/// The page that asks, as its browser tells it; others have none.
fn origin(headers: &HeaderMap) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?.to_str().ok()?;
    Some(origin.to_owned())
}

/// Get a ticket for a WebSocket
///
/// For pages, which cannot send an `Authorization` header with a WebSocket. It is good for 30 seconds, once, for this path and from
/// the page's own origin.
#[utoipa::path(post, path = "/api/v1/ws-ticket", tag = "sessions", request_body = TicketBody,
    responses((status = 200, body = Ticket)))]
pub(crate) async fn issue(
    State(edge): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    Json(body): Json<TicketBody>,
) -> Result<Answer<Ticket>, Problem> {
    let ticket = edge
        .tickets
        .issue(&caller, body.path()?, origin(&headers))?;
    Ok(Answer(Ticket {
        ticket: ticket.expose().to_owned(),
        expires_in: LIFETIME.as_secs(),
    }))
}
