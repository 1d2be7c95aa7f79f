//! Whether the client can read what the route answers with, as the OpenAPI document states it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};

use crate::http::codes;
use crate::http::problem::Problem;
use crate::http::routes::RouteId;
use crate::http::state::AppState;

/// The layer.
pub(super) async fn negotiate(
    State(edge): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    if takes_anything(request.headers()) {
        return next.run(request).await;
    }
    let route = request.extensions().get::<RouteId>();
    match route.map(|id| edge.documents.media_types(*id)) {
        Some(offered) if !accepts(request.headers(), offered) => {
            let detail = format!("this route answers with {}", offered.join(" or "));
            Problem::new(&codes::NOT_ACCEPTABLE, detail).into_response()
        }
        _ => next.run(request).await,
    }
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
}
