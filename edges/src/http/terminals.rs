//! Terminals: open, list, show, rename, resize, end. Attaching is in `attach`.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::State;
use ground::Page;
use http::header::LOCATION;
use http::{HeaderName, StatusCode};
use ptys::{NewTerminal, TerminalChange, TerminalInfo};
use serde::Deserialize;
use utoipa::ToSchema;

use super::attach;
use super::caller::Caller;
use super::concern::Concern;
use super::input::{Json, PageQuery, PathId, Query};
use super::problem::Problem;
use super::routes::{Needs, creating, route};
use super::state::AppState;
use accounts::Scope;
use http::Method;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const SEE_TERMINALS: Needs = Needs::OneOf(&[Scope::Read, Scope::Terminals]);
const USE_TERMINALS: Needs = Needs::OneOf(&[Scope::Terminals]);

/// This concern: routes, what a caller needs for each, and what the errors mean.
pub(super) const CONCERN: Concern = Concern {
    routes,
    table: &[
        route(Method::GET, "/api/v1/terminals", SEE_TERMINALS),
        creating("/api/v1/terminals", USE_TERMINALS),
        route(Method::GET, "/api/v1/terminals/{id}", SEE_TERMINALS),
        route(Method::PATCH, "/api/v1/terminals/{id}", USE_TERMINALS),
        route(Method::DELETE, "/api/v1/terminals/{id}", USE_TERMINALS),
        route(Method::GET, "/api/v1/terminals/{id}/attach", USE_TERMINALS),
    ],
    codes: &[
        (
            "ptys.exited",
            409,
            "The shell of the terminal has ended; open a new terminal.",
        ),
        (
            "ptys.invalid",
            422,
            "The terminal asked for breaks rules; `errors` lists all of them.",
        ),
        (
            "ptys.lost",
            409,
            "The terminal ended with an earlier run of the daemon; delete it and open a new one.",
        ),
        (
            "ptys.not_ended",
            500,
            "Processes of the terminal could not be ended; try again, or look at them with ps.",
        ),
        (
            "ptys.not_found",
            404,
            "There is no terminal with this id; list the terminals to see which there are.",
        ),
        (
            "ptys.not_made",
            503,
            "The system has no terminal or process left to give; close some and try again.",
        ),
        (
            "ptys.role_not_allowed",
            403,
            "A terminal runs programs as the daemon's own user, which the caller's role does not allow; `ptys.roles` says which do.",
        ),
        (
            "ptys.slow_start",
            504,
            "The shell could not be started in time; its file system may be slow or hang.",
        ),
        (
            "ptys.too_many",
            429,
            "As many terminals run as may; close one, or raise `ptys.max_terminals`.",
        ),
        (
            "ptys.too_many_viewers",
            429,
            "As many viewers are attached as may be; detach one, or raise `ptys.max_viewers`.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, open))
        .routes(routes!(show, change, end))
        .routes(routes!(attach::attach))
}

/// A terminal to open. What is left out comes from the configuration.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTerminal)]
pub struct NewTerminalBody {
    /// Where the shell starts: an absolute path of a directory.
    #[schema(max_length = 4096, pattern = "^/")]
    cwd: Option<String>,
    /// The program: an absolute path, or a name to look up in `PATH`.
    #[schema(max_length = 4096, pattern = "^(/|[^/]+$)")]
    shell: Option<String>,
    /// Further environment variables; they win over all others.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Columns.
    #[schema(minimum = 1, maximum = 1000)]
    cols: u32,
    /// Rows.
    #[schema(minimum = 1, maximum = 1000)]
    rows: u32,
    /// What to call it; the shell's name when left out.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
}

impl From<NewTerminalBody> for NewTerminal {
    fn from(body: NewTerminalBody) -> Self {
        let NewTerminalBody {
            cwd,
            shell,
            env,
            cols,
            rows,
            name,
        } = body;
        Self {
            cwd,
            shell,
            env,
            cols,
            rows,
            name,
        }
    }
}

/// What may change about a terminal. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TerminalChange)]
pub struct TerminalChangeBody {
    /// Its name.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Columns.
    #[schema(minimum = 1, maximum = 1000)]
    cols: Option<u32>,
    /// Rows.
    #[schema(minimum = 1, maximum = 1000)]
    rows: Option<u32>,
}

impl From<TerminalChangeBody> for TerminalChange {
    fn from(body: TerminalChangeBody) -> Self {
        let TerminalChangeBody { name, cols, rows } = body;
        Self { name, cols, rows }
    }
}

/// A terminal.
#[derive(Debug, ToSchema)]
#[schema(as = Terminal)]
#[expect(dead_code, reason = "describes what `ptys::TerminalInfo` serialises")]
pub(crate) struct TerminalSchema {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Whose it is; null means the local operator's.
    #[schema(format = "uuid", required)]
    owner: Option<String>,
    /// What it is called.
    name: String,
    /// The program it runs, as an absolute path.
    shell: String,
    /// Where the program was started.
    cwd: String,
    /// Columns.
    cols: u32,
    /// Rows.
    rows: u32,
    /// Process id of the shell, also after its end.
    pid: u32,
    /// `running`, `exited`, or `lost`: it ended with an earlier run of the daemon.
    state: String,
    /// The shell's exit code, or 128 plus the signal that ended it; null while it runs and when it is not known.
    #[schema(required)]
    exit_code: Option<i32>,
    /// When it was opened.
    #[schema(format = DateTime)]
    created_at: String,
    /// How many bytes it has printed: the `since` of a viewer that has seen all.
    #[schema(minimum = 0)]
    last_seq: u64,
    /// How many viewers are attached.
    viewers: u32,
}

/// A page of terminals.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `ground::Page` serialises")]
pub(crate) struct TerminalPage {
    /// In order of their opening.
    items: Vec<TerminalSchema>,
    /// What to send as `cursor` for the next page; null when this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List the terminals
///
/// The caller's own; the local operator sees all.
#[utoipa::path(get, path = "/api/v1/terminals", tag = "terminals", params(PageQuery),
    responses((status = 200, body = TerminalPage)))]
pub(crate) async fn list(
    State(edge): State<AppState>,
    caller: Caller,
    Query(asked): Query<PageQuery>,
) -> Result<Answer<Page<TerminalInfo>>, Problem> {
    let terminals = edge.handles.ptys.of(caller.viewer());
    Ok(Answer(terminals.list(asked.page()?).await?))
}

/// Open a terminal
///
/// Starts a real shell on a real PTY. It lives until its program ends or it is deleted, whether anybody looks or not.
#[utoipa::path(post, path = "/api/v1/terminals", tag = "terminals", request_body = NewTerminalBody,
    responses((status = 201, body = TerminalSchema, headers(("Location" = String, description = "The terminal"))),
        (status = 403, description = "`ptys.role_not_allowed`"),
        (status = 422, description = "`ptys.invalid`"),
        (status = 429, description = "`ptys.too_many`"),
        (status = 503, description = "`ptys.not_made`"),
        (status = 504, description = "`ptys.slow_start`")))]
