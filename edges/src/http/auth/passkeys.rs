//! Passkeys: signing in with one, and the caller's own.
//!
//! What stands between `begin` and `finish` is the browser's: `options` goes into `PublicKeyCredential.parseCreationOptionsFromJSON` (or
//! `parseRequestOptionsFromJSON`), and what `navigator.credentials` gives comes back as its `toJSON()`.

use accounts::{Challenge, NewPasskey, PasskeyInfo, PasskeySignIn};
use axum::Json as Answer;
use axum::extract::{FromRequestParts, State};
use ground::Secret;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::delivery::{CookieQuery, Delivery, TokensBody};
use super::factors::Own;
use super::left::Left;
use crate::http::concern::Concern;
use crate::http::input::{Json, PathId};
use crate::http::problem::Problem;
use crate::http::routes::{Needs, READ, creating, route};
use crate::http::source::CameFrom;
use crate::http::state::AppState;

const LOGIN_BEGIN: &str = "/api/v1/auth/passkeys/login/begin";
const LOGIN_FINISH: &str = "/api/v1/auth/passkeys/login/finish";
const BEGIN: &str = "/api/v1/auth/passkeys/register/begin";
const FINISH: &str = "/api/v1/auth/passkeys/register/finish";
const ONE: &str = "/api/v1/auth/passkeys/{id}";

/// This concern: routes, what a caller needs for each, and what the errors mean.
pub(in crate::http) const CONCERN: Concern = Concern {
    routes,
    // Whether the caller signed in in person, and lately, is the domain's to ask: no scope stands for that.
    table: &[
        route(Method::POST, LOGIN_BEGIN, Needs::Nothing).auth(),
        route(Method::POST, LOGIN_FINISH, Needs::Nothing).auth(),
        route(Method::POST, BEGIN, Needs::SignedIn),
        creating(FINISH, Needs::SignedIn),
        route(Method::GET, "/api/v1/auth/passkeys", READ),
        route(Method::PATCH, ONE, Needs::Unlimited),
        route(Method::DELETE, ONE, Needs::SignedIn),
    ],
    codes: &[
        (
            "passkeys.invalid",
            422,
            "The request has errors; `errors` tells each.",
        ),
        (
            "passkeys.no_user",
            404,
            "The account does not exist any more.",
        ),
        (
            "passkeys.not_configured",
            409,
            "Nothing says by which name the server is reached, so that no passkey can belong to it; the sentence names the keys to set.",
        ),
        (
            "passkeys.not_found",
            404,
            "The account has no such passkey; `GET /api/v1/auth/passkeys` shows those it has.",
        ),
        (
            "passkeys.not_fresh",
            403,
            "This needs a sign-in in person within the last ten minutes; sign in again and repeat it. A personal token is not enough.",
        ),
        (
            "passkeys.not_made",
            403,
            "What the authenticator answered was not accepted, is not to a challenge of the last five minutes, or was sent before; the audit tells why. Begin again.",
        ),
        (
            "passkeys.refused",
            401,
            "Nobody is signed in by this answer, whatever the reason, which the audit tells; begin again, or sign in another way.",
        ),
        (
            "passkeys.too_many",
            409,
            "The account has as many passkeys as it may have; remove one first.",
        ),
        (
            "passkeys.wrong_origin",
            403,
            "Passkeys belong to other origins than that of the page that asks; the sentence names them.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(begin_login))
        .routes(routes!(finish_login))
        .routes(routes!(begin))
        .routes(routes!(finish))
        .routes(routes!(list))
        .routes(routes!(rename))
        .routes(routes!(remove))
}

/// The origin of the page that asks, if a page does. An extractor.
#[derive(Debug)]
pub(crate) struct PageOrigin(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for PageOrigin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let origin = parts.headers.get(header::ORIGIN);
        let origin = origin.map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned());
        Ok(Self(origin))
    }
}

/// Nothing: the authenticator knows who its passkeys are of, and an address would only be something to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasskeyLogin)]
pub(crate) struct LoginBody {}

/// What an authenticator is to be asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PasskeyChallenge)]
pub(crate) struct ChallengeAnswer {
    /// What is sent with the answer; it works once.
    challenge_id: String,
    /// The options for `navigator.credentials`, as WebAuthn writes them in JSON.
    #[schema(value_type = Object)]
    options: Value,
    /// How many seconds the answer is waited for.
    #[schema(minimum = 0)]
    expires_in: u64,
}

