//! W3C trace context (`traceparent`): read from the request, or begun here.

use std::fmt;

use ground::Id;
use http::HeaderMap;

/// The trace that a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// The trace's id, not zero.
    pub trace_id: u128,
    /// The caller's span, if the caller named one.
    pub parent_id: Option<u64>,
    /// The span of this request, not zero.
    pub span_id: u64,
    /// Whether the caller records this trace.
    pub is_sampled: bool,
}

impl TraceContext {
    /// The context that the headers carry; a new one where they carry none, or a broken or repeated one.
    ///
    /// What is made here is made of `fresh`, an id of this request that nobody else has.
    pub(crate) fn of(headers: &HeaderMap, fresh: Id) -> Self {
        let mut given = headers.get_all("traceparent").iter();
        let parent = match (given.next(), given.next()) {
            (Some(only), None) => only.to_str().ok().and_then(parse),
            _ => None,
        };
        let fresh = u128::from_be_bytes(*fresh.as_bytes());
        let span_id = low_half(fresh);
        match parent {
            Some((trace_id, parent_id, is_sampled)) => Self {
                trace_id,
                parent_id: Some(parent_id),
                span_id,
                is_sampled,
            },
            None => Self {
                trace_id: fresh,
                parent_id: None,
                span_id,
                is_sampled: false,
            },
        }
    }

    /// The trace's id as 32 hexadecimal digits.
    pub(crate) fn trace_hex(&self) -> impl fmt::Display + use<> {
        let id = self.trace_id;
        fmt::from_fn(move |f| write!(f, "{id:032x}"))
    }
}

impl fmt::Display for TraceContext {
    /// As the header writes it for the next hop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id,
            self.span_id,
            u8::from(self.is_sampled)
        )
    }
}

/// The half of an id that is random.
fn low_half(id: u128) -> u64 {
    let [_, _, _, _, _, _, _, _, low @ ..] = id.to_be_bytes();
    u64::from_be_bytes(low)
}

/// `version-trace_id-parent_id-flags`; later versions may append fields, version 00 may not.
fn parse(text: &str) -> Option<(u128, u64, bool)> {
    let mut parts = text.split('-');
    let version = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    let trace_id = hex(parts.next()?, 32)?;
    let parent_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
    let flags = hex(parts.next()?, 2)?;
    let is_known = match version {
        0 => parts.next().is_none(),
        255 => false,
        _ => true,
    };
    (is_known && trace_id != 0 && parent_id != 0).then_some((trace_id, parent_id, flags & 1 == 1))
}

/// Lower-case hexadecimal of exactly `digits` digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (text.len() == digits && is_hex)
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_header_is_read() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = Some((
            0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            0x00f0_67aa_0ba9_02b7,
            true,
        ));
        assert_eq!(parse(text), read);
        assert_eq!(
            parse(&text.replace("00-4b", "cc-4b").replace("-01", "-01-later")),
            read
        );
    }

    #[test]
    fn broken_headers_are_ignored() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-+0f067aa0ba902b7-01",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_trace_is_begun_where_there_is_none() {
        let (one, two) = (
            TraceContext::of(&HeaderMap::new(), Id::generate()),
            TraceContext::of(&HeaderMap::new(), Id::generate()),
        );
        assert_ne!(one.trace_id, two.trace_id);
        assert_ne!(one.span_id, two.span_id);
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", one.to_string().parse().expect("ascii"));
        let next = TraceContext::of(&headers, Id::generate());
        assert_eq!(
            (next.trace_id, next.parent_id),
            (one.trace_id, Some(one.span_id))
        );
    }
}
