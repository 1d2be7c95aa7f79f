//! Signing in by an outside issuer, and the identities of the caller.
//!
//! A browser begins here, goes to the issuer, and comes back to `…/callback` with a code in the query. That address stands in the
//! history of the browser and in the logs of proxies, so the callback does nothing but send the browser on, at once, to a page of ours
//! with the same in the *fragment*, which no server ever sees (our own log leaves every query out). The page then posts it to
//! `…/finish`, together with what `…/begin` gave to this browser alone: in a cookie that no script can read, or in the body for
//! clients that are no browsers. A code that somebody read on the way is worth nothing without that.

use accounts::{Begin, Begun, By, FederationError, Finish, Finished, IdentityInfo, IssuerInfo};
use axum::Json as Answer;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use ground::audit::Source;
use ground::{Micros, Secret};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use supervisor::Finding;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cookies::{Holds, Jar};
use super::delivery::{CookieQuery, Delivery, TokensBody};
use super::factors::Own;
use super::left::Left;
use crate::http::caller::OwnPage;
use crate::http::concern::Concern;
use crate::http::input::Json;
use crate::http::problem::Problem;
use crate::http::routes::{Needs, READ, route};
use crate::http::source::CameFrom;
use crate::http::state::AppState;

/// Bytes of what an issuer sends back that are carried on.
const MAX_QUERY: usize = 8 * 1024;
/// What of it is carried on.
const CARRIED: [&str; 4] = ["code", "state", "iss", "error"];

