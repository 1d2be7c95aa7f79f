//! Second factors of the caller: an authenticator app and recovery codes. Secrets are in one answer only, that of their making.

use accounts::{By, Enrolment, FactorOverview};
use axum::Json as Answer;
use axum::extract::{FromRequestParts, State};
use ground::Secret;
use http::request::Parts;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use supervisor::Finding;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::caller::Caller;
use crate::http::concern::Concern;
use crate::http::input::Json;
use crate::http::problem::Problem;
use crate::http::routes::{Needs, READ, route};
use crate::http::source::CameFrom;
use crate::http::state::AppState;

/// This concern: routes, what a caller needs for each, and what the errors mean.
pub(in crate::http) const CONCERN: Concern = Concern {
    routes,
    // Whether the caller signed in in person, and lately, is the domain's to ask: no scope stands for that.
    table: &[
        route(Method::GET, "/api/v1/auth/factors", READ),
        route(Method::POST, "/api/v1/auth/totp/enroll", Needs::SignedIn),
        route(Method::POST, "/api/v1/auth/totp/confirm", Needs::SignedIn),
        route(Method::POST, "/api/v1/auth/totp/disable", Needs::SignedIn),
        route(Method::POST, "/api/v1/auth/recovery-codes", Needs::SignedIn),
    ],
    codes: &[
        (
            "factors.already_set_up",
            409,
            "An authenticator app is set up already; disable it before setting up another one.",
        ),
        (
            "factors.busy",
            503,
            "Too many requests about second factors are under way; try again after `Retry-After` seconds.",
        ),
        (
            "factors.deadline",
            504,
            "The database did not answer in time; look whether the change was made before repeating it.",
        ),
        (
            "factors.internal",
            500,
            "A fault of the server; the log has it under the request id.",
        ),
        (
            "factors.invalid",
            422,
            "The code is wrong or was used before; `errors` tells which.",
        ),
        (
            "factors.limited",
            429,
            "Too many wrong codes; wait for `Retry-After` seconds, or use a recovery code, which is looked at even now.",
        ),
        (
            "factors.no_master_key",
            503,
            "The server lacks the key that the secrets of authenticator apps are sealed with; a recovery code works, and the status tells operators what to do.",
        ),
        (
            "factors.no_user",
            404,
            "The account does not exist any more.",
        ),
        (
            "factors.not_fresh",
            403,
            "This needs a sign-in in person, for setting up an app within the last ten minutes; a personal token is not enough.",
        ),
        ("factors.not_set_up", 409, "No authenticator app is set up."),
        (
            "factors.nothing_pending",
            409,
            "No authenticator app waits for its first code, or it waited for more than half an hour; begin again.",
        ),
        (
            "factors.required",
            401,
            "The account has a second factor: send a code of the authenticator app, or a recovery code.",
        ),
        (
            "factors.store_lost",
            503,
            "The database is away, so second factors can be neither checked nor changed.",
        ),
        (
            "factors.wrong",
            401,
            "The code is wrong, of another time, or was used before.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(overview))
        .routes(routes!(enroll))
        .routes(routes!(confirm))
        .routes(routes!(disable))
        .routes(routes!(renew))
}

/// The caller as the user whose own factors these are.
#[derive(Debug)]
pub(crate) struct Own(pub(super) By);

impl<S: Send + Sync> FromRequestParts<S> for Own {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let CameFrom(source) = CameFrom::from_request_parts(parts, state).await?;
        Ok(Self(By {
            user: caller.user_or_refuse()?,
            credential: caller.credential(),
            signed_in_at: caller.signed_in_at(),
            source,
        }))
    }
}

/// The first code of an app.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TotpCode)]
pub(crate) struct CodeBody {
    /// What the app shows: six digits.
    #[schema(value_type = String, min_length = 6, max_length = 64)]
    totp_code: Secret,
}

/// A proof that the caller has the factor: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FactorProof)]
pub(crate) struct ProofBody {
    /// What the app shows: six digits.
    #[schema(value_type = Option<String>, min_length = 6, max_length = 64)]
    totp_code: Option<Secret>,
    /// A recovery code that was not used yet.
    #[schema(value_type = Option<String>, min_length = 24, max_length = 64)]
    recovery_code: Option<Secret>,
}

impl ProofBody {
    /// The one that was given.
    fn proof(self) -> Result<Secret, Problem> {
        match (self.totp_code, self.recovery_code) {
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => Err(not_one(
                "missing",
                "expected `totp_code` or `recovery_code`",
            )),
            (Some(_), Some(_)) => Err(not_one(
                "too_many",
                "expected one of `totp_code` and `recovery_code`, found both",
            )),
        }
    }
}

fn not_one(code: &str, message: &str) -> Problem {
    Problem::invalid(vec![Finding::new("/totp_code", code, message)])
}

/// What an authenticator app has to be given.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TotpEnrolment)]
pub(crate) struct EnrolmentAnswer {
    /// The secret in base32, to type in; shown this once.
    secret: String,
    /// The same as a URI, to show as a QR code.
    otpauth_uri: String,
}

impl From<Enrolment> for EnrolmentAnswer {
    fn from(made: Enrolment) -> Self {
        Self {
            secret: made.secret.expose().to_owned(),
            otpauth_uri: made.otpauth_uri.expose().to_owned(),
        }
    }
}

/// Recovery codes that were just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryCodes)]
pub(crate) struct CodesAnswer {
    /// Each is good for one sign-in without the app; shown this once.
    recovery_codes: Vec<String>,
}

impl From<Vec<Secret>> for CodesAnswer {
    fn from(codes: Vec<Secret>) -> Self {
        let shown = |code: &Secret| code.expose().to_owned();
        Self {
            recovery_codes: codes.iter().map(shown).collect(),
        }
    }
}

/// What the caller has set up.
#[derive(Debug, ToSchema)]
#[schema(as = Factors)]
#[expect(
    dead_code,
    reason = "describes what `accounts::FactorOverview` serialises"
)]
pub(crate) struct FactorsSchema {
    /// The authenticator app.
    #[schema(required)]
    totp: Option<TotpSchema>,
    /// How many recovery codes were not used yet.
    #[schema(minimum = 0)]
    recovery_codes_left: u32,
    /// How many passkeys there are; each is a second factor by itself, and asks for none besides.
    #[schema(minimum = 0)]
    passkeys: u32,
}

