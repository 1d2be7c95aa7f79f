//! The cookies of a session: which there are, how they are read, and how they are set. No I/O.
//!
//! A browser holds both tokens in cookies that no script can read. With the name's prefix `__Host-` it takes them over TLS alone, for
//! this one host and from this one host, so that no neighbouring subdomain can plant its own. A listener that speaks plain HTTP on
//! loopback cannot set such cookies; there, and only there, the names go without the prefix. Only the names of the present
//! listener are read.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

/// For how long a browser keeps the cookies without a refresh. They end with their session in any case.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// For how long one keeps the cookie of an attempt at an outside issuer: as long as the attempt lasts.
const FLOW_KEPT_FOR: Duration = Duration::from_mins(10);

/// What a cookie holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// What requests are sent with.
    AccessToken,
    /// What the next pair is got with.
    RefreshToken,
    /// What binds an attempt at an outside issuer to the browser that began it.
    Flow,
}

/// The cookies of one way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Jar {
    /// Whether over plain HTTP, on loopback.
    pub(crate) is_plain: bool,
}

impl Jar {
    /// What a cookie is called.
    pub(crate) const fn name(self, holds: Holds) -> &'static str {
        match (self.is_plain, holds) {
            (false, Holds::AccessToken) => "__Host-mainstay",
            (false, Holds::RefreshToken) => "__Host-mainstay-refresh",
            (true, Holds::AccessToken) => "mainstay",
            (true, Holds::RefreshToken) => "mainstay-refresh",
            (false, Holds::Flow) => "__Host-mainstay-flow",
            (true, Holds::Flow) => "mainstay-flow",
        }
    }

    /// What a cookie holds in a request. A name that stands twice holds nothing: one of the two is somebody else's.
    pub(crate) fn read(self, headers: &HeaderMap, holds: Holds) -> Option<&str> {
        let all = headers.get_all(header::COOKIE).iter();
        let mut found = all
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.name(holds))
            .map(|(_, value)| value);
        match (found.next(), found.next()) {
            (Some(only), None) if !only.is_empty() => Some(only),
            _ => None,
        }
    }

    /// The header that sets a cookie; nothing for a value that no cookie can hold.
    pub(crate) fn set(self, holds: Holds, value: &str) -> Option<HeaderValue> {
        let kept_for = match holds {
            Holds::AccessToken | Holds::RefreshToken => KEPT_FOR,
            Holds::Flow => FLOW_KEPT_FOR,
        };
        self.line(holds, value, kept_for.as_secs())
    }

    /// The header that takes a cookie away.
    pub(crate) fn clear(self, holds: Holds) -> Option<HeaderValue> {
        self.line(holds, "", 0)
    }

    fn line(self, holds: Holds, value: &str, max_age_s: u64) -> Option<HeaderValue> {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !value.bytes().all(is_plain) {
            return None;
        }
        let name = self.name(holds);
        let secure = if self.is_plain { "" } else { "; Secure" };
        let line =
            format!("{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}");
        let mut line = HeaderValue::try_from(line).ok()?;
        line.set_sensitive(true);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TLS: Jar = Jar { is_plain: false };
    const PLAIN: Jar = Jar { is_plain: true };

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::COOKIE, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_cookie_is_for_one_host_and_no_script() {
        let line = TLS.set(Holds::AccessToken, "a.b.c").expect("a header");
        let expected =
            "__Host-mainstay=a.b.c; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(line.as_bytes(), expected.as_bytes());
        assert!(line.is_sensitive());
        let line = PLAIN.clear(Holds::RefreshToken).expect("a header");
        let expected = "mainstay-refresh=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";
        assert_eq!(line.as_bytes(), expected.as_bytes());
        let line = TLS.set(Holds::Flow, "f").expect("a header");
        let expected =
            "__Host-mainstay-flow=f; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(line.as_bytes(), expected.as_bytes());
        for wrong in ["a b", "a;b", "a\r\nSet-Cookie: x=y", "ä", "a=b", "\""] {
            assert_eq!(TLS.set(Holds::AccessToken, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_the_names_of_the_listener_are_read() {
        let read = |jar: Jar, values: &[&'static str]| {
            let headers = headers(values);
            jar.read(&headers, Holds::AccessToken).map(str::to_owned)
        };
        let one = Some("x".to_owned());
        assert_eq!(read(TLS, &["a=b; __Host-mainstay=x; c=d"]), one);
        assert_eq!(read(TLS, &["a=b", "__Host-mainstay=x"]), one);
        assert_eq!(read(PLAIN, &["mainstay=x"]), one);
        assert_eq!(read(TLS, &["mainstay=x"]), None);
        assert_eq!(read(PLAIN, &["__Host-mainstay=x"]), None);
        assert_eq!(read(PLAIN, &["mainstay=x; mainstay=y"]), None);
        assert_eq!(read(PLAIN, &["mainstay=x", "mainstay=x"]), None);
        assert_eq!(
            read(PLAIN, &["mainstay=", "mainstay-refresh=x", "Mainstay=x"]),
            None
        );
    }
}
