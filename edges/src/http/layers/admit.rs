//! Admission: a request is turned away at once when the server is stopping or full, and has a deadline when it is not.
//!
//! Nothing waits in line here: a client that is told to come back later can go elsewhere, one that hangs cannot.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Version, header};
use tokio::time::{Instant, timeout_at};

use crate::http::codes;
use crate::http::problem::Problem;
use crate::http::routes::RouteId;
use crate::http::state::AppState;

/// What a handler gets beyond the deadline of its asks to report that they expired, before it is cut off.
const GRACE: Duration = Duration::from_millis(200);

/// The layer.
pub(super) async fn admit(State(edge): State<AppState>, request: Request, next: Next) -> Response {
    let is_probe = request
        .extensions()
        .get::<RouteId>()
        .is_some_and(|id| id.route().is_probe);
    if is_probe {
        return within_deadline(&edge, request, next).await;
    }
    if edge.drain.is_refusing() {
        return stopping(request.version());
    }
    let Ok(_place) = edge.places.try_acquire() else {
        edge.meters.shed();
        let detail = "too many requests are in flight; try again";
        return Problem::new(&codes::OVERLOADED, detail)
            .retry_after(Duration::from_secs(1))
            .into_response();
    };
    let _in_flight = edge.drain.begin();
    within_deadline(&edge, request, next).await
}

fn stopping(version: Version) -> Response {
    let detail = "the server is stopping and takes no new work";
    let problem = Problem::new(&codes::DRAINING, detail).retry_after(Duration::from_secs(5));
    // HTTP/2 says it with GOAWAY, which the connection sends by itself.
    if version >= Version::HTTP_2 {
        return problem.into_response();
    }
    problem
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
        .into_response()
}

async fn within_deadline(edge: &AppState, request: Request, next: Next) -> Response {
    let deadline = Instant::now() + edge.limits.request_timeout;
    let answered = supervisor::with_deadline(deadline, next.run(request));
    timeout_at(deadline + GRACE, answered)
        .await
        .unwrap_or_else(|_| {
            let seconds = edge.limits.request_timeout.as_secs_f64();
            let detail = format!("no answer within {seconds} s; the request may have taken effect");
            Problem::new(&codes::DEADLINE, detail).into_response()
        })
}
