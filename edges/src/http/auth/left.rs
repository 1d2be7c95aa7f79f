//! The session that a browser leaves behind when somebody signs in over it.
//!
//! Its cookies are replaced, so nobody could end it from this browser any more, and whoever sat there before would stay signed in for
//! weeks without knowing (ASVS 7.2.4). So it ends, once the new one has begun: a wrong password ends nothing.

use accounts::EndSession;
use axum::extract::FromRequestParts;
use ground::audit::Actor;
use http::request::Parts;

use super::cookies::Holds;
use super::delivery::Delivery;
use crate::http::problem::Problem;
use crate::http::source::source_of;
use crate::http::state::AppState;

/// The session of the cookies that are about to be replaced, if there is one. An extractor.
#[derive(Debug)]
pub(crate) struct Left(Option<EndSession>);

impl FromRequestParts<AppState> for Left {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &AppState) -> Result<Self, Problem> {
        let delivery = Delivery::from_request_parts(parts, edge).await?;
        if !delivery.is_in_cookies() {
            return Ok(Self(None));
        }
        let token = edge.jar(parts).read(&parts.headers, Holds::AccessToken);
        let named = token.and_then(|token| edge.handles.accounts.sessions().named_by(token));
        Ok(Self(named.map(|(session, user)| EndSession {
            session,
            user,
            is_logout: true,
            actor: Actor::User {
                id: user,
                credential: Some(session),
            },
            source: source_of(parts),
        })))
    }
}

impl Left {
    /// Ends it. That somebody else has just signed in does not depend on it.
    pub(crate) async fn end(self, edge: &AppState) {
        let Some(end) = self.0 else { return };
        let session = end.session;
        if let Err(error) = edge.handles.accounts.sessions().end(end).await {
            tracing::warn!(%session, %error, "a session was left behind that could not be ended");
        }
    }
}
