//! HTTP as a user speaks it: who asks is part of the client, so that a test line says it.
//!
//! Why over `reqwest` and not bare: a reply here remembers what was asked, and its assertions print both.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use crate::{Event, Events, PATIENCE};

/// One that asks: over TCP or the Unix socket, with or without a token.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    who: &'static str,
}

/// A request being put together; nothing is sent before [`Request::send`].
#[derive(Debug)]
#[must_use]
pub struct Request {
    inner: reqwest::RequestBuilder,
    asked: String,
}

/// A complete reply, and what it replies to.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
    asked: String,
}

impl Client {
    pub(crate) fn tcp(address: SocketAddr, who: &'static str) -> Self {
        Self {
            http: build(None),
            base: format!("http://{address}"),
            token: None,
            who,
        }
    }

    pub(crate) fn unix(socket: &Path) -> Self {
        Self {
            http: build(Some(socket)),
            base: "http://localhost".into(),
            token: None,
            who: "the local operator",
        }
    }

    /// The same client with this bearer token.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self.who = "a token's owner";
        self
    }

    /// A request to `path`, which begins with a slash and may have a query.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let asked = format!("{method} {path} as {}", self.who);
        let mut inner = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            inner = inner.bearer_auth(token);
        }
        Request { inner, asked }
    }

    /// Sends a GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path).send().await
    }

    /// Sends a DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        self.request(Method::DELETE, path).send().await
    }

    /// Sends a POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.request(Method::POST, path).json(body).send().await
    }

    /// Sends a PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.request(Method::PATCH, path).json(body).send().await
    }

    /// Opens a stream of server-sent events, after `last_event_id` when one is given.
    ///
    /// # Panics
    ///
    /// When the answer is not a 200 with an event stream.
    pub async fn events(&self, path: &str, last_event_id: Option<&str>) -> Events {
        let mut request = self
            .request(Method::GET, path)
            .header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let Request { inner, asked } = request;
        // The stream lives longer than any deadline of a whole request.
        let sent = inner.timeout(Duration::from_mins(10)).send();
        let response = crate::within(PATIENCE, &asked, sent).await;
        let response = response.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let kind = response.headers().get("content-type").cloned();
        assert!(
            response.status() == 200
                && kind
                    .as_ref()
                    .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")),
            "{asked}: {} {kind:?}, not an event stream",
            response.status()
        );
        Events::new(asked, response.bytes_stream())
    }

    /// Opens a stream of events and reads its first.
    pub async fn first_event(&self, path: &str) -> Event {
        self.events(path, None).await.next(PATIENCE).await
    }
}

impl Request {
    /// Adds a header.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be one.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header name");
        let value: HeaderValue = value.parse().expect("a header value");
        self.inner = self.inner.header(name, value);
        self
    }

    /// The JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.inner = self.inner.json(body);
        self
    }

    /// A body of any bytes, with their content type.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self = self.header("content-type", content_type);
        self.inner = self.inner.body(body.into());
        self
    }

    /// Sends it and reads the whole reply, within 30 s.
    ///
    /// # Panics
    ///
    /// When there is no reply.
    pub async fn send(self) -> Reply {
        let asked = self.asked.clone();
        self.try_send()
            .await
            .unwrap_or_else(|error| panic!("{asked}: {error:?}"))
    }

    /// Sends it and reads no more than status and headers: for an answer that may not end. Of a problem the body is read, too.
    ///
    /// # Panics
    ///
    /// When there is no reply.
    pub async fn begin(self) -> Reply {
        let asked = self.asked;
        let sent = self.inner.timeout(PATIENCE).send().await;
        let response = sent.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = match status {
            400.. => response.bytes().await.map(|body| body.to_vec()),
            _ => Ok(Vec::new()),
        };
        let body = body.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        Reply {
            status,
            headers,
            body,
            asked,
        }
    }

    /// Sends it, where having no reply is an answer too.
    ///
    /// # Errors
    ///
    /// When the connection is refused, breaks, or gives no complete reply within 30 s.
    pub async fn try_send(self) -> Result<Reply, reqwest::Error> {
        let response = self.inner.timeout(PATIENCE).send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.bytes().await?.to_vec();
        Ok(Reply {
            status,
            headers,
            body,
            asked: self.asked,
        })
    }
}

impl Reply {
    /// Asserts the status.
    ///
    /// # Panics
    ///
    /// With what was asked and the reply's body, when it is another.
    #[track_caller]
    #[expect(
        clippy::return_self_not_must_use,
        reason = "an assertion stands for itself"
    )]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: not JSON ({error}): {}", self.asked, self.text()))
    }

    /// The body as text, with what is not UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header, when it is there and readable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Asserts that this is a complete problem document of RFC 9457 with this status, and gives it back.
    ///
    /// # Panics
    ///
    /// When the status, the media type or a member is not as promised.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}: {}",
            self.asked,
            self.text()
        );
        let problem = self.json();
        for member in ["type", "title", "detail", "code", "request_id"] {
            assert!(
                problem
                    .get(member)
                    .and_then(Value::as_str)
                    .is_some_and(|text| !text.is_empty()),
                "{}: no `{member}` in {problem}",
                self.asked
            );
        }
        assert_eq!(problem["status"], status, "{}: {problem}", self.asked);
        assert_eq!(
            problem["request_id"].as_str(),
            self.header("x-request-id"),
            "{}: the request id of body and header are one",
            self.asked
        );
        problem
    }

    /// The JSON pointers of a problem's findings, in order.
    ///
    /// # Panics
    ///
    /// As [`Reply::problem`] does, or when a finding lacks pointer, message or code.
    #[track_caller]
    pub fn pointers(&self, status: u16) -> Vec<String> {
        let problem = self.problem(status);
        let findings = problem["errors"].as_array().cloned().unwrap_or_default();
        let pointer_of = |finding: &Value| {
            for member in ["message", "code"] {
                assert!(finding[member].is_string(), "no `{member}` in {finding}");
            }
            finding["pointer"]
                .as_str()
                .expect("a finding has a pointer")
                .to_owned()
        };
        findings.iter().map(pointer_of).collect()
    }
}

/// A client without a daemon behind it.
pub(crate) fn plain() -> reqwest::Client {
    build(None)
}

fn build(socket: Option<&Path>) -> reqwest::Client {
    static CRYPTO: Once = Once::new();
    // Plain HTTP only, but the client wants a provider all the same; a second one set up by a test is as good.
    CRYPTO.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(PATIENCE);
    if let Some(socket) = socket {
        builder = builder.unix_socket(socket);
    }
    builder.build().expect("a plain HTTP client can be built")
}
