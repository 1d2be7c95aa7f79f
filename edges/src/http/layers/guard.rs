//! Whether a request came to the right host, and not on behalf of a foreign web page.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, header};

use super::origin::{Host, host_of_origin, is_own};
use crate::http::codes;
use crate::http::listen::Connection;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// The layer.
pub(super) async fn guard(State(edge): State<AppState>, request: Request, next: Next) -> Response {
    match examine(&edge, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn examine(edge: &AppState, request: &Request) -> Result<(), Problem> {
    let host = Host::of_request(request.uri(), request.headers()).ok_or_else(|| {
        Problem::new(
            &codes::BAD_HOST,
            "send exactly one Host header that names a host",
        )
    })?;
    let is_local = request
        .extensions()
        .get::<Connection>()
        .is_some_and(|connection| connection.peer.is_local());
    if edge.is_loopback_only && !is_local && !is_served(edge, &host) {
        let detail = "this server listens on loopback only and is not known by that host name";
        return Err(Problem::new(&codes::UNKNOWN_HOST, detail));
    }
    if is_harmless(request.method(), request.headers()) {
        return Ok(());
    }
    match request.headers().get(header::ORIGIN) {
        None => Ok(()),
        Some(origin) if is_ours(origin, &host, &edge.limits.allowed_origins) => Ok(()),
        Some(_) => {
            let detail = "a page of another origin may not do this; `http.allowed_origins` lists those that may";
            Err(Problem::new(&codes::FOREIGN_ORIGIN, detail))
        }
    }
}

fn is_served(edge: &AppState, host: &Host) -> bool {
    let allowed = &edge.limits.allowed_origins;
    host.is_loopback_name()
        || allowed
            .iter()
            .any(|origin| host_of_origin(origin).as_deref() == Some(host.name()))
}

/// A plain read: the browser itself keeps a foreign page from seeing the answer.
fn is_harmless(method: &Method, headers: &HeaderMap) -> bool {
    method.is_safe() && !headers.contains_key(header::UPGRADE)
}

fn is_ours(origin: &http::HeaderValue, host: &Host, allowed: &[String]) -> bool {
    origin
        .to_str()
        .is_ok_and(|origin| is_own(origin, host, allowed))
}
