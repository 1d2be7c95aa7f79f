//! Coming in: the first owner, registering, signing in, and proving oneself again to change the password.
//!
//! What costs least refuses first: rules of form, then a look whether the setup token or invitation is there at all, then the delay
//! after wrong guesses, then the hash, then the second factor. Nothing of what is refused tells whether an address has an account:
//! somebody unknown, somebody kept out and a wrong password go the same way, with one hash each, to the same answer. Only the audit
//! holds the reason.
//!
//! Registering answers the same whether the address was free or not, after the same work. What follows can still tell: without mail,
//! whoever registers an address and then signs in with it learns that it was free. An invitation is used up by either, so that one
//! cannot be used to try out many addresses.

use std::sync::Arc;
use std::time::Duration;

use ground::audit::{self, Actor, Entry, Outcome, Source};
use ground::db::Conn;
use ground::{Id, Micros, Secret, clock};
use supervisor::{FaultKind, Finding};
use tokio::time::Instant;

use super::desk::{Desk, entry, make_room};
use super::draft::{self, Draft};
use super::email;
use super::error::PeopleError;
use super::guesses::{Account, Attempt, Guess, Network};
use super::hashing::{HashingError, Kept, Verdict};
use super::once::{self, INVITE_PREFIX, SETUP_PREFIX};
use super::passwords;
use super::ports::{Refused, Sessions};
use super::rules::Denied;
use super::sign_in_error::SignInError;
use super::store::{self, Known, OpenInvite};
use super::types::{Credentials, PasswordChange, Registration, Requester, Setup, User};
use crate::config::RegistrationPolicy;
use crate::recovery::Posted;
use crate::sessions::{Method, SignIn, TokenPair};
use crate::token::TokenHash;
use crate::types::{Role, Tier};

/// For how long a network stays familiar after a sign-in.
const FAMILIAR_FOR: Duration = Duration::from_hours(30 * 24);

impl Desk {
    /// Makes the first owner with the setup token, once, and lets them in.
    pub(crate) async fn setup(
        &self,
        setup: Setup,
        source: Source,
    ) -> Result<TokenPair, SignInError> {
        let draft = draft::check(&setup.email, Some(&setup.password), setup.name.as_deref())?;
        let hash = self.open_setup(&setup.token).await?;
        let kept = self.shared.people.hasher.hash(setup.password).await?;
        let key = draft.email.key.clone();
        let owner = draft.into_user(Role::Owner, Tier::Standard, true, clock::now());
        let (id, from) = (owner.id, source.clone());
        self.db
            .write(async move |tx| {
                if store::has_owner(tx).await? {
                    return Err(SignInError::AlreadySetUp);
                }
                if !store::take_setup_token(tx, &hash).await? {
                    return Err(SignInError::BadSetupToken);
                }
                if !store::add(tx, &owner, &key, Some(&kept)).await? {
                    return Err(PeopleError::EmailTaken.into());
                }
                let entry = Entry::new(actor_of(owner.id), "user.setup", from.clone()).on(owner.id);
                Ok(audit::append(tx, &entry).await?)
            })
            .await?;
        tracing::info!(user = %id, "the first owner is set up");
        self.begin(id, Method::Setup, false, source).await
    }

    /// The hash of the setup token, if it is the one that is open.
    async fn open_setup(&self, token: &Secret) -> Result<TokenHash, SignInError> {
        if let Some(hash) = once::read(SETUP_PREFIX, token)
            && store::is_setup_token(&self.db, &hash).await?
        {
            return Ok(hash);
        }
        if store::is_set_up(&self.db).await? {
            return Err(SignInError::AlreadySetUp);
        }
        Err(SignInError::BadSetupToken)
    }

