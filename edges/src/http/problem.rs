//! The one place that turns a fault into an HTTP answer (RFC 9457, `application/problem+json`).
//!
//! Handlers and extractors return [`Problem`]; it travels as a response extension and is written out by [`render`] in
//! the outermost layer, because only that layer knows the request id. What a user reads is the *outside* of a fault;
//! its source chain goes to the log, once, here. Answers that something else made (an extractor of axum's, a bare 405)
//! are rescued into the same form, so that a client has to understand one kind of error only.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use supervisor::{Fault, FaultKind, Finding};

use super::codes::{self, Code};

/// The media type of every error body.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Where the meaning of a code is written; the code follows as the fragment.
const TYPE_BASE: &str = "/api/docs#";

/// An error answer before it is written out.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    findings: Vec<Finding>,
    headers: HeaderMap,
}

/// What is sent, as the contract spells it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(title = "Problem", description = "An error (RFC 9457).")]
pub(crate) struct ProblemBody<'a> {
    /// Relative URI of the code's description.
    #[serde(rename = "type")]
    kind: String,
    /// Short title, the same for every occurrence of the code.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened and what to do, for people.
    detail: &'a str,
    /// Stable code to branch on.
    code: &'a str,
    /// The id of the request, as in the `X-Request-Id` header and the log.
    request_id: &'a str,
    /// All findings about the input at once; empty for other errors.
    errors: Vec<FindingBody<'a>>,
}

/// One finding about the input.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(title = "Finding")]
pub(crate) struct FindingBody<'a> {
    /// JSON pointer (RFC 6901) into the body, or `/name` of a query parameter.
    pointer: &'a str,
    /// What was expected.
    message: &'a str,
    /// Stable code of the finding.
    code: &'a str,
}

impl Problem {
    /// A problem of the edge itself.
    pub fn new(code: &Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status: code.status(),
            code: code.code,
            title: code.title,
            detail: detail.into(),
            findings: Vec::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// Input that was read and breaks rules: all `findings` at once.
    pub fn invalid(findings: Vec<Finding>) -> Self {
        let mut problem = Self::new(&codes::INVALID, invalid_detail(&findings));
        problem.0.findings = findings;
        problem
    }

    /// A fault of ours. `reason` goes to the log, never to the client.
    pub fn internal(reason: &str) -> Self {
        tracing::error!(reason, "request failed");
        Self::new(&codes::INTERNAL, INTERNAL_DETAIL)
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Adds `Retry-After`, in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        self.with_header(header::RETRY_AFTER, seconds(after))
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// What happened, for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The findings about the input.
    pub fn findings(&self) -> &[Finding] {
        &self.0.findings
    }

    fn body(&self, request_id: &str) -> Body {
        let Inner {
            status,
            code,
            title,
            detail,
            findings,
            ..
        } = &*self.0;
        let body = ProblemBody {
            kind: format!("{TYPE_BASE}{code}"),
            title,
            status: status.as_u16(),
            detail,
            code,
            request_id,
            errors: findings.iter().map(FindingBody::from).collect(),
        };
        // Strings and numbers always serialise; an empty body would still carry the status.
        serde_json::to_vec(&body).map_or_else(|_| Body::empty(), Body::from)
    }
}

impl<'a> From<&'a Finding> for FindingBody<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            pointer: &finding.pointer,
            message: &finding.message,
            code: &finding.code,
        }
    }
}

const INTERNAL_DETAIL: &str =
    "something went wrong on the server; the log has it under this request id";

