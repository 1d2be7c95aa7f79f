//! The public face: one method a request.

use std::sync::Arc;

use ground::audit::Source;
use ground::{Id, Page, PageRequest, Secret};
use serde_json::Value;
use supervisor::Address;

use super::error::PeopleError;
use super::messages::{NewInvite, PeopleMsg};
use super::rules;
use super::sign_in_error::SignInError;
use super::types::{
    Change, Credentials, Invite, NewUser, PasswordChange, Registration, Requester, Setup, User,
};
use crate::profiles::Profiles;
use crate::sessions::TokenPair;

/// People: who they are, and how they come in. Cheap to clone; works across restarts of the domain.
///
/// Every method can fail with what keeps its actor or the database from answering: `StoreLost`, `Busy`, `Deadline`, `Elsewhere`. After
/// `Deadline` or `Elsewhere` a change may have been made all the same. Only what else can go wrong is told at each.
#[derive(Debug, Clone)]
pub struct People {
    address: Address<PeopleMsg>,
    profiles: Arc<Profiles>,
}

impl People {
    pub(crate) fn new(address: Address<PeopleMsg>, profiles: Arc<Profiles>) -> Self {
        Self { address, profiles }
    }

    /// Makes the first owner with the setup token, once, and signs them in.
    ///
    /// # Errors
    /// `BadSetupToken`, `AlreadySetUp`, and `People` with all findings about address, password and name.
    pub async fn setup(&self, setup: Setup, source: Source) -> Result<TokenPair, SignInError> {
        let ask = |reply| PeopleMsg::Setup {
            setup,
            source,
            reply,
        };
        self.address.ask(ask).await?
    }

    /// Makes an account for somebody who asks for one; with an invitation for a user, sets that user's password. The answer is the
    /// same when the address is taken.
    ///
    /// # Errors
    /// `Closed`, `InviteRequired`, `BadInvite`, and `People` with all findings.
    pub async fn register(
        &self,
        registration: Registration,
        source: Source,
    ) -> Result<(), SignInError> {
        let ask = |reply| PeopleMsg::Register {
            registration,
            source,
            reply,
        };
        self.address.ask(ask).await?
    }

    /// Lets somebody in.
    ///
    /// # Errors
    /// `Wrong`, whatever of it is wrong; `Delayed` after too many of those; what second factors or sessions refuse.
    pub async fn sign_in(
        &self,
        credentials: Credentials,
        source: Source,
    ) -> Result<TokenPair, SignInError> {
        let ask = |reply| PeopleMsg::SignIn {
            credentials,
            source,
            reply,
        };
        self.address.ask(ask).await?
    }

    /// Changes one's own password.
    ///
    /// # Errors
    /// `Delayed`, and `People` with findings at `/current_password` and `/new_password`, or when who asks is no user.
    pub async fn change_password(
        &self,
        by: Requester,
        change: PasswordChange,
    ) -> Result<(), SignInError> {
        let ask = |reply| PeopleMsg::ChangePassword { by, change, reply };
        self.address.ask(ask).await?
    }

    /// The user with this id, for the other parts of the domain and for who may see everybody.
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    pub async fn user(&self, id: Id) -> Result<Option<User>, PeopleError> {
        let ask = |reply| PeopleMsg::Find { id, reply };
        self.address.ask(ask).await?
    }

    /// The user with this address, in whatever form it is written.
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    pub async fn by_email(&self, email: &str) -> Result<Option<User>, PeopleError> {
        let email = email.to_owned();
        let ask = |reply| PeopleMsg::FindByEmail { email, reply };
        self.address.ask(ask).await?
    }

    /// The user with this id, as far as who asks may see it.
    ///
    /// # Errors
    /// `NotFound`, also for who may not know.
    pub async fn show(&self, by: &Requester, id: Id) -> Result<User, PeopleError> {
        let visible = rules::may_see(by.asker(), id).then_some(id);
        let id = visible.ok_or(PeopleError::NotFound)?;
        self.user(id).await?.ok_or(PeopleError::NotFound)
    }

