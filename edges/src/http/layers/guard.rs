//! Whether a request came to the right host, and not on behalf of a foreign web page.

use axum::extract::Request;
use http::{HeaderMap, Method, header};

use super::origin::{Host, host_of_origin, is_listed, is_own};
use crate::http::client::Reached;
use crate::http::codes;
use crate::http::limits::Limits;
use crate::http::listen::Connection;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// A page of an origin that may ask with a token and read the answers (`http.cors_origins`), and for which no cookie counts. A request
/// extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guest;

/// Whether the request may go on, and if for a guest.
///
/// # Errors
/// The refusal.
pub(super) fn guard(edge: &AppState, request: &Request) -> Result<Option<Guest>, Problem> {
    let reached = request.extensions().get::<Reached>();
    let host = Host::of_request(request.uri(), request.headers());
    let told = reached.and_then(|reached| reached.host.as_deref());
    let host = told.map_or(host, Host::parse).ok_or_else(|| {
        Problem::new(
            &codes::BAD_HOST,
            "send exactly one Host header that names a host",
        )
    })?;
    let is_local = request
        .extensions()
        .get::<Connection>()
        .is_some_and(|connection| connection.peer.is_local());
    if !is_local {
        serves(edge, &host)?;
    }
    if is_harmless(request.method(), request.headers()) {
        return Ok(None);
    }
    let is_secure = reached.is_some_and(|reached| reached.is_secure);
    match request.headers().get(header::ORIGIN) {
        None => Ok(None),
        Some(origin) if is_ours(origin, &host, is_secure, &edge.limits) => Ok(None),
        Some(origin) if is_a_guest(origin, &edge.limits) => Ok(Some(Guest)),
        Some(_) => {
            let detail = "a page of another origin may not do this; `http.allowed_origins` lists those that may";
            Err(Problem::new(&codes::FOREIGN_ORIGIN, detail))
        }
    }
}

/// Whether this server is known by that name.
fn serves(edge: &AppState, host: &Host) -> Result<(), Problem> {
    let hosts = &edge.limits.public_hosts;
    let refused = |detail: &str| Err(Problem::new(&codes::UNKNOWN_HOST, detail));
    if !hosts.is_empty() {
        if host.is_this_machine() || hosts.iter().any(|name| name == host.name()) {
            return Ok(());
        }
        return refused("this server is not known by that host name");
    }
    let allowed = edge.limits.allowed_origins.iter();
    let mut allowed = allowed.filter_map(|origin| host_of_origin(origin));
    if !edge.is_loopback_only || host.is_not_for_dns() || allowed.any(|name| name == host.name()) {
        return Ok(());
    }
    refused("this server listens on loopback only and is not known by that host name")
}

/// A plain read: the browser itself keeps a foreign page from seeing the answer.
fn is_harmless(method: &Method, headers: &HeaderMap) -> bool {
    method.is_safe() && !headers.contains_key(header::UPGRADE)
}

fn is_ours(origin: &http::HeaderValue, host: &Host, is_secure: bool, limits: &Limits) -> bool {
    origin.to_str().is_ok_and(|origin| {
        is_listed(origin, &limits.allowed_origins) || is_own(origin, host, is_secure)
    })
}

fn is_a_guest(origin: &http::HeaderValue, limits: &Limits) -> bool {
    let origin = origin.to_str();
    origin.is_ok_and(|origin| is_listed(origin, &limits.cors_origins))
}