/// This concern: routes, what a caller needs for each, and what the errors mean.
pub(in crate::http) const CONCERN: Concern = Concern {
    routes,
    table: &[
        route(Method::GET, "/api/v1/auth/issuers", Needs::Nothing),
        route(
            Method::POST,
            "/api/v1/auth/issuers/{name}/begin",
            Needs::Nothing,
        )
        .auth(),
        route(
            Method::GET,
            "/api/v1/auth/issuers/{name}/callback",
            Needs::Nothing,
        ),
        route(
            Method::POST,
            "/api/v1/auth/issuers/{name}/finish",
            Needs::Nothing,
        )
        .auth(),
        route(
            Method::POST,
            "/api/v1/auth/issuers/{name}/link/begin",
            Needs::SignedIn,
        ),
        route(Method::GET, "/api/v1/auth/identities", READ),
        route(
            Method::DELETE,
            "/api/v1/auth/identities/{issuer}",
            Needs::SignedIn,
        ),
    ],
    codes: &[
        (
            "accounts.code_refused",
            403,
            "The issuer does not take the code: it was used before, or is not from this attempt; begin again.",
        ),
        (
            "accounts.flow_not_found",
            403,
            "No such attempt to sign in is under way, or it took more than ten minutes, or somebody else began it; begin again.",
        ),
        (
            "accounts.has_other_identity",
            409,
            "Another identity of this issuer is linked to the account; unlink that first.",
        ),
        (
            "accounts.id_token_refused",
            403,
            "What the issuer said cannot be believed; the audit tells why. Begin again.",
        ),
        (
            "accounts.identity_not_found",
            404,
            "The account has no identity of this issuer; `GET /api/v1/auth/identities` shows those it has.",
        ),
        (
            "accounts.identity_not_fresh",
            403,
            "This needs a sign-in in person within the last ten minutes; sign in again and repeat it. A personal token is not enough.",
        ),
        (
            "accounts.identity_taken",
            409,
            "The identity is linked to another account.",
        ),
        (
            "accounts.identity_unknown",
            403,
            "Nobody here has this identity; sign in another way and link it, or ask an administrator.",
        ),
        (
            "accounts.issuer_denied",
            403,
            "The issuer said no, most often because the person did; begin again.",
        ),
        (
            "accounts.issuer_garbage",
            502,
            "The issuer gave an answer that makes no sense; the log has it under the request id.",
        ),
        (
            "accounts.issuer_mixed_up",
            403,
            "The answer is not from the issuer that was asked; begin again.",
        ),
        (
            "accounts.issuer_not_found",
            404,
            "No issuer of this name is configured; `GET /api/v1/auth/issuers` shows those that are.",
        ),
        (
            "accounts.issuer_refuses_us",
            502,
            "The issuer does not take this server's credentials; `accounts.issuers` has to be mended.",
        ),
        (
            "accounts.issuer_unreachable",
            503,
            "The issuer cannot be reached; try again after `Retry-After` seconds, or sign in another way.",
        ),
        (
            "accounts.last_way_in",
            409,
            "This is the only way into the account; set a password, add a passkey or link another identity first.",
        ),
        (
            "accounts.link_first",
            403,
            "The address belongs to an account here; sign in to that another way and link the identity there.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(issuers))
        .routes(routes!(begin))
        .routes(routes!(callback))
        .routes(routes!(finish))
        .routes(routes!(begin_link))
        .routes(routes!(identities))
        .routes(routes!(unlink))
}

/// The issuers by which people may sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuerList {
    /// By name.
    #[schema(value_type = Vec<IssuerSchema>)]
    items: Vec<IssuerInfo>,
}

/// An issuer by which people may sign in.
#[derive(Debug, ToSchema)]
#[schema(as = Issuer)]
#[expect(dead_code, reason = "describes what `accounts::IssuerInfo` serialises")]
pub(crate) struct IssuerSchema {
    /// What it is called in paths.
    name: String,
    /// What people read.
    title: String,
    /// `oidc`, `google` or `github`.
    kind: String,
}

/// A wish to be vouched for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BeginFederation)]
pub(crate) struct BeginBody {
    /// Where to go afterwards: a path of this server. It comes back with the end.
    #[schema(max_length = 512)]
    return_to: Option<String>,
    /// With `true` the secret of the attempt goes into a cookie (`__Host-mainstay-flow`; without the prefix when the server speaks plain
    /// HTTP on loopback) and not into the answer. For browsers.
    cookie: Option<bool>,
}

/// An attempt that has begun.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FederationFlow)]
pub(crate) struct BegunBody {
    /// Where to send the person.
    authorization_url: String,
    /// What has to be shown again at the end, and to nobody else; left out when it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    /// For how many seconds the attempt may be ended.
    #[schema(minimum = 0)]
    expires_in: u64,
}

/// What came back from the issuer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FinishFederation)]
pub(crate) struct FinishBody {
    /// The code, unless there is an error.
    #[schema(value_type = Option<String>, max_length = 4096)]
    code: Option<Secret>,
    /// The state.
    #[schema(value_type = String, max_length = 4096)]
    state: Secret,
    /// Who the answer says that it is from.
    #[schema(max_length = 2000)]
    iss: Option<String>,
    /// The error instead of a code.
    #[schema(max_length = 2000)]
    error: Option<String>,
    /// The secret of the attempt, unless it is in the cookie.
    #[schema(value_type = Option<String>, max_length = 4096)]
    flow: Option<Secret>,
    /// The second factor, where the account has one. What was refused without it may be sent again with it.
    #[schema(value_type = Option<String>, max_length = 64)]
    totp_code: Option<Secret>,
}

/// An attempt that ended well: somebody signed in, or an identity was linked.
#[derive(Serialize, ToSchema)]
#[schema(as = FinishedFederation)]
pub(crate) struct FinishedBody {
    /// What requests are sent with, when somebody signed in; left out when it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// What the next pair is got with, once; left out when it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// `Bearer`, or `Cookie`, when somebody signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// How many seconds the access token is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    expires_in: Option<u64>,
    /// Whether an identity was linked to the account that began, and nobody signed in.
    is_linked: bool,
    /// Whether the account was made just now.
    is_new: bool,
    /// Where the person wanted to go.
    #[schema(required)]
    return_to: Option<String>,
}

/// The identities of the caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IdentityList {
    /// By issuer, at most one each.
    #[schema(value_type = Vec<IdentitySchema>)]
    items: Vec<IdentityInfo>,
}

/// An identity of the caller.
#[derive(Debug, ToSchema)]
#[schema(as = Identity)]
#[expect(
    dead_code,
    reason = "describes what `accounts::IdentityInfo` serialises"
)]
pub(crate) struct IdentitySchema {
    /// The name of the issuer when it was last used.
    issuer: String,
    /// The address of the issuer.
    issuer_url: String,
    /// The address that the issuer gave when it was linked.
    #[schema(required)]
    email: Option<String>,
    /// When it was linked.
    #[schema(value_type = String, format = DateTime)]
    created_at: Micros,
    /// When somebody last signed in with it.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_used_at: Option<Micros>,
}

