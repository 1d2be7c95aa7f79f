//! The cookie that binds an attempt at an outside issuer to the browser that began it. Short-lived, and no script can read it.
//!
//! With the prefix `__Host-` a browser takes it over TLS alone, for this one host and from this one host. A listener that speaks plain
//! HTTP on loopback cannot set such cookies; there, and only there, the name goes without the prefix.

use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};

use crate::http::problem::Problem;
use crate::http::state::AppState;

/// The cookie of one sort of listener. An extractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowCookie {
    is_plain: bool,
}

impl FromRequestParts<AppState> for FlowCookie {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, edge: &AppState) -> Result<Self, Problem> {
        Ok(Self::of(edge))
    }
}

impl FlowCookie {
    /// That of this listener.
    pub(super) fn of(edge: &AppState) -> Self {
        Self {
            is_plain: edge.is_loopback_only,
        }
    }

    const fn name(self) -> &'static str {
        if self.is_plain {
            "mainstay-flow"
        } else {
            "__Host-mainstay-flow"
        }
    }

    /// What it holds in a request. A name that stands twice holds nothing: one of the two is somebody else's.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<&str> {
        let all = headers.get_all(header::COOKIE).iter();
        let mut found = all
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.name())
            .map(|(_, value)| value);
        match (found.next(), found.next()) {
            (Some(only), None) if !only.is_empty() => Some(only),
            _ => None,
        }
    }

    /// The header that sets it; nothing for a value that no cookie can hold.
    pub(super) fn set(self, value: &str, kept_for: Duration) -> Option<HeaderValue> {
        self.line(value, kept_for.as_secs())
    }

    /// The header that takes it away.
    pub(super) fn clear(self) -> Option<HeaderValue> {
        self.line("", 0)
    }

    fn line(self, value: &str, max_age_s: u64) -> Option<HeaderValue> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !value.bytes().all(is_plain) {
            return None;
        }
        let name = self.name();
        let secure = if self.is_plain { "" } else { "; Secure" };
        let line =
            format!("{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}");
        let mut line = HeaderValue::try_from(line).ok()?;
        line.set_sensitive(true);
        Some(line)
    }
}

/// Whether a page of our own sent a request, as far as the browser tells. That an `Origin`, where there is one, is ours was checked
/// before.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    headers.contains_key(header::ORIGIN) || site == Some(b"same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TLS: FlowCookie = FlowCookie { is_plain: false };
    const PLAIN: FlowCookie = FlowCookie { is_plain: true };

    #[test]
    fn it_is_for_one_host_and_no_script() {
        let line = TLS.set("a-b_c", Duration::from_mins(10)).expect("a header");
        let expected =
            "__Host-mainstay-flow=a-b_c; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(line.as_bytes(), expected.as_bytes());
        assert!(line.is_sensitive());
        for wrong in ["a b", "a;b", "a\r\nSet-Cookie: x=y", "ä", "a=b"] {
            assert_eq!(TLS.set(wrong, Duration::ZERO), None, "{wrong}");
        }
    }

    #[test]
    fn only_the_name_of_the_listener_is_read_and_only_once() {
        let read = |jar: FlowCookie, values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::COOKIE, HeaderValue::from_static(value));
            }
            jar.read(&headers).map(str::to_owned)
        };
        let one = Some("x".to_owned());
        assert_eq!(read(TLS, &["a=b; __Host-mainstay-flow=x"]), one);
        assert_eq!(read(PLAIN, &["mainstay-flow=x"]), one);
        assert_eq!(read(TLS, &["mainstay-flow=x"]), None);
        assert_eq!(read(PLAIN, &["__Host-mainstay-flow=x"]), None);
        assert_eq!(read(PLAIN, &["mainstay-flow=x; mainstay-flow=y"]), None);
        assert_eq!(read(PLAIN, &["mainstay-flow="]), None);
    }
}
