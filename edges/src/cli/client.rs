//! The client of the control socket: the same HTTP API that TCP serves, over `mainstay.sock` in the data directory, where
//! the kernel tells the daemon who asks and no token is needed.
//!
//! It speaks HTTP/1 by hyper, a connection a request: that keeps start-up within a millisecond or two (no TLS roots, no
//! pool) and leaves the system's own error at hand, from which [`super::unreachable`] tells the reasons apart. Every step
//! has a time limit and every body a size limit.

#[cfg(test)]
mod tests;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Once,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use supervisor::task::OwnedTask;
use tokio::{net::UnixStream, time::timeout};

use crate::data_dir;

use super::{
    failure::{Failure, Problem},
    sse::{Parser, Sent},
    unreachable::{Scene, Trouble, diagnose},
};

/// Time to be let in.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Time to the end of an answer: the daemon's own deadline of 10 s and a little more, so that its answer is the one shown.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Bytes of an answer.
const BODY_LIMIT: usize = 64 << 20;
/// How long a stream may be silent; the daemon sends a comment at least every 15 s.
const STREAM_SILENCE: Duration = Duration::from_mins(1);

/// Reaches one daemon.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    data_dir: PathBuf,
    answer_limit: Duration,
    /// Whether an answer that is not complete is told on stderr.
    tells_hints: bool,
}

/// A refusal by the daemon, with what decides how it is told.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The problem document.
    pub(crate) problem: Problem,
    retry_after_s: Option<u64>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The daemon answered, and said no.
    Refused(Refusal),
    /// It did not answer.
    Trouble(Trouble),
    /// What it said is no HTTP or no JSON.
    Garbled(Failure),
}

