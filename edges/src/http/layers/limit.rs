//! Counts requests, and refuses them before they cost anything.
//!
//! Here is what can be known before anybody is asked: the address. A request without a token counts there. One with a token is let
//! through to be verified unless its address has used up its share; if the token turns out wrong, it counts there after all. A verified
//! one is counted for its account where it is verified (`authorize`).

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use crate::http::caller::Caller;
use crate::http::client::ClientAddress;
use crate::http::rates::{Class, Client, Standing};
use crate::http::routes::{Needs, Route, RouteId};
use crate::http::state::AppState;

/// A request that was let through.
pub(super) enum Counted {
    /// Without a token, so it was counted for its address, if at all.
    Already(Option<Standing>),
    /// With a token that is not verified yet.
    IfRefused(Class, Client),
}

/// Counts a request, or looks whether it may be tried.
///
/// # Errors
/// How the address stands, when it has used up its share.
pub(super) fn count(edge: &AppState, request: &Request) -> Result<Counted, Standing> {
    let Some((class, client)) = counted(request) else {
        return Ok(Counted::Already(None));
    };
    let is_unsettled = shows_token(request);
    let standing = if is_unsettled {
        edge.rates.look(class, client.clone())
    } else {
        edge.rates.take(class, client.clone())
    };
    match standing {
        Some(over) if over.is_over => Err(over),
        _ if is_unsettled => Ok(Counted::IfRefused(class, client)),
        standing => Ok(Counted::Already(standing)),
    }
}

impl Counted {
    /// Tells the client how it stands, once there is an answer.
    pub(super) fn settle(self, edge: &AppState, response: Response) -> Response {
        match self {
            Self::Already(standing) => told(response, standing),
            Self::IfRefused(class, client) if response.status() == StatusCode::UNAUTHORIZED => {
                told(response, edge.rates.take(class, client))
            }
            Self::IfRefused(..) => response,
        }
    }
}

/// As what a request counts as long as nobody has verified who sends it; `None` when it does not count at all.
fn counted(request: &Request) -> Option<(Class, Client)> {
    let route = request.extensions().get::<RouteId>().map(|id| id.route());
    if is_exempt(route) {
        return None;
    }
    let address = request.extensions().get::<ClientAddress>()?.0?;
    let is_auth = route.is_some_and(|route| route.is_auth);
    let class = if is_auth {
        Class::Auth
    } else {
        Class::Anonymous
    };
    Some((class, Client::Address(address.into())))
}

/// Whoever asks how the daemon is must get an answer.
fn is_exempt(route: Option<&Route>) -> bool {
    route.is_some_and(|route| route.is_probe)
}

/// Whether somebody will look at a token of this request. On an open route nobody does, so it counts as one without.
fn shows_token(request: &Request) -> bool {
    let id = request.extensions().get::<RouteId>();
    let is_open = id.is_some_and(|id| id.route().needs == Needs::Nothing);
    let headers = request.headers();
    !is_open
        && (headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE))
}

/// Counts a request for the account of its verified caller. `None` when it does not count.
pub(super) fn spend(edge: &AppState, route: Option<&Route>, caller: &Caller) -> Option<Standing> {
    let (class, client) = caller.counted().filter(|_| !is_exempt(route))?;
    edge.rates.take(class, client)
}

/// The answer to who has used up its share.
pub(super) fn refused(over: Standing) -> Response {
    told(over.refusal().into_response(), Some(over))
}

/// Tells how the client stands; what an inner layer has told stays out.
fn told(mut response: Response, standing: Option<Standing>) -> Response {
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    response
}