    /// Who asks, as a user. Needs neither a message nor a statement for who was looked up lately; then what another process changed shows
    /// after `accounts.recheck_after` at the latest.
    ///
    /// # Errors
    /// `Refused` when it is the local operator.
    pub async fn me(&self, by: &Requester) -> Result<Arc<User>, PeopleError> {
        let id = by.own()?;
        match self.profiles.fresh(id) {
            Some(user) => Ok(user),
            None => Ok(Arc::new(self.show(by, id).await?)),
        }
    }

    /// The users in order of their making, kept out ones included; with an address, the one who has it.
    ///
    /// # Errors
    /// Whatever keeps them from being read.
    pub async fn list(
        &self,
        page: PageRequest,
        email: Option<String>,
    ) -> Result<Page<User>, PeopleError> {
        let ask = |reply| PeopleMsg::List { page, email, reply };
        self.address.ask(ask).await?
    }

    /// Makes somebody; without a password, with an invitation to set one, whose text is told this once.
    ///
    /// # Errors
    /// `Refused`, `EmailTaken`, `TooMany`, and `Invalid` with all findings.
    pub async fn create(
        &self,
        by: Requester,
        new: NewUser,
    ) -> Result<(User, Option<Invite>), PeopleError> {
        let ask = |reply| PeopleMsg::Create { by, new, reply };
        self.address.ask(ask).await?
    }

    /// Changes somebody; with a version, only if it is the present one. Whoever is kept out loses sessions and tokens at once.
    ///
    /// # Errors
    /// `Refused`, `NotFound`, `Stale`, `Invalid`.
    pub async fn change(
        &self,
        by: Requester,
        id: Id,
        version: Option<i64>,
        change: Change,
    ) -> Result<User, PeopleError> {
        let ask = |reply| PeopleMsg::Change {
            by,
            id,
            version,
            change,
            reply,
        };
        self.address.ask(ask).await?
    }

    /// Changes who asks.
    ///
    /// # Errors
    /// As [`People::change`], and `Refused` when it is the local operator.
    pub async fn change_me(&self, by: Requester, change: Change) -> Result<User, PeopleError> {
        let id = by.own()?;
        self.change(by, id, None, change).await
    }

    /// Sets somebody else's password; all their sessions end.
    ///
    /// # Errors
    /// `Refused`, `NotFound`, and `Invalid` with all findings.
    pub async fn set_password(
        &self,
        by: Requester,
        id: Id,
        password: Secret,
    ) -> Result<(), PeopleError> {
        let ask = |reply| PeopleMsg::SetPassword {
            by,
            id,
            password,
            reply,
        };
        self.address.ask(ask).await?
    }

    /// Takes somebody else's authenticator app and recovery codes away, if there are any; all their sessions end. Passkeys stay.
    ///
    /// # Errors
    /// `Refused`, `NotFound`.
    pub async fn remove_factors(&self, by: Requester, id: Id) -> Result<(), PeopleError> {
        let ask = |reply| PeopleMsg::RemoveFactors { by, id, reply };
        self.address.ask(ask).await?
    }

    /// Gives out an invitation, good for one use within seven days. Its text is told this once.
    ///
    /// # Errors
    /// `Refused`, `NotFound`, `TooMany`.
    pub async fn invite(&self, by: Requester, new: NewInvite) -> Result<Invite, PeopleError> {
        let ask = |reply| PeopleMsg::Invite { by, new, reply };
        self.address.ask(ask).await?
    }

    /// All that is kept of somebody, but no secrets.
    ///
    /// # Errors
    /// `NotFound`, also for who may not know.
    pub async fn export(&self, by: Requester, id: Id) -> Result<Value, PeopleError> {
        let ask = |reply| PeopleMsg::Export { by, id, reply };
        self.address.ask(ask).await?
    }

    /// Erases somebody with all that is theirs. Entries of the audit stay and name only the id.
    ///
    /// # Errors
    /// `Refused`, `NotFound`.
    pub async fn erase(&self, by: Requester, id: Id) -> Result<(), PeopleError> {
        let ask = |reply| PeopleMsg::Erase { by, id, reply };
        self.address.ask(ask).await?
    }

    /// Makes a setup token in the place of the last one; `None` once there is an owner.
    ///
    /// # Errors
    /// Whatever keeps it from being stored.
    pub async fn prepare_setup(&self) -> Result<Option<Secret>, PeopleError> {
        let ask = |reply| PeopleMsg::PrepareSetup { reply };
        self.address.ask(ask).await?
    }
}
