//! What an operator does to a node: restart, stop, start.

use axum::Json;
use axum::extract::{Path, State};
use http::header::LOCATION;
use http::{HeaderName, StatusCode};
use serde::Serialize;
use supervisor::Action;
use utoipa::ToSchema;

use super::caller::Caller;
use super::codes;
use super::problem::Problem;
use super::source::Asker;
use super::state::AppState;
use super::status::absolute;
use super::trail;

/// What was accepted, and how to follow it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// The event that tells of it, in the history and in the stream.
    event_id: u64,
    /// The node.
    path: String,
    /// `restart`, `stop` or `start`.
    action: &'static str,
    /// Where the node's status is.
    status_url: String,
}

/// Restart, stop or start a node
///
/// Answers as soon as the supervisor has taken the order; the stream of changes tells how it goes on.
#[utoipa::path(post, path = "/api/v1/supervisor/{*path}", tag = "supervisor",
    params(("path" = String, Path, description = "The node's path without the leading slash, like `ptys/manager`")),
    responses((status = 202, body = Accepted, headers(("Location" = String, description = "The node's status"))),
        (status = 404, description = "`supervisor.unknown_path`"),
        (status = 409, description = "`supervisor.root`, `supervisor.disabled`"),
        (status = 503, description = "`supervisor.down`, `supervisor.stopping`")))]
pub(crate) async fn act(
    State(edge): State<AppState>,
    caller: Caller,
    Asker(by): Asker,
    Path(target): Path<String>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Accepted>), Problem> {
    let (path, action, word) = parse(&target)?;
    let done = edge.handles.system.act(&path, action);
    trail::record(&edge, by.entry(on_record(action)).on(&path), &done).await;
    let event_id = done?;
    tracing::info!(%caller, path, action = word, event_id, "operator action");
    let accepted = Accepted::new(event_id, path, word);
    let location = [(LOCATION, accepted.status_url.clone())];
    Ok((StatusCode::ACCEPTED, location, Json(accepted)))
}

/// The action as it goes on record.
fn on_record(action: Action) -> &'static str {
    match action {
        Action::Restart => "node.restart",
        Action::Stop => "node.stop",
        Action::Start => "node.start",
    }
}

impl Accepted {
    fn new(event_id: u64, path: String, action: &'static str) -> Self {
        let status_url = format!("/api/v1/status{path}");
        Self {
            event_id,
            path,
            action,
            status_url,
        }
    }
}

/// Splits `ptys/manager/restart` into the node's path and the action.
fn parse(target: &str) -> Result<(String, Action, &'static str), Problem> {
    let (path, word) = target
        .trim_end_matches('/')
        .rsplit_once('/')
        .unwrap_or(("", target));
    let (action, word) = match word {
        "restart" => (Action::Restart, "restart"),
        "stop" => (Action::Stop, "stop"),
        "start" => (Action::Start, "start"),
        _ => {
            let detail = "the path ends with the action: …/restart, …/stop or …/start";
            return Err(Problem::new(&codes::UNKNOWN_ROUTE, detail));
        }
    };
    Ok((absolute(path), action, word))
}
