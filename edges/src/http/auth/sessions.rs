//! Sessions: the next pair of tokens, leaving, the list, and the keys that others check tokens with.

use accounts::{EndSession, FRESH_FOR, PublicKey, SessionInfo};
use axum::Json as Answer;
use axum::extract::State;
use ground::{Id, Micros, Page, Secret};
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cookies::{Holds, Jar};
use super::delivery::{CookieQuery, Delivery, TokensBody};
use super::ws_ticket;
use crate::http::caller::{Caller, OwnPage};
use crate::http::codes;
use crate::http::concern::Concern;
use crate::http::input::{Json, PageQuery, PathId, Query};
use crate::http::problem::Problem;
use crate::http::routes::{Needs, READ, route};
use crate::http::source::CameFrom;
use crate::http::state::AppState;

/// This concern: routes, what a caller needs for each, and what the errors mean.
pub(in crate::http) const CONCERN: Concern = Concern {
    routes,
    table: &[
        route(Method::GET, "/.well-known/jwks.json", Needs::Nothing),
        route(Method::POST, "/api/v1/auth/refresh", Needs::Nothing),
        route(Method::POST, "/api/v1/auth/logout", Needs::SignedIn),
        route(Method::GET, "/api/v1/auth/sessions", READ),
        route(Method::DELETE, "/api/v1/auth/sessions", Needs::SignedIn),
        route(
            Method::DELETE,
            "/api/v1/auth/sessions/{id}",
            Needs::SignedIn,
        ),
        route(
            Method::DELETE,
            "/api/v1/users/{id}/sessions",
            Needs::Everything,
        ),
        route(Method::POST, "/api/v1/ws-ticket", Needs::SignedIn),
    ],
    codes: &[
        (
            "accounts.bad_access_token",
            401,
            "What was shown is no access token of this server; sign in to get one.",
        ),
        (
            "accounts.bad_refresh_token",
            401,
            "The refresh token is not known here; sign in again.",
        ),
        (
            "accounts.expired_access_token",
            401,
            "The access token has expired; `POST /api/v1/auth/refresh` gives the next one.",
        ),
        (
            "accounts.refresh_token_reused",
            401,
            "The refresh token was used before, so somebody else may have it; the session was ended.",
        ),
        (
            "accounts.session_ended",
            401,
            "The session has ended; sign in again.",
        ),
        (
            "accounts.session_not_found",
            404,
            "You have no session with this id; `GET /api/v1/auth/sessions` shows them.",
        ),
        (
            "accounts.user_gone",
            401,
            "The account cannot sign in; an administrator can tell why.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(keys))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
        .routes(routes!(list, end_others))
        .routes(routes!(end))
        .routes(routes!(end_all))
        .routes(routes!(ws_ticket::issue))
}

/// A refresh token, unless it is in the cookie.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefreshToken)]
pub(crate) struct RefreshBody {
    /// `msr_…`, as it came with the last pair.
    #[schema(max_length = 200)]
    refresh_token: Option<String>,
}

/// What a client refreshes with.
struct Shown {
    token: Secret,
    is_cookie: bool,
}

impl RefreshBody {
    /// The token in the body, else the one in the cookie if the page is one of ours.
    fn shown(self, jar: Jar, headers: &HeaderMap, page: OwnPage) -> Result<Shown, Problem> {
        if let Some(token) = self.refresh_token {
            let token = Secret::from(token);
            return Ok(Shown {
                token,
                is_cookie: false,
            });
        }
        let cookie = jar.read(headers, Holds::RefreshToken);
        let cookie = cookie.ok_or_else(|| {
            let detail = "send the refresh token in the body, or in its cookie";
            Problem::new(&codes::MISSING_TOKEN, detail)
        })?;
        page.required()?;
        Ok(Shown {
            token: Secret::from(cookie),
            is_cookie: true,
        })
    }
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    id: Id,
    /// Whether it is the one that asks.
    is_current: bool,
    /// How it began: `setup`, `register`, `password`, `passkey` or `federated`.
    method: &'static str,
    /// Whether a second factor was shown.
    second_factor: bool,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    created_at: Micros,
    /// When it was last used, to the minute.
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Micros,
    /// When it ends if it is not refreshed.
    #[schema(value_type = String, format = DateTime)]
    idle_expires_at: Micros,
    /// When it ends in any case.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Micros,
    /// From which address it began.
    #[schema(required)]
    address: Option<String>,
    /// What the client said it is.
    #[schema(required)]
    user_agent: Option<String>,
}

impl Session {
    fn of(info: SessionInfo, current: Option<Id>) -> Self {
        Self {
            is_current: current == Some(info.id),
            id: info.id,
            method: info.method.word(),
            second_factor: info.second_factor,
            created_at: info.created_at,
            last_used_at: info.last_used_at,
            idle_expires_at: info.idle_expires_at,
            expires_at: info.expires_at,
            address: info.address,
            user_agent: info.user_agent,
        }
    }
}

/// A page of sessions.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `ground::Page` serialises")]
pub(crate) struct SessionPage {
    /// In order of their beginning.
    items: Vec<Session>,
    /// What to send as `cursor` for the next page; null when this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// How many sessions ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ended {
    /// How many.
    #[schema(minimum = 0)]
    ended: u32,
}

/// A public key (RFC 8037).
#[derive(Debug, ToSchema)]
#[schema(as = PublicKey)]
#[expect(dead_code, reason = "describes what `accounts::PublicKey` serialises")]
pub(crate) struct KeySchema {
    /// Always `OKP`.
    kty: String,
    /// Always `Ed25519`.
    crv: String,
    /// Always `EdDSA`.
    alg: String,
    /// Always `sig`.
    r#use: String,
    /// The key's name, which tokens give as `kid`.
    kid: String,
    /// The key, as base64url.
    x: String,
}

/// The public keys (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeySet {
    /// Those that tokens may be signed with at present.
    #[schema(value_type = Vec<KeySchema>)]
    keys: Vec<PublicKey>,
}

/// The public keys
///
/// With these anybody can check an access token. Whether its session goes on they do not tell.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "sessions", responses((status = 200, body = KeySet)))]
pub(crate) async fn keys(State(edge): State<AppState>) -> Answer<KeySet> {
    let keys = edge.handles.accounts.sessions().public_keys();
    Answer(KeySet { keys })
}

/// Get the next pair of tokens
///
/// A refresh token is good once. For five seconds after its use it is answered with the same next pair again; used after
/// that, it ends its session. With the token in its cookie the body is `{}` and the next pair comes in cookies.
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "sessions", params(CookieQuery), request_body = RefreshBody,
    responses((status = 200, body = TokensBody),
        (status = 401, description = "`accounts.bad_refresh_token`, `accounts.refresh_token_reused`, `accounts.session_ended`, `http.missing_token`"),
        (status = 403, description = "`http.cookie_needs_origin`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.busy`"),
        (status = 504, description = "`accounts.deadline`")))]
