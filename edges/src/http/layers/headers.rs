//! What a browser may do with an answer: a policy for each kind of answer, HTTPS from now on, and who else may read it.

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::origin::is_listed;
use crate::http::docs::PAGE_POLICY;
use crate::http::state::AppState;

/// The kind of an answer, where it is not data. A response extension; data needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    /// A page of ours, for a browser to show.
    Page,
}

/// Two years: what browsers ask for before they remember it for everybody.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
/// Data is nothing to show: whoever is made to open it as a page gets an empty one.
const DATA_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
);
/// What no page of ours needs.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), usb=()",
);
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
/// Headers that are added to an answer on top of its own at most: room is made once.
const MOST: usize = 12;
/// What scripts of other origins may read besides the body.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, x-request-id",
);

/// What is known of the browser that asks, as far as its answer depends on it.
#[derive(Debug)]
pub(super) struct Browser {
    is_secure: bool,
    /// Whether any origin may read answers: then they differ by origin.
    varies: bool,
    /// The origin of the page that asks, if it may read the answer.
    reader: Option<HeaderValue>,
}

impl Browser {
    pub(super) fn of(edge: &AppState, headers: &HeaderMap, is_secure: bool) -> Self {
        let listed = &edge.limits.cors_origins;
        let origin = headers.get(header::ORIGIN).filter(|origin| {
            origin
                .to_str()
                .is_ok_and(|origin| is_listed(origin, listed))
        });
        Self {
            is_secure,
            varies: !listed.is_empty(),
            reader: origin.cloned(),
        }
    }

    /// Adds the headers. What a handler set stays.
    pub(super) fn protect(self, response: &mut Response) {
        let surface = response.extensions().get::<Surface>().copied();
        let is_page = surface == Some(Surface::Page) && response.status().is_success();
        let headers = response.headers_mut();
        let fixed = [
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
            (
                header::REFERRER_POLICY,
                HeaderValue::from_static("no-referrer"),
            ),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (RESOURCE_POLICY, SAME_ORIGIN),
        ];
        headers.reserve(MOST);
        let policy = if is_page { PAGE_POLICY } else { DATA_POLICY };
        let page = [
            (OPENER_POLICY, SAME_ORIGIN),
            (PERMISSIONS_POLICY, PERMISSIONS),
        ];
        let secure = (header::STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
        let all = fixed
            .into_iter()
            .chain([(header::CONTENT_SECURITY_POLICY, policy)])
            .chain(page.into_iter().filter(|_| is_page))
            .chain(Some(secure).filter(|_| self.is_secure));
        for (name, value) in all {
            headers.entry(name).or_insert(value);
        }
        self.share(headers);
    }

    /// Lets the page read the answer, if it may. Never with cookies: a page of another origin brings its token itself.
    fn share(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = self.reader {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}
