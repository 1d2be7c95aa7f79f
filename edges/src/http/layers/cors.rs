//! What a browser asks before it lets a page of another origin send a request (CORS). Answered for the origins that are listed; for
//! all others it is a request like any other, and without a token that is a 401.

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};

use super::origin::is_listed;
use crate::http::routes::TABLE;
use crate::http::state::AppState;

/// The request headers that routes look at.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, last-event-id, traceparent, x-request-id",
);
/// Seconds for which the answer holds.
const HOLDS_FOR: HeaderValue = HeaderValue::from_static("600");

/// The answer to a browser that asks beforehand, and may; `None` for every other request.
pub(super) fn answer(edge: &AppState, request: &Request) -> Option<Response> {
    methods(edge, request).map(allowed)
}

/// What an allowed origin may send to the path that it asks about; `None` when this is no such question.
fn methods(edge: &AppState, request: &Request) -> Option<HeaderValue> {
    let headers = request.headers();
    let is_question = request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let origin = headers.get(header::ORIGIN)?.to_str().ok()?;
    if !is_question || !is_listed(origin, &edge.limits.cors_origins) {
        return None;
    }
    let path = request.extensions().get::<MatchedPath>()?;
    let routes = TABLE.iter().filter(|route| route.path == path.as_str());
    let methods: Vec<&str> = routes.map(|route| route.method.as_str()).collect();
    HeaderValue::try_from(methods.join(", ")).ok()
}

fn allowed(methods: HeaderValue) -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, HOLDS_FOR),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