impl BeginBody {
    fn begin(self, issuer: String, link_to: Option<By>, source: Source) -> (Begin, bool) {
        let begin = Begin {
            issuer,
            return_to: self.return_to,
            link_to,
            source,
        };
        (begin, self.cookie.unwrap_or(false))
    }
}

impl BegunBody {
    /// The answer that hands the secret out: to scripts, or to the browser alone.
    fn of(begun: Begun, in_cookie: bool, jar: Jar) -> (HeaderMap, Answer<Self>) {
        let mut headers = no_store();
        let cookie = jar.set(Holds::Flow, begun.flow.expose());
        if let Some(cookie) = cookie.filter(|_| in_cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
        let body = Self {
            authorization_url: begun.authorization_url,
            flow: (!in_cookie).then(|| begun.flow.expose().to_owned()),
            expires_in: begun.expires_in.as_secs(),
        };
        (headers, Answer(body))
    }
}

/// What a request to finish is made of besides its body.
#[derive(Debug)]
pub(crate) struct Back {
    issuer: String,
    source: Source,
    cookie: Option<Secret>,
    page: OwnPage,
}

impl FromRequestParts<AppState> for Back {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &AppState) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, edge).await;
        let Path(issuer) = name.map_err(|_| unknown_name())?;
        let CameFrom(source) = CameFrom::from_request_parts(parts, edge).await?;
        let cookie = edge
            .jar(parts)
            .read(&parts.headers, Holds::Flow)
            .map(Secret::from);
        Ok(Self {
            issuer,
            source,
            cookie,
            page: OwnPage::from_request_parts(parts, edge).await?,
        })
    }
}

impl FinishBody {
    /// With the secret in the body, else the one in the cookie if the page is one of ours.
    fn finish(self, back: Back) -> Result<Finish, Problem> {
        let flow = match (self.flow, back.cookie) {
            (Some(flow), _) => flow,
            (None, Some(cookie)) => {
                back.page.required()?;
                cookie
            }
            (None, None) => {
                let message = "expected the secret of the attempt, here or in its cookie";
                let finding = Finding::new("/flow", "missing", message);
                return Err(Problem::invalid(vec![finding]));
            }
        };
        Ok(Finish {
            issuer: back.issuer,
            flow,
            state: self.state,
            code: self.code,
            error: self.error,
            iss: self.iss,
            totp_code: self.totp_code,
            source: back.source,
        })
    }
}

impl FinishedBody {
    fn of(finished: Finished, delivery: Delivery) -> (HeaderMap, Answer<Self>) {
        let (mut headers, body) = match finished {
            Finished::SignedIn {
                tokens,
                is_new,
                return_to,
            } => {
                let (headers, Answer(tokens)) = delivery.of(&tokens);
                (headers, Self::signed_in(tokens, is_new, return_to))
            }
            Finished::Linked { return_to } => (no_store(), Self::linked(return_to)),
        };
        if let Some(cookie) = delivery.jar.clear(Holds::Flow) {
            headers.append(header::SET_COOKIE, cookie);
        }
        (headers, Answer(body))
    }

    fn linked(return_to: Option<String>) -> Self {
        Self {
            access_token: None,
            refresh_token: None,
            token_type: None,
            expires_in: None,
            is_linked: true,
            is_new: false,
            return_to,
        }
    }

    fn signed_in(tokens: TokensBody, is_new: bool, return_to: Option<String>) -> Self {
        Self {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            token_type: Some(tokens.token_type),
            expires_in: Some(tokens.expires_in),
            is_linked: false,
            is_new,
            return_to,
        }
    }
}

fn no_store() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    headers
}

/// No issuer can have such a name.
fn unknown_name() -> Problem {
    FederationError::NoIssuer.into()
}

