//! The endpoints of OpenID Connect.

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::state::{Fault, Pairs, check_client};
use super::{Shared, lock};

/// Bytes of an answer that is too large for anybody.
const HUGE: usize = 64 << 20;

pub(super) async fn discovery(State(shared): State<Shared>) -> Response {
    let mut state = lock(&shared);
    state.note("/.well-known/openid-configuration");
    match state.fault {
        Some(Fault::Broken) => broken(),
        _ => Json(state.discovery()).into_response(),
    }
}

pub(super) async fn keys(State(shared): State<Shared>) -> Response {
    let mut state = lock(&shared);
    state.note("/keys");
    match state.fault {
        Some(Fault::Broken) => broken(),
        _ => Json(state.published()).into_response(),
    }
}

/// The person agrees at once.
pub(super) async fn authorize(
    State(shared): State<Shared>,
    Query(asked): Query<Pairs>,
) -> Response {
    match lock(&shared).authorize(&asked) {
        Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
        Err(wrong) => (StatusCode::BAD_REQUEST, wrong).into_response(),
    }
}

pub(super) async fn token(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: String,
) -> Response {
    lock(&shared).note("/token");
    if let Some(answer) = faulty(&shared).await {
        return answer;
    }
    let form = pairs(&body);
    let header = headers.get(header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    let mut state = lock(&shared);
    let in_body = state.wants_secret_in_body;
    let redeemed = check_client(header, &form, in_body).and_then(|()| state.redeem(&form));
    match redeemed {
        Ok((person, nonce)) => {
            let access = state.access_token(&person);
            let id_token = state.id_token(&person, nonce.as_deref(), &access);
            let answer = json!({ "access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": id_token });
            Json(answer).into_response()
        }
        Err("invalid_client") => refused(StatusCode::UNAUTHORIZED, "invalid_client"),
        Err(error) => refused(StatusCode::BAD_REQUEST, error),
    }
}

/// The answer of an issuer that has a fault of the rough sort.
pub(super) async fn faulty(shared: &Shared) -> Option<Response> {
    let fault = lock(shared).fault;
    match fault {
        Some(Fault::Slow) => std::future::pending().await,
        Some(Fault::Broken) => Some(broken()),
        Some(Fault::Garbage) => Some("<html>under construction</html>".into_response()),
        Some(Fault::Huge) => {
            let piece = || Ok::<_, std::io::Error>(vec![b' '; 1 << 16]);
            let pieces = std::iter::repeat_with(piece).take(HUGE >> 16);
            Some(Body::from_stream(futures::stream::iter(pieces)).into_response())
        }
        _ => None,
    }
}

pub(super) fn broken() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "something broke").into_response()
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

/// The pairs of a form.
pub(super) fn pairs(body: &str) -> Pairs {
    let url = reqwest::Url::parse(&format!("http://x/?{body}")).expect("a form");
    url.query_pairs().into_owned().collect()
}
