//! Admission: a request is turned away at once when the server is stopping or full, and has a deadline when it is not.
//!
//! Nothing waits in line here: a client that is told to come back later can go elsewhere, one that hangs cannot.

use std::pin::Pin;
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Version, header};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::http::codes;
use crate::http::problem::Problem;
use crate::http::routes::RouteId;
use crate::http::state::AppState;

/// What a handler gets beyond the deadline of its asks to report that they expired, before it is cut off.
const GRACE: Duration = Duration::from_millis(200);

/// A place among the requests in flight; it is free again when this is dropped.
pub(super) struct Place<'a> {
    _place: SemaphorePermit<'a>,
    _in_flight: TaskTrackerToken,
}

/// Gives the request a place; whoever only probes needs none.
///
/// # Errors
/// The refusal, when the server is stopping or full.
pub(super) fn admit<'a>(
    edge: &'a AppState,
    request: &Request,
) -> Result<Option<Place<'a>>, Problem> {
    let route = request.extensions().get::<RouteId>();
    if route.is_some_and(|id| id.route().is_probe) {
        return Ok(None);
    }
    if edge.drain.is_refusing() {
        return Err(stopping(request.version()));
    }
    let Ok(place) = edge.places.try_acquire() else {
        edge.meters.shed();
        let detail = "too many requests are in flight; try again";
        let problem = Problem::new(&codes::OVERLOADED, detail);
        return Err(problem.retry_after(Duration::from_secs(1)));
    };
    Ok(Some(Place {
        _place: place,
        _in_flight: edge.drain.begin(),
    }))
}

fn stopping(version: Version) -> Problem {
    let detail = "the server is stopping and takes no new work";
    let problem = Problem::new(&codes::DRAINING, detail).retry_after(Duration::from_secs(5));
    // HTTP/2 says it with GOAWAY, which the connection sends by itself.
    if version >= Version::HTTP_2 {
        return problem;
    }
    problem.with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

/// The answer, if it comes in time. It is taken by reference: it is large, and moving it costs more than looking at the clock.
pub(super) async fn within_deadline(
    edge: &AppState,
    answer: Pin<&mut (impl Future<Output = Response> + Send)>,
) -> Response {
    let deadline = Instant::now() + edge.limits.request_timeout;
    let answered = supervisor::with_deadline(deadline, answer);
    timeout_at(deadline + GRACE, answered)
        .await
        .unwrap_or_else(|_| {
            let seconds = edge.limits.request_timeout.as_secs_f64();
            let detail = format!("no answer within {seconds} s; the request may have taken effect");
            Problem::new(&codes::DEADLINE, detail).into_response()
        })
}
