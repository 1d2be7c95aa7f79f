//! What probes and load balancers ask: does it live, is it ready, how well does it serve. No login, no internals.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use supervisor::Level;
use utoipa::ToSchema;

use super::schema::LevelWord;
use super::state::{About, AppState};

/// Whether the process serves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Live {
    /// Always true.
    live: bool,
}

/// Whether the system takes work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// False while starting, stopping or OFFLINE.
    ready: bool,
    /// The system's level.
    #[schema(value_type = LevelWord)]
    status: Level,
}

/// How well the system serves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// The system's level.
    #[schema(value_type = LevelWord)]
    status: Level,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: String,
    /// The version that runs.
    version: &'static str,
    /// Whole seconds since the start.
    uptime_s: u64,
    /// The level of each domain.
    #[schema(value_type = BTreeMap<String, LevelWord>)]
    domains: BTreeMap<String, Level>,
}

/// Whether the process serves
///
/// Answers 200 as long as anything is answered at all.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Live)))]
pub(crate) async fn live() -> Json<Live> {
    Json(Live { live: true })
}

/// Whether the system takes work
///
/// 200 at NORMAL, DEGRADED and CRITICAL; 503 while starting, stopping or OFFLINE.
#[utoipa::path(get, path = "/health/ready", tag = "health",
    responses((status = 200, body = Ready), (status = 503, description = "Starting, stopping or OFFLINE", body = Ready)))]
pub(crate) async fn ready(State(edge): State<AppState>) -> (StatusCode, Json<Ready>) {
    let health = edge.handles.system.health();
    let ready = health.ready && health.level != Level::Offline && !edge.drain.is_refusing();
    let status = health.level;
    (ok_if(ready), Json(Ready { ready, status }))
}

/// 200 or 503.
fn ok_if(is_fine: bool) -> StatusCode {
    if is_fine {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// How well the system serves
///
/// 200 at NORMAL and DEGRADED, else 503 with the same body.
#[utoipa::path(get, path = "/health", tag = "health",
    responses((status = 200, body = HealthBody), (status = 503, description = "CRITICAL or OFFLINE", body = HealthBody)))]
pub(crate) async fn health(State(edge): State<AppState>) -> (StatusCode, Json<HealthBody>) {
    let body = HealthBody::of(&edge);
    (ok_if(body.status <= Level::Degraded), Json(body))
}

impl HealthBody {
    fn of(edge: &AppState) -> Self {
        let health = edge.handles.system.health();
        Self {
            status: health.level,
            since: health.since.to_string(),
            version: edge.about.version,
            uptime_s: edge.started.elapsed().as_secs(),
            domains: health.domains.into_iter().collect(),
        }
    }
}

/// What runs here
#[utoipa::path(get, path = "/info", tag = "health", responses((status = 200, body = About)))]
pub(crate) async fn info(State(edge): State<AppState>) -> Json<About> {
    Json(edge.about.clone())
}
