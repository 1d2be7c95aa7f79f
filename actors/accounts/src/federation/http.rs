//! Requests to an issuer: no redirect followed, no proxy of the environment, and every answer bounded.

use std::time::Duration;

use ground::Secret;
use reqwest::header::{ACCEPT, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::error::IssuerError;
use crate::jose::strict;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long one that nobody uses is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that an issuer's wish to be left alone is heeded.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// What is said of us. Some APIs refuse who says nothing.
const USER_AGENT: &str = concat!("mainstay/", env!("CARGO_PKG_VERSION"));

/// The client of one issuer, or why there is none.
#[derive(Debug)]
pub(crate) struct Http(Result<Client, String>);

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    body: Vec<u8>,
}

impl Http {
    /// A client; one that `is_local` never speaks TLS and needs no certificates.
    pub(crate) fn new(is_local: bool) -> Self {
        // reqwest takes the provider of the process; the one that is there already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(2)
            .referer(false)
            .user_agent(USER_AGENT);
        let builder = if is_local {
            builder.tls_certs_only([])
        } else {
            builder.https_only(true)
        };
        Self(builder.build().map_err(told))
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// See [`IssuerError`]; an answer of 5xx or 429 is one, too.
    pub(crate) async fn get(
        &self,
        url: &Url,
        bearer: Option<&Secret>,
        limit: usize,
    ) -> Result<Answer, IssuerError> {
        let mut request = self.client()?.get(url.clone());
        if let Some(token) = bearer {
            request = request.bearer_auth(token.expose());
        }
        send(request, limit).await
    }

    /// Posts a form; `basic` is who we are, where that goes into the header.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub(crate) async fn post(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        basic: Option<(&str, &Secret)>,
        limit: usize,
    ) -> Result<Answer, IssuerError> {
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = self.client()?.post(url.clone()).body(body).header(
            reqwest::header::CONTENT_TYPE,
            "application/x-www-form-urlencoded",
        );
        if let Some((user, secret)) = basic {
            // RFC 6749 section 2.3.1 wants both encoded as in a form.
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encoded(user), Some(encoded(secret.expose())));
        }
        send(request, limit).await
    }

    fn client(&self) -> Result<&Client, IssuerError> {
        self.0.as_ref().map_err(|reason| IssuerError::Unreachable {
            detail: reason.clone(),
            wait: None,
        })
    }
}

impl Answer {
    /// The body as a JSON object without repeated keys.
    ///
    /// # Errors
    /// `Garbage`.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, IssuerError> {
        strict::object(&self.body)
            .ok_or_else(|| IssuerError::Garbage("not a JSON object with each key once".to_owned()))
    }

    /// The body as a JSON list.
    ///
    /// # Errors
    /// `Garbage`.
    pub(crate) fn list(&self) -> Result<Vec<Value>, IssuerError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| IssuerError::Garbage("not a JSON list".to_owned()))
    }

    /// The body as it came.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The answer, if it is a 200.
    ///
    /// # Errors
    /// `Garbage`.
    pub(crate) fn expect_ok(self) -> Result<Self, IssuerError> {
        if self.status == StatusCode::OK {
            return Ok(self);
        }
        Err(IssuerError::Garbage(format!("it answered {}", self.status)))
    }
}

async fn send(request: RequestBuilder, limit: usize) -> Result<Answer, IssuerError> {
    let request = request.header(ACCEPT, "application/json");
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(IssuerError::Unreachable {
            detail: format!("it answered {status}"),
            wait: wait_of(response.headers()),
        });
    }
    let too_large = || IssuerError::Garbage(format!("an answer of more than {limit} bytes"));
    let declared = response.content_length().unwrap_or(0);
    if usize::try_from(declared).map_or(true, |declared| declared > limit) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

/// `Retry-After` in seconds; the other form, a date, says less than our own pauses do.
fn wait_of(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = Duration::from_secs(seconds.parse().ok()?);
    Some(wait.min(LONGEST_WAIT))
}

fn unreachable(error: reqwest::Error) -> IssuerError {
    IssuerError::Unreachable {
        detail: told(error),
        wait: None,
    }
}

/// The error with all that is behind it, but no address: an address may hold what should not be kept.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
