//! The public face: one method a request.

use ground::Id;
use supervisor::Address;

use super::error::FederationError;
use super::messages::FederationMsg;
use super::types::{Begin, Begun, Finish, Finished, IdentityInfo, IssuerInfo};
use crate::factors::By;

/// Signing in by outside issuers. Cheap to clone; works across restarts.
#[derive(Debug, Clone)]
pub struct Federation(Address<FederationMsg>);

/// Where the actor is in the tree.
const PATH: &str = "/accounts/federation";
/// Requests that it admits at most.
const MAILBOX: u32 = 256;

impl Federation {
    /// Nobody is behind it until the domain starts.
    pub(crate) fn vacant() -> Self {
        Self(Address::vacant(PATH, MAILBOX))
    }

    pub(crate) fn address(&self) -> &Address<FederationMsg> {
        &self.0
    }

    /// The issuers that are configured, by name.
    ///
    /// # Errors
    /// `Accounts`.
    pub async fn issuers(&self) -> Result<Vec<IssuerInfo>, FederationError> {
        let issuers = |reply| FederationMsg::Issuers { reply };
        self.0.ask(issuers).await?
    }

    /// Begins an attempt to be vouched for. It is kept in memory, for ten minutes.
    ///
    /// # Errors
    /// `Invalid`, `NoIssuer`, `Issuer`, `Accounts`; `Refused` when a link is asked for by who did not sign in lately.
    pub async fn begin(&self, begin: Begin) -> Result<Begun, FederationError> {
        let begin = |reply| FederationMsg::Begin { begin, reply };
        self.0.ask(begin).await?
    }

    /// Ends an attempt with what came back. It works once, but where the second factor was missing or wrong: then the same may be
    /// sent again with it, up to five times.
    ///
    /// # Errors
    /// Every [`FederationError`] but `LastWayIn` and `NotLinked`. After `Accounts` somebody may have been signed in all the same.
    pub async fn finish(&self, finish: Finish) -> Result<Finished, FederationError> {
        let finish = Box::new(finish);
        let finish = |reply| FederationMsg::Finish { finish, reply };
        self.0.ask(finish).await?
    }

    /// The identities of a user.
    ///
    /// # Errors
    /// `Accounts`.
    pub async fn identities(&self, user: Id) -> Result<Vec<IdentityInfo>, FederationError> {
        let identities = |reply| FederationMsg::Identities { user, reply };
        self.0.ask(identities).await?
    }

    /// Takes the identity of an issuer from its user, unless it is the last way in.
    ///
    /// # Errors
    /// `NotLinked`, `LastWayIn`, `Accounts`; `Refused` when it is asked for by who did not sign in lately.
    pub async fn unlink(&self, by: By, issuer: String) -> Result<(), FederationError> {
        let unlink = |reply| FederationMsg::Unlink { by, issuer, reply };
        self.0.ask(unlink).await?
    }
}