pub(crate) async fn refresh(
    State(edge): State<AppState>,
    delivery: Delivery,
    page: OwnPage,
    CameFrom(source): CameFrom,
    headers: HeaderMap,
    Json(body): Json<RefreshBody>,
) -> Result<(HeaderMap, Answer<TokensBody>), Problem> {
    let shown = body.shown(delivery.jar, &headers, page)?;
    let sessions = edge.handles.accounts.sessions();
    let pair = sessions.refresh(shown.token, source).await?;
    Ok(delivery.in_cookies_if(shown.is_cookie).of(&pair))
}

/// Sign out
///
/// Ends the session that asks; what is open with it is closed within a second.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "sessions",
    responses((status = 204, description = "It has ended"), (status = 409, description = "`accounts.no_session`")))]
pub(crate) async fn log_out(
    State(edge): State<AppState>,
    caller: Caller,
    jar: Jar,
    CameFrom(source): CameFrom,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let own = caller.session()?;
    let end = EndSession {
        session: own.session,
        user: own.user,
        is_logout: true,
        actor: caller.actor(),
        source,
    };
    edge.handles.accounts.sessions().end(end).await?;
    Ok((StatusCode::NO_CONTENT, jar.cleared()))
}

/// List your sessions
#[utoipa::path(get, path = "/api/v1/auth/sessions", tag = "sessions", params(PageQuery),
    responses((status = 200, body = SessionPage), (status = 403, description = "`http.not_a_user`")))]
pub(crate) async fn list(
    State(edge): State<AppState>,
    caller: Caller,
    Query(asked): Query<PageQuery>,
) -> Result<Answer<Page<Session>>, Problem> {
    let current = caller.session().ok().map(|own| own.session);
    let sessions = edge.handles.accounts.sessions();
    let page = sessions
        .list(caller.user_or_refuse()?, asked.page()?)
        .await?;
    Ok(Answer(page.map(|info| Session::of(info, current))))
}

/// End all of your other sessions
///
/// The caller has to have signed in within ten minutes; a personal token is not enough.
#[utoipa::path(delete, path = "/api/v1/auth/sessions", tag = "sessions",
    responses((status = 200, body = Ended), (status = 403, description = "`http.not_a_user`, `accounts.not_fresh`")))]
pub(crate) async fn end_others(
    State(edge): State<AppState>,
    caller: Caller,
    CameFrom(source): CameFrom,
) -> Result<Answer<Ended>, Problem> {
    let (user, actor) = (caller.recent_user(FRESH_FOR)?, caller.actor());
    let current = caller.session().ok().map(|own| own.session);
    let sessions = edge.handles.accounts.sessions();
    let ended = sessions.end_all(user, current, actor, source).await?;
    Ok(Answer(Ended { ended }))
}

/// End one of your sessions
///
/// What is open with it is closed within a second. The caller has to have signed in within ten minutes; a personal token is not enough.
/// To leave the own session, sign out.
#[utoipa::path(delete, path = "/api/v1/auth/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It has ended"), (status = 404, description = "`accounts.session_not_found`"),
        (status = 403, description = "`http.not_a_user`, `accounts.not_fresh`")))]
pub(crate) async fn end(
    State(edge): State<AppState>,
    caller: Caller,
    CameFrom(source): CameFrom,
    PathId(session): PathId,
) -> Result<StatusCode, Problem> {
    let end = EndSession {
        session,
        user: caller.recent_user(FRESH_FOR)?,
        is_logout: false,
        actor: caller.actor(),
        source,
    };
    edge.handles.accounts.sessions().end(end).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End all sessions of a user
///
/// For administrators. Nothing happens to a user who has none, or who does not exist.
#[utoipa::path(delete, path = "/api/v1/users/{id}/sessions", tag = "sessions",
    params(("id" = String, Path, format = "uuid")), responses((status = 200, body = Ended)))]
pub(crate) async fn end_all(
    State(edge): State<AppState>,
    caller: Caller,
    CameFrom(source): CameFrom,
    PathId(user): PathId,
) -> Result<Answer<Ended>, Problem> {
    let sessions = edge.handles.accounts.sessions();
    let ended = sessions.end_all(user, None, caller.actor(), source).await?;
    Ok(Answer(Ended { ended }))
}
