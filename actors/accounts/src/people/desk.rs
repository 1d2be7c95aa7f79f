//! Looking after people: made, changed, invited; exported and erased they are in [`crate::personal`]. Runs in owned tasks beside the mailbox.
//!
//! Each change is decided in the transaction that makes it, on what is true in it, and writes its audit entry there; the sessions that it
//! ends, end in it. What follows the commit (what is remembered of users, tokens and sessions is forgotten) is in this process alone, and
//! a process that ends in between remembers nothing.

use std::sync::Arc;
use std::time::Duration;

use ground::audit::{self, Entry, Outcome};
use ground::db::Conn;
use ground::mail::Mail;
use ground::{Db, DbError, Id, Page, PageRequest, Secret, clock};
use tokio::sync::Semaphore;

use super::draft;
use super::email;
use super::error::PeopleError;
use super::messages::NewInvite;
use super::once::{self, INVITE_PREFIX, SETUP_PREFIX};
use super::passwords;
use super::ports::{SecondFactor, Sessions};
use super::rules::{self, Deed, Denied};
use super::store;
use super::types::{Change, Invite, NewUser, Requester, User};
use crate::config::Config;
use crate::factors;
use crate::ports::{PersonalData, Shared};
use crate::recovery::{Letters, queued};
use crate::store::RevokedToken;
use crate::types::Role;

/// Requests under way at most.
const PLACES: usize = 128;
/// How long an invitation works.
const INVITE_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// Invitations that are open at once.
const MAX_INVITES: u32 = 1000;

/// What the tasks of one incarnation share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) db: Db,
    pub(crate) shared: Shared,
    pub(crate) config: Config,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) factors: Arc<dyn SecondFactor>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) letters: Letters,
    /// What other domains keep of people.
    pub(crate) personal: Arc<[Arc<dyn PersonalData>]>,
}

impl Desk {
    pub(crate) fn new(
        db: Db,
        shared: Shared,
        config: Config,
        sessions: Arc<dyn Sessions>,
        factors: Arc<dyn SecondFactor>,
    ) -> Self {
        Self {
            letters: Letters::new(config.public_url.as_deref()),
            db,
            shared,
            config,
            sessions,
            factors,
            places: Arc::new(Semaphore::new(PLACES)),
            personal: Arc::default(),
        }
    }

    /// With what other domains keep of people.
    pub(crate) fn with_personal_data(mut self, personal: Arc<[Arc<dyn PersonalData>]>) -> Self {
        self.personal = personal;
        self
    }

    /// The user with this id.
    pub(crate) async fn find(&self, id: Id) -> Result<Option<User>, PeopleError> {
        Ok(self.shared.profiles.read(&self.db, id).await?)
    }

    /// The user with this address, in whatever form it is written.
    pub(crate) async fn find_by_email(&self, email: &str) -> Result<Option<User>, PeopleError> {
        match email::check("/email", email) {
            Ok(email) => Ok(store::user_with_key(&self.db, &email.key).await?),
            Err(_) => Ok(None),
        }
    }

    /// The users of one page, or the one with this address.
    pub(crate) async fn list(
        &self,
        page: PageRequest,
        email: Option<String>,
    ) -> Result<Page<User>, PeopleError> {
        if let Some(email) = email {
            let found = self.find_by_email(&email).await?;
            return Ok(Page {
                items: found.into_iter().collect(),
                next_cursor: None,
            });
        }
        let users = store::users_of_page(&self.db, &page).await?;
        Ok(page.page(users, |user| user.id))
    }

    /// Makes a new setup token in the place of the last one; none once there is an owner.
    pub(crate) async fn prepare_setup(&self) -> Result<Option<Secret>, PeopleError> {
        let (secret, hash) = once::draw(SETUP_PREFIX)?;
        let is_open = self.db.write(async move |tx| {
            if store::has_owner(tx).await? {
                return Ok::<_, DbError>(false);
            }
            store::replace_setup_token(tx, &hash, clock::now()).await?;
            Ok(true)
        });
        Ok(is_open.await?.then_some(secret))
    }

