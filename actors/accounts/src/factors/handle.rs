//! The public face: one method a request.

use std::sync::{Arc, Mutex};

use ground::audit::Source;
use ground::{Id, Secret};
use supervisor::Address;

use crate::factors::error::FactorError;
use crate::factors::guesses::Guesses;
use crate::factors::messages::FactorsMsg;
use crate::factors::types::{By, Enrolment, FactorOverview};

/// Requests that the actor admits at most.
const MAILBOX_LIMIT: u32 = 256;

/// Second factors. Cheap to clone; works across restarts of the domain.
#[derive(Debug, Clone)]
pub struct Factors {
    address: Address<FactorsMsg>,
    pub(super) guesses: Arc<Mutex<Guesses>>,
}

impl Factors {
    /// A face with nobody behind it yet; `path` is where its actor will be in the tree.
    pub(crate) fn vacant(path: &str) -> Self {
        Self {
            address: Address::vacant(path, MAILBOX_LIMIT),
            guesses: Arc::default(),
        }
    }

    /// Where its actor is put.
    pub(crate) fn address(&self) -> &Address<FactorsMsg> {
        &self.address
    }

    /// Whether this user may pass with what was shown: `false` when no second factor is set up, `true` when one is and a code of
    /// it, or a recovery code, was shown that is right and was never used.
    ///
    /// # Errors
    /// `Required` when there is one and nothing was shown, `Wrong`, `Limited`; whatever keeps it from being checked.
    pub async fn check(
        &self,
        user: Id,
        shown: Option<&Secret>,
        source: &Source,
    ) -> Result<bool, FactorError> {
        let (shown, source) = (shown.cloned(), source.clone());
        #[rustfmt::skip]
        let check = |reply| FactorsMsg::Check { user, shown, source, reply };
        self.address.ask(check).await?
    }

    /// Begins to set an authenticator app up. It protects nothing until [`Factors::confirm`]; one that was begun before is forgotten.
    ///
    /// # Errors
    /// `NotFresh`, `AlreadySetUp`, `NoUser`; whatever keeps it from being stored.
    pub async fn enroll(&self, by: By) -> Result<Enrolment, FactorError> {
        let enroll = |reply| FactorsMsg::Enroll { by, reply };
        self.address.ask(enroll).await?
    }

    /// Shows the app's first code, from when on a code is asked for at every sign-in. Tells the recovery codes, this once.
    ///
    /// # Errors
    /// `NotFresh` for a personal token, `AlreadySetUp`, `NothingPending`, `Invalid` at `/totp_code`, `Limited`; whatever keeps it from
    /// being stored.
    pub async fn confirm(&self, by: By, code: Secret) -> Result<Vec<Secret>, FactorError> {
        let confirm = |reply| FactorsMsg::Confirm { by, code, reply };
        self.address.ask(confirm).await?
    }

    /// Takes the app and the recovery codes away. `shown` is a code of either.
    ///
    /// # Errors
    /// `NotFresh` for a personal token, `NotSetUp`, `Invalid`, `Limited`; whatever keeps it from being stored.
    pub async fn disable(&self, by: By, shown: Secret) -> Result<(), FactorError> {
        let disable = |reply| FactorsMsg::Disable { by, shown, reply };
        self.address.ask(disable).await?
    }

    /// Makes new recovery codes, told this once; the old ones are dead. `shown` is a code of the app or an old recovery code.
    ///
    /// # Errors
    /// `NotFresh` for a personal token, `NotSetUp`, `Invalid`, `Limited`; whatever keeps it from being stored.
    pub async fn renew(&self, by: By, shown: Secret) -> Result<Vec<Secret>, FactorError> {
        let renew = |reply| FactorsMsg::Renew { by, shown, reply };
        self.address.ask(renew).await?
    }

    /// What a user has set up.
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    pub async fn overview(&self, user: Id) -> Result<FactorOverview, FactorError> {
        let overview = |reply| FactorsMsg::Overview { user, reply };
        self.address.ask(overview).await?
    }
}
