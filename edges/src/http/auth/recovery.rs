//! Recovery over mail: a new password, and proof of whose an address is.

use accounts::{FRESH_FOR, Holder, NewEmail, Reset};
use axum::extract::{FromRequestParts, State};
use ground::Secret;
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::caller::Caller;
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
        route(Method::POST, "/api/v1/auth/email/change", Needs::SignedIn),
        route(Method::POST, "/api/v1/auth/email/verify", Needs::Nothing).auth(),
        route(
            Method::POST,
            "/api/v1/auth/email/verify/resend",
            Needs::SignedIn,
        ),
        route(Method::POST, "/api/v1/auth/password/forgot", Needs::Nothing).auth(),
        route(Method::POST, "/api/v1/auth/password/reset", Needs::Nothing).auth(),
    ],
    codes: &[
        (
            "recovery.already_verified",
            409,
            "The address is verified already; there is nothing to do.",
        ),
        (
            "recovery.bad_token",
            403,
            "The token was never mailed, was used, or is too old; ask for a new mail and use the newest one.",
        ),
        (
            "recovery.busy",
            503,
            "Too much is under way; try again after `Retry-After` seconds.",
        ),
        (
            "recovery.deadline",
            504,
            "The database did not answer in time; look whether the change was made before repeating it.",
        ),
        (
            "recovery.delayed",
            429,
            "Too many wrong passwords; wait for `Retry-After` seconds.",
        ),
        (
            "recovery.email_taken",
            409,
            "Somebody has this address by now; choose another one.",
        ),
        (
            "recovery.hashing_busy",
            503,
            "Too many passwords are being checked; try again after `Retry-After` seconds.",
        ),
        (
            "recovery.internal",
            500,
            "A fault of the server; the log has it under the request id.",
        ),
        (
            "recovery.invalid",
            422,
            "The request breaks rules; `errors` lists all of them.",
        ),
        (
            "recovery.no_user",
            404,
            "The account does not exist any more.",
        ),
        (
            "recovery.store_lost",
            503,
            "The database is away, so nothing can be recovered; try again later.",
        ),
        (
            "recovery.too_many_mails",
            429,
            "Three such mails were sent within the last hour; look into the mailbox, or try again later.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(forgot))
        .routes(routes!(reset))
        .routes(routes!(verify))
        .routes(routes!(resend))
        .routes(routes!(change))
}

/// The caller as the user whose own address this is about.
#[derive(Debug)]
pub(crate) struct Own(Holder);

impl<S: Send + Sync> FromRequestParts<S> for Own {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let CameFrom(source) = CameFrom::from_request_parts(parts, state).await?;
        Ok(Self(Holder {
            user: caller.user_or_refuse()?,
            credential: caller.credential(),
            source,
        }))
    }
}

/// Who forgot a password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ForgottenPassword)]
pub(crate) struct ForgotBody {
    /// The address of the account.
    #[schema(min_length = 1, max_length = 254)]
    email: String,
}

/// A new password, with the token that was mailed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasswordReset)]
pub(crate) struct ResetBody {
    /// The token.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    token: Secret,
    /// The new password.
    #[schema(value_type = String, max_length = 10_000)]
    password: Secret,
    /// A code of the authenticator app or a recovery code, where a second factor is set up.
    #[schema(value_type = Option<String>, min_length = 6, max_length = 64)]
    totp_code: Option<Secret>,
    /// Whether all sessions of the account end; they do when it is left out.
    end_other_sessions: Option<bool>,
}

impl From<ResetBody> for Reset {
    fn from(body: ResetBody) -> Self {
        Self {
            token: body.token,
            password: body.password,
            code: body.totp_code,
            ends_sessions: body.end_other_sessions.unwrap_or(true),
        }
    }
}

/// A mailed token that proves an address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EmailProof)]
pub(crate) struct VerifyBody {
    /// The token.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    token: Secret,
}

/// A new address, with the password that proves who asks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EmailChange)]
pub(crate) struct ChangeBody {
    /// The new address.
    #[schema(min_length = 1, max_length = 254)]
    new_email: String,
    /// The present password.
    #[schema(value_type = String, max_length = 10_000)]
    password: Secret,
}

impl From<ChangeBody> for NewEmail {
    fn from(body: ChangeBody) -> Self {
        Self {
            email: body.new_email,
            password: body.password,
        }
    }
}

