//! Who asks: the local operator, the bearer of a token, or somebody who signed in.
//!
//! The Unix socket is its own proof (file mode and peer credentials), so its callers have the owner's rights. Over TCP a caller shows a
//! personal access token or the access token of a session in `Authorization`, the latter in a cookie instead, or a ticket with a
//! WebSocket. Each is looked up at each request: what was revoked is dead at once.
//!
//! A browser sends a cookie whoever made it send the request. So what comes with one and changes something, or opens a WebSocket, has to
//! come from a page of our own; what comes with a header does not, since no foreign page can set one.

use std::fmt;
use std::time::Duration;

use accounts::{Identity, Role, Scope, SessionIdentity, Tier};
use axum::extract::FromRequestParts;
use futures::future::BoxFuture;
use ground::audit::Actor;
use ground::{Id, Micros, clock};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use ptys::Viewer;

use super::auth::cookies::{Holds, Jar};
use super::auth::tickets::{self, Tickets};
use super::codes;
use super::layers::Guest;
use super::listen::Peer;
use super::problem::{BEARER, Problem};
use super::rates::{Class, Client};
use super::routes::Needs;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A process of the daemon's own user or of root, over the Unix socket.
    Local {
        /// Its user id.
        uid: u32,
    },
    /// The bearer of a personal access token.
    Token(Identity),
    /// Somebody who signed in.
    Session(SessionIdentity),
}

impl Caller {
    /// Which user it is; none for the local operator and for tokens of theirs.
    pub fn user(&self) -> Option<Id> {
        match self {
            Self::Local { .. } => None,
            // An owner that is no id owns nothing here, which is not the same as being the local operator.
            Self::Token(identity) => {
                identity.owner.as_ref()?;
                Some(identity.user().unwrap_or_else(Id::generate))
            }
            Self::Session(identity) => Some(identity.user),
        }
    }

    /// The same where there has to be one.
    ///
    /// # Errors
    /// 403 for the local operator and for tokens of theirs.
    pub fn user_or_refuse(&self) -> Result<Id, Problem> {
        let code = &codes::NOT_A_USER;
        self.user().ok_or_else(|| Problem::new(code, code.meaning))
    }

    /// The user, where there has to be one who signed in within this time: for what a stolen token must not do.
    ///
    /// # Errors
    /// 403 as of [`Caller::user_or_refuse`] and [`Caller::require_fresh`].
    pub fn recent_user(&self, within: Duration) -> Result<Id, Problem> {
        let user = self.user_or_refuse()?;
        self.require_fresh(within)?;
        Ok(user)
    }

    /// What the caller may do at most.
    pub fn role(&self) -> Role {
        match self {
            Self::Local { .. } => Role::Owner,
            Self::Token(identity) => identity.role,
            Self::Session(identity) => identity.role,
        }
    }

    /// The session that asks.
    ///
    /// # Errors
    /// 409 for every other sort of caller.
    pub fn session(&self) -> Result<&SessionIdentity, Problem> {
        match self {
            Self::Session(identity) => Ok(identity),
            Self::Local { .. } | Self::Token(_) => {
                let detail = "this was asked with a token or over the local socket, which no session belongs to";
                Err(Problem::new(&codes::NO_SESSION, detail))
            }
        }
    }

    /// Who asks, as terminals want to know it.
    pub fn viewer(&self) -> Viewer {
        let role = self.role().word();
        self.user()
            .map_or(Viewer::Operator, |id| Viewer::User { id, role })
    }

    /// What the request came with, for the audit.
    pub fn credential(&self) -> Option<Id> {
        match self {
            Self::Local { .. } => None,
            Self::Token(identity) => Some(identity.token_id),
            Self::Session(identity) => Some(identity.session),
        }
    }

    /// When the user signed in in person; `None` where nobody need be present.
    pub fn signed_in_at(&self) -> Option<Micros> {
        match self {
            Self::Local { .. } | Self::Token(_) => None,
            Self::Session(identity) => Some(identity.auth_time),
        }
    }

