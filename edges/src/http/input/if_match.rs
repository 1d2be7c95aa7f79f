//! `If-Match`: a change is about the version that its author looked at.

use axum::extract::FromRequestParts;
use http::header::IF_MATCH;
use http::request::Parts;

use crate::http::codes;
use crate::http::problem::Problem;

/// The version that a change is about; `None` for `*`, whichever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IfMatch(pub Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut given = parts.headers.get_all(IF_MATCH).iter();
        let Some(first) = given.next() else {
            let detail = "send `If-Match` with the `ETag` of what you looked at, or `*`";
            return Err(Problem::new(&codes::IF_MATCH_REQUIRED, detail));
        };
        let only = given.next().is_none();
        let text = first.to_str().ok().filter(|_| only);
        text.and_then(read).ok_or_else(|| {
            let detail = "send one `If-Match`: an `ETag` as it came, such as \"3\", or `*`";
            Problem::new(&codes::BAD_IF_MATCH, detail)
        })
    }
}

fn read(text: &str) -> Option<IfMatch> {
    if text.trim() == "*" {
        return Some(IfMatch(None));
    }
    let number = text.trim().strip_prefix('"')?.strip_suffix('"')?;
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let version = number.parse().ok().filter(|_| is_plain)?;
    Some(IfMatch(Some(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_it_was_sent_out() {
        assert_eq!(read("\"3\""), Some(IfMatch(Some(3))));
        assert_eq!(read(" * "), Some(IfMatch(None)));
        for wrong in [
            "",
            "3",
            "\"\"",
            "\"-3\"",
            "\"+3\"",
            "W/\"3\"",
            "\"3\", \"4\"",
            "\"99999999999999999999\"",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
