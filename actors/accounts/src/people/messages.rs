//! What the actor that looks after people can be asked. Private to the domain: others use the handle.

use ground::audit::Source;
use ground::{Id, Page, PageRequest, Secret};
use serde_json::Value;
use supervisor::Reply;

use super::error::PeopleError;
use super::sign_in_error::SignInError;
use super::types::{
    Change, Credentials, Invite, NewUser, PasswordChange, Registration, Requester, Setup, User,
};
use crate::sessions::TokenPair;
use crate::types::Role;

/// An answer that can be an error.
pub(crate) type Answer<T> = Reply<Result<T, PeopleError>>;
/// An answer to somebody who wants in.
pub(crate) type Entrance<T> = Reply<Result<T, SignInError>>;

/// For whom an invitation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewInvite {
    /// Somebody new, who gets this role.
    Role(Role),
    /// A user who is to set a password.
    User(Id),
}

/// Requests of the actor.
#[derive(Debug)]
pub(crate) enum PeopleMsg {
    /// Make the first owner and let them in.
    Setup {
        setup: Setup,
        source: Source,
        reply: Entrance<TokenPair>,
    },
    /// Make an account for somebody who asks for one.
    Register {
        registration: Registration,
        source: Source,
        reply: Entrance<()>,
    },
    /// Let somebody in.
    SignIn {
        credentials: Credentials,
        source: Source,
        reply: Entrance<TokenPair>,
    },
    /// Change one's own password.
    ChangePassword {
        by: Requester,
        change: PasswordChange,
        reply: Entrance<()>,
    },
    /// Who has this id?
    Find { id: Id, reply: Answer<Option<User>> },
    /// Who has this address?
    FindByEmail {
        email: String,
        reply: Answer<Option<User>>,
    },
    /// Tell of all users, a page at a time, or of the one with this address.
    List {
        page: PageRequest,
        email: Option<String>,
        reply: Answer<Page<User>>,
    },
    /// Make somebody.
    Create {
        by: Requester,
        new: NewUser,
        reply: Answer<(User, Option<Invite>)>,
    },
    /// Change somebody.
    Change {
        by: Requester,
        id: Id,
        version: Option<i64>,
        change: Change,
        reply: Answer<User>,
    },
    /// Set somebody else's password.
    SetPassword {
        by: Requester,
        id: Id,
        password: Secret,
        reply: Answer<()>,
    },
    /// Take somebody else's second factors away.
    RemoveFactors {
        by: Requester,
        id: Id,
        reply: Answer<()>,
    },
    /// Give out an invitation.
    Invite {
        by: Requester,
        new: NewInvite,
        reply: Answer<Invite>,
    },
    /// Tell all that is kept of somebody.
    Export {
        by: Requester,
        id: Id,
        reply: Answer<Value>,
    },
    /// Erase somebody.
    Erase {
        by: Requester,
        id: Id,
        reply: Answer<()>,
    },
    /// Make a setup token, while there is no owner.
    PrepareSetup { reply: Answer<Option<Secret>> },
}
