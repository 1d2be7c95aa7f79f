//! The public face: one method a request.

use ground::Secret;
use ground::audit::Source;
use supervisor::Address;

use super::error::RecoveryError;
use super::messages::RecoveryMsg;
use super::types::{Holder, NewEmail, Reset};

/// Recovery over mail. Cheap to clone; works across restarts of the domain.
///
/// Every method can fail with what keeps the actor or the database from answering: `Store`, `Ask`. After a deadline a change may have
/// been made all the same. Only what else can go wrong is told at each.
#[derive(Debug, Clone)]
pub struct Recovery {
    address: Address<RecoveryMsg>,
}

impl Recovery {
    pub(crate) const fn new(address: Address<RecoveryMsg>) -> Self {
        Self { address }
    }

    /// Mails a token for a new password to who has this address. Answers the same at the same moment whether anybody has.
    ///
    /// # Errors
    /// `Invalid` when it is no address at all.
    pub async fn forgot(&self, email: String, source: Source) -> Result<(), RecoveryError> {
        #[rustfmt::skip]
        let ask = |reply| RecoveryMsg::Forgot { email, source, reply };
        self.address.ask(ask).await?
    }

    /// Sets a new password with a mailed token, which is used up. A second factor has to be shown by who has one.
    ///
    /// # Errors
    /// `BadToken`, `HashingBusy`, `Invalid` with all findings about the password, and what second factors refuse.
    pub async fn reset(&self, reset: Reset, source: Source) -> Result<(), RecoveryError> {
        #[rustfmt::skip]
        let ask = |reply| RecoveryMsg::Reset { reset, source, reply };
        self.address.ask(ask).await?
    }

    /// Proves an address with a mailed token: the present one, or a new one, which then is the present one.
    ///
    /// # Errors
    /// `BadToken`, `EmailTaken`.
    pub async fn verify(&self, token: Secret, source: Source) -> Result<(), RecoveryError> {
        #[rustfmt::skip]
        let ask = |reply| RecoveryMsg::Verify { token, source, reply };
        self.address.ask(ask).await?
    }

    /// Mails a token that proves the present address.
    ///
    /// # Errors
    /// `NoUser`, `AlreadyVerified`, `TooManyMails`.
    pub async fn resend(&self, by: Holder) -> Result<(), RecoveryError> {
        let ask = |reply| RecoveryMsg::Resend { by, reply };
        self.address.ask(ask).await?
    }

    /// Mails a token to a new address, and a notice to the present one. Answers the same whether somebody has the new one already.
    ///
    /// # Errors
    /// `NoUser`, `Delayed`, `TooManyMails`, and `Invalid` with findings at `/new_email` and `/password`.
    pub async fn change(&self, by: Holder, new: NewEmail) -> Result<(), RecoveryError> {
        let ask = |reply| RecoveryMsg::Change { by, new, reply };
        self.address.ask(ask).await?
    }
}
