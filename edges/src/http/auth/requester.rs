//! Who asks, as the people of the accounts domain want to know it.

use accounts::Requester;
use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::http::source::CameFrom;

/// The caller of a request with role and origin. An extractor.
#[derive(Debug, Clone)]
pub(crate) struct Asking(pub(crate) Requester);

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let CameFrom(source) = CameFrom::from_request_parts(parts, state).await?;
        Ok(Self(Requester {
            actor: caller.actor(),
            user: caller.user(),
            role: caller.role(),
            session: caller.session().ok().map(|session| session.session),
            source,
        }))
    }
}
