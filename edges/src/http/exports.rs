//! What is kept of a person, told to them or to who looks after them.

use accounts::FRESH_FOR;
use axum::Json as Answer;
use axum::extract::State;
use serde_json::Value;

use super::auth::Asking;
use super::caller::Caller;
use super::input::PathId;
use super::problem::Problem;
use super::state::AppState;

/// Export what is kept of oneself
///
/// Everything but secrets: one member for each sort of data. With a recent sign-in.
#[utoipa::path(get, path = "/api/v1/me/export", tag = "people",
    responses((status = 200, body = Object, description = "One member for each sort of data"),
        (status = 403, description = "`accounts.not_fresh`, `http.not_a_user`")))]
pub(crate) async fn export_me(
    State(edge): State<AppState>,
    caller: Caller,
    Asking(by): Asking,
) -> Result<Answer<Value>, Problem> {
    let id = caller.user_or_refuse()?;
    caller.require_fresh(FRESH_FOR)?;
    Ok(Answer(edge.handles.accounts.people().export(by, id).await?))
}

/// Export what is kept of a user
///
/// Everything but secrets. Administrators may for everybody, others for themselves; with a recent sign-in.
#[utoipa::path(get, path = "/api/v1/users/{id}/export", tag = "people", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = Object, description = "One member for each sort of data"),
        (status = 403, description = "`accounts.not_fresh`"), (status = 404, description = "`accounts.user_not_found`")))]
pub(crate) async fn export(
    State(edge): State<AppState>,
    caller: Caller,
    Asking(by): Asking,
    PathId(id): PathId,
) -> Result<Answer<Value>, Problem> {
    caller.require_fresh_user(FRESH_FOR)?;
    Ok(Answer(edge.handles.accounts.people().export(by, id).await?))
}