impl Client {
    /// A client of the daemon with this data directory. Nothing is connected yet.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_path_buf(),
            answer_limit: ANSWER_LIMIT,
            tells_hints: true,
        }
    }

    /// The same client, without a word on stderr: the whole screen is somebody's.
    pub(crate) fn silent(&self) -> Self {
        Self {
            tells_hints: false,
            ..self.clone()
        }
    }

    /// The same client with less patience.
    pub(crate) fn within(&self, answer_limit: Duration) -> Self {
        Self {
            answer_limit,
            ..self.clone()
        }
    }

    /// The JSON document at `target` (path and query).
    ///
    /// # Errors
    /// A failure to print, with exit code 3 when the daemon cannot be reached.
    pub(crate) async fn get(&self, target: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, target, None)
            .await
            .map_err(|error| self.failure(error))
    }

    /// Posts `body` and gives the answer's document (null where it has none).
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn post(&self, target: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.ask(Method::POST, target, body)
            .await
            .map_err(|error| self.failure(error))
    }

    /// Changes what is at `target`, whichever version it is.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn patch(&self, target: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(Method::PATCH, target, Some(body))
            .await
            .map_err(|error| self.failure(error))
    }

    /// Deletes what is at `target`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn delete(&self, target: &str) -> Result<Value, Failure> {
        self.ask(Method::DELETE, target, None)
            .await
            .map_err(|error| self.failure(error))
    }

    /// Sends one request; the caller decides what a refusal means.
    ///
    /// # Errors
    /// [`NoAnswer`], the reasons apart.
    pub(crate) async fn ask(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Value, NoAnswer> {
        let (status, retry_after_s, body) = self.exchange(method, target, body).await?;
        if !status.is_success() {
            return Err(refusal(status, &body, retry_after_s));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| garbled(&error))
    }

    /// The document of `/health`, which is no refusal when its status is 503.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn health(&self) -> Result<Value, NoAnswer> {
        let (_status, _, body) = self.exchange(Method::GET, "/health", None).await?;
        serde_json::from_slice(&body).map_err(|error| garbled(&error))
    }

    async fn exchange(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Option<u64>, Bytes), NoAnswer> {
        let exchange = async {
            let (response, _connection) = self
                .send(method, target, body, "application/json", None)
                .await?;
            let (status, retry_after_s) = (response.status(), retry_after(&response));
            if self.tells_hints {
                hint_degraded(&response);
            }
            Ok((status, retry_after_s, whole_body(response).await?))
        };
        match timeout(self.answer_limit, exchange).await {
            Ok(outcome) => outcome,
            Err(_late) => Err(NoAnswer::Trouble(Trouble::Silent(self.answer_limit))),
        }
    }

    /// Opens the event stream at `target`, after the event `last_event_id` where one is given.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn stream(
        &self,
        target: &str,
        last_event_id: Option<&str>,
    ) -> Result<EventStream, NoAnswer> {
        let open = async {
            let (response, connection) = self
                .send(
                    Method::GET,
                    target,
                    None,
                    "text/event-stream",
                    last_event_id,
                )
                .await?;
            let status = response.status();
            let retry_after_s = retry_after(&response);
            if !status.is_success() {
                let body = whole_body(response).await?;
                return Err(refusal(status, &body, retry_after_s));
            }
            let body = response.into_body();
            Ok(EventStream {
                body,
                parser: Parser::default(),
                ready: Vec::new().into_iter(),
                _connection: connection,
            })
        };
        match timeout(self.answer_limit, open).await {
            Ok(outcome) => outcome,
            Err(_late) => Err(NoAnswer::Trouble(Trouble::Silent(self.answer_limit))),
        }
    }

    /// Hands what is at `target` to `take`, piece by piece as it comes.
    ///
    /// # Errors
    /// As [`Self::get`], those of `take`, and a failure when the answer breaks off.
    pub(crate) async fn download(
        &self,
        target: &str,
        accept: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let open = self.send(Method::GET, target, None, accept, None);
        let opened = timeout(self.answer_limit, open).await;
        let silent = |limit| self.failure(NoAnswer::Trouble(Trouble::Silent(limit)));
        let (mut response, _connection) = opened
            .map_err(|_late| silent(self.answer_limit))?
            .map_err(|error| self.failure(error))?;
        let (status, retry_after_s) = (response.status(), retry_after(&response));
        if !status.is_success() {
            let body = whole_body(response).await;
            let refused =
                body.map_or_else(|error| error, |body| refusal(status, &body, retry_after_s));
            return Err(self.failure(refused));
        }
        while let Some(frame) = timeout(STREAM_SILENCE, response.body_mut().frame())
            .await
            .map_err(|_late| silent(STREAM_SILENCE))?
        {
            let frame = frame.map_err(|error| self.failure(broken(&error)))?;
            if let Ok(bytes) = frame.into_data() {
                take(&bytes)?;
            }
        }
        Ok(())
    }

    /// The failure to print.
    pub(crate) fn failure(&self, error: NoAnswer) -> Failure {
        match error {
            NoAnswer::Refused(refusal) => refusal
                .problem
                .into_failure(refusal.status, refusal.retry_after_s),
            NoAnswer::Trouble(trouble) => diagnose(&trouble, &Scene::look(&self.data_dir)),
            NoAnswer::Garbled(failure) => failure,
        }
    }

    async fn send(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
        accept: &str,
        last_event_id: Option<&str>,
    ) -> Result<(Response<Incoming>, OwnedTask), NoAnswer> {
        let socket = data_dir::socket_path(&self.data_dir);
        let stream = match timeout(CONNECT_LIMIT, UnixStream::connect(&socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(NoAnswer::Trouble(Trouble::Connect(error))),
            Err(_late) => return Err(NoAnswer::Trouble(Trouble::Silent(CONNECT_LIMIT))),
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let connection = supervisor::task::spawn(async move {
            // Its failure reaches the one request on it as that request's failure.
            let _told_elsewhere = connection.await;
        });
        let mut request = Request::builder()
            .method(&method)
            .uri(target)
            .header(header::HOST, "localhost")
            .header(header::ACCEPT, accept)
            .header(
                header::USER_AGENT,
                concat!("mainstay-cli/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        if method == Method::PATCH {
            // Who types a command means the thing, not a version of it.
            request = request.header(header::IF_MATCH, "*");
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body
            .map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default();
        let request = request.body(Full::new(bytes)).map_err(|error| {
            NoAnswer::Garbled(Failure::usage(format!(
                "`{target}` cannot be asked for: {error}"
            )))
        })?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        Ok((response, connection))
    }
}

fn garbled(error: &serde_json::Error) -> NoAnswer {
    NoAnswer::Garbled(Failure::failed("the daemon's answer is no JSON document").caused_by(error))
}

fn broken(error: &hyper::Error) -> NoAnswer {
    NoAnswer::Trouble(Trouble::Broken(error.to_string()))
}

fn refusal(status: StatusCode, body: &[u8], retry_after_s: Option<u64>) -> NoAnswer {
    NoAnswer::Refused(Refusal {
        status: status.as_u16(),
        problem: Problem::read(body),
        retry_after_s,
    })
}

fn retry_after(response: &Response<Incoming>) -> Option<u64> {
    response
        .headers()
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Tells the user, once, that an answer came from a fallback.
fn hint_degraded(response: &Response<Incoming>) {
    static TOLD: Once = Once::new();
    if let Some(told) = response.headers().get("mainstay-degraded") {
        let told = String::from_utf8_lossy(told.as_bytes());
        TOLD.call_once(|| super::hint(&format!("the answer is not complete: {told}")));
    }
}

async fn whole_body(response: Response<Incoming>) -> Result<Bytes, NoAnswer> {
    match Limited::new(response.into_body(), BODY_LIMIT)
        .collect()
        .await
    {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(NoAnswer::Garbled(Failure::failed(format!(
                "the daemon's answer is larger than {} MiB",
                BODY_LIMIT >> 20
            ))))
        }
        Err(error) => Err(NoAnswer::Trouble(Trouble::Broken(error.to_string()))),
    }
}

/// An open event stream.
#[derive(Debug)]
pub(crate) struct EventStream {
    body: Incoming,
    parser: Parser,
    ready: std::vec::IntoIter<Sent>,
    _connection: OwnedTask,
}

impl EventStream {
    /// The next event; `None` at the end of the stream, however it ends: the caller opens it again after the last id.
    /// Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(event) = self.ready.next() {
                return Some(event);
            }
            let frame = timeout(STREAM_SILENCE, self.body.frame())
                .await
                .ok()??
                .ok()?;
            if let Ok(bytes) = frame.into_data() {
                self.ready = self.parser.push(&bytes).ok()?.into_iter();
            }
        }
    }
}

/// `text` for use inside a path (slashes stay) of a request.
pub(crate) fn path_text(text: &str) -> String {
    escaped(text, |byte| byte == b'/')
}

/// `text` for use as a value in a query.
pub(crate) fn query_text(text: &str) -> String {
    escaped(text, |_| false)
}

fn escaped(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || stays(byte) {
            out.push(char::from(byte));
        } else {
            _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