/// Where a browser that came back is sent on to: always a page of ours, with what came in the fragment.
fn sent_on(name: &str, query: &str) -> Result<HeaderMap, Problem> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > 32 || !name.bytes().all(is_name) {
        return Err(unknown_name());
    }
    // Taken over as it is written: percent signs, and no character that ends a fragment or a header.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%+:/".contains(&byte);
    let carried = query.split('&').filter(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        CARRIED.contains(&key) && value.bytes().all(is_plain)
    });
    let carried: Vec<&str> = carried.collect();
    let target = format!("/#/sign-in/{name}?{}", carried.join("&"));
    let mut headers = no_store();
    let too_long = || {
        let message = format!("expected at most {MAX_QUERY} bytes");
        Problem::invalid(vec![Finding::new("/code", "too_long", message)])
    };
    let mut target = HeaderValue::try_from(target)
        .ok()
        .filter(|target| target.len() <= MAX_QUERY)
        .ok_or_else(too_long)?;
    target.set_sensitive(true);
    headers.insert(header::LOCATION, target);
    let no_referrer = HeaderValue::from_static("no-referrer");
    headers.insert(header::REFERRER_POLICY, no_referrer);
    Ok(headers)
}

/// List the issuers
///
/// By whom one may be vouched for. Asks nobody outside.
#[utoipa::path(get, path = "/api/v1/auth/issuers", tag = "auth", responses((status = 200, body = IssuerList)))]
pub(crate) async fn issuers(State(edge): State<AppState>) -> Result<Answer<IssuerList>, Problem> {
    let items = edge.handles.accounts.federation().issuers().await?;
    Ok(Answer(IssuerList { items }))
}

/// Begin to sign in by an issuer
///
/// Send the person to `authorization_url`, and keep `flow` (or let the browser keep it in a cookie).
#[utoipa::path(post, path = "/api/v1/auth/issuers/{name}/begin", tag = "auth", params(("name" = String, Path)),
    request_body = BeginBody,
    responses((status = 200, body = BegunBody), (status = 404, description = "`accounts.issuer_not_found`"),
        (status = 422, description = "`accounts.invalid`"), (status = 502, description = "`accounts.issuer_garbage`"),
        (status = 503, description = "`accounts.issuer_unreachable`, `dependency.open`"),
        (status = 504, description = "`dependency.timeout`")))]
pub(crate) async fn begin(
    State(edge): State<AppState>,
    CameFrom(source): CameFrom,
    jar: Jar,
    Path(name): Path<String>,
    Json(body): Json<BeginBody>,
) -> Result<(HeaderMap, Answer<BegunBody>), Problem> {
    let (attempt, in_cookie) = body.begin(name, None, source);
    let begun = edge.handles.accounts.federation().begin(attempt).await?;
    Ok(BegunBody::of(begun, in_cookie, jar))
}

/// Come back from an issuer
///
/// The address that is registered there. It sends the browser on to `/#/sign-in/{name}?code=…&state=…&iss=…`: in the fragment, so that
/// the code is in no further log and in no `Referer`.
#[utoipa::path(get, path = "/api/v1/auth/issuers/{name}/callback", tag = "auth", params(("name" = String, Path)),
    responses((status = 303, description = "To the page that ends the attempt", headers(("Location" = String)))))]
pub(crate) async fn callback(
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let headers = sent_on(&name, &query.unwrap_or_default())?;
    Ok((StatusCode::SEE_OTHER, headers))
}

/// End an attempt at an issuer
///
/// With what came back from there, and the secret of its beginning. It signs in, makes an account (where the issuer may), or links.
#[utoipa::path(post, path = "/api/v1/auth/issuers/{name}/finish", tag = "auth",
    params(("name" = String, Path), CookieQuery), request_body = FinishBody,
    responses((status = 200, body = FinishedBody), (status = 401, description = "The second factor is missing or wrong"),
        (status = 403, description = "`accounts.flow_not_found`, `accounts.issuer_mixed_up`, `accounts.issuer_denied`, `accounts.code_refused`, `accounts.id_token_refused`, `accounts.identity_unknown`, `accounts.link_first`"),
        (status = 404, description = "`accounts.issuer_not_found`"),
        (status = 409, description = "`accounts.identity_taken`, `accounts.has_other_identity`"),
        (status = 422, description = "`accounts.invalid`"),
        (status = 502, description = "`accounts.issuer_garbage`, `accounts.issuer_refuses_us`"),
        (status = 503, description = "`accounts.issuer_unreachable`, `dependency.open`, `accounts.store_lost`"),
        (status = 504, description = "`dependency.timeout`")))]
