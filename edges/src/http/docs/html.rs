//! HTML: escaping, and the frame that every page has.

use std::fmt;

use axum::Extension;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::http::layers::Surface;

/// A text that shows itself escaped, in content and in quoted attributes alike.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(['&', '<', '>', '"', '\'']) {
            let mut chars = piece.chars();
            let last = chars.next_back();
            let entity = match last {
                Some('&') => "&amp;",
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('"') => "&quot;",
                Some('\'') => "&#39;",
                _ => {
                    f.write_str(piece)?;
                    continue;
                }
            };
            f.write_str(chars.as_str())?;
            f.write_str(entity)?;
        }
        Ok(())
    }
}

/// A text of ours with `code` between backticks and paragraphs between empty lines.
pub(super) struct Prose<'a>(pub(super) &'a str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for paragraph in self
            .0
            .split("\n\n")
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            write!(f, "<p>{}</p>", Inline(paragraph))?;
        }
        Ok(())
    }
}

/// The same in one line.
pub(super) struct Inline<'a>(pub(super) &'a str);

impl fmt::Display for Inline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, piece) in self.0.split('`').enumerate() {
            if index % 2 == 1 {
                write!(f, "<code>{}</code>", Escaped(piece))?;
            } else {
                write!(f, "{}", Escaped(piece))?;
            }
        }
        Ok(())
    }
}

/// A whole page around `body`.
pub(super) fn framed(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        Escaped(title)
    )
}

/// The answer that carries a page.
pub(super) fn page(html: Bytes) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (headers, Extension(Surface::Page), html).into_response()
}

/// Its hash stands in `PAGE_POLICY`.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#2563a8}\
@media(prefers-color-scheme:dark){:root{--accent:#7db4ee}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;padding:1.5rem}\
h1{line-height:1.2}h2{margin-top:3rem;border-bottom:1px solid var(--line)}h3{margin:2.5rem 0 .5rem}\
h3 code{font-size:1rem}h4{margin:1rem 0 .25rem}a{color:var(--accent)}p{margin:.5rem 0}\
code{font:.9em ui-monospace,monospace;background:var(--soft);padding:.1em .25em;border-radius:3px}\
table{border-collapse:collapse;width:100%;display:block;overflow-x:auto}\
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line)}\
nav ul{columns:2;padding-left:1.2rem}.method{font-weight:700}.needs{color:GrayText}\
tr:target,h3:target{background:var(--soft)}@media(max-width:40rem){nav ul{columns:1}}";

#[cfg(test)]
mod tests {
    use super::*;

    /// Another style needs another hash in the policy, or browsers show the page bare.
    #[test]
    fn the_policy_allows_the_style() {
        use sha2::{Digest, Sha256};

        let policy = crate::http::docs::PAGE_POLICY;
        let policy = policy.to_str().expect("ascii");
        let hash = base64(&Sha256::digest(STYLE.as_bytes()));
        assert!(policy.contains(&format!("'sha256-{hash}'")), "{hash}");
        assert!(!policy.contains("unsafe"));
    }

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in bytes.chunks(3) {
            let mut bits = [0; 4];
            bits[1..=three.len()].copy_from_slice(three);
            let bits = u32::from_be_bytes(bits);
            for place in 0..=three.len() {
                let digit = bits >> (18 - 6 * place) & 63;
                text.push(char::from(DIGITS[usize::try_from(digit).expect("small")]));
            }
            text.extend(std::iter::repeat_n('=', 3 - three.len()));
        }
        text
    }

    #[test]
    fn nothing_breaks_out_of_text_or_attribute() {
        assert_eq!(
            Escaped("a<b>&\"c'd").to_string(),
            "a&lt;b&gt;&amp;&quot;c&#39;d"
        );
        assert_eq!(Escaped("plain ä").to_string(), "plain ä");
        assert_eq!(
            Inline("use `<x>` & more").to_string(),
            "use <code>&lt;x&gt;</code> &amp; more"
        );
        assert_eq!(Prose("one\n\ntwo").to_string(), "<p>one</p><p>two</p>");
    }
}