    /// Makes somebody; without a password, with an invitation to set one.
    pub(crate) async fn create(
        &self,
        by: Requester,
        new: NewUser,
    ) -> Result<(User, Option<Invite>), PeopleError> {
        rules::may_make(by.asker(), new.role)?;
        let draft = draft::check(&new.email, new.password.as_ref(), new.name.as_deref())?;
        let kept = match new.password {
            Some(password) => Some(self.shared.people.hasher.hash(password).await?),
            None => None,
        };
        let key = draft.email.key.clone();
        let user = draft.into_user(new.role, new.tier, kept.is_some(), clock::now());
        let (invite, hash) = once::draw(INVITE_PREFIX)?;
        let invite = invite_to(invite, user.role, Some(user.id));
        let invite = kept.is_none().then_some(invite);
        let mail = invite
            .as_ref()
            .and_then(|invite| self.mailed(invite, &user));
        let (made, given, max_users) = (user.clone(), invite.clone(), self.config.max_users);
        self.db
            .write(async move |tx| {
                make_room(tx, max_users).await?;
                if !store::add(tx, &made, &key, kept.as_ref()).await? {
                    return Err(PeopleError::EmailTaken);
                }
                if let Some(invite) = &given {
                    store::add_invite(tx, invite, &hash, by.user, made.created_at).await?;
                }
                if let Some(mail) = &mail {
                    queued(tx, mail).await?;
                }
                let entry = entry(&by, "user.create", made.id).with("role", made.role.word());
                Ok(audit::append(tx, &entry).await?)
            })
            .await?;
        Ok((user, invite))
    }

    /// Gives out an invitation: for somebody new, or for a user who is to set a password.
    pub(crate) async fn invite(
        &self,
        by: Requester,
        new: NewInvite,
    ) -> Result<Invite, PeopleError> {
        let (token, hash) = once::draw(INVITE_PREFIX)?;
        let (invite, mail) = match new {
            NewInvite::Role(role) => {
                rules::may_make(by.asker(), role)?;
                (invite_to(token, role, None), None)
            }
            NewInvite::User(id) => {
                let user = self.find(id).await?.ok_or(PeopleError::NotFound)?;
                rules::may_do(by.asker(), &user, Deed::Password, 1)?;
                let invite = invite_to(token, user.role, Some(id));
                let mail = self.mailed(&invite, &user);
                (invite, mail)
            }
        };
        let given = invite.clone();
        self.db
            .write(async move |tx| {
                store::add_invite(tx, &given, &hash, by.user, clock::now()).await?;
                if store::count_invites(tx).await? > i64::from(MAX_INVITES) {
                    return Err(PeopleError::TooMany { limit: MAX_INVITES });
                }
                if let Some(mail) = &mail {
                    queued(tx, mail).await?;
                }
                let mut entry = Entry::new(by.actor.clone(), "invite.create", by.source.clone())
                    .on(given.id)
                    .with("role", given.role.word());
                if let Some(user) = given.user {
                    entry = entry.with("user", user.to_string());
                }
                Ok(audit::append(tx, &entry).await?)
            })
            .await?;
        Ok(invite)
    }

    /// Changes somebody; with a version, only if it is the present one.
    pub(crate) async fn change(
        &self,
        by: Requester,
        id: Id,
        version: Option<i64>,
        mut change: Change,
    ) -> Result<User, PeopleError> {
        if let Some(Some(name)) = &change.name {
            let name =
                draft::check_name(name).map_err(|finding| PeopleError::Invalid(vec![finding]))?;
            change.name = Some(Some(name));
        }
        let ends = change.is_disabled == Some(true);
        let sessions = Arc::clone(&self.sessions);
        let changed = self
            .db
            .write(async move |tx| {
                let (user, tokens) = change_in(tx, &by, id, version, &change).await?;
                let ended = if ends {
                    sessions.end_all(tx, id, None, by.on_record()).await?
                } else {
                    Vec::new()
                };
                Ok::<_, PeopleError>((user, tokens, ended))
            })
            .await;
        // Whatever came of it: after a lost answer the change may have been made.
        self.sessions.user_changed(id);
        let (user, tokens, ended) = changed?;
        self.forget(&tokens, ends);
        self.sessions_ended(&ended);
        Ok(user)
    }

