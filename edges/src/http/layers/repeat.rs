//! Requests that carry an `Idempotency-Key`, on the routes that create something.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use tracing::{Instrument, Span};

use crate::http::caller::Caller;
use crate::http::codes;
use crate::http::input::whole_body;
use crate::http::lasting::Lasting;
use crate::http::problem::Problem;
use crate::http::repeats::RepeatKey;
use crate::http::routes::RouteId;
use crate::http::state::AppState;

/// The header.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Characters of a key at most.
const MAX_KEY_CHARS: usize = 255;

/// The layer.
pub(super) async fn repeat(edge: &AppState, request: Request, next: Next) -> Response {
    match key_of(&request) {
        Ok(None) => next.run(request).await,
        // On the heap: few requests have a key, and every one would carry the room for it.
        Ok(Some(key)) => Box::pin(once(edge, key, request, next))
            .await
            .unwrap_or_else(IntoResponse::into_response),
        Err(problem) => problem.into_response(),
    }
}

/// The key of a request that creates something and has one.
fn key_of(request: &Request) -> Result<Option<RepeatKey>, Problem> {
    let route = request
        .extensions()
        .get::<RouteId>()
        .filter(|id| id.route().creates);
    let (Some(route), Some(caller)) = (route, request.extensions().get::<Caller>()) else {
        return Ok(None);
    };
    let key = header(request.headers())?;
    Ok(key.map(|key| RepeatKey {
        // A key outlives the session in which it was first sent.
        caller: match caller.user() {
            Some(user) => format!("user:{user}"),
            None => caller.to_string(),
        },
        route: *route,
        path: request.uri().path().to_owned(),
        key,
    }))
}

fn header(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (first, second) = (given.next(), given.next());
    let Some(first) = first else { return Ok(None) };
    let is_plain = |key: &&str| {
        (1..=MAX_KEY_CHARS).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match first.to_str().ok().filter(is_plain) {
        Some(key) if second.is_none() => Ok(Some(key.to_owned())),
        _ => {
            let detail = format!(
                "send one Idempotency-Key of 1 to {MAX_KEY_CHARS} visible ASCII characters"
            );
            Err(Problem::new(&codes::BAD_KEY, detail))
        }
    }
}

async fn once(
    edge: &AppState,
    key: RepeatKey,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = whole_body(&parts.headers, body, &edge.limits).await?;
    let request = Request::from_parts(parts, Body::from(bytes.clone()));
    let fingerprint: [u8; 32] = Sha256::digest(&bytes).into();
    let lasting = Lasting {
        keys: edge.handles.idempotency.clone(),
        key: key.clone(),
        fingerprint,
        deadline: supervisor::ambient_deadline(),
    };
    let run = async move { lasting.run(next.run(request)).await };
    edge.repeats
        .once(key, fingerprint, run.instrument(Span::current()))
        .await
}