impl ChallengeAnswer {
    /// The answer, which no cache keeps.
    fn of(challenge: Challenge) -> (HeaderMap, Answer<Self>) {
        let no_store = HeaderValue::from_static("no-store");
        let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, no_store)]);
        let body = Self {
            challenge_id: challenge.id.expose().to_owned(),
            options: challenge.options,
            expires_in: challenge.expires_in.as_secs(),
        };
        (headers, Answer(body))
    }
}

/// What an authenticator answered to who signs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasskeyProof)]
pub(crate) struct ProofBody {
    /// The challenge that it answers.
    #[schema(value_type = String, max_length = 200)]
    challenge_id: Secret,
    /// The answer, as WebAuthn writes it in JSON (`AuthenticationResponseJSON`).
    #[schema(value_type = Object)]
    credential: Value,
}

/// What an authenticator answered to who makes a passkey.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPasskey)]
pub(crate) struct NewBody {
    /// The challenge that it answers.
    #[schema(value_type = String, max_length = 200)]
    challenge_id: Secret,
    /// The answer, as WebAuthn writes it in JSON (`RegistrationResponseJSON`).
    #[schema(value_type = Object)]
    credential: Value,
    /// What to call the passkey: 1 to 100 characters; `passkey` when it is left out.
    #[schema(max_length = 1000)]
    name: Option<String>,
}

/// Another name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasskeyName)]
pub(crate) struct NameBody {
    /// What to call it: 1 to 100 characters.
    #[schema(max_length = 1000)]
    name: String,
}

/// A passkey of the caller.
#[derive(Debug, ToSchema)]
#[schema(as = Passkey)]
#[expect(
    dead_code,
    reason = "describes what `accounts::PasskeyInfo` serialises"
)]
pub(crate) struct PasskeySchema {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// What it is called.
    name: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When somebody last signed in with it.
    #[schema(required, format = DateTime)]
    last_used_at: Option<String>,
}

/// The passkeys of the caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PasskeyList {
    /// In order of their making, at most 20.
    #[schema(value_type = Vec<PasskeySchema>)]
    items: Vec<PasskeyInfo>,
}

/// Begin to sign in with a passkey
///
/// The options are for whoever holds a passkey of this server: nobody is named in them, and nothing tells who has an account.
#[utoipa::path(post, path = "/api/v1/auth/passkeys/login/begin", tag = "auth", request_body = LoginBody,
    responses((status = 200, body = ChallengeAnswer),
        (status = 403, description = "`passkeys.wrong_origin`"),
        (status = 409, description = "`passkeys.not_configured`"),
        (status = 503, description = "`accounts.busy`")))]
pub(crate) async fn begin_login(
    State(edge): State<AppState>,
    CameFrom(source): CameFrom,
    PageOrigin(origin): PageOrigin,
    Json(LoginBody {}): Json<LoginBody>,
) -> Result<(HeaderMap, Answer<ChallengeAnswer>), Problem> {
    let passkeys = edge.handles.accounts.passkeys();
    let challenge = passkeys.begin_sign_in(source, origin).await?;
    Ok(ChallengeAnswer::of(challenge))
}

/// Sign in with a passkey
///
/// With what the authenticator answered. The authenticator verified the person, so no second factor is asked for.
#[utoipa::path(post, path = "/api/v1/auth/passkeys/login/finish", tag = "auth", params(CookieQuery), request_body = ProofBody,
    responses((status = 200, body = TokensBody),
        (status = 401, description = "`passkeys.refused`"),
        (status = 409, description = "`passkeys.not_configured`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.busy`"),
        (status = 504, description = "`accounts.deadline`")))]
pub(crate) async fn finish_login(
    State(edge): State<AppState>,
    CameFrom(source): CameFrom,
    left: Left,
    delivery: Delivery,
    Json(body): Json<ProofBody>,
) -> Result<(HeaderMap, Answer<TokensBody>), Problem> {
    let passkeys = edge.handles.accounts.passkeys();
    #[rustfmt::skip]
    let sign_in = PasskeySignIn { challenge: body.challenge_id, credential: body.credential, source };
    let tokens = passkeys.finish_sign_in(sign_in).await?;
    left.end(&edge).await;
    Ok(delivery.of(&tokens))
}

