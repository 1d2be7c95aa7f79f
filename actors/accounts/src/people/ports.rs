//! What looking after people needs of its neighbours inside this crate: sessions to begin and end, and second factors to ask for.
//!
//! As traits, so that what is decided here is tested without them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ground::audit::{Actor, Source};
use ground::{Id, Secret};
use supervisor::Fault;

/// What a neighbour refused, in its own words.
pub(crate) type Refused = Arc<dyn Fault>;

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// With the setup token.
    Setup,
    /// With a password.
    Password,
}

/// A session to begin: all credentials were checked.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Who.
    pub user: Id,
    /// How they proved it.
    pub method: Method,
    /// Whether a second factor was shown.
    pub second_factor: bool,
    /// From where.
    pub source: Source,
}

/// What a client works with from then on.
#[derive(Debug, Clone)]
pub struct TokenPair {
    /// For requests.
    pub access_token: Secret,
    /// For the next pair.
    pub refresh_token: Secret,
    /// How long the access token is valid.
    pub expires_in: Duration,
    /// The session.
    pub session: Id,
}

/// Begins and ends sessions.
pub(crate) trait Sessions: fmt::Debug + Send + Sync + 'static {
    /// Begins one; notes the time of the sign-in and writes the audit entry.
    fn begin(&self, sign_in: SignIn) -> BoxFuture<'_, Result<TokenPair, Refused>>;

    /// Ends all of a user but one; their streams are told within a second.
    fn end_all(
        &self,
        user: Id,
        except: Option<Id>,
        actor: Actor,
        source: Source,
    ) -> BoxFuture<'_, Result<u32, Refused>>;
}

/// Asks for second factors.
pub(crate) trait SecondFactor: fmt::Debug + Send + Sync + 'static {
    /// Whether one was shown and right; `Ok(false)`: the user has none.
    fn check<'a>(
        &'a self,
        user: Id,
        shown: Option<&'a Secret>,
        source: &'a Source,
    ) -> BoxFuture<'a, Result<bool, Refused>>;
}

/// Nobody has a second factor: there is no part of this program yet in which one can be set up.
#[derive(Debug)]
pub(crate) struct NoSecondFactor;

impl SecondFactor for NoSecondFactor {
    fn check<'a>(
        &'a self,
        _user: Id,
        _shown: Option<&'a Secret>,
        _source: &'a Source,
    ) -> BoxFuture<'a, Result<bool, Refused>> {
        Box::pin(async { Ok(false) })
    }
}