    /// Makes an account for somebody who asks for one, or does as much for nothing when the address is taken.
    pub(crate) async fn register(
        &self,
        wanted: Registration,
        source: Source,
    ) -> Result<(), SignInError> {
        let policy = self.config.registration;
        if policy == RegistrationPolicy::Closed {
            return Err(SignInError::Closed);
        }
        let draft = draft::check(
            &wanted.email,
            Some(&wanted.password),
            wanted.name.as_deref(),
        )?;
        let invite = match (&wanted.invite, policy) {
            (Some(invite), _) => Some(self.open_invite(invite, &draft).await?),
            (None, RegistrationPolicy::Open) => None,
            (None, _) => return Err(SignInError::InviteRequired),
        };
        let kept = self.shared.people.hasher.hash(wanted.password).await?;
        let set = invite.as_ref().and_then(|invite| invite.user);
        let key = draft.email.key.clone();
        let user = draft.into_user(Role::Member, Tier::Standard, true, clock::now());
        let proof = Posted::proof(&self.letters, &user)?;
        let (from, max_users) = (source, self.config.max_users);
        let sessions = Arc::clone(&self.sessions);
        let ended = self
            .db
            .write(async move |tx| match &invite {
                Some(invite) if invite.user.is_some() => {
                    redeem(tx, &*sessions, invite, &kept, &from).await
                }
                invite => {
                    let user = invited(tx, invite.as_ref(), &user).await?;
                    make_room(tx, max_users).await?;
                    let is_free = store::add(tx, &user, &key, Some(&kept)).await?;
                    if let Some(proof) = proof.as_ref().filter(|_| is_free) {
                        // Where there is no room for the mail, it can be asked for again later.
                        proof.post(tx, true).await?;
                    }
                    let told = told_of_registration(&user, is_free, from.clone());
                    audit::append(tx, &told).await?;
                    Ok(Vec::new())
                }
            })
            .await;
        if let Some(id) = set {
            self.sessions.user_changed(id);
        }
        self.sessions_ended(&ended?);
        Ok(())
    }

    /// The invitation, if it is open and for this address.
    async fn open_invite(
        &self,
        presented: &Secret,
        draft: &Draft,
    ) -> Result<OpenInvite, SignInError> {
        let hash = once::read(INVITE_PREFIX, presented).ok_or(SignInError::BadInvite)?;
        let invite = store::open_invite(&self.db, &hash, clock::now()).await?;
        let invite = invite.ok_or(SignInError::BadInvite)?;
        if let Some(id) = invite.user {
            let meant = store::user_with_key(&self.db, &draft.email.key).await?;
            let is_meant = meant.is_some_and(|user| user.id == id && user.disabled_at.is_none());
            if !is_meant {
                return Err(SignInError::BadInvite);
            }
        }
        Ok(invite)
    }

    /// Lets somebody in.
    pub(crate) async fn sign_in(
        &self,
        shown: Credentials,
        source: Source,
    ) -> Result<TokenPair, SignInError> {
        let key = email::check("/email", &shown.email).map(|email| email.key);
        // What is no address is counted like one that nobody has.
        let name = key.as_deref().unwrap_or(&shown.email).to_owned();
        let attempt = self.attempt(&name, &source).await?;
        let known = match &key {
            Ok(key) => store::known_with_key(&self.db, key).await?,
            Err(_) => None,
        };
        let user = match self.prove(known, shown.password).await {
            Ok(user) => user,
            Err(Unproven::Wrong(told)) => {
                attempt.failed();
                self.note_refusal(told.at(source)).await?;
                return Err(SignInError::Wrong);
            }
            Err(Unproven::Failed(error)) => return Err(error),
        };
        let code = shown.code.as_ref();
        let second = match self.factors.check(user.id, code, &source).await {
            Ok(second) => second,
            Err(refused) => return Err(factor_failed(attempt, code.is_some(), refused)),
        };
        let pair = self
            .begin(user.id, Method::Password, second, source.clone())
            .await?;
        attempt.was_right();
        if let Some(network) = source.address.map(Network::of) {
            store::note_network(&self.db, user.id, network.text(), clock::now()).await?;
        }
        Ok(pair)
    }

