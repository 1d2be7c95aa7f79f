//! What signing in from outside needs of its neighbours inside this crate: users to make, second factors to ask for, sessions to begin.
//!
//! As traits, so that what is decided here is tested without them.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use ground::db::Conn;
use ground::{DbError, Id, Micros};

use crate::people::{self, Refused, SecondFactor, User};
use crate::sessions::{Sessions, SignIn, TokenPair};
use crate::types::{Role, Tier};

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

    /// Makes a user without a password, in the transaction of the identity; tells whether the address was free.
    fn make<'a>(
        &'a self,
        tx: &'a mut Conn,
        newcomer: &'a Newcomer,
    ) -> BoxFuture<'a, Result<bool, DbError>>;
}

/// The users of this crate.
#[derive(Debug)]
pub(crate) struct OwnUsers;

impl Users for OwnUsers {
    fn address(&self, text: &str) -> Option<Address> {
        let email = people::check_email("/email", text).ok()?;
        Some(Address {
            text: email.text,
            key: email.key,
        })
    }

    fn make<'a>(
        &'a self,
        tx: &'a mut Conn,
        newcomer: &'a Newcomer,
    ) -> BoxFuture<'a, Result<bool, DbError>> {
        let user = User {
            id: newcomer.id,
            email: newcomer.address.text.clone(),
            email_verified_at: Some(newcomer.at),
            name: newcomer.name.clone(),
            role: newcomer.role,
            tier: Tier::Standard,
            has_password: false,
            disabled_at: None,
            created_at: newcomer.at,
            updated_at: newcomer.at,
            last_sign_in_at: None,
            version: 1,
        };
        Box::pin(async move { people::add(tx, &user, &newcomer.address.key, None).await })
    }
}

/// Sessions.
pub(crate) trait BeginsSessions: fmt::Debug + Send + Sync + 'static {
    /// Begins one; notes the time of the sign-in and writes the audit entry.
    fn begin(&self, sign_in: SignIn) -> BoxFuture<'_, Result<TokenPair, Refused>>;
}

impl BeginsSessions for Sessions {
    fn begin(&self, sign_in: SignIn) -> BoxFuture<'_, Result<TokenPair, Refused>> {
        Box::pin(async {
            let begun = self.begin(sign_in).await;
            begun.map_err(|error| -> Refused { Arc::new(error) })
        })
    }
}

/// All neighbours.
#[derive(Debug, Clone)]
pub(crate) struct Neighbours {
    pub(crate) users: Arc<dyn Users>,
    pub(crate) factors: Arc<dyn SecondFactor>,
    pub(crate) sessions: Arc<dyn BeginsSessions>,
}
