//! Who asks, and may they: the table of routes is the only source of the second answer.

use axum::extract::{MatchedPath, Request};
use http::StatusCode;
use http::request::Parts;
use tracing::Span;

use super::limit::spend;
use crate::http::caller::{Caller, Doors, identify};
use crate::http::codes;
use crate::http::listen::{Connection, Peer};
use crate::http::problem::Problem;
use crate::http::rates::Standing;
use crate::http::routes::{Needs, RouteId, TABLE};
use crate::http::second_factor;
use crate::http::source::source_of;
use crate::http::state::AppState;

/// Adds the caller to the request, if the route asks for one.
///
/// # Errors
/// The refusal. Whether or not there is one, `standing` tells how the caller stands, if it was counted.
pub(super) async fn authorize(
    edge: &AppState,
    request: Request,
    standing: &mut Option<Standing>,
) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    if let Some(caller) = admitted(edge, &parts, standing).await? {
        parts.extensions.insert(caller);
    }
    Ok(Request::from_parts(parts, body))
}

/// The caller, if the route asks for one, once it is counted and clear that the caller may.
async fn admitted(
    edge: &AppState,
    request: &Parts,
    standing: &mut Option<Standing>,
) -> Result<Option<Caller>, Problem> {
    let needs = needs_of(request)?;
    if needs == Needs::Nothing {
        return Ok(None);
    }
    let peer = peer_of(request)?;
    let doors = Doors {
        gate: &*edge.gate,
        tickets: &edge.tickets,
        jar: edge.jar(request),
    };
    let caller = identify(&peer, request, &doors).await;
    let caller = caller.inspect_err(|problem| note_refusal(edge, request, problem))?;
    // Before it is clear whether they may: the line of a refusal has to tell who was refused.
    Span::current().record("caller", tracing::field::display(&caller));
    let route = request.extensions.get::<RouteId>().map(|id| id.route());
    *standing = spend(edge, route, &caller);
    if let Some(over) = standing.filter(|standing| standing.is_over) {
        return Err(over.refusal());
    }
    caller.may(needs)?;
    if edge.limits.requires_second_factor {
        second_factor::check(&caller, route)?;
    }
    Ok(Some(caller))
}

/// Puts a wrong token on record. One that could not be checked, and a request without any, are none.
fn note_refusal(edge: &AppState, request: &Parts, problem: &Problem) {
    let is_refusal = problem.status() == StatusCode::UNAUTHORIZED;
    if is_refusal && problem.code() != codes::MISSING_TOKEN.code {
        let source = source_of(request);
        edge.handles.audit.refused(&source, problem.code());
    }
}

/// What the request needs. A path that is not served, or not with this method, still asks for a login: a stranger
/// learns nothing about what exists.
fn needs_of(request: &Parts) -> Result<Needs, Problem> {
    if let Some(id) = request.extensions.get::<RouteId>() {
        return Ok(id.route().needs);
    }
    match request.extensions.get::<MatchedPath>() {
        Some(path) if !TABLE.iter().any(|route| route.path == path.as_str()) => Err(
            Problem::internal("a route is not in the table of permissions"),
        ),
        _ => Ok(Needs::SignedIn),
    }
}

fn peer_of(request: &Parts) -> Result<Peer, Problem> {
    let connection = request.extensions.get::<Connection>();
    connection
        .map(|connection| connection.peer)
        .ok_or_else(|| Problem::internal("a request came over no connection"))
}
