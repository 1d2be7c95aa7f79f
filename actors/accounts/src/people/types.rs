//! The user's words: who somebody is, what can be asked for, and who asks.

use ground::audit::{Actor, Source};
use ground::{Id, Micros, Secret};
use serde::Serialize;

use super::error::PeopleError;
use super::rules::{Asker, Denied};
use crate::types::{Role, Tier};

/// Somebody. Nothing of the password but whether there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The id.
    pub id: Id,
    /// The address, as it was given.
    pub email: String,
    /// When the address was proven; null: it was not.
    pub email_verified_at: Option<Micros>,
    /// What to call them; null: nobody said.
    pub name: Option<String>,
    /// What they may do at most.
    pub role: Role,
    /// What they pay for.
    pub tier: Tier,
    /// Whether they can sign in with a password.
    pub has_password: bool,
    /// Since when they may not come in; null: they may.
    pub disabled_at: Option<Micros>,
    /// When they were made.
    pub created_at: Micros,
    /// When something of this last changed.
    pub updated_at: Micros,
    /// When they last signed in; null: never.
    pub last_sign_in_at: Option<Micros>,
    /// Counts the changes, from 1: what `If-Match` names.
    pub version: i64,
}

/// What a session or token may go by: the present standing of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What they may do at most.
    pub role: Role,
    /// What they pay for.
    pub tier: Tier,
    /// Whether they may come in at all.
    pub is_disabled: bool,
}

/// Who asks: for the rules and for the audit.
#[derive(Debug, Clone, PartialEq)]
pub struct Requester {
    /// Who, as the audit tells it.
    pub actor: Actor,
    /// The user; `None` for the local operator, who may do what an owner may.
    pub user: Option<Id>,
    /// The role.
    pub role: Role,
    /// The session with which it is asked, if it is one.
    pub session: Option<Id>,
    /// From where.
    pub source: Source,
}

impl Requester {
    /// The local operator.
    pub fn local(uid: u32, source: Source) -> Self {
        Self {
            actor: Actor::Local { uid },
            user: None,
            role: Role::Owner,
            session: None,
            source,
        }
    }

    /// The user who asks.
    ///
    /// # Errors
    /// `Refused` when it is the local operator, who is none.
    pub(crate) fn own(&self) -> Result<Id, PeopleError> {
        self.user.ok_or(PeopleError::Refused(Denied::NoUser))
    }

    /// As the audit tells it.
    pub(crate) fn on_record(&self) -> (Actor, Source) {
        (self.actor.clone(), self.source.clone())
    }

    /// As the rules see it.
    pub(crate) fn asker(&self) -> Asker {
        Asker {
            role: self.role,
            user: self.user,
        }
    }
}

/// The first owner.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the start of the daemon printed.
    pub token: Secret,
    /// The address.
    pub email: String,
    /// The password.
    pub password: Secret,
    /// What to call them.
    pub name: Option<String>,
}

/// Somebody who wants to come in for the first time.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The address.
    pub email: String,
    /// The password.
    pub password: Secret,
    /// What to call them.
    pub name: Option<String>,
    /// The invitation, where one is needed.
    pub invite: Option<Secret>,
}

/// What somebody shows who signs in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The address.
    pub email: String,
    /// The password.
    pub password: Secret,
    /// A code of the second factor.
    pub code: Option<Secret>,
}

/// A new password for oneself.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// The password so far: it proves who asks.
    pub current: Secret,
    /// The one from now on.
    pub new: Secret,
    /// Whether the user's other sessions end.
    pub ends_others: bool,
}

/// Somebody to make.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The address.
    pub email: String,
    /// The password; without one an invitation to set it is given out.
    pub password: Option<Secret>,
    /// What to call them.
    pub name: Option<String>,
    /// What they may do at most.
    pub role: Role,
    /// What they pay for.
    pub tier: Tier,
}

/// What is to change of somebody; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// What to call them; `Some(None)` takes the name away.
    pub name: Option<Option<String>>,
    /// What they may do at most.
    pub role: Option<Role>,
    /// What they pay for.
    pub tier: Option<Tier>,
    /// Whether they are kept out.
    pub is_disabled: Option<bool>,
}

/// A way in for somebody else. The text of it is shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Its id.
    pub id: Id,
    /// The text, to hand over.
    pub token: Secret,
    /// The role that it gives.
    pub role: Role,
    /// Whose password it sets; `None`: it registers somebody new.
    pub user: Option<Id>,
    /// When it stops working.
    pub expires_at: Micros,
}