    /// Sets somebody else's password. All their sessions end.
    pub(crate) async fn set_password(
        &self,
        by: Requester,
        id: Id,
        password: Secret,
    ) -> Result<(), PeopleError> {
        let user = self.find(id).await?.ok_or(PeopleError::NotFound)?;
        rules::may_do(by.asker(), &user, Deed::Password, 1)?;
        let about = [Some(user.email.as_str()), user.name.as_deref()];
        let about: Vec<&str> = about.into_iter().flatten().collect();
        passwords::check("/password", password.expose(), &about).map_err(PeopleError::Invalid)?;
        let kept = self.shared.people.hasher.hash(password).await?;
        let sessions = Arc::clone(&self.sessions);
        let changed = self
            .db
            .write(async move |tx| {
                let user = store::user_to_change(tx, id)
                    .await?
                    .ok_or(PeopleError::NotFound)?;
                rules::may_do(by.asker(), &user, Deed::Password, 1)?;
                store::set_password(tx, id, &kept, clock::now()).await?;
                store::remove_invites_for(tx, id).await?;
                audit::append(tx, &entry(&by, "user.password", id)).await?;
                let ended = sessions.end_all(tx, id, None, by.on_record()).await?;
                Ok::<_, PeopleError>(ended)
            })
            .await;
        self.sessions.user_changed(id);
        self.sessions_ended(&changed?);
        Ok(())
    }

    /// Takes the second factors of somebody else away who has lost them. Whoever may do that may set a password too, so it is no less
    /// guarded than that; all sessions end, since one of them may be why.
    pub(crate) async fn remove_factors(&self, by: Requester, id: Id) -> Result<(), PeopleError> {
        let sessions = Arc::clone(&self.sessions);
        let removed = self
            .db
            .write(async move |tx| {
                let user = store::user_to_change(tx, id)
                    .await?
                    .ok_or(PeopleError::NotFound)?;
                rules::may_do(by.asker(), &user, Deed::Password, 1)?;
                factors::remove_all(tx, id).await?;
                audit::append(tx, &entry(&by, "factor.remove", id)).await?;
                Ok::<_, PeopleError>(sessions.end_all(tx, id, None, by.on_record()).await?)
            })
            .await;
        self.sessions.user_changed(id);
        self.sessions_ended(&removed?);
        Ok(())
    }

    /// The mail with which somebody hears of an invitation. Whoever made it has its text too: where no mail goes, they hand it on.
    fn mailed(&self, invite: &Invite, user: &User) -> Option<Mail> {
        let letters = &self.letters;
        let mail = letters.invitation(&user.email, &invite.token, invite.expires_at);
        Some(mail.ok()?.about(user.id))
    }

    /// Tokens that ended, or whose owner has another role: what is remembered of them is not believed any more.
    pub(crate) fn forget(&self, tokens: &[RevokedToken], ends: bool) {
        for token in tokens {
            self.shared.known.revoke(&token.hash);
            if ends {
                self.shared.revocations.announce(token.id);
            }
        }
    }

    /// Sessions that ended in a transaction, which is committed.
    pub(crate) fn sessions_ended(&self, sessions: &[Id]) {
        if !sessions.is_empty() {
            self.sessions.have_ended(sessions);
        }
    }
}

fn invite_to(token: Secret, role: Role, user: Option<Id>) -> Invite {
    Invite {
        id: Id::generate(),
        token,
        role,
        user,
        expires_at: clock::now() + INVITE_LIFETIME,
    }
}

