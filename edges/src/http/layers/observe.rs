//! The outermost layer: every request gets an id, a span, an answer in the right form, a count and a line in the log.

use std::any::Any;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use ground::Id;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use tokio::time::Instant;
use tracing::Instrument;

use super::headers::Browser;
use super::trace::TraceContext;
use crate::http::client::{ClientAddress, origin_of};
use crate::http::codes;
use crate::http::listen::{Connection, Peer};
use crate::http::problem::{self, Problem};
use crate::http::routes::RouteId;
use crate::http::state::AppState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a request id from outside at most.
const MAX_ID_CHARS: usize = 128;

/// The id of a request, as the client gave it or made here. A request extension.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub Arc<str>);

impl RequestId {
    /// The id that the client sent, if it is one that can go into a log and a header as it is; else a new one.
    fn of(headers: &HeaderMap, fresh: Id) -> Self {
        let given = headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|text| is_id(text));
        Self(given.map_or_else(|| fresh.to_string().into(), Into::into))
    }
}

fn is_id(text: &str) -> bool {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'=' | b'+')
    };
    (1..=MAX_ID_CHARS).contains(&text.len()) && text.bytes().all(is_plain)
}

/// What is told of a request once it is answered.
struct Told {
    method: Method,
    uri: Uri,
    route: Option<RouteId>,
    peer: Option<Peer>,
    /// The address behind trusted proxies.
    client: Option<IpAddr>,
    started: Instant,
}

/// The layer.
pub(super) async fn observe<F>(
    edge: &AppState,
    mut request: Request,
    next: impl FnOnce(Request) -> F + Send,
) -> Response
where
    F: Future<Output = Response> + Send,
{
    // One id for all that the client does not name itself.
    let fresh = Id::generate();
    let id = RequestId::of(request.headers(), fresh);
    let trace = TraceContext::of(request.headers(), fresh);
    let (client, reached) = origin_of(
        request.extensions().get::<Connection>(),
        request.headers(),
        &edge.limits.proxies,
    );
    let told = Told::of(&request, client);
    let browser = Browser::of(edge, request.headers(), reached.is_secure);
    let span = tracing::info_span!(
        "request",
        request_id = &*id.0,
        trace_id = %trace.trace_hex(),
        caller = tracing::field::Empty
    );
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(trace);
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(reached);
    if let Some(route) = told.route {
        request.extensions_mut().insert(route);
    }
    let running = edge.meters.begin();
    // By reference: it is large, and each wrapper would move it.
    let answer = pin!(next(request));
    let answer = AssertUnwindSafe(answer)
        .catch_unwind()
        .instrument(span.clone())
        .await;
    drop(running);
    let _entered = span.enter();
    let response = answer.unwrap_or_else(|panic| of_panic(&*panic));
    let mut response = problem::render(response, &id.0);
    browser.protect(&mut response);
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    edge.meters
        .record(told.route, response.status(), told.started.elapsed());
    told.log(response.status());
    response
}

impl Told {
    fn of(request: &Request, ClientAddress(client): ClientAddress) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let connection = request.extensions().get::<Connection>();
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: matched.and_then(|path| RouteId::find(request.method(), path.as_str())),
            peer: connection.map(|connection| connection.peer),
            client,
            started: Instant::now(),
        }
    }

    /// One line a request; never the query string, which may carry what should not be kept.
    fn log(&self, status: StatusCode) {
        let (method, path) = (&self.method, self.uri.path());
        let peer = self.peer.map(tracing::field::display);
        let client = self.client.map(tracing::field::display);
        let ms = self.started.elapsed().as_secs_f64() * 1000.0;
        let status = status.as_u16();
        if self.route.is_some_and(|id| id.route().is_probe) {
            tracing::debug!(target: "access", %method, path, status, ms, peer, client, "request");
        } else {
            tracing::info!(target: "access", %method, path, status, ms, peer, client, "request");
        }
    }
}

fn of_panic(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "not a text".to_owned());
    tracing::error!(panic = text, "a handler panicked");
    let detail = "something went wrong on the server; the log has it under this request id";
    Problem::new(&codes::INTERNAL, detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_from_outside_are_taken_only_when_harmless() {
        let id = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(text));
            RequestId::of(&headers, Id::generate()).0
        };
        assert_eq!(&*id("trace-1_2.3"), "trace-1_2.3");
        for bad in ["", "two words", "a\"b", "a\tb"] {
            assert_eq!(id(bad).len(), 36, "{bad:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            REQUEST_ID,
            HeaderValue::from_str(&"x".repeat(129)).expect("ascii"),
        );
        assert_eq!(RequestId::of(&headers, Id::generate()).0.len(), 36);
    }
}