pub(crate) async fn finish(
    State(edge): State<AppState>,
    (back, left): (Back, Left),
    delivery: Delivery,
    Json(body): Json<FinishBody>,
) -> Result<(HeaderMap, Answer<FinishedBody>), Problem> {
    let finish = body.finish(back)?;
    let finished = edge.handles.accounts.federation().finish(finish).await?;
    if let Finished::SignedIn { .. } = &finished {
        left.end(&edge).await;
    }
    Ok(FinishedBody::of(finished, delivery))
}

/// Begin to link an identity
///
/// To the account of the caller, who has to have signed in within ten minutes. It ends as a sign-in does.
#[utoipa::path(post, path = "/api/v1/auth/issuers/{name}/link/begin", tag = "auth", params(("name" = String, Path)),
    request_body = BeginBody,
    responses((status = 200, body = BegunBody), (status = 403, description = "`accounts.identity_not_fresh`, `http.not_a_user`"),
        (status = 404, description = "`accounts.issuer_not_found`"),
        (status = 503, description = "`accounts.issuer_unreachable`, `dependency.open`")))]
pub(crate) async fn begin_link(
    State(edge): State<AppState>,
    Own(by): Own,
    jar: Jar,
    Path(name): Path<String>,
    Json(body): Json<BeginBody>,
) -> Result<(HeaderMap, Answer<BegunBody>), Problem> {
    let source = by.source.clone();
    let (attempt, in_cookie) = body.begin(name, Some(by), source);
    let begun = edge.handles.accounts.federation().begin(attempt).await?;
    Ok(BegunBody::of(begun, in_cookie, jar))
}

/// List one's identities
#[utoipa::path(get, path = "/api/v1/auth/identities", tag = "auth",
    responses((status = 200, body = IdentityList), (status = 403, description = "`http.not_a_user`")))]
pub(crate) async fn identities(
    State(edge): State<AppState>,
    Own(by): Own,
) -> Result<Answer<IdentityList>, Problem> {
    let federation = edge.handles.accounts.federation();
    let items = federation.identities(by.user).await?;
    Ok(Answer(IdentityList { items }))
}

/// Unlink an identity
///
/// By the name of its issuer. The caller has to have signed in within ten minutes, and to have another way in.
#[utoipa::path(delete, path = "/api/v1/auth/identities/{issuer}", tag = "auth", params(("issuer" = String, Path)),
    responses((status = 204, description = "It is unlinked"), (status = 403, description = "`accounts.identity_not_fresh`, `http.not_a_user`"),
        (status = 404, description = "`accounts.identity_not_found`"),
        (status = 409, description = "`accounts.last_way_in`")))]
pub(crate) async fn unlink(
    State(edge): State<AppState>,
    Own(by): Own,
    Path(issuer): Path<String>,
) -> Result<StatusCode, Problem> {
    edge.handles
        .accounts
        .federation()
        .unlink(by, issuer)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(query: &str) -> String {
        let headers = sent_on("google", query).expect("a way on");
        let location = headers.get(header::LOCATION).expect("a place");
        location.to_str().expect("plain").to_owned()
    }

    #[test]
    fn what_came_back_goes_into_the_fragment_and_nothing_else_does() {
        assert_eq!(
            location(
                "state=s-1&code=4%2F0Ab&scope=openid&authuser=0&iss=https://accounts.google.com"
            ),
            "/#/sign-in/google?state=s-1&code=4%2F0Ab&iss=https://accounts.google.com"
        );
        assert_eq!(location(""), "/#/sign-in/google?");
        assert_eq!(
            location("code=a#b&state=\"><script>&return_to=//evil"),
            "/#/sign-in/google?"
        );
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        for wrong in ["", "a/b", "..", "A", "é", &"x".repeat(33)] {
            assert!(sent_on(wrong, "code=x").is_err(), "{wrong}");
        }
        assert!(sent_on("google", &format!("code={}", "x".repeat(MAX_QUERY))).is_err());
    }
}