    /// Changes one's own password, which has to be shown.
    pub(crate) async fn change_password(
        &self,
        by: Requester,
        change: PasswordChange,
    ) -> Result<(), SignInError> {
        let id = by.user.ok_or(PeopleError::Refused(Denied::NoUser))?;
        let known = store::known(&self.db, id)
            .await?
            .ok_or(PeopleError::NotFound)?;
        let about = [Some(known.user.email.as_str()), known.user.name.as_deref()];
        let about: Vec<&str> = about.into_iter().flatten().collect();
        passwords::check("/new_password", change.new.expose(), &about)
            .map_err(PeopleError::Invalid)?;
        // Counted apart from sign-ins: who guesses outside must not keep somebody from changing the password inside.
        let account = Account::of(&format!("change:{id}"));
        let attempt = self.begin_guess(Guess {
            account,
            network: None,
            is_familiar: false,
        })?;
        match self.prove(Some(known), change.current).await {
            Ok(_) => attempt.was_right(),
            Err(Unproven::Wrong(told)) => {
                attempt.failed();
                self.note_refusal(told.at(by.source)).await?;
                let message = "expected the present password";
                let finding = Finding::new("/current_password", "wrong_password", message);
                return Err(PeopleError::Invalid(vec![finding]).into());
            }
            Err(Unproven::Failed(error)) => return Err(error),
        }
        let kept = self.shared.people.hasher.hash(change.new).await?;
        let sessions = Arc::clone(&self.sessions);
        let changed = self
            .db
            .write(async move |tx| {
                store::set_password(tx, id, &kept, clock::now()).await?;
                store::remove_invites_for(tx, id).await?;
                audit::append(tx, &entry(&by, "user.password", id)).await?;
                if !change.ends_others {
                    return Ok::<_, PeopleError>(Vec::new());
                }
                Ok(sessions.end_all(tx, id, by.session, by.on_record()).await?)
            })
            .await;
        // Whatever came of it: after a lost answer the change may have been made.
        self.sessions.user_changed(id);
        self.sessions_ended(&changed?);
        Ok(())
    }

    /// Begins an attempt at an account, unless it has to wait.
    async fn attempt(&self, name: &str, source: &Source) -> Result<Attempt, SignInError> {
        let account = Account::of(name);
        let network = source.address.map(Network::of);
        let guesses = &self.shared.people.guesses;
        let is_familiar = match network {
            Some(network) if guesses.asks_for_familiarity(&account, Instant::now()) => {
                let since = clock::now() - FAMILIAR_FOR;
                store::is_familiar(&self.db, name, &network.text(), since).await?
            }
            _ => false,
        };
        self.begin_guess(Guess {
            account,
            network,
            is_familiar,
        })
    }

    fn begin_guess(&self, guess: Guess) -> Result<Attempt, SignInError> {
        let begun = self.shared.people.guesses.begin(guess, Instant::now());
        begun.map_err(|retry_after| SignInError::Delayed { retry_after })
    }

    /// Whether the password is that of somebody who may come in. One hash, whoever it is.
    async fn prove(&self, known: Option<Known>, password: Secret) -> Result<User, Unproven> {
        let (user, kept) = match known {
            Some(known) => (Some(known.user), known.kept),
            None => (None, None),
        };
        let verdict = self
            .shared
            .people
            .hasher
            .verify(password, kept.clone())
            .await?;
        let wrong = |reason, user: Option<&User>| {
            Unproven::Wrong(Told {
                reason,
                user: user.map(|user| user.id),
            })
        };
        let Some(user) = user else {
            return Err(wrong("unknown_user", None));
        };
        match (verdict, kept) {
            (_, None) => Err(wrong("no_password", Some(&user))),
            (Verdict::Wrong, _) => Err(wrong("wrong_password", Some(&user))),
            _ if user.disabled_at.is_some() => Err(wrong("disabled", Some(&user))),
            (Verdict::Right { replacement }, Some(kept)) => {
                if let Some(replacement) = replacement {
                    self.strengthen(user.id, &kept, &replacement).await?;
                }
                Ok(user)
            }
        }
    }

    async fn strengthen(&self, id: Id, before: &Kept, after: &Kept) -> Result<(), Unproven> {
        let replaced = store::strengthen(&self.db, id, before, after).await;
        replaced.map_err(|error| Unproven::Failed(error.into()))?;
        tracing::info!(user = %id, "the hash of a password was replaced by a stronger one");
        Ok(())
    }

