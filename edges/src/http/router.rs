//! The router: every handler in one visible list, grouped by concern.

use axum::Router;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::concern::Concern;
use super::docs::Documents;
use super::problem::{Problem, ProblemBody};
use super::state::AppState;
use super::{
    CONCERNS, codes, docs, drills, health, layers, metrics, routes, status, supervise, waits,
};

/// What the document holds besides the handlers.
#[derive(OpenApi)]
#[openapi(components(schemas(ProblemBody<'static>)))]
struct Base;

/// Health, documents, the tree and what can be done to it.
pub(super) const OPERATORS: Concern = Concern {
    routes: of_operators,
    table: routes::OPERATORS,
    codes: codes::OPERATORS,
};

/// Errors of requests with an `Idempotency-Key`, on whatever route.
pub(super) const KEYS: Concern = Concern {
    routes: OpenApiRouter::new,
    table: &[],
    codes: codes::KEYS,
};

fn collected() -> OpenApiRouter<AppState> {
    let base = OpenApiRouter::with_openapi(Base::openapi());
    CONCERNS
        .iter()
        .fold(base, |all, concern| all.merge((concern.routes)()))
}

fn of_operators() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::health))
        .routes(routes!(health::info))
        .routes(routes!(metrics::metrics))
        .routes(routes!(docs::landing))
        .routes(routes!(docs::docs))
        .routes(routes!(docs::openapi))
        .routes(routes!(status::tree))
        .routes(routes!(status::node))
        .routes(routes!(status::stream))
        .routes(routes!(waits::waits))
        .routes(routes!(supervise::act))
        .routes(routes!(drills::list))
        .routes(routes!(drills::run))
        .routes(routes!(drills::show))
}

/// The documents of the routes.
pub fn documents() -> Documents {
    Documents::new(collected().into_openapi())
}

/// The whole application with its layers.
pub fn router(state: &AppState) -> Router {
    let (routes, _document) = collected().split_for_parts();
    let routes = routes
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed);
    layers::around(routes, state).with_state(state.clone())
}

async fn unknown_route() -> Problem {
    Problem::new(
        &codes::UNKNOWN_ROUTE,
        "nothing is served at this path; /api/docs lists every route",
    )
}

/// The router adds the Allow header.
async fn method_not_allowed() -> Problem {
    Problem::new(
        &codes::METHOD_NOT_ALLOWED,
        "this path is not served with this method; the Allow header lists those that are",
    )
}
