//! What happens to every request before and after its handler, outermost first.
//!
//! `observe` gives it an id and a span, says where it comes from, catches panics, writes errors out, counts and logs; with it
//! `headers` says what a browser may do with the answer. `cors` answers what browsers ask beforehand. `admit` turns it away when
//! the server is stopping or full, and sets its deadline. `guard` asks whether it came to the right host from the right
//! origin. `limit` counts it. `authorize` asks who sends it and whether that caller may. `negotiate` asks whether the client can read the
//! answer. `repeat` lets a request with an `Idempotency-Key` happen once. The order is by price: what costs least refuses first.

mod admit;
mod authorize;
mod cors;
mod guard;
mod headers;
mod limit;
mod negotiate;
mod observe;
mod origin;
mod repeat;
mod trace;

pub(crate) use guard::Guest;
pub(crate) use observe::RequestId;

use std::pin::pin;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::state::AppState;

pub(super) use headers::Surface;

/// Puts all layers around a router.
pub(crate) fn around(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    router.layer(from_fn_with_state(state.clone(), all))
}

/// All layers as one, in their order. A layer of the router for each would cost every request a copy of its route and a future on the
/// heap, eight times.
async fn all(State(edge): State<AppState>, request: Request, handler: Next) -> Response {
    let edge = &edge;
    observe::observe(edge, request, |request| admitted(edge, request, handler)).await
}

/// From the door to the deadline.
async fn admitted(edge: &AppState, request: Request, handler: Next) -> Response {
    if let Some(answer) = cors::answer(edge, &request) {
        return answer;
    }
    let _place = match admit::admit(edge, &request) {
        Ok(place) => place,
        Err(problem) => return problem.into_response(),
    };
    let answer = pin!(counted(edge, request, handler));
    admit::within_deadline(edge, answer).await
}

async fn counted(edge: &AppState, mut request: Request, handler: Next) -> Response {
    match guard::guard(edge, &request) {
        Ok(guest) => drop(guest.map(|guest| request.extensions_mut().insert(guest))),
        Err(problem) => return problem.into_response(),
    }
    let counted = match limit::count(edge, &request) {
        Ok(counted) => counted,
        Err(over) => return limit::refused(over),
    };
    let mut standing = None;
    let mut response = match authorize::authorize(edge, request, &mut standing).await {
        Ok(request) => authorized(edge, request, handler).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    counted.settle(edge, response)
}

async fn authorized(edge: &AppState, request: Request, handler: Next) -> Response {
    match negotiate::negotiate(edge, &request) {
        Ok(()) => repeat::repeat(edge, request, handler).await,
        Err(problem) => problem.into_response(),
    }
}
