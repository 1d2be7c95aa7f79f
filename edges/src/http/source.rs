//! Who asks for something and from where, as it goes on record.

use std::net::IpAddr;

use accounts::Identity;
use axum::extract::FromRequestParts;
use ground::audit::{Actor, MAX_TEXT, Source};
use http::header;
use http::request::Parts;

use super::caller::Caller;
use super::layers::RequestId;
use super::listen::{Connection, Peer};
use super::problem::Problem;

/// The caller of a request with its address, what it says it is, and the id of the request.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    /// Who.
    pub(crate) actor: Actor,
    /// From where.
    pub(crate) source: Source,
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(Self {
            actor: actor_of(&caller),
            source: source_of(parts),
        })
    }
}

/// Who asks, as it goes on record. A token that belongs to no user is the local operator's.
fn actor_of(caller: &Caller) -> Actor {
    let of_user = |identity: &Identity| identity.owner.as_deref()?.parse().ok();
    match caller {
        Caller::Local { uid } => Actor::Local { uid: *uid },
        Caller::Token(identity) => match of_user(identity) {
            Some(id) => Actor::User {
                id,
                credential: Some(identity.token_id),
            },
            None => Actor::Local {
                uid: rustix::process::getuid().as_raw(),
            },
        },
    }
}

/// From where a request comes.
pub(crate) fn source_of(parts: &Parts) -> Source {
    let agent = parts.headers.get(header::USER_AGENT);
    let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let id = parts.extensions.get::<RequestId>();
    Source {
        address: address_of(parts),
        user_agent: agent.map(|agent| agent.chars().take(MAX_TEXT).collect()),
        request_id: id.map(|id| id.0.to_string()),
    }
}

fn address_of(parts: &Parts) -> Option<IpAddr> {
    let connection = parts.extensions.get::<Connection>()?;
    match connection.peer {
        Peer::Local { .. } => None,
        Peer::Tcp(address) => Some(address.ip().to_canonical()),
    }
}
