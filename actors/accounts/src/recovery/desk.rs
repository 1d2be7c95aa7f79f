//! The work. What costs most (a hash) and what cannot be taken back (a code of a second factor) comes before the one transaction, so
//! that this is short and whole; what others must hear of (ended sessions) comes after it, and is found in the database by whoever
//! did not hear.

use std::sync::Arc;
use std::time::Duration;

use ground::audit::{self, Actor, Entry, Outcome, Source};
use ground::db::Conn;
use ground::mail::{Mail, MailError, enqueue};
use ground::{Db, DbError, Id, Micros, Secret, clock};
use supervisor::Finding;
use tokio::time::{Instant, sleep_until};

use super::error::RecoveryError;
use super::letters::Letters;
use super::posted::Posted;
use super::store::{self, Taken};
use super::types::{Holder, Kind, NewEmail, Reset};
use crate::people::{self, Account, Email, Guess, Kept, SecondFactor, User, Verdict};
use crate::ports::Shared;
use crate::sessions;
use crate::token::TokenHash;

/// After how long who asks for a new password is answered, whatever there was to do: longer than doing it takes.
const ANSWER_AFTER: Duration = Duration::from_millis(250);
/// How long a notice is worth sending.
const NOTICE_LIFETIME: Duration = Duration::from_hours(3 * 24);

/// What the tasks of one incarnation share.
#[derive(Debug)]
pub(crate) struct Desk {
    db: Db,
    shared: Shared,
    factors: Arc<dyn SecondFactor>,
    letters: Letters,
}

impl Desk {
    pub(crate) fn new(
        db: Db,
        shared: Shared,
        factors: Arc<dyn SecondFactor>,
        public_url: Option<&str>,
    ) -> Self {
        Self {
            db,
            shared,
            factors,
            letters: Letters::new(public_url),
        }
    }

    /// Mails a token to who has this address. The answer comes at the same moment for everybody.
    pub(crate) async fn forgot(&self, email: &str, source: Source) -> Result<(), RecoveryError> {
        let answer_at = Instant::now() + ANSWER_AFTER;
        let email = people::check_email("/email", email).map_err(invalid)?;
        let done = self.post_reset(email, source).await;
        sleep_until(answer_at).await;
        done
    }

    /// One transaction in any case: with a token and its mail, or with the reason why there is none.
    async fn post_reset(&self, email: Email, source: Source) -> Result<(), RecoveryError> {
        let user = people::user_with_key(&self.db, &email.key).await?;
        let (token, hash) = people::draw(Kind::Reset.prefix())?;
        let posted = match &user {
            Some(user) => self.posted((user.id, &user.email), Kind::Reset, (&token, hash)),
            None => Err(MailError(Vec::new())),
        };
        self.db
            .write(async move |tx| {
                let refused = match (&user, &posted) {
                    (None, _) => Some("unknown_user"),
                    (Some(user), _) if user.disabled_at.is_some() => Some("disabled"),
                    (Some(_), Err(_)) => Some("no_mail_address"),
                    (Some(_), Ok(posted)) => posted.post(tx, true).await?,
                };
                let entry = Entry::new(Actor::Anonymous, "password.forgot", source.clone());
                let entry = match &user {
                    Some(user) => entry.on(user.id),
                    None => entry,
                };
                Ok(audit::append(tx, &told(entry, refused)).await?)
            })
            .await
    }

    /// Sets a new password with a mailed token.
    pub(crate) async fn reset(&self, reset: Reset, source: Source) -> Result<(), RecoveryError> {
        let hash = people::read(Kind::Reset.prefix(), &reset.token);
        let hash = hash.ok_or(RecoveryError::BadToken)?;
        let id = store::open(&self.db, &hash, Kind::Reset, clock::now()).await?;
        let id = id.ok_or(RecoveryError::BadToken)?;
        let user = people::user(&self.db, id).await?;
        let user = user.filter(|user| user.disabled_at.is_none());
        let user = user.ok_or(RecoveryError::BadToken)?;
        let about = [Some(user.email.as_str()), user.name.as_deref()];
        let about: Vec<&str> = about.into_iter().flatten().collect();
        people::check_password("/password", reset.password.expose(), &about)
            .map_err(RecoveryError::Invalid)?;
        let kept = self.shared.people.hasher.hash(reset.password).await?;
        let shown = self.factors.check(id, reset.code.as_ref(), &source).await;
        shown.map_err(RecoveryError::Elsewhere)?;
        let notice = Letters::password_changed(&user.email, clock::now() + NOTICE_LIFETIME);
        let notice = notice.ok().map(|notice| notice.about(user.id));
        let step = Step {
            hash,
            kept,
            notice,
            ends_sessions: reset.ends_sessions,
            source,
        };
        let ended = self.db.write(async move |tx| step.take(tx).await).await;
        // Whatever came of it: what is remembered of the user's sessions is looked up anew.
        self.shared.sessions.user_changed(id);
        self.shared.sessions.have_ended(&ended?);
        tracing::info!(user = %id, "a password was set anew with a mailed token");
        Ok(())
    }

