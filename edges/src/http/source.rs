//! Who asks for something and from where, as it goes on record.

use axum::extract::FromRequestParts;
use ground::audit::{By, MAX_TEXT, Source};
use http::header;
use http::request::Parts;

use super::caller::Caller;
use super::client::ClientAddress;
use super::layers::RequestId;
use super::problem::Problem;

/// The caller of a request with its address, what it says it is, and the id of the request.
#[derive(Debug, Clone)]
pub(crate) struct Asker(pub(crate) By);

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(Self(By {
            actor: caller.actor(),
            source: source_of(parts),
        }))
    }
}

/// From where a request comes, where nobody need be signed in. An extractor.
#[derive(Debug, Clone)]
pub(crate) struct CameFrom(pub(crate) Source);

impl<S: Send + Sync> FromRequestParts<S> for CameFrom {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self(source_of(parts)))
    }
}

/// From where a request comes.
pub(crate) fn source_of(parts: &Parts) -> Source {
    let agent = parts.headers.get(header::USER_AGENT);
    let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let id = parts.extensions.get::<RequestId>();
    Source {
        // Behind a trusted proxy it is not the other end of the connection.
        address: parts
            .extensions
            .get::<ClientAddress>()
            .and_then(|client| client.0),
        // A text of so few bytes has no more characters, so hardly any is taken apart.
        user_agent: agent.map(|agent| match agent.len() {
            0..=MAX_TEXT => agent.into_owned(),
            _ => agent.chars().take(MAX_TEXT).collect(),
        }),
        request_id: id.map(|id| id.0.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn a_request_tells_where_it_comes_from() {
        let request = Request::builder().header("user-agent", "x".repeat(1_000));
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        parts.extensions.insert(RequestId("r-1".into()));
        let client = "192.0.2.1".parse().ok();
        parts.extensions.insert(ClientAddress(client));
        let source = source_of(&parts);
        assert_eq!(source.address, client);
        assert_eq!(source.request_id.as_deref(), Some("r-1"));
        assert_eq!(source.user_agent.map(|agent| agent.len()), Some(MAX_TEXT));
        parts.extensions.insert(ClientAddress(None));
        assert_eq!(source_of(&parts).address, None);
    }
}