    /// As what its requests count, for the limits of rates; `None` when they do not.
    pub(crate) fn counted(&self) -> Option<(Class, Client)> {
        match self {
            Self::Local { .. } => None,
            Self::Token(identity) => {
                let class = class_of(identity.tier);
                Some((class, Client::Account(identity.owner.clone())))
            }
            Self::Session(identity) => {
                let class = class_of(identity.tier);
                let user = identity.user.to_string();
                Some((class, Client::Account(Some(user.into()))))
            }
        }
    }

    /// Whether the caller proved who they are within this time. The local operator does with every request; the bearer of a personal
    /// access token never did.
    pub fn is_fresh(&self, within: Duration) -> bool {
        match self {
            Self::Local { .. } => true,
            Self::Token(_) => false,
            Self::Session(identity) => clock::now().since(identity.auth_time) <= within,
        }
    }

    /// The same, where it is asked for.
    ///
    /// # Errors
    /// 403 that tells how long ago it may be.
    pub fn require_fresh(&self, within: Duration) -> Result<(), Problem> {
        if self.is_fresh(within) {
            return Ok(());
        }
        let minutes = within.as_secs().div_ceil(60);
        let detail = format!(
            "this needs a sign-in not longer ago than {minutes} minutes; sign in again and repeat it"
        );
        Err(Problem::new(&codes::NOT_FRESH, detail))
    }

    /// The same for what lasts longer than a session: whoever came in with one has to have signed in lately. A token makes nothing that can
    /// do more than itself, so that nothing is gained by it.
    ///
    /// # Errors
    /// As [`Caller::require_fresh`].
    pub fn require_fresh_session(&self, within: Duration) -> Result<(), Problem> {
        match self {
            Self::Session(_) => self.require_fresh(within),
            Self::Local { .. } | Self::Token(_) => Ok(()),
        }
    }

    /// The same for what takes all of a person's data away at once: every user has to have signed in lately, so that no token of theirs is
    /// enough. The local operator is no user, and neither are tokens of theirs.
    ///
    /// # Errors
    /// As [`Caller::require_fresh`].
    pub fn require_fresh_user(&self, within: Duration) -> Result<(), Problem> {
        match self.user() {
            Some(_) => self.require_fresh(within),
            None => Ok(()),
        }
    }

    /// The caller as the audit tells it.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Local { uid } => Actor::Local { uid: *uid },
            Self::Session(identity) => Actor::User {
                id: identity.user,
                credential: Some(identity.session),
            },
            Self::Token(identity) => match self.user() {
                Some(id) => Actor::User {
                    id,
                    credential: Some(identity.token_id),
                },
                None => Actor::Token {
                    id: identity.token_id,
                },
            },
        }
    }

    /// Whether the caller may do what needs this.
    ///
    /// # Errors
    /// 403 that names what is missing.
    pub fn may(&self, needs: Needs) -> Result<(), Problem> {
        let missing = match self {
            Self::Local { .. } => None,
            Self::Token(identity) => missing_of_token(identity, needs),
            Self::Session(identity) => missing_of_role(identity.role, needs),
        };
        missing.map_or(Ok(()), |missing| {
            let detail = format!("this needs {missing}");
            Err(Problem::new(&codes::MISSING_SCOPE, detail))
        })
    }
}

const fn class_of(tier: Tier) -> Class {
    match tier {
        Tier::Standard => Class::SignedIn,
        Tier::Premium => Class::Premium,
    }
}