    /// Proves an address with a mailed token.
    pub(crate) async fn verify(&self, token: &Secret, source: Source) -> Result<(), RecoveryError> {
        let kinds = [Kind::Verify, Kind::Change];
        let read = kinds
            .into_iter()
            .find_map(|kind| Some((kind, people::read(kind.prefix(), token)?)));
        let (kind, hash) = read.ok_or(RecoveryError::BadToken)?;
        let user = self
            .db
            .write(async move |tx| prove(tx, &hash, kind, &source).await)
            .await;
        let user = user.map_err(|error| match error {
            // Of two who prove the same address at the same moment, the second one.
            RecoveryError::Store(error) if error.is_conflict_on("users_email_key_key") => {
                RecoveryError::EmailTaken
            }
            error => error,
        })?;
        self.shared.sessions.user_changed(user);
        Ok(())
    }

    /// Mails a token that proves the present address.
    pub(crate) async fn resend(&self, by: Holder) -> Result<(), RecoveryError> {
        let user = people::user(&self.db, by.user).await?;
        let user = user.ok_or(RecoveryError::NoUser)?;
        if user.email_verified_at.is_some() {
            return Err(RecoveryError::AlreadyVerified);
        }
        let (token, hash) = people::draw(Kind::Verify.prefix())?;
        let posted = self.posted((user.id, &user.email), Kind::Verify, (&token, hash));
        let posted = posted.map_err(|error| unmailable("/email", &error))?;
        let entry = Entry::new(by.actor(), "email.verify_asked", by.source).on(by.user);
        self.db
            .write(async move |tx| {
                post_or_refuse(tx, &posted, true).await?;
                Ok(audit::append(tx, &entry).await?)
            })
            .await
    }

    /// Mails a token to a new address, after the password has proven who asks.
    pub(crate) async fn change(&self, by: Holder, new: NewEmail) -> Result<(), RecoveryError> {
        let email = people::check_email("/new_email", &new.email).map_err(invalid)?;
        let user = self.proven(&by, new.password).await?;
        let (token, hash) = people::draw(Kind::Change.prefix())?;
        let posted = self.posted((user.id, &email.text), Kind::Change, (&token, hash));
        let posted = posted.map_err(|error| unmailable("/new_email", &error))?;
        let notice = Letters::change_asked(&user.email, clock::now() + NOTICE_LIFETIME);
        let notice = notice.ok().map(|notice| notice.about(user.id));
        let entry = Entry::new(by.actor(), "email.change_asked", by.source).on(by.user);
        self.db
            .write(async move |tx| {
                // Who has the new address already hears nothing, and who asks does not hear that somebody has it.
                let is_free = store::holder(tx, &email).await?.is_none();
                post_or_refuse(tx, &posted, is_free).await?;
                let refused = (!is_free).then_some("email_taken");
                if let Some(notice) = &notice {
                    enqueue(tx, notice).await?;
                }
                Ok(audit::append(tx, &told(entry.clone(), refused)).await?)
            })
            .await
    }

    /// Who asks, proven by the password. Guessed here, it is delayed as anywhere.
    async fn proven(&self, by: &Holder, password: Secret) -> Result<User, RecoveryError> {
        let known = people::known(&self.db, by.user).await?;
        let known = known.filter(|known| known.user.disabled_at.is_none());
        let known = known.ok_or(RecoveryError::NoUser)?;
        let guess = Guess {
            account: Account::of(&format!("change:{}", by.user)),
            network: None,
            is_familiar: false,
        };
        let attempt = self.shared.people.guesses.begin(guess, Instant::now());
        let attempt = attempt.map_err(|retry_after| RecoveryError::Delayed { retry_after })?;
        let has_password = known.kept.is_some();
        let verdict = self
            .shared
            .people
            .hasher
            .verify(password, known.kept)
            .await?;
        if has_password && matches!(verdict, Verdict::Right { .. }) {
            attempt.was_right();
            return Ok(known.user);
        }
        attempt.failed();
        let entry = Entry::new(by.actor(), "email.change_asked", by.source.clone()).on(by.user);
        let entry = told(entry, Some("wrong_password"));
        self.db
            .write(async move |tx| audit::append(tx, &entry).await)
            .await?;
        let message = "expected the present password";
        Err(invalid(Finding::new(
            "/password",
            "wrong_password",
            message,
        )))
    }

