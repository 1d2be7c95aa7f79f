//! Personal access tokens. The secret is in one answer only, that of the creation.

use std::time::Duration;

use accounts::{FRESH_FOR, NewToken, Scopes, TokenInfo};
use axum::Json as Answer;
use axum::extract::State;
use ground::{Id, Micros, Page, Secret};
use http::header::LOCATION;
use http::{HeaderName, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::concern::Concern;
use super::input::{Json, PageQuery, PathId, Query};
use super::problem::Problem;
use super::routes::{Needs, READ, creating_secret, route};
use super::source::Asker;
use super::state::AppState;
use http::Method;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// This concern: routes, what a caller needs for each, and what the errors mean.
pub(super) const CONCERN: Concern = Concern {
    routes,
    table: &[
        route(Method::GET, "/api/v1/tokens", READ),
        creating_secret("/api/v1/tokens", Needs::Unlimited),
        route(Method::DELETE, "/api/v1/tokens/{id}", Needs::Unlimited),
    ],
    codes: &[
        (
            "accounts.busy",
            503,
            "Too many requests about tokens are under way; try again after `Retry-After` seconds.",
        ),
        (
            "accounts.deadline",
            504,
            "The database did not answer in time; look whether the change was made before repeating it.",
        ),
        (
            "accounts.expired_token",
            401,
            "The token has expired; make another one with `mainstay token create`.",
        ),
        (
            "accounts.internal",
            500,
            "A fault of the server; the log has it under the request id.",
        ),
        (
            "accounts.invalid",
            422,
            "The token asked for breaks rules; `errors` lists all of them.",
        ),
        (
            "accounts.malformed_token",
            401,
            "What was shown cannot be a token; copy it again, whole.",
        ),
        (
            "accounts.revoked_token",
            401,
            "The token was revoked; make another one with `mainstay token create`.",
        ),
        (
            "accounts.store_lost",
            503,
            "The database is away, so tokens can be neither looked up nor changed; a good token stays good.",
        ),
        (
            "accounts.token_not_found",
            404,
            "There is no token with this id; `mainstay token list` shows them.",
        ),
        (
            "accounts.too_many_tokens",
            429,
            "As many tokens are in use as may be; revoke one, or raise `accounts.max_tokens`.",
        ),
        (
            "accounts.unknown_token",
            401,
            "The token was not given out here; make one with `mainstay token create`.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
}

/// What a token may be limited to.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Scope)]
pub(crate) enum ScopeWord {
    /// Everything that only reads.
    Read,
    /// Supervisor actions.
    Operator,
    /// Terminals: open, use, end.
    Terminals,
    /// All of the owner's rights, like leaving scopes out.
    #[serde(rename = "*")]
    #[schema(rename = "*")]
    Everything,
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewToken)]
pub struct NewTokenBody {
    /// What to call it.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// What to limit it to; left out, empty or with `*` it has all of the owner's rights.
    #[serde(default)]
    #[schema(max_items = 16)]
    scopes: Vec<ScopeWord>,
    /// After how many seconds it stops working, at most ten years; never when left out.
    #[schema(minimum = 1, maximum = 315_360_000)]
    expires_in_s: Option<u64>,
    /// Whose it is to be: one's own id, as when it is left out. Only the local operator makes tokens for others.
    #[schema(value_type = Option<String>, format = "uuid")]
    owner: Option<Id>,
}

impl From<NewTokenBody> for NewToken {
    fn from(body: NewTokenBody) -> Self {
        let word = |scope: ScopeWord| match scope {
            ScopeWord::Read => Some("read".to_owned()),
            ScopeWord::Operator => Some("operator".to_owned()),
            ScopeWord::Terminals => Some("terminals".to_owned()),
            ScopeWord::Everything => None,
        };
        // One `*` among them opens everything: no list at all says so.
        let scopes = body
            .scopes
            .into_iter()
            .map(word)
            .collect::<Option<Vec<_>>>()
            .unwrap_or_default();
        Self {
            name: body.name,
            scopes,
            expires_in: body.expires_in_s.map(Duration::from_secs),
            owner: body.owner,
        }
    }
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedToken {
    /// The token itself, shown this once.
    token: String,
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    id: Id,
    /// What it is called.
    name: String,
    /// What it is limited to; empty means all of the owner's rights.
    #[schema(value_type = Vec<String>)]
    scopes: Scopes,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Micros,
    /// When it stops working.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<Micros>,
}

/// A token, without the token itself.
#[derive(Debug, ToSchema)]
#[schema(as = Token)]
#[expect(dead_code, reason = "describes what `accounts::TokenInfo` serialises")]
pub(crate) struct TokenSchema {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// What it is called.
    name: String,
    /// What it is limited to; empty means all of the owner's rights.
    scopes: Vec<String>,
    /// Whose it is, a user's id; null means the local operator's.
    #[schema(required)]
    owner: Option<String>,
    /// What its bearer may do at most, and never more than its owner may at present: `owner`, `admin`, `member` or `viewer`.
    role: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last used, to the minute.
    #[schema(format = DateTime, required)]
    last_used_at: Option<String>,
    /// When it stops working.
    #[schema(format = DateTime, required)]
    expires_at: Option<String>,
    /// When it was revoked.
    #[schema(format = DateTime, required)]
    revoked_at: Option<String>,
}

/// A page of tokens.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `ground::Page` serialises")]
pub(crate) struct TokenPage {
    /// In order of their making.
    items: Vec<TokenSchema>,
    /// What to send as `cursor` for the next page; null when this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl From<(TokenInfo, Secret)> for CreatedToken {
    fn from((info, token): (TokenInfo, Secret)) -> Self {
        let TokenInfo {
            id,
            name,
            scopes,
            created_at,
            expires_at,
            ..
        } = info;
        Self {
            token: token.expose().to_owned(),
            id,
            name,
            scopes,
            created_at,
            expires_at,
        }
    }
}

/// List the tokens
///
/// One's own; the local operator sees those of all. Never the tokens themselves.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(PageQuery), responses((status = 200, body = TokenPage)))]
pub(crate) async fn list(
    State(edge): State<AppState>,
    caller: Caller,
    Query(asked): Query<PageQuery>,
) -> Result<Answer<Page<TokenInfo>>, Problem> {
    let accounts = &edge.handles.accounts;
    Ok(Answer(accounts.list(asked.page()?, caller.user()).await?))
}

/// Make a token
///
/// The answer is the only place where the token itself is shown. With a session it takes a recent sign-in.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = NewTokenBody,
    responses((status = 201, body = CreatedToken, headers(("Location" = String, description = "The token's entry"))),
        (status = 403, description = "`accounts.not_fresh`"),
        (status = 422, description = "`accounts.invalid`"),
        (status = 429, description = "`accounts.too_many_tokens`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.busy`"),
        (status = 504, description = "`accounts.deadline`")))]
pub(crate) async fn create(
    State(edge): State<AppState>,
    caller: Caller,
    Asker(by): Asker,
    Json(body): Json<NewTokenBody>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<CreatedToken>), Problem> {
    caller.require_fresh_session(FRESH_FOR)?;
    let new = NewToken::from(body).asked_for_by(caller.user())?;
    let made = edge.handles.accounts.create(new, by).await?;
    let location = format!("/api/v1/tokens/{}", made.0.id);
    Ok((
        StatusCode::CREATED,
        [(LOCATION, location)],
        Answer(made.into()),
    ))
}

/// Revoke a token
///
/// It stops working at once; what is open with it is closed within a second.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It is revoked"), (status = 404, description = "`accounts.token_not_found`")))]
pub(crate) async fn revoke(
    State(edge): State<AppState>,
    caller: Caller,
    Asker(by): Asker,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    let accounts = &edge.handles.accounts;
    accounts.revoke(id, caller.user(), by).await?;
    Ok(StatusCode::NO_CONTENT)
}
