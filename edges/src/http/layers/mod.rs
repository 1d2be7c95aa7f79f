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

use axum::Router;
use axum::middleware::from_fn_with_state;

use super::state::AppState;

pub(super) use headers::Surface;

/// Puts all layers around a router.
pub(crate) fn around(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    // The last one added is the outermost.
    router
        .layer(from_fn_with_state(state.clone(), repeat::repeat))
        .layer(from_fn_with_state(state.clone(), negotiate::negotiate))
        .layer(from_fn_with_state(state.clone(), authorize::authorize))
        .layer(from_fn_with_state(state.clone(), limit::limit))
        .layer(from_fn_with_state(state.clone(), guard::guard))
        .layer(from_fn_with_state(state.clone(), admit::admit))
        .layer(from_fn_with_state(state.clone(), cors::cors))
        .layer(from_fn_with_state(state.clone(), observe::observe))
}
