//! What signing in from outside needs of its neighbours inside this crate: users to make, second factors to ask for, sessions to begin.
//!
//! As traits, so that what is decided here is tested without them.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use ground::audit::Source;
use ground::db::Conn;
use ground::{DbError, Id, Micros, Secret};
use supervisor::Fault;

use crate::sessions::{SignIn, TokenPair};
use crate::types::Role;

/// What a neighbour refused, in its own words.
pub(crate) type Refused = Arc<dyn Fault>;

/// An address that a user can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// As it is shown.
    pub(crate) text: String,
    /// The form by which two are told apart.
    pub(crate) key: String,
}

/// Somebody new, whose address an issuer verified.
#[derive(Debug, Clone)]
pub(crate) struct Newcomer {
    pub(crate) id: Id,
    pub(crate) address: Address,
    pub(crate) name: Option<String>,
    pub(crate) role: Role,
    pub(crate) at: Micros,
}

/// Users.
pub(crate) trait Users: fmt::Debug + Send + Sync + 'static {
    /// The address, if a user can have it.
    fn address(&self, text: &str) -> Option<Address>;

    /// Makes a user without a password, in the transaction of the identity.
    fn make<'a>(
        &'a self,
        tx: &'a mut Conn,
        newcomer: &'a Newcomer,
    ) -> BoxFuture<'a, Result<(), DbError>>;
}

/// Second factors.
pub(crate) trait SecondFactors: fmt::Debug + Send + Sync + 'static {
    /// Whether one was shown and right; `Ok(false)`: the user has none.
    fn check<'a>(
        &'a self,
        user: Id,
        shown: Option<&'a Secret>,
        source: &'a Source,
    ) -> BoxFuture<'a, Result<bool, Refused>>;
}

/// Sessions.
pub(crate) trait BeginsSessions: fmt::Debug + Send + Sync + 'static {
    /// Begins one; notes the time of the sign-in and writes the audit entry.
    fn begin(&self, sign_in: SignIn) -> BoxFuture<'_, Result<TokenPair, Refused>>;
}

/// All neighbours.
#[derive(Debug, Clone)]
pub(crate) struct Neighbours {
    pub(crate) users: Arc<dyn Users>,
    pub(crate) factors: Arc<dyn SecondFactors>,
    pub(crate) sessions: Arc<dyn BeginsSessions>,
}