/// Ask for a new password
///
/// Mails a token that works once, for half an hour. The answer is the same, at the same moment, whether the address has an account;
/// an account gets at most three such mails an hour.
#[utoipa::path(post, path = "/api/v1/auth/password/forgot", tag = "auth", request_body = ForgotBody,
    responses((status = 202, description = "If the address has an account, a mail is on its way"),
        (status = 422, description = "`recovery.invalid`: it is no address"),
        (status = 503, description = "`recovery.store_lost`, `recovery.busy`"), (status = 504, description = "`recovery.deadline`")))]
pub(crate) async fn forgot(
    State(edge): State<AppState>,
    CameFrom(source): CameFrom,
    Json(body): Json<ForgotBody>,
) -> Result<StatusCode, Problem> {
    let recovery = edge.handles.accounts.recovery();
    recovery.forgot(body.email, source).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Set a new password
///
/// With the token that was mailed, which is used up. Where a second factor is set up, a code of it is needed as well. A notice is mailed.
#[utoipa::path(post, path = "/api/v1/auth/password/reset", tag = "auth", request_body = ResetBody,
    responses((status = 204, description = "It is set"),
        (status = 401, description = "`factors.required`, `factors.wrong`"),
        (status = 403, description = "`recovery.bad_token`"), (status = 422, description = "`recovery.invalid`"),
        (status = 429, description = "`factors.limited`"),
        (status = 503, description = "`recovery.store_lost`, `recovery.busy`, `recovery.hashing_busy`"),
        (status = 504, description = "`recovery.deadline`")))]
pub(crate) async fn reset(
    State(edge): State<AppState>,
    CameFrom(source): CameFrom,
    Json(body): Json<ResetBody>,
) -> Result<StatusCode, Problem> {
    let recovery = edge.handles.accounts.recovery();
    recovery.reset(body.into(), source).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Prove an address
///
/// With the token that was mailed to it. Of a new address it makes the account's.
#[utoipa::path(post, path = "/api/v1/auth/email/verify", tag = "auth", request_body = VerifyBody,
    responses((status = 204, description = "It is proven"), (status = 403, description = "`recovery.bad_token`"),
        (status = 409, description = "`recovery.email_taken`"),
        (status = 503, description = "`recovery.store_lost`, `recovery.busy`"), (status = 504, description = "`recovery.deadline`")))]
pub(crate) async fn verify(
    State(edge): State<AppState>,
    CameFrom(source): CameFrom,
    Json(body): Json<VerifyBody>,
) -> Result<StatusCode, Problem> {
    let recovery = edge.handles.accounts.recovery();
    recovery.verify(body.token, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mail the proof of the address again
///
/// A token that works once, for a day.
#[utoipa::path(post, path = "/api/v1/auth/email/verify/resend", tag = "auth",
    responses((status = 202, description = "A mail is on its way"), (status = 404, description = "`recovery.no_user`"),
        (status = 403, description = "`http.not_a_user`"), (status = 409, description = "`recovery.already_verified`"), (status = 429, description = "`recovery.too_many_mails`"),
        (status = 503, description = "`recovery.store_lost`, `recovery.busy`"), (status = 504, description = "`recovery.deadline`")))]
pub(crate) async fn resend(
    State(edge): State<AppState>,
    Own(by): Own,
) -> Result<StatusCode, Problem> {
    let recovery = edge.handles.accounts.recovery();
    recovery.resend(by).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Change the address
///
/// Mails a token to the new address, which works once, for half an hour, and a notice to the present one. Nothing changes before the token
/// is used. The answer is the same when somebody has the new address already. The caller has to have signed in within ten minutes, with
/// the second factor where one is set up; a personal token is not enough.
#[utoipa::path(post, path = "/api/v1/auth/email/change", tag = "auth", request_body = ChangeBody,
    responses((status = 202, description = "A mail is on its way"), (status = 404, description = "`recovery.no_user`"),
        (status = 403, description = "`http.not_a_user`, `accounts.not_fresh`"), (status = 422, description = "`recovery.invalid`"),
        (status = 429, description = "`recovery.delayed`, `recovery.too_many_mails`"),
        (status = 503, description = "`recovery.store_lost`, `recovery.busy`, `recovery.hashing_busy`"),
        (status = 504, description = "`recovery.deadline`")))]
pub(crate) async fn change(
    State(edge): State<AppState>,
    caller: Caller,
    Own(by): Own,
    Json(body): Json<ChangeBody>,
) -> Result<StatusCode, Problem> {
    caller.require_fresh(FRESH_FOR)?;
    let recovery = edge.handles.accounts.recovery();
    recovery.change(by, body.into()).await?;
    Ok(StatusCode::ACCEPTED)
}