/// Refuses one more than there may be.
pub(crate) async fn make_room(tx: &mut Conn, limit: u32) -> Result<(), PeopleError> {
    if store::count(tx).await? >= i64::from(limit) {
        return Err(PeopleError::TooMany { limit });
    }
    Ok(())
}

/// Changes somebody in a transaction. Gives back who they are now, and the tokens about which something changed.
async fn change_in(
    tx: &mut Conn,
    by: &Requester,
    id: Id,
    version: Option<i64>,
    change: &Change,
) -> Result<(User, Vec<RevokedToken>), PeopleError> {
    let owners = store::owners_at_work(tx).await?;
    let mut user = store::user_to_change(tx, id)
        .await?
        .ok_or(PeopleError::NotFound)?;
    if version.is_some_and(|version| version != user.version) {
        return Err(PeopleError::Stale {
            present: user.version,
        });
    }
    let others = owners.iter().filter(|owner| **owner != id).count();
    let others = u64::try_from(others).unwrap_or(u64::MAX);
    rules::may_do(by.asker(), &user, Deed::Change(change), others)?;
    let now = clock::now();
    let entries = apply(&mut user, change, by, now);
    if entries.is_empty() {
        return Ok((user, Vec::new()));
    }
    user.updated_at = now;
    user.version = user.version.saturating_add(1);
    store::update(tx, &user).await?;
    let tokens = store::tokens_of(tx, id).await?;
    if user.disabled_at.is_some() {
        store::revoke_tokens(tx, id, now).await?;
        store::remove_invites(tx, id).await?;
    }
    for entry in entries {
        audit::append(tx, &entry).await?;
    }
    Ok((user, tokens))
}

/// Applies a change, and tells each part of it that changes something as an entry.
fn apply(user: &mut User, change: &Change, by: &Requester, now: ground::Micros) -> Vec<Entry> {
    let mut entries = Vec::new();
    let id = user.id;
    if let Some(name) = &change.name
        && *name != user.name
    {
        user.name.clone_from(name);
        entries.push(entry(by, "user.rename", id));
    }
    if let Some(role) = change.role
        && role != user.role
    {
        let told = entry(by, "user.role", id).with("from", user.role.word());
        entries.push(told.with("to", role.word()));
        user.role = role;
    }
    if let Some(tier) = change.tier
        && tier != user.tier
    {
        let told = entry(by, "user.tier", id).with("from", user.tier.word());
        entries.push(told.with("to", tier.word()));
        user.tier = tier;
    }
    match (change.is_disabled, user.disabled_at) {
        (Some(true), None) => {
            user.disabled_at = Some(now);
            entries.push(entry(by, "user.disable", id));
        }
        (Some(false), Some(_)) => {
            user.disabled_at = None;
            entries.push(entry(by, "user.enable", id));
        }
        _ => {}
    }
    entries
}

/// An entry about somebody.
pub(crate) fn entry(by: &Requester, action: &'static str, user: Id) -> Entry {
    Entry::new(by.actor.clone(), action, by.source.clone()).on(user)
}

impl Desk {
    /// Writes that something was refused, where nothing changed.
    pub(crate) async fn note_refusal(&self, entry: Entry) -> Result<(), DbError> {
        let entry = entry.with_outcome(Outcome::Refused);
        self.db
            .write(async move |tx| audit::append(tx, &entry).await)
            .await
    }

    /// Tells in the audit that somebody wanted what they may not.
    pub(crate) async fn tell_denied<T>(
        &self,
        by: &Requester,
        action: &'static str,
        result: Result<T, PeopleError>,
    ) -> Result<T, PeopleError> {
        if let Err(PeopleError::Refused(denied)) = &result
            && *denied != Denied::NoUser
        {
            let entry = Entry::new(by.actor.clone(), action, by.source.clone());
            self.note_refusal(entry.with("reason", format!("{denied:?}")))
                .await?;
        }
        result
    }
}