/// An authenticator app.
#[derive(Debug, ToSchema)]
#[schema(as = Totp)]
#[expect(dead_code, reason = "describes what `accounts::TotpState` serialises")]
pub(crate) struct TotpSchema {
    /// When it was begun to be set up.
    #[schema(format = DateTime)]
    created_at: String,
    /// Since when its codes are asked for; null: its first code was not shown yet, so that it protects nothing.
    #[schema(required, format = DateTime)]
    confirmed_at: Option<String>,
}

/// Show the own second factors
#[utoipa::path(get, path = "/api/v1/auth/factors", tag = "auth",
    responses((status = 200, body = FactorsSchema),
        (status = 403, description = "`http.not_a_user`"),
        (status = 503, description = "`factors.store_lost`, `factors.busy`"),
        (status = 504, description = "`factors.deadline`")))]
pub(crate) async fn overview(
    State(edge): State<AppState>,
    Own(by): Own,
) -> Result<Answer<FactorOverview>, Problem> {
    let factors = edge.handles.accounts.factors();
    Ok(Answer(factors.overview(by.user).await?))
}

/// Begin to set an authenticator app up
///
/// It protects nothing until its first code is shown; beginning anew forgets what was begun. Needs a sign-in in person within the last ten minutes.
#[utoipa::path(post, path = "/api/v1/auth/totp/enroll", tag = "auth",
    responses((status = 200, body = EnrolmentAnswer),
        (status = 403, description = "`http.not_a_user`, `factors.not_fresh`"),
        (status = 404, description = "`factors.no_user`"),
        (status = 409, description = "`factors.already_set_up`"),
        (status = 503, description = "`factors.store_lost`, `factors.busy`, `factors.no_master_key`"),
        (status = 504, description = "`factors.deadline`")))]
pub(crate) async fn enroll(
    State(edge): State<AppState>,
    Own(by): Own,
) -> Result<Answer<EnrolmentAnswer>, Problem> {
    let made = edge.handles.accounts.factors().enroll(by).await?;
    Ok(Answer(made.into()))
}

/// Show the app's first code
///
/// From then on a code is asked for at every sign-in. The answer is the only place where the recovery codes are shown.
#[utoipa::path(post, path = "/api/v1/auth/totp/confirm", tag = "auth", request_body = CodeBody,
    responses((status = 200, body = CodesAnswer),
        (status = 403, description = "`http.not_a_user`, `factors.not_fresh`"),
        (status = 409, description = "`factors.already_set_up`, `factors.nothing_pending`"),
        (status = 422, description = "`factors.invalid`"),
        (status = 429, description = "`factors.limited`"),
        (status = 503, description = "`factors.store_lost`, `factors.busy`, `factors.no_master_key`"),
        (status = 504, description = "`factors.deadline`")))]
pub(crate) async fn confirm(
    State(edge): State<AppState>,
    Own(by): Own,
    Json(body): Json<CodeBody>,
) -> Result<Answer<CodesAnswer>, Problem> {
    let factors = edge.handles.accounts.factors();
    Ok(Answer(factors.confirm(by, body.totp_code).await?.into()))
}

/// Take the authenticator app away
///
/// With it go the recovery codes. Asks for a code of either.
#[utoipa::path(post, path = "/api/v1/auth/totp/disable", tag = "auth", request_body = ProofBody,
    responses((status = 204, description = "No second factor is asked for any more"),
        (status = 403, description = "`http.not_a_user`, `factors.not_fresh`"),
        (status = 409, description = "`factors.not_set_up`"),
        (status = 422, description = "`factors.invalid`"),
        (status = 429, description = "`factors.limited`"),
        (status = 503, description = "`factors.store_lost`, `factors.busy`, `factors.no_master_key`"),
        (status = 504, description = "`factors.deadline`")))]
pub(crate) async fn disable(
    State(edge): State<AppState>,
    Own(by): Own,
    Json(body): Json<ProofBody>,
) -> Result<StatusCode, Problem> {
    let factors = edge.handles.accounts.factors();
    factors.disable(by, body.proof()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make new recovery codes
///
/// The old ones are dead. The answer is the only place where the new ones are shown. Asks for a code of the app, or an old recovery code.
#[utoipa::path(post, path = "/api/v1/auth/recovery-codes", tag = "auth", request_body = ProofBody,
    responses((status = 200, body = CodesAnswer),
        (status = 403, description = "`http.not_a_user`, `factors.not_fresh`"),
        (status = 409, description = "`factors.not_set_up`"),
        (status = 422, description = "`factors.invalid`"),
        (status = 429, description = "`factors.limited`"),
        (status = 503, description = "`factors.store_lost`, `factors.busy`, `factors.no_master_key`"),
        (status = 504, description = "`factors.deadline`")))]
pub(crate) async fn renew(
    State(edge): State<AppState>,
    Own(by): Own,
    Json(body): Json<ProofBody>,
) -> Result<Answer<CodesAnswer>, Problem> {
    let factors = edge.handles.accounts.factors();
    Ok(Answer(factors.renew(by, body.proof()?).await?.into()))
}