/// What a token lacks, in words.
fn missing_of_token(identity: &Identity, needs: Needs) -> Option<String> {
    let is_allowed =
        |scope: &Scope| identity.scopes.allows(*scope) && reaches(identity.role, *scope);
    match needs {
        Needs::Nothing | Needs::SignedIn => None,
        Needs::OneOf(any) if any.iter().any(is_allowed) => None,
        Needs::OneOf(any) => {
            let words: Vec<String> = any.iter().map(|scope| format!("`{scope}`")).collect();
            Some(format!(
                "a token with the scope {}, of somebody who may do it",
                words.join(" or ")
            ))
        }
        Needs::Unlimited if identity.scopes.is_unlimited() => None,
        Needs::Unlimited => Some("a token that is not limited to scopes".to_owned()),
        Needs::Everything if identity.scopes.is_unlimited() && identity.role <= Role::Admin => None,
        Needs::Everything => Some("a token of the owner that is not limited to scopes".to_owned()),
    }
}

/// What a role lacks, in words: a session has all the rights of its user.
fn missing_of_role(role: Role, needs: Needs) -> Option<String> {
    let may = match needs {
        Needs::Nothing | Needs::SignedIn | Needs::Unlimited => true,
        Needs::OneOf(any) => any.iter().any(|scope| reaches(role, *scope)),
        Needs::Everything => role <= Role::Admin,
    };
    let role = role.word();
    (!may).then(|| format!("another role than `{role}`; an administrator can give it"))
}

/// The roles that are enough for what a route needs, from most to least: with a session, which has no limits besides.
pub(crate) fn roles_for(needs: Needs) -> Vec<&'static str> {
    let roles = [Role::Owner, Role::Admin, Role::Member, Role::Viewer];
    let may = roles
        .iter()
        .filter(|role| missing_of_role(**role, needs).is_none());
    may.map(|role| role.word()).collect()
}

/// How requests of a user are told from those of others, over all their sessions and tokens.
pub(crate) fn caller_of_user(user: Id) -> String {
    format!("user:{user}")
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
            Self::Session(identity) => write!(f, "session:{}", identity.session),
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

/// Whether a request is sent by a page of our own, as far as the browser tells. An extractor. That an `Origin`, where there is one, is
/// ours, or that of a guest, was checked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnPage(bool);

impl OwnPage {
    fn of(request: &Parts) -> Self {
        let site = request.headers.get("sec-fetch-site");
        let is_told = site.map(HeaderValue::as_bytes) == Some(b"same-origin");
        Self(is_told || Self::of_origin(request).0)
    }

    /// By the `Origin` alone, which browsers always tell of a WebSocket.
    fn of_origin(request: &Parts) -> Self {
        let is_guest = request.extensions.get::<Guest>().is_some();
        Self(request.headers.contains_key(header::ORIGIN) && !is_guest)
    }

    /// Asks for it.
    ///
    /// # Errors
    /// 403 when nothing says so.
    pub(crate) fn required(self) -> Result<(), Problem> {
        let code = &codes::COOKIE_NEEDS_ORIGIN;
        self.0
            .then_some(())
            .ok_or_else(|| Problem::new(code, code.meaning))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OwnPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self::of(parts))
    }
}

/// Where tokens are looked up and their ends are heard of.
pub trait Gate: Send + Sync + 'static {
    /// Who bears this token.
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Caller, Problem>>;
    /// Ends when what this caller came in with does: revoked or expired.
    fn ended(&self, caller: &Caller) -> BoxFuture<'static, ()>;
}

/// What is needed to tell who asks.
pub(crate) struct Doors<'a> {
    /// Where tokens are looked up.
    pub(crate) gate: &'a dyn Gate,
    /// The tickets for WebSockets.
    pub(crate) tickets: &'a Tickets,
    /// The cookies of this listener.
    pub(crate) jar: Jar,
}

