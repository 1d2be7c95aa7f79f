//! The public face: one method a request.

use std::sync::Arc;

use ground::audit::By;
use ground::{Db, Id, Micros, Page, PageRequest, Sealer, Secret};
use supervisor::Address;

use crate::error::AccountsError;
use crate::factors::Factors;
use crate::federation::{Federation, Issuers};
use crate::messages::ManagerMsg;
use crate::people::People;
use crate::ports::{Ports, Shared};
use crate::recovery::Recovery;
use crate::revocations::TokenWatch;
use crate::sessions::Sessions;
use crate::types::{Identity, NewToken, TokenInfo};
use crate::verify;

/// The accounts domain. Cheap to clone; works across restarts of the domain.
#[derive(Debug, Clone)]
pub struct AccountsHandle {
    address: Address<ManagerMsg>,
    shared: Shared,
}

impl AccountsHandle {
    pub(crate) fn new(address: Address<ManagerMsg>) -> Self {
        let shared = Shared::new();
        Self { address, shared }
    }

    /// What the domain behind this handle is to be started with.
    pub fn ports(&self, db: Db) -> Ports {
        let (sealer, shared) = (Sealer::default(), self.shared.clone());
        let issuers = Issuers::default();
        Ports {
            db,
            sealer,
            shared,
            issuers,
        }
    }

    /// Second factors.
    pub fn factors(&self) -> &Factors {
        &self.shared.factors
    }

    /// People: who they are, and how they come in.
    pub fn people(&self) -> People {
        People::new(
            self.shared.people.address.clone(),
            Arc::clone(&self.shared.profiles),
        )
    }

    /// Outside issuers by which people sign in.
    pub fn federation(&self) -> &Federation {
        &self.shared.federation
    }

    /// Recovery over mail.
    pub fn recovery(&self) -> Recovery {
        Recovery::new(self.shared.recovery.clone())
    }

    /// The sessions of users.
    pub fn sessions(&self) -> &Sessions {
        &self.shared.sessions
    }

    /// Who bears this token. Needs neither a message nor a statement for a token that was used lately.
    ///
    /// # Errors
    /// `Malformed`, `Unknown`, `Revoked`, `Expired`: the token is wrong. `StoreLost`, `Busy`, `Deadline`, `Ask`: it cannot be
    /// checked at the moment.
    pub async fn verify(&self, token: &str) -> Result<Identity, AccountsError> {
        verify::verify(&self.address, &self.shared.known, token).await
    }

    /// Creates a token, of a user or of the local operator. Its text is told this once and kept nowhere. That it was created, and
    /// `by` whom, is on record together with it.
    ///
    /// # Errors
    /// `Invalid` with all findings, `TooMany`, and whatever keeps it from being stored. After `Deadline` or `Ask` there may
    /// be a token of which nobody has the text: it is in the list and can be revoked.
    pub async fn create(
        &self,
        new: NewToken,
        by: By,
    ) -> Result<(TokenInfo, Secret), AccountsError> {
        let create = |reply| ManagerMsg::Create { new, by, reply };
        self.address.ask(create).await?
    }

    /// The tokens of a user, or all of them, in order of their creation, ended ones included.
    ///
    /// # Errors
    /// Whatever keeps them from being read.
    pub async fn list(
        &self,
        page: PageRequest,
        owner: Option<Id>,
    ) -> Result<Page<TokenInfo>, AccountsError> {
        let list = |reply| ManagerMsg::List { page, owner, reply };
        self.address.ask(list).await?
    }

    /// Revokes a token, if it is that of `owner` or no owner is named: when this returns it is stored, the token is refused and its
    /// watchers are told. Revoking it again is no error, and makes no second record.
    ///
    /// # Errors
    /// `NotFound`, and whatever keeps it from being stored. After `Deadline` or `Ask` it may be revoked all the same.
    pub async fn revoke(&self, id: Id, owner: Option<Id>, by: By) -> Result<(), AccountsError> {
        #[rustfmt::skip]
        let revoke = |reply| ManagerMsg::Revoke { id, owner, by, reply };
        self.address.ask(revoke).await?
    }

    /// Whether there is a token that works.
    ///
    /// # Errors
    /// Whatever keeps that from being read.
    pub async fn has_tokens(&self) -> Result<bool, AccountsError> {
        let has_tokens = |reply| ManagerMsg::HasTokens { reply };
        self.address.ask(has_tokens).await?
    }

    /// Watches a verified token, to end what was opened with it when it is revoked or when `expires_at` passes. Sees a
    /// revocation that came after the check, too.
    pub fn watch(&self, token: Id, expires_at: Option<Micros>) -> TokenWatch {
        self.shared.revocations.watch(token, expires_at)
    }
}
