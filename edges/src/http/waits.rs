//! Who waits for whom: the open requests between actors.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use supervisor::Wait;
use utoipa::ToSchema;

use super::caller::Caller;
use super::sight::Sight;
use super::state::AppState;

/// The open requests between actors.
#[derive(Debug, Serialize)]
pub(crate) struct Waits {
    items: Vec<Wait>,
}

/// The open requests between actors.
#[derive(Debug, ToSchema)]
#[schema(as = Waits)]
#[expect(dead_code, reason = "describes what `Waits` serialises")]
pub(crate) struct WaitsSchema {
    /// The longest wait first.
    items: Vec<WaitSchema>,
}

/// One actor that waits for another.
#[derive(Debug, ToSchema)]
#[schema(as = Wait)]
#[expect(dead_code, reason = "describes what the supervisor serialises")]
struct WaitSchema {
    /// Who waits.
    caller: String,
    /// For whom.
    callee: String,
    /// What the one who waits is working on, if it waits inside a handler.
    #[schema(required)]
    working_on: Option<String>,
    /// For how long already, in milliseconds.
    for_ms: u64,
    /// Whether it is part of a circle, in which everybody waits for everybody.
    in_circle: bool,
}

/// Who waits for whom
///
/// The requests between actors that are open at this moment. A circle older than a second is also told in the status, as the cause
/// `actor.wait_circle`.
#[utoipa::path(get, path = "/api/v1/status/waits", tag = "status", responses((status = 200, body = WaitsSchema)))]
pub(crate) async fn waits(State(edge): State<AppState>, caller: Caller) -> Json<Waits> {
    let (mut items, sight) = (edge.handles.system.waits(), Sight::of(&caller));
    items.retain(|wait| sight.wait(wait));
    Json(Waits { items })
}