pub(crate) async fn open(
    State(edge): State<AppState>,
    caller: Caller,
    Json(body): Json<NewTerminalBody>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<TerminalInfo>), Problem> {
    let terminals = edge.handles.ptys.of(caller.viewer());
    let terminal = terminals.open(body.into()).await?;
    let location = format!("/api/v1/terminals/{}", terminal.id);
    Ok((
        StatusCode::CREATED,
        [(LOCATION, location)],
        Answer(terminal),
    ))
}

/// Show a terminal
#[utoipa::path(get, path = "/api/v1/terminals/{id}", tag = "terminals",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = TerminalSchema), (status = 404, description = "`ptys.not_found`")))]
pub(crate) async fn show(
    State(edge): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Answer<TerminalInfo>, Problem> {
    let terminals = edge.handles.ptys.of(caller.viewer());
    Ok(Answer(terminals.get(id).await?))
}

/// Rename or resize a terminal
#[utoipa::path(patch, path = "/api/v1/terminals/{id}", tag = "terminals",
    params(("id" = String, Path, format = "uuid")), request_body = TerminalChangeBody,
    responses((status = 200, body = TerminalSchema),
        (status = 404, description = "`ptys.not_found`"),
        (status = 409, description = "`ptys.exited`, `ptys.lost`"),
        (status = 422, description = "`ptys.invalid`")))]
pub(crate) async fn change(
    State(edge): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    Json(body): Json<TerminalChangeBody>,
) -> Result<Answer<TerminalInfo>, Problem> {
    let terminals = edge.handles.ptys.of(caller.viewer());
    Ok(Answer(terminals.update(id, body.into()).await?))
}

/// End a terminal
///
/// Ends every process that was started in it, and forgets it. Answers when all of them are gone.
#[utoipa::path(delete, path = "/api/v1/terminals/{id}", tag = "terminals",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It is gone"),
        (status = 404, description = "`ptys.not_found`"),
        (status = 500, description = "`ptys.not_ended`")))]
pub(crate) async fn end(
    State(edge): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    let terminals = edge.handles.ptys.of(caller.viewer());
    terminals.delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bounds_in_the_schema_are_those_of_the_domain() {
        assert_eq!(ptys::MAX_SIDE, 1000);
        assert_eq!(ptys::MAX_NAME, 100);
    }
}
