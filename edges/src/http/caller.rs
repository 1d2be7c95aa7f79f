//! Who asks: the local operator, or the bearer of a token.
//!
//! The Unix socket is its own proof (file mode and peer credentials), so its callers have the owner's rights. Over TCP
//! a bearer token is looked up at each request; nothing is cached, so a revoked token is dead at once.

use std::fmt;

use accounts::{Identity, Role, Scope};
use axum::extract::FromRequestParts;
use futures::future::BoxFuture;
use ground::audit::{Actor, Source};
use ground::{Id, Micros};
use http::request::Parts;
use http::{HeaderMap, header};
use ptys::Viewer;

use super::codes;
use super::layers::RequestId;
use super::listen::{Connection, Peer};
use super::problem::{BEARER, Problem};
use super::routes::Needs;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A process of the daemon's own user or of root, over the Unix socket.
    Local {
        /// Its user id.
        uid: u32,
    },
    /// The bearer of a token.
    Token(Identity),
}

impl Caller {
    /// The user who asks; none for the local operator and for the local operator's tokens.
    pub fn user(&self) -> Option<Id> {
        match self {
            Self::Local { .. } => None,
            // An owner that is no id owns nothing here, which is not the same as being the local operator.
            Self::Token(identity) => {
                let owner = identity.owner.as_deref()?;
                Some(owner.parse().unwrap_or_else(|_| Id::generate()))
            }
        }
    }

    /// Who asks, as terminals want to know it.
    pub fn viewer(&self) -> Viewer {
        match (self, self.user()) {
            (Self::Token(identity), Some(id)) => Viewer::User {
                id,
                role: identity.role.word(),
            },
            _ => Viewer::Operator,
        }
    }

    /// Who asks, as it goes on record.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Local { uid } => Actor::Local { uid: *uid },
            Self::Token(identity) => match self.user() {
                None => Actor::Token {
                    id: identity.token_id,
                },
                Some(id) => Actor::User {
                    id,
                    credential: Some(identity.token_id),
                },
            },
        }
    }

    /// Whether the caller may do what needs this.
    ///
    /// # Errors
    /// 403 that names what is missing.
    pub fn may(&self, needs: Needs) -> Result<(), Problem> {
        let Self::Token(identity) = self else {
            return Ok(());
        };
        let is_allowed =
            |scope: &Scope| identity.scopes.allows(*scope) && reaches(identity.role, *scope);
        let missing = match needs {
            Needs::Nothing | Needs::SignedIn => return Ok(()),
            Needs::OneOf(any) if any.iter().any(is_allowed) => return Ok(()),
            Needs::OneOf(any) => {
                let words: Vec<String> = any.iter().map(|scope| format!("`{scope}`")).collect();
                format!(
                    "a token with the scope {}, of somebody who may do it",
                    words.join(" or ")
                )
            }
            Needs::Everything if identity.scopes.is_unlimited() && identity.role <= Role::Admin => {
                return Ok(());
            }
            Needs::Everything => "a token of the owner that is not limited to scopes".to_owned(),
        };
        Err(Problem::new(
            &codes::MISSING_SCOPE,
            format!("this needs {missing}"),
        ))
    }
}

impl Caller {
    /// What the request came with, for the audit.
    pub fn credential(&self) -> Option<Id> {
        match self {
            Self::Local { .. } => None,
            Self::Token(identity) => Some(identity.token_id),
        }
    }

    /// When the user signed in in person; `None` where nobody need be present.
    pub fn signed_in_at(&self) -> Option<Micros> {
        match self {
            Self::Local { .. } | Self::Token(_) => None,
        }
    }
}

/// From where a request comes, for the audit.
#[derive(Debug, Clone)]
pub(crate) struct From_(pub(crate) Source);

impl<S: Send + Sync> FromRequestParts<S> for From_ {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Connection>();
        let agent = parts.headers.get(header::USER_AGENT);
        let id = parts.extensions.get::<RequestId>();
        Ok(Self(Source {
            address: peer.and_then(|connection| match connection.peer {
                Peer::Tcp(address) => Some(address.ip()),
                Peer::Local { .. } => None,
            }),
            user_agent: agent.and_then(|agent| agent.to_str().ok().map(str::to_owned)),
            request_id: id.map(|id| id.0.to_string()),
        }))
    }
}

/// What a role may do at most, whatever its token says.
fn reaches(role: Role, scope: Scope) -> bool {
    match scope {
        Scope::Read => true,
        Scope::Terminals => role <= Role::Member,
        Scope::Operator => role <= Role::Admin,
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { uid } => write!(f, "local:{uid}"),
            Self::Token(identity) => write!(f, "token:{}", identity.token_id),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::internal("a handler asked for the caller of an open route"))
    }
}

