//! A JSON body as a typed value.

use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use bytes::BytesMut;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use supervisor::Finding;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::check::{Pointer, check};
use super::read::{SyntaxError, read};
use super::rules::Rules;
use crate::http::codes;
use crate::http::limits::Limits;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// What a body has to come at on the average, once its grace is over.
const LEAST_BYTES_PER_SECOND: u32 = 4 * 1024;

/// A body that was read, checked against the schema of `T` and found right.
#[derive(Debug)]
pub(crate) struct Json<T>(pub T);

impl<T> FromRequest<AppState> for Json<T>
where
    T: DeserializeOwned + ToSchema + 'static,
{
    type Rejection = Problem;

    async fn from_request(request: Request, edge: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        require_json(&parts.headers)?;
        let bytes = whole_body(&parts.headers, body, &edge.limits).await?;
        parse(&bytes).map(Self)
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || (essence.len() > 5 && essence.to_ascii_lowercase().ends_with("+json"));
    if is_json {
        return Ok(());
    }
    let detail = match given {
        None => "the request has no Content-Type; send `Content-Type: application/json`".to_owned(),
        Some(_) => {
            "the body is not declared as JSON; send `Content-Type: application/json`".to_owned()
        }
    };
    Err(Problem::new(&codes::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// The whole body, at most as long and as slow as the limits say.
///
/// # Errors
/// 413 when there is more, 408 when it stops or comes too slowly, 400 when it breaks off.
pub(crate) async fn whole_body(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
) -> Result<Bytes, Problem> {
    let limit = limits.max_json_bytes;
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > limit) {
        return Err(too_large(limit));
    }
    let mut body = Limited::new(body, limit);
    let mut pace = Pace::begin(limits.body_timeout);
    let mut whole = BytesMut::new();
    loop {
        match timeout_at(pace.deadline(), body.frame()).await {
            Err(_late) => return Err(too_slow()),
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Ok(frame))) => {
                // Trailers say nothing that is asked for here.
                if let Ok(data) = frame.into_data() {
                    pace.came(data.len());
                    whole.extend_from_slice(&data);
                }
            }
            Ok(Some(Err(error))) => return Err(broken(&error, limit)),
        }
    }
}

/// How far a body has to be by now.
///
/// A limit on silence alone is no limit: a byte a second is never silent. So after a grace the body must have come at a least rate
/// on the average.
struct Pace {
    begun: Instant,
    grace: Duration,
    received: usize,
}

impl Pace {
    fn begin(grace: Duration) -> Self {
        Self {
            begun: Instant::now(),
            grace,
            received: 0,
        }
    }

    fn came(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes);
    }

    /// When the body is too slow if nothing more comes; never behind the request's own deadline, which would tell a 504.
    fn deadline(&self) -> Instant {
        let bytes = u32::try_from(self.received).unwrap_or(u32::MAX);
        let due = self.begun + self.grace + Duration::from_secs(1) * bytes / LEAST_BYTES_PER_SECOND;
        supervisor::ambient_deadline().map_or(due, |deadline| due.min(deadline))
    }
}

fn too_slow() -> Problem {
    let detail = "the body stopped or came too slowly; send it again, faster";
    Problem::new(&codes::BODY_TIMEOUT, detail)
}

fn broken(error: &BoxError, limit: usize) -> Problem {
    if error.downcast_ref::<LengthLimitError>().is_some() {
        return too_large(limit);
    }
    tracing::debug!(error, "body was cut short");
    let detail = "the body could not be read to its end; send it again";
    Problem::new(&codes::BAD_BODY, detail)
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("a JSON body may have at most {limit} bytes");
    Problem::new(&codes::BODY_TOO_LARGE, detail)
}

/// Reads `bytes` as a `T`.
///
/// # Errors
/// 400 when it is not JSON, 422 with all findings when it is and breaks rules.
pub(crate) fn parse<T: DeserializeOwned + ToSchema + 'static>(bytes: &[u8]) -> Result<T, Problem> {
    let (value, mut findings) = read(bytes).map_err(|error| malformed(bytes, &error))?;
    check(&value, &Rules::of::<T>(), Pointer::Root, &mut findings);
    if findings.is_empty() {
        return typed(value);
    }
    Err(Problem::invalid(findings.into_vec()))
}

/// The schema was satisfied; whatever serde still refuses is a rule that no schema can state.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value)
        .map_err(|error| Problem::invalid(vec![Finding::new("", "bad_format", error.to_string())]))
}

fn malformed(bytes: &[u8], error: &SyntaxError) -> Problem {
    let detail = if bytes.is_empty() {
        "the body is empty; send a JSON object".to_owned()
    } else {
        let SyntaxError {
            line,
            column,
            message,
        } = error;
        format!("the body is not JSON: {message}, at line {line}, column {column}")
    };
    Problem::new(&codes::MALFORMED_JSON, detail)
}
