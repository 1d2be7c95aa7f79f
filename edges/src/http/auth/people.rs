//! Coming in: the first owner, registering, signing in, and one's own password.
//!
//! What is refused here says nothing about who has an account; see the accounts domain for how that is kept.

use accounts::{Credentials, PasswordChange, Registration, Setup};
use axum::Json as Answer;
use axum::extract::State;
use ground::Secret;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::delivery::{CookieQuery, Delivery, TokensBody};
use super::left::Left;
use super::requester::Asking;
use crate::http::concern::Concern;
use crate::http::input::Json;
use crate::http::problem::Problem;
use crate::http::routes::{Needs, route};
use crate::http::source::CameFrom;
use crate::http::state::AppState;

/// This concern: routes, what a caller needs for each, and what the errors mean.
pub(in crate::http) const CONCERN: Concern = Concern {
    routes,
    table: &[
        route(Method::POST, "/api/v1/setup", Needs::Nothing).auth(),
        route(Method::POST, "/api/v1/auth/register", Needs::Nothing).auth(),
        route(Method::POST, "/api/v1/auth/login", Needs::Nothing).auth(),
        route(
            Method::POST,
            "/api/v1/auth/password/change",
            Needs::Unlimited,
        ),
    ],
    codes: &[
        (
            "accounts.already_set_up",
            409,
            "There is an owner already; sign in instead.",
        ),
        (
            "accounts.bad_invite",
            403,
            "The invitation was used, has expired, or is for somebody else; ask for another one.",
        ),
        (
            "accounts.bad_setup_token",
            403,
            "This is not the setup token; each start of the daemon prints a new one on stderr until there is an owner.",
        ),
        (
            "accounts.hashing_busy",
            503,
            "Too many passwords are being checked at this moment; try again after `Retry-After` seconds.",
        ),
        (
            "accounts.invite_required",
            403,
            "Registering needs an invitation; an administrator gives one out.",
        ),
        (
            "accounts.registration_closed",
            403,
            "Nobody can register here; an administrator makes accounts.",
        ),
        (
            "accounts.too_many_guesses",
            429,
            "Too many wrong passwords; the next one is looked at after `Retry-After` seconds.",
        ),
        (
            "accounts.wrong_credentials",
            401,
            "The address or the password is wrong, or the account may not sign in; which of them is not told.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(setup))
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(change_password))
}

/// The first owner.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Setup)]
pub(crate) struct SetupBody {
    /// What the start of the daemon printed as `setup token: mss_…`.
    #[schema(value_type = String, max_length = 200)]
    setup_token: Secret,
    /// The address to sign in with.
    #[schema(max_length = 1000)]
    email: String,
    /// The password: at least 8 characters, at most 1,024 bytes, none that is tried out first. 15 characters or more are good.
    #[schema(value_type = String, max_length = 10_000)]
    password: Secret,
    /// What to call the owner.
    #[schema(max_length = 1000)]
    name: Option<String>,
}

impl From<SetupBody> for Setup {
    fn from(body: SetupBody) -> Self {
        Self {
            token: body.setup_token,
            email: body.email,
            password: body.password,
            name: body.name,
        }
    }
}

/// Somebody who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Registration)]
pub(crate) struct RegisterBody {
    /// The address to sign in with.
    #[schema(max_length = 1000)]
    email: String,
    /// The password: at least 8 characters, at most 1,024 bytes, none that is tried out first. 15 characters or more are good.
    #[schema(value_type = String, max_length = 10_000)]
    password: Secret,
    /// What to call the user.
    #[schema(max_length = 1000)]
    name: Option<String>,
    /// The invitation (`msi_…`), where one is needed; one for a user sets that user's password.
    #[schema(value_type = Option<String>, max_length = 200)]
    invite: Option<Secret>,
}

impl From<RegisterBody> for Registration {
    fn from(body: RegisterBody) -> Self {
        Self {
            email: body.email,
            password: body.password,
            name: body.name,
            invite: body.invite,
        }
    }
}

/// What to sign in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Credentials)]
pub(crate) struct LoginBody {
    /// The address.
    #[schema(max_length = 1000)]
    email: String,
    /// The password.
    #[schema(value_type = String, max_length = 10_000)]
    password: Secret,
    /// A code of the second factor, where one is set up.
    #[schema(value_type = Option<String>, max_length = 100)]
    totp_code: Option<Secret>,
}

impl From<LoginBody> for Credentials {
    fn from(body: LoginBody) -> Self {
        Self {
            email: body.email,
            password: body.password,
            code: body.totp_code,
        }
    }
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasswordChange)]
pub(crate) struct PasswordBody {
    /// The password so far.
    #[schema(value_type = String, max_length = 10_000)]
    current_password: Secret,
    /// The one from now on: at least 8 characters, at most 1,024 bytes, none that is tried out first.
    #[schema(value_type = String, max_length = 10_000)]
    new_password: Secret,
    /// Whether the other sessions of the user end; they do when it is left out.
    end_other_sessions: Option<bool>,
}

