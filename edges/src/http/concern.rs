//! A concern of the edge: handlers that belong together, with what a caller needs for each and what their errors mean.
//!
//! A domain's file declares its own, so that a new domain is one line in the list of concerns.

use utoipa_axum::router::OpenApiRouter;

use super::codes::DomainCode;
use super::routes::Route;
use super::state::AppState;

/// Handlers that belong together.
#[derive(Debug)]
pub(crate) struct Concern {
    /// The handlers.
    pub(crate) routes: fn() -> OpenApiRouter<AppState>,
    /// What a caller needs for each.
    pub(crate) table: &'static [Route],
    /// What the error codes of the domain behind them mean.
    pub(crate) codes: &'static [DomainCode],
}