/// The caller of a request: by the `Authorization` header, else by a ticket, else by a cookie.
///
/// # Errors
/// 401 when a TCP client shows nothing or something bad, 403 when a cookie came from nowhere; what the gate answers when it cannot look
/// the token up.
pub(crate) async fn identify(
    peer: &Peer,
    request: &Parts,
    doors: &Doors<'_>,
) -> Result<Caller, Problem> {
    let headers = &request.headers;
    if let Peer::Local { uid, .. } = peer {
        return Ok(Caller::Local { uid: *uid });
    }
    let is_upgrade = headers.contains_key(header::UPGRADE);
    if headers.contains_key(header::AUTHORIZATION) {
        return doors.gate.verify(bearer_token(headers)?).await;
    }
    if let Some(ticket) = tickets::offered(headers).filter(|_| is_upgrade) {
        let origin = headers
            .get(header::ORIGIN)
            .and_then(|origin| origin.to_str().ok());
        let caller = doors.tickets.redeem(ticket, request.uri.path(), origin);
        return caller.ok_or_else(|| Problem::new(&codes::BAD_TICKET, codes::BAD_TICKET.meaning));
    }
    let cookie = doors.jar.read(headers, Holds::AccessToken);
    let token = cookie.ok_or_else(missing_token)?;
    if is_upgrade {
        // A WebSocket always tells its origin; whatever does not is no page.
        OwnPage::of_origin(request).required()?;
    } else if !is_read(&request.method) {
        OwnPage::of(request).required()?;
    }
    doors.gate.verify(token).await
}

/// Whether a method changes nothing.
fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn missing_token() -> Problem {
    let detail = "send `Authorization: Bearer mst_…`; `mainstay token create` makes a token";
    Problem::new(&codes::MISSING_TOKEN, detail).with_header(header::WWW_AUTHENTICATE, BEARER)
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(first), None) = (given.next(), given.next()) else {
        return Err(missing_token());
    };
    let (scheme, token) = first
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(missing_token)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(missing_token())
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
            tier: Tier::Standard,
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
        assert!(bearer(Role::Viewer, &[]).may(Needs::Unlimited).is_ok());
        let reader = bearer(Role::Owner, &[Scope::Read]);
        assert!(reader.may(Needs::Unlimited).is_err());
    }

    #[test]
    fn what_lasts_takes_a_sign_in_and_what_takes_all_away_takes_one_of_every_user() {
        let within = Duration::from_mins(10);
        let session = |ago: Duration| {
            Caller::Session(SessionIdentity {
                user: Id::generate(),
                session: Id::generate(),
                email: "ada@example.com".into(),
                role: Role::Owner,
                tier: Tier::Standard,
                method: accounts::Method::Password,
                second_factor: false,
                auth_time: clock::now() - ago,
                expires_at: clock::now(),
            })
        };
        let owned = |owner: Option<Id>| match bearer(Role::Owner, &[]) {
            Caller::Token(identity) => Caller::Token(Identity {
                owner: owner.map(|id| id.to_string().into()),
                ..identity
            }),
            other => other,
        };
        let (lately, long_ago) = (session(within / 2), session(within * 2));
        let (theirs, operators) = (owned(Some(Id::generate())), owned(None));
        let local = Caller::Local { uid: 0 };
        for (caller, lasts, takes_all) in [
            (&lately, true, true),
            (&long_ago, false, false),
            (&theirs, true, false),
            (&operators, true, true),
            (&local, true, true),
        ] {
            let told = caller.to_string();
            assert_eq!(
                caller.require_fresh_session(within).is_ok(),
                lasts,
                "{told}"
            );
            assert_eq!(
                caller.require_fresh_user(within).is_ok(),
                takes_all,
                "{told}"
            );
        }
    }

    #[test]
    fn roles_that_are_enough_are_told_from_most_to_least() {
        let all = ["owner", "admin", "member", "viewer"];
        assert_eq!(roles_for(Needs::SignedIn), all);
        assert_eq!(roles_for(Needs::OneOf(&[Scope::Terminals])), all[..3]);
        assert_eq!(roles_for(Needs::OneOf(&[Scope::Operator])), all[..2]);
        assert_eq!(roles_for(Needs::Everything), all[..2]);
    }

    #[test]
    fn only_a_bearer_header_carries_a_token() {
        let token = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
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