impl From<PasswordBody> for PasswordChange {
    fn from(body: PasswordBody) -> Self {
        Self {
            current: body.current_password,
            new: body.new_password,
            ends_others: body.end_other_sessions.unwrap_or(true),
        }
    }
}

/// Make the first owner
///
/// Once, with the token that the start of the daemon prints on stderr as `setup token: mss_…`. The owner is signed in by it.
#[utoipa::path(post, path = "/api/v1/setup", tag = "people", params(CookieQuery), request_body = SetupBody,
    responses((status = 200, body = TokensBody), (status = 403, description = "`accounts.bad_setup_token`"),
        (status = 409, description = "`accounts.already_set_up`"), (status = 422, description = "`accounts.invalid`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.hashing_busy`")))]
pub(crate) async fn setup(
    State(edge): State<AppState>,
    CameFrom(source): CameFrom,
    delivery: Delivery,
    Json(body): Json<SetupBody>,
) -> Result<(HeaderMap, Answer<TokensBody>), Problem> {
    let people = edge.handles.accounts.people();
    Ok(delivery.of(&people.setup(body.into(), source).await?))
}

/// Make an account for oneself
///
/// As far as `accounts.registration` allows: with an invitation, or freely. The answer is the same whether the address was free or
/// has an account already, in which case nothing changes; an invitation is used up by either. Sign in afterwards.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "people", request_body = RegisterBody,
    responses((status = 202, description = "Done, if the address was free"),
        (status = 403, description = "`accounts.registration_closed`, `accounts.invite_required`, `accounts.bad_invite`"),
        (status = 422, description = "`accounts.invalid`"), (status = 429, description = "`accounts.too_many_users`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.hashing_busy`")))]
pub(crate) async fn register(
    State(edge): State<AppState>,
    CameFrom(source): CameFrom,
    Json(body): Json<RegisterBody>,
) -> Result<StatusCode, Problem> {
    let people = edge.handles.accounts.people();
    people.register(body.into(), source).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Sign in
///
/// With `cookie=true` the session whose cookies the browser still has ends.
///
/// After three wrong passwords for an account (ten from an address) each further attempt has to wait, up to a minute. An unknown
/// address, a wrong password and an account that may not sign in get the same answer.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "people", params(CookieQuery), request_body = LoginBody,
    responses((status = 200, body = TokensBody), (status = 401, description = "`accounts.wrong_credentials`"),
        (status = 429, description = "`accounts.too_many_guesses`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.hashing_busy`")))]
pub(crate) async fn login(
    State(edge): State<AppState>,
    CameFrom(source): CameFrom,
    left: Left,
    delivery: Delivery,
    Json(body): Json<LoginBody>,
) -> Result<(HeaderMap, Answer<TokensBody>), Problem> {
    let people = edge.handles.accounts.people();
    let tokens = people.sign_in(body.into(), source).await?;
    left.end(&edge).await;
    Ok(delivery.of(&tokens))
}

/// Change one's own password
///
/// The present one has to be shown.
#[utoipa::path(post, path = "/api/v1/auth/password/change", tag = "people", request_body = PasswordBody,
    responses((status = 204, description = "It is changed"), (status = 409, description = "`accounts.not_a_user`"),
        (status = 422, description = "`accounts.invalid`"), (status = 429, description = "`accounts.too_many_guesses`"),
        (status = 503, description = "`accounts.store_lost`, `accounts.hashing_busy`")))]
pub(crate) async fn change_password(
    State(edge): State<AppState>,
    Asking(by): Asking,
    Json(body): Json<PasswordBody>,
) -> Result<StatusCode, Problem> {
    let people = edge.handles.accounts.people();
    people.change_password(by, body.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}