/// Begin to make a passkey
///
/// Needs a sign-in in person within the last ten minutes.
#[utoipa::path(post, path = "/api/v1/auth/passkeys/register/begin", tag = "auth",
    responses((status = 200, body = ChallengeAnswer),
        (status = 403, description = "`http.not_a_user`, `passkeys.not_fresh`, `passkeys.wrong_origin`"),
        (status = 404, description = "`passkeys.no_user`"),
        (status = 409, description = "`passkeys.not_configured`, `passkeys.too_many`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.busy`"),
        (status = 504, description = "`accounts.deadline`")))]
pub(crate) async fn begin(
    State(edge): State<AppState>,
    Own(by): Own,
    PageOrigin(origin): PageOrigin,
) -> Result<(HeaderMap, Answer<ChallengeAnswer>), Problem> {
    let passkeys = edge.handles.accounts.passkeys();
    Ok(ChallengeAnswer::of(passkeys.begin_new(by, origin).await?))
}

/// Make a passkey
///
/// Of what the authenticator answered. From then on it signs in, without a password and without another factor.
#[utoipa::path(post, path = "/api/v1/auth/passkeys/register/finish", tag = "auth", request_body = NewBody,
    responses((status = 201, body = PasskeySchema),
        (status = 403, description = "`http.not_a_user`, `passkeys.not_fresh`, `passkeys.not_made`"),
        (status = 404, description = "`passkeys.no_user`"),
        (status = 409, description = "`passkeys.not_configured`, `passkeys.too_many`"),
        (status = 422, description = "`passkeys.invalid`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.busy`"),
        (status = 504, description = "`accounts.deadline`")))]
pub(crate) async fn finish(
    State(edge): State<AppState>,
    Own(by): Own,
    Json(body): Json<NewBody>,
) -> Result<(StatusCode, Answer<PasskeyInfo>), Problem> {
    let passkeys = edge.handles.accounts.passkeys();
    #[rustfmt::skip]
    let new = NewPasskey { by, challenge: body.challenge_id, credential: body.credential, name: body.name };
    let made = passkeys.finish_new(new).await?;
    Ok((StatusCode::CREATED, Answer(made)))
}

/// List one's passkeys
#[utoipa::path(get, path = "/api/v1/auth/passkeys", tag = "auth",
    responses((status = 200, body = PasskeyList), (status = 403, description = "`http.not_a_user`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.busy`"),
        (status = 504, description = "`accounts.deadline`")))]
pub(crate) async fn list(
    State(edge): State<AppState>,
    Own(by): Own,
) -> Result<Answer<PasskeyList>, Problem> {
    let items = edge.handles.accounts.passkeys().of(by.user).await?;
    Ok(Answer(PasskeyList { items }))
}

/// Rename a passkey
#[utoipa::path(patch, path = "/api/v1/auth/passkeys/{id}", tag = "auth", params(("id" = String, Path, format = "uuid")),
    request_body = NameBody,
    responses((status = 200, body = PasskeySchema), (status = 403, description = "`http.not_a_user`"),
        (status = 404, description = "`passkeys.not_found`"),
        (status = 422, description = "`passkeys.invalid`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.busy`"),
        (status = 504, description = "`accounts.deadline`")))]
pub(crate) async fn rename(
    State(edge): State<AppState>,
    Own(by): Own,
    PathId(id): PathId,
    Json(body): Json<NameBody>,
) -> Result<Answer<PasskeyInfo>, Problem> {
    let passkeys = edge.handles.accounts.passkeys();
    Ok(Answer(passkeys.rename(by, id, body.name).await?))
}

/// Remove a passkey
///
/// The caller has to have signed in within ten minutes, and to have another way in. The sessions that it began go on.
#[utoipa::path(delete, path = "/api/v1/auth/passkeys/{id}", tag = "auth", params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It is removed"),
        (status = 403, description = "`http.not_a_user`, `passkeys.not_fresh`"),
        (status = 404, description = "`passkeys.not_found`"),
        (status = 409, description = "`accounts.last_way_in`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.busy`"),
        (status = 504, description = "`accounts.deadline`")))]
pub(crate) async fn remove(
    State(edge): State<AppState>,
    Own(by): Own,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    edge.handles.accounts.passkeys().remove(by, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