    fn posted(
        &self,
        to: (Id, &str),
        kind: Kind,
        (token, hash): (&Secret, TokenHash),
    ) -> Result<Posted, MailError> {
        Posted::new(&self.letters, to, kind, (token, hash))
    }
}

/// A new password on its way.
struct Step {
    hash: TokenHash,
    kept: Kept,
    notice: Option<Mail>,
    ends_sessions: bool,
    source: Source,
}

impl Step {
    /// All of it, in one transaction. Gives back which sessions ended.
    async fn take(&self, tx: &mut Conn) -> Result<Vec<Id>, RecoveryError> {
        let now = clock::now();
        let taken = store::take(tx, &self.hash, Kind::Reset, now).await?;
        let Taken { user: id, .. } = taken.ok_or(RecoveryError::BadToken)?;
        let user = people::user_to_change(tx, id).await?;
        if user.is_none_or(|user| user.disabled_at.is_some()) {
            return Err(RecoveryError::BadToken);
        }
        people::set_password(tx, id, &self.kept, now).await?;
        people::remove_invites_for(tx, id).await?;
        let actor = Actor::User {
            id,
            credential: None,
        };
        let ended = if self.ends_sessions {
            let by = (actor.clone(), self.source.clone());
            sessions::end_all_in(tx, id, None, now, by).await?
        } else {
            Vec::new()
        };
        if let Some(notice) = &self.notice {
            enqueue(tx, notice).await?;
        }
        let entry = Entry::new(actor, "password.reset", self.source.clone()).on(id);
        audit::append(tx, &entry).await?;
        Ok(ended)
    }
}

/// Uses a token up that proves an address, and tells whose it is now.
async fn prove(
    tx: &mut Conn,
    hash: &TokenHash,
    kind: Kind,
    source: &Source,
) -> Result<Id, RecoveryError> {
    let now = clock::now();
    let taken = store::take(tx, hash, kind, now).await?;
    let taken = taken.ok_or(RecoveryError::BadToken)?;
    let user = people::user_to_change(tx, taken.user).await?;
    let user = user.filter(|user| user.disabled_at.is_none());
    let user = user.ok_or(RecoveryError::BadToken)?;
    let email = taken.new_email.as_deref().unwrap_or_default();
    let email = people::check_email("/token", email).map_err(|_| RecoveryError::BadToken)?;
    let action = match kind {
        Kind::Change => {
            take_over(tx, &user, &email, now).await?;
            "email.change"
        }
        Kind::Verify | Kind::Reset => {
            if !store::prove_email(tx, &user, &email, now).await? {
                return Err(RecoveryError::BadToken);
            }
            "email.verify"
        }
    };
    let actor = Actor::User {
        id: user.id,
        credential: None,
    };
    let entry = Entry::new(actor, action, source.clone()).on(user.id);
    audit::append(tx, &entry).await?;
    Ok(user.id)
}

/// Gives a user another address. Tokens that went to the old one work no more.
async fn take_over(
    tx: &mut Conn,
    user: &User,
    email: &Email,
    now: Micros,
) -> Result<(), RecoveryError> {
    let holder = store::holder(tx, email).await?;
    if holder.is_some_and(|holder| holder != user.id) {
        return Err(RecoveryError::EmailTaken);
    }
    store::set_email(tx, user.id, email, now).await?;
    store::close(tx, user.id, Kind::Reset, now).await?;
    store::close(tx, user.id, Kind::Verify, now).await?;
    if let Ok(notice) = Letters::email_changed(&user.email, now + NOTICE_LIFETIME) {
        enqueue(tx, &notice.about(user.id)).await?;
    }
    Ok(())
}

/// Posts for who is known, and may hear why it is refused.
async fn post_or_refuse(tx: &mut Conn, posted: &Posted, mails: bool) -> Result<(), RecoveryError> {
    match posted.post(tx, mails).await? {
        None => Ok(()),
        Some("too_many_mails") => Err(RecoveryError::TooManyMails),
        Some(_) => Err(RecoveryError::Store(DbError::Busy {
            retry_after: ground::db::BUSY_RETRY,
        })),
    }
}

fn told(entry: Entry, refused: Option<&'static str>) -> Entry {
    match refused {
        Some(reason) => entry.with("reason", reason).with_outcome(Outcome::Refused),
        None => entry,
    }
}

fn invalid(finding: Finding) -> RecoveryError {
    RecoveryError::Invalid(vec![finding])
}

/// An address that is one by our rules, and none that a mail can be sent to.
fn unmailable(pointer: &str, error: &MailError) -> RecoveryError {
    let findings = error.0.iter();
    let findings = findings.map(|fault| Finding::new(pointer, fault.code, fault.message));
    RecoveryError::Invalid(findings.collect())
}
