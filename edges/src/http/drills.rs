//! Fault drills: what can be run, running one, and what came of it.

use axum::Json as Answer;
use axum::extract::{Path, State};
use http::header::LOCATION;
use http::{HeaderName, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::input::{Json, PathId};
use super::problem::Problem;
use super::source::Asker;
use super::state::AppState;
use super::trail;
use crate::drills::{Drill, Order, Run};

/// All drills.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DrillList {
    /// The drills, with what each would hit.
    items: Vec<Drill>,
}

/// A run that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Begun {
    /// Its id; `GET /api/v1/drills/runs/{id}` tells how it goes.
    #[schema(value_type = String, format = "uuid")]
    id: ground::Id,
}

/// List the drills
///
/// With targets, the diagnosis expected, and the domains that would be hit.
#[utoipa::path(get, path = "/api/v1/drills", tag = "drills",
    responses((status = 200, body = DrillList), (status = 403, description = "`drills.disabled`")))]
pub(crate) async fn list(State(edge): State<AppState>) -> Result<Answer<DrillList>, Problem> {
    let items = edge.handles.drills.list()?;
    Ok(Answer(DrillList { items }))
}

/// Run a drill
///
/// Injects a real fault for a bounded time and watches what the status says of it.
#[utoipa::path(post, path = "/api/v1/drills/{name}", tag = "drills",
    params(("name" = String, Path, description = "The drill, like `panic-actor`")),
    request_body = Order,
    responses((status = 202, body = Begun, headers(("Location" = String, description = "The run"))),
        (status = 403, description = "`drills.disabled`"),
        (status = 404, description = "`drills.unknown`, `supervisor.unknown_path`"),
        (status = 409, description = "`drills.running`, `drills.no_target`, `drills.budget_low`, `drills.not_well`, `drills.unsuited`"),
        (status = 503, description = "`supervisor.down`, `supervisor.stopping`")))]
pub(crate) async fn run(
    State(edge): State<AppState>,
    Asker(by): Asker,
    Path(name): Path<String>,
    Json(order): Json<Order>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<Begun>), Problem> {
    let begun = edge.handles.drills.run(&name, &order).await;
    trail::record(&edge, order.entry(&by, &name), &begun).await;
    let id = begun?;
    let location = format!("/api/v1/drills/runs/{id}");
    Ok((
        StatusCode::ACCEPTED,
        [(LOCATION, location)],
        Answer(Begun { id }),
    ))
}

/// Show a run
#[utoipa::path(get, path = "/api/v1/drills/runs/{id}", tag = "drills",
    params(("id" = String, Path, format = "uuid", description = "The run")),
    responses((status = 200, body = Run), (status = 403, description = "`drills.disabled`"),
        (status = 404, description = "`drills.unknown_run`")))]
pub(crate) async fn show(
    State(edge): State<AppState>,
    PathId(id): PathId,
) -> Result<Answer<Run>, Problem> {
    Ok(Answer(edge.handles.drills.show(id)?))
}
