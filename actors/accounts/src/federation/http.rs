//! Requests to an issuer: no redirect followed, no proxy of the environment, and every answer bounded.
//!
//! What an issuer announces may be a name that leads into our own network. So names are resolved here, what may not be spoken to is left
//! out, and the connection is made to what is left: nobody can answer one thing to the check and another to the connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ground::Secret;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::error::IssuerError;
use super::urls;
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

/// Finds the addresses of names.
#[derive(Debug)]
struct Names {
    /// The addresses of the configuration, the issuer's first: wherever they lead is meant.
    configured: Arc<[Url]>,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let configured = Arc::clone(&self.configured);
        Box::pin(async move {
            let found = look_up(name.as_str()).await?;
            let is_own = |url: &Url| url.host_str() == Some(name.as_str());
            if configured.iter().any(is_own) {
                return Ok(Box::new(found.into_iter()) as Addrs);
            }
            let home = match configured.first() {
                Some(issuer) => home_of(issuer).await,
                None => None,
            };
            let allowed = found.into_iter();
            let allowed = allowed.filter(|to| urls::is_allowed(to.ip(), home));
            let allowed: Vec<SocketAddr> = allowed.collect();
            if allowed.is_empty() {
                return Err(urls::UrlError::Inward.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

async fn look_up(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    // The port is the business of who connects.
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

/// Where an issuer lives; nowhere in particular when that cannot be told.
async fn home_of(issuer: &Url) -> Option<IpAddr> {
    if let Some(address) = urls::address_of(issuer) {
        return Some(address);
    }
    let found = look_up(issuer.host_str()?).await.ok()?;
    found.first().map(SocketAddr::ip)
}

impl Http {
    /// A client that may speak to these addresses of the configuration, the issuer's first, and to where those may send it. One for an
    /// issuer in plain HTTP, on this machine, never speaks TLS and needs no certificates.
    pub(crate) fn new(configured: Vec<Url>) -> Self {
        let is_local = configured.iter().any(|url| url.scheme() == "http");
        // reqwest takes the provider of the process; the one that is there already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(2)
            .referer(false)
            .user_agent(USER_AGENT)
            .dns_resolver(Arc::new(Names {
                configured: configured.into(),
            }));
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// An answer of an issuer is taken as it is: a redirect could lead anywhere, with a code or a secret in hand.
    #[tokio::test]
    async fn no_redirect_is_followed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let url = urls::read(&format!("http://{address}/token")).expect("an address");
        let client = Http::new(vec![url.clone()]);
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("a call");
            let mut head = [0; 1024];
            let read = stream.read(&mut head).await.expect("a request");
            assert!(head.starts_with(b"POST /token") && read > 0);
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{address}/elsewhere\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.expect("written");
        };
        let call = client.post(&url, &[("code", "c")], None, 1024);
        let ((), answer) = tokio::join!(serve, call);
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
        assert!(answer.expect_ok().is_err(), "and no good one");
    }

    #[tokio::test]
    async fn no_name_leads_further_in_than_its_issuer_is() {
        let reaches = async |issuer: &str, name: &str| {
            let issuer = urls::read(issuer).expect("an address");
            let configured = [issuer].into();
            let name = name.parse().expect("a name");
            let found = Names { configured }.resolve(name).await;
            found.is_ok_and(|mut found| found.next().is_some())
        };
        assert!(!reaches("https://203.0.113.7/realm", "localhost").await);
        assert!(!reaches("https://10.0.0.1/realm", "localhost").await);
        assert!(reaches("https://127.0.0.1/realm", "localhost").await);
        assert!(reaches("https://localhost/realm", "localhost").await);
    }
}