/// What each kind of fault is answered with. The only table of its sort.
pub(crate) fn status_of(kind: FaultKind) -> (StatusCode, &'static str) {
    match kind {
        FaultKind::Malformed => (StatusCode::BAD_REQUEST, "Malformed input"),
        FaultKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid input"),
        FaultKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "Not signed in"),
        FaultKind::Forbidden => (StatusCode::FORBIDDEN, "Not allowed"),
        FaultKind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
        FaultKind::Conflict => (StatusCode::CONFLICT, "Conflict"),
        FaultKind::Stale => (StatusCode::PRECONDITION_FAILED, "Stale version"),
        FaultKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Too large"),
        FaultKind::Limited => (StatusCode::TOO_MANY_REQUESTS, "Limit reached"),
        FaultKind::Upstream => (StatusCode::BAD_GATEWAY, "Upstream failed"),
        FaultKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
        FaultKind::Deadline => (StatusCode::GATEWAY_TIMEOUT, "Deadline exceeded"),
        FaultKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
    }
}

impl<F: Fault> From<F> for Problem {
    fn from(fault: F) -> Self {
        let kind = fault.kind();
        let (status, title) = status_of(kind);
        if kind == FaultKind::Internal {
            tracing::error!(code = fault.code(), error = chain(&fault), "request failed");
        } else if status.is_server_error() {
            tracing::warn!(
                code = fault.code(),
                error = chain(&fault),
                "request refused"
            );
        }
        let mut problem = Self(Box::new(Inner {
            status,
            code: fault.code(),
            title,
            detail: fault.outside(),
            findings: fault.findings(),
            headers: HeaderMap::new(),
        }));
        if let Some(after) = fault.retry_after() {
            problem = problem.retry_after(after);
        } else if kind == FaultKind::Unavailable || kind == FaultKind::Limited {
            problem = problem.retry_after(Duration::from_secs(1));
        }
        if kind == FaultKind::Unauthenticated {
            problem = problem.with_header(header::WWW_AUTHENTICATE, INVALID_BEARER);
        }
        problem
    }
}

/// What `WWW-Authenticate` says to a client that showed no token.
pub(crate) const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"mainstay\"");
/// What it says to one that showed a wrong one.
const INVALID_BEARER: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"mainstay\", error=\"invalid_token\"");

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.status;
        response.headers_mut().extend(self.0.headers.clone());
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes out the problem that a response carries, and rescues an error that carries none. Other answers pass.
pub(crate) fn render(response: Response, request_id: &str) -> Response {
    let status = response.status();
    let (mut parts, body) = response.into_parts();
    let problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        None if is_bare_error(status, &parts.headers) => rescue(status),
        None => return Response::from_parts(parts, body),
    };
    parts
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, problem.body(request_id))
}

fn is_bare_error(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_error = status.is_client_error() || status.is_server_error();
    let is_ours = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes() == MEDIA_TYPE.as_bytes()
            || value.as_bytes().starts_with(b"application/json")
    });
    is_error && !is_ours
}

/// The code for an error status that arrived without one.
fn rescue(status: StatusCode) -> Problem {
    let code = match status {
        StatusCode::NOT_FOUND => &codes::UNKNOWN_ROUTE,
        StatusCode::METHOD_NOT_ALLOWED => &codes::METHOD_NOT_ALLOWED,
        StatusCode::PAYLOAD_TOO_LARGE => &codes::BODY_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => &codes::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::UPGRADE_REQUIRED => &codes::UPGRADE_REQUIRED,
        _ if status.is_client_error() => &codes::BAD_REQUEST,
        _ => &codes::INTERNAL,
    };
    let detail = if code == &codes::INTERNAL {
        INTERNAL_DETAIL
    } else {
        code.meaning
    };
    let mut problem = Problem::new(code, detail);
    problem.0.status = status;
    problem
}

fn invalid_detail(findings: &[Finding]) -> String {
    match findings {
        [one] => format!("{}: {}", shown(&one.pointer), one.message),
        several => format!(
            "the input has {} problems; `errors` lists them",
            several.len()
        ),
    }
}

fn shown(pointer: &str) -> &str {
    if pointer.is_empty() { "input" } else { pointer }
}

fn seconds(after: Duration) -> HeaderValue {
    let whole = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    HeaderValue::from(whole.max(1))
}

/// The whole source chain on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        // Writing to a string does not fail.
        if write!(text, ": {inner}").is_err() {
            break;
        }
        source = inner.source();
    }
    text
}