    async fn begin(
        &self,
        user: Id,
        method: Method,
        second_factor: bool,
        source: Source,
    ) -> Result<TokenPair, SignInError> {
        let sign_in = SignIn {
            user,
            method,
            second_factor,
            source,
        };
        Ok(self.sessions.begin(sign_in).await?)
    }
}

/// A code that is asked for is no wrong guess; one that was wrong is.
fn factor_failed(attempt: Attempt, was_shown: bool, refused: Refused) -> SignInError {
    let is_ours = matches!(
        refused.kind(),
        FaultKind::Unavailable | FaultKind::Deadline | FaultKind::Internal | FaultKind::Limited
    );
    if was_shown && !is_ours {
        attempt.failed();
    }
    refused.into()
}

/// Why somebody did not prove who they are.
enum Unproven {
    /// It was looked at, and is wrong.
    Wrong(Told),
    /// It could not be looked at.
    Failed(SignInError),
}

impl From<HashingError> for Unproven {
    fn from(error: HashingError) -> Self {
        Self::Failed(error.into())
    }
}

/// What the audit is told of a refusal, and nobody else.
struct Told {
    reason: &'static str,
    user: Option<Id>,
}

impl Told {
    fn at(self, source: Source) -> Entry {
        let entry = Entry::new(Actor::Anonymous, "session.refused", source);
        let entry = entry.with("reason", self.reason).with("method", "password");
        match self.user {
            Some(user) => entry.on(user),
            None => entry,
        }
    }
}

fn actor_of(user: Id) -> Actor {
    Actor::User {
        id: user,
        credential: None,
    }
}

fn told_of_registration(user: &User, is_free: bool, source: Source) -> Entry {
    if is_free {
        let entry = Entry::new(actor_of(user.id), "user.register", source).on(user.id);
        return entry.with("role", user.role.word());
    }
    let entry = Entry::new(Actor::Anonymous, "user.register", source);
    entry
        .with("reason", "email_taken")
        .with_outcome(Outcome::Refused)
}

/// The user that an invitation makes: with its role, but none above what its giver has by now.
async fn invited(
    tx: &mut Conn,
    invite: Option<&OpenInvite>,
    user: &User,
) -> Result<User, SignInError> {
    let mut user = user.clone();
    if let Some(invite) = invite {
        take(tx, invite, user.created_at).await?;
        user.role = role_given(tx, invite).await?;
    }
    Ok(user)
}

async fn role_given(tx: &mut Conn, invite: &OpenInvite) -> Result<Role, SignInError> {
    let Some(giver) = invite.created_by else {
        return Ok(invite.role);
    };
    match store::standing_in(tx, giver).await? {
        Some(standing) if !standing.is_disabled => Ok(invite.role.max(standing.role)),
        _ => Err(SignInError::BadInvite),
    }
}

/// Sets the password of the user whom the invitation is for.
async fn redeem(
    tx: &mut Conn,
    sessions: &dyn Sessions,
    invite: &OpenInvite,
    kept: &Kept,
    source: &Source,
) -> Result<Vec<Id>, SignInError> {
    let now = clock::now();
    take(tx, invite, now).await?;
    let id = invite.user.ok_or(SignInError::BadInvite)?;
    let user = store::user_to_change(tx, id).await?;
    let user = user.filter(|user| user.disabled_at.is_none());
    let user = user.ok_or(SignInError::BadInvite)?;
    store::set_password(tx, user.id, kept, now).await?;
    let entry = Entry::new(actor_of(id), "user.password", source.clone()).on(id);
    audit::append(tx, &entry.with("by", "invite")).await?;
    let by = (actor_of(id), source.clone());
    Ok(sessions.end_all(tx, id, None, by).await?)
}

async fn take(tx: &mut Conn, invite: &OpenInvite, now: Micros) -> Result<(), SignInError> {
    if store::take_invite(tx, invite.id, now).await? {
        Ok(())
    } else {
        Err(SignInError::BadInvite)
    }
}
