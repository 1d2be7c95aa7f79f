//! Whether both sides can read each other: the body as it was sent, and what the route answers with, as the OpenAPI document
//! states it.
//!
//! A compressed body is refused. To inflate it with a bound would do, but nothing that is sent here needs it, and what is never
//! inflated is no bomb.

use axum::body::HttpBody;
use axum::extract::Request;
use http::{HeaderMap, HeaderValue, header};

use crate::http::codes;
use crate::http::problem::Problem;
use crate::http::routes::RouteId;
use crate::http::state::AppState;

/// Whether both sides can read each other.
///
/// # Errors
/// The refusal.
pub(super) fn negotiate(edge: &AppState, request: &Request) -> Result<(), Problem> {
    if is_encoded(request.headers()) && !request.body().is_end_stream() {
        return Err(encoded());
    }
    if takes_anything(request.headers()) {
        return Ok(());
    }
    let route = request.extensions().get::<RouteId>();
    match route.map(|id| edge.documents.media_types(*id)) {
        Some(offered) if !accepts(request.headers(), offered) => {
            let detail = format!("this route answers with {}", offered.join(" or "));
            Err(Problem::new(&codes::NOT_ACCEPTABLE, detail))
        }
        _ => Ok(()),
    }
}

/// Whether the body is anything but itself.
fn is_encoded(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::CONTENT_ENCODING).iter();
    given
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|coding| !coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

fn encoded() -> Problem {
    Problem::new(&codes::ENCODED_BODY, codes::ENCODED_BODY.meaning).with_header(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    )
}

/// Most clients do; nothing needs to be looked up for them.
fn takes_anything(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .all(|value| value.as_bytes() == b"*/*")
}

/// Whether any of the offered types is acceptable. Nothing offered means an answer without a body.
fn accepts(headers: &HeaderMap, offered: &[String]) -> bool {
    let mut given = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .peekable();
    if offered.is_empty() || given.peek().is_none() {
        return true;
    }
    given.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';');
        let essence = parts.next().unwrap_or_default().trim();
        !parts.any(is_refusal) && offered.iter().any(|offer| covers(essence, offer))
    })
}

/// `q=0`, however it is written.
fn is_refusal(parameter: &str) -> bool {
    let weight = parameter
        .trim()
        .strip_prefix("q=")
        .or_else(|| parameter.trim().strip_prefix("Q="));
    weight.is_some_and(|weight| {
        weight
            .trim()
            .parse::<f32>()
            .is_ok_and(|weight| weight <= 0.0)
    })
}

fn covers(range: &str, offer: &str) -> bool {
    let kind = offer.split('/').next().unwrap_or_default();
    range == "*/*"
        || range.eq_ignore_ascii_case(offer)
        || range
            .strip_suffix("/*")
            .is_some_and(|range| range.eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers_are_weighed() {
        let json = vec!["application/json".to_owned()];
        for (accept, is_fine) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/html, */*;q=0.1", true),
            ("application/*", true),
            ("text/html", false),
            ("*/*;q=0", false),
            ("application/json;q=0.0, text/html", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().expect("ascii"));
            assert_eq!(accepts(&headers, &json), is_fine, "{accept}");
        }
        assert!(accepts(&HeaderMap::new(), &json));
    }

    #[test]
    fn only_a_plain_body_is_read() {
        for (coding, is_plain) in [
            ("identity", true),
            ("Identity", true),
            ("identity, identity", true),
            ("gzip", false),
            ("identity, br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_ENCODING, coding.parse().expect("ascii"));
            assert_eq!(is_encoded(&headers), !is_plain, "{coding}");
        }
        assert!(!is_encoded(&HeaderMap::new()));
    }
}