/// Where tokens are looked up and their ends are heard of.
pub trait Gate: Send + Sync + 'static {
    /// Who bears this token.
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Identity, Problem>>;
    /// Ends when this token does: revoked or expired.
    fn ended(&self, identity: &Identity) -> BoxFuture<'static, ()>;
}

/// The caller of a request.
///
/// # Errors
/// 401 when a TCP client shows no token or a bad one; what the gate answers when it cannot look the token up.
pub async fn identify(
    peer: &Peer,
    headers: &HeaderMap,
    gate: &dyn Gate,
) -> Result<Caller, Problem> {
    match peer {
        Peer::Local { uid, .. } => Ok(Caller::Local { uid: *uid }),
        Peer::Tcp(_) => gate.verify(bearer_token(headers)?).await.map(Caller::Token),
    }
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let missing = || {
        let detail = "send `Authorization: Bearer mst_…`; `mainstay token create` makes a token";
        Problem::new(&codes::MISSING_TOKEN, detail).with_header(header::WWW_AUTHENTICATE, BEARER)
    };
    let (Some(first), None) = (given.next(), given.next()) else {
        return Err(missing());
    };
    let (scheme, token) = first
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(missing())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::TABLE;

    fn bearer(role: Role, scopes: &[Scope]) -> Caller {
        let scopes = scopes.iter().copied().collect();
        Caller::Token(Identity {
            token_id: Id::generate(),
            name: "test".into(),
            owner: None,
            role,
            scopes,
            expires_at: None,
        })
    }

    #[test]
    fn an_unlimited_token_of_the_owner_may_do_everything() {
        for caller in [
            Caller::Local { uid: 0 },
            bearer(Role::Owner, &[]),
            bearer(Role::Admin, &[]),
        ] {
            assert!(
                TABLE.iter().all(|route| caller.may(route.needs).is_ok()),
                "{caller}"
            );
        }
    }

    #[test]
    fn a_token_acts_for_its_owner() {
        let of = |owner: Option<&str>| {
            let Caller::Token(identity) = bearer(Role::Owner, &[]) else {
                unreachable!("a token")
            };
            let owner = owner.map(Into::into);
            Caller::Token(Identity { owner, ..identity })
        };
        let user = Id::generate();
        assert_eq!(of(None).user(), None);
        assert_eq!(of(None).viewer(), Viewer::Operator);
        assert!(matches!(of(None).actor(), Actor::Token { .. }));
        let owned = of(Some(&user.to_string()));
        assert_eq!(owned.user(), Some(user));
        assert!(matches!(owned.actor(), Actor::User { id, .. } if id == user));
        let role = "owner";
        assert_eq!(owned.viewer(), Viewer::User { id: user, role });
        assert_ne!(of(Some("nobody")).viewer(), Viewer::Operator);
        let local = Caller::Local { uid: 3 };
        assert_eq!(
            (local.user(), local.actor()),
            (None, Actor::Local { uid: 3 })
        );
    }

    #[test]
    fn a_limited_token_may_do_what_it_names() {
        let may =
            |caller: &Caller, scope: &'static [Scope]| caller.may(Needs::OneOf(scope)).is_ok();
        let reader = bearer(Role::Owner, &[Scope::Read]);
        assert!(may(&reader, &[Scope::Read]) && may(&reader, &[Scope::Operator, Scope::Read]));
        assert!(!may(&reader, &[Scope::Operator]) && !may(&reader, &[Scope::Terminals]));
        let everything = bearer(
            Role::Owner,
            &[Scope::Read, Scope::Operator, Scope::Terminals],
        );
        assert!(
            everything.may(Needs::Everything).is_err(),
            "a list of scopes is a limit, however long"
        );
        assert!(reader.may(Needs::SignedIn).is_ok());
    }

    #[test]
    fn a_role_is_a_limit_that_no_token_lifts() {
        let may =
            |role, scope: &'static [Scope]| bearer(role, &[]).may(Needs::OneOf(scope)).is_ok();
        assert!(may(Role::Viewer, &[Scope::Read]) && !may(Role::Viewer, &[Scope::Terminals]));
        assert!(may(Role::Member, &[Scope::Terminals]) && !may(Role::Member, &[Scope::Operator]));
        assert!(may(Role::Admin, &[Scope::Operator]));
        assert!(bearer(Role::Member, &[]).may(Needs::Everything).is_err());
    }

    #[test]
    fn only_a_bearer_header_carries_a_token() {
        let token = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, http::HeaderValue::from_static(value));
            }
            bearer_token(&headers)
                .map(str::to_owned)
                .map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(token(&["Bearer mst_x"]), Ok("mst_x".to_owned()));
        assert_eq!(token(&["bearer  mst_x "]), Ok("mst_x".to_owned()));
        for wrong in [
            &[][..],
            &["mst_x"],
            &["Basic eDp5"],
            &["Bearer a", "Bearer b"],
            &[""],
        ] {
            assert_eq!(token(wrong), Err(401), "{wrong:?}");
        }
    }
}
