//! How a client gets the tokens of its session: in the body, or in cookies that no script can read.
//!
//! Every route that begins or continues a session takes `?cookie=true`. Then the tokens are in the cookies *instead* of the body: a
//! page that could read them from the body could be made to hand them out.

use accounts::TokenPair;
use axum::Json as Answer;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cookies::{Holds, Jar};
use crate::http::input::Query;
use crate::http::problem::Problem;
use crate::http::state::AppState;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// Without `"cookies"`: that would take those of every neighbouring host as well.
const KEPT_BY_PAGES: HeaderValue = HeaderValue::from_static("\"cache\", \"storage\"");

/// How the tokens are wanted.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct CookieQuery {
    /// With `true` the tokens come in cookies (`__Host-mainstay` and `__Host-mainstay-refresh`; without the prefix when the server speaks
    /// plain HTTP on loopback) and not in the body. What is then sent with a cookie and changes something needs an `Origin` of this server or
    /// `Sec-Fetch-Site: same-origin`.
    cookie: Option<bool>,
}

/// How a client gets its tokens. An extractor, which takes the parameter `cookie`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(super) jar: Jar,
    in_cookies: bool,
}

/// The tokens of a session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct TokensBody {
    /// What requests are sent with, as `Authorization: Bearer …`; left out when it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access_token: Option<String>,
    /// What the next pair is got with, once; left out when it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
    /// `Bearer`, or `Cookie`.
    pub(super) token_type: &'static str,
    /// How many seconds the access token is valid.
    #[schema(minimum = 0)]
    pub(super) expires_in: u64,
}

impl FromRequestParts<AppState> for Jar {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &AppState) -> Result<Self, Problem> {
        Ok(edge.jar(parts))
    }
}

impl FromRequestParts<AppState> for Delivery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &AppState) -> Result<Self, Problem> {
        let Query(asked) = Query::<CookieQuery>::from_request_parts(parts, edge).await?;
        Ok(Self {
            jar: edge.jar(parts),
            in_cookies: asked.cookie.unwrap_or(false),
        })
    }
}

impl Delivery {
    /// Whether they are to be in cookies, which replace those that are there.
    pub(crate) const fn is_in_cookies(self) -> bool {
        self.in_cookies
    }

    /// The same, and in cookies in any case when the client showed one.
    pub(crate) fn in_cookies_if(self, showed_cookie: bool) -> Self {
        Self {
            in_cookies: self.in_cookies || showed_cookie,
            ..self
        }
    }

    /// The answer that hands the tokens out. No cache keeps it.
    pub(crate) fn of(self, pair: &TokenPair) -> (HeaderMap, Answer<TokensBody>) {
        let mut headers = HeaderMap::new();
        let no_store = HeaderValue::from_static("no-store");
        headers.insert(header::CACHE_CONTROL, no_store);
        let (access, refresh) = (pair.access_token.expose(), pair.refresh_token.expose());
        if self.in_cookies {
            let lines = [
                self.jar.set(Holds::AccessToken, access),
                self.jar.set(Holds::RefreshToken, refresh),
            ];
            for line in lines.into_iter().flatten() {
                headers.append(header::SET_COOKIE, line);
            }
        }
        let in_body = |token: &str| (!self.in_cookies).then(|| token.to_owned());
        let body = TokensBody {
            access_token: in_body(access),
            refresh_token: in_body(refresh),
            token_type: if self.in_cookies { "Cookie" } else { "Bearer" },
            expires_in: pair.expires_in.as_secs(),
        };
        (headers, Answer(body))
    }
}

impl Jar {
    /// The headers that take both cookies away, and what a page kept while it had them.
    pub(crate) fn cleared(self) -> HeaderMap {
        let lines = [
            self.clear(Holds::AccessToken),
            self.clear(Holds::RefreshToken),
        ];
        let lines = lines.into_iter().flatten();
        let lines = lines.map(|line| (header::SET_COOKIE, line));
        lines.chain([(CLEAR_SITE_DATA, KEPT_BY_PAGES)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_leaves_nothing_in_the_browser() {
        let headers = Jar { is_plain: false }.cleared();
        let cookies: Vec<_> = headers.get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies.len(), 2);
        for cookie in cookies {
            let line = cookie.to_str().expect("ascii");
            assert!(line.starts_with("__Host-mainstay") && line.contains("=; Path=/; Max-Age=0"));
        }
        assert_eq!(headers[CLEAR_SITE_DATA], "\"cache\", \"storage\"");
    }
}
