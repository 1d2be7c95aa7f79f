//! The slow work of the actor: all that waits for the database. It runs in owned tasks beside the mailbox, to its end even when the
//! caller leaves: a code that was used up must be told in the audit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ground::audit::{Actor, Entry, Outcome, Source};
use ground::sealed::{self, Place};
use ground::{Db, Id, Micros, Sealer, Secret, clock};
use supervisor::Finding;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::factors::error::FactorError;
use crate::factors::fresh;
use crate::factors::guesses::{Guesses, Limited};
use crate::factors::recovery::{self, CodeHash, RECOVERY_CODES};
use crate::factors::shown::Shown;
use crate::factors::store::{self, Factor, Proof, Then};
use crate::factors::totp;
use crate::factors::types::{By, Enrolment, FactorOverview};
use ground::lock;

/// Requests under way at most.
const PLACES: u32 = 64;
/// For how long an app may wait for its first code.
const PENDING_FOR: Duration = Duration::from_mins(30);

/// What the tasks of one incarnation share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) db: Db,
    pub(crate) sealer: Sealer,
    pub(crate) guesses: Arc<Mutex<Guesses>>,
    pub(crate) places: Arc<Semaphore>,
}

/// Who claims to have the factor, for the audit.
struct Claimant {
    actor: Actor,
    /// Who it is when it turns out to be right.
    proven: Actor,
    source: Source,
}

impl Claimant {
    fn signed_in(by: &By) -> Self {
        Self {
            actor: by.actor(),
            proven: by.actor(),
            source: by.source.clone(),
        }
    }

    /// Somebody whose other credentials were right, and who is nobody until this one is, too.
    fn signing_in(user: Id, source: Source) -> Self {
        Self {
            actor: Actor::Anonymous,
            proven: Actor::User {
                id: user,
                credential: None,
            },
            source,
        }
    }

    fn refused(&self, user: Id, why: &str) -> Entry {
        Entry::new(self.actor.clone(), "factor.refused", self.source.clone())
            .on(user)
            .with_outcome(Outcome::Refused)
            .with("why", why)
    }

    fn done(&self, user: Id, action: &'static str) -> Entry {
        Entry::new(self.proven.clone(), action, self.source.clone()).on(user)
    }
}

impl Desk {
    pub(crate) fn new(db: Db, sealer: Sealer, guesses: Arc<Mutex<Guesses>>) -> Self {
        Self {
            db,
            sealer,
            guesses,
            places: Arc::new(Semaphore::new(PLACES as usize)),
        }
    }

    /// Whether a user may pass with what was shown.
    pub(crate) async fn check(
        &self,
        user: Id,
        shown: Option<Secret>,
        source: Source,
    ) -> Result<bool, FactorError> {
        let factor = store::factor_of(&self.db, user).await?;
        let Some(factor) = factor.filter(|factor| factor.confirmed_at.is_some()) else {
            return Ok(false);
        };
        let shown = shown.ok_or(FactorError::Required)?;
        let claimant = Claimant::signing_in(user, source);
        self.prove(&factor, &shown, (Then::Nothing, None), &claimant)
            .await?;
        Ok(true)
    }

    /// Begins to set an app up.
    pub(crate) async fn enroll(&self, by: By) -> Result<Enrolment, FactorError> {
        let now = clock::now();
        fresh::lately(by.signed_in_at, now)?;
        let account = store::email_of(&self.db, by.user).await?;
        let account = account.ok_or(FactorError::NoUser)?;
        let secret = sealed::random::<{ totp::SECRET_BYTES }>()?;
        let sealed = self.sealer.seal(&place(by.user.as_bytes()), &secret[..])?;
        let entry = Claimant::signed_in(&by).done(by.user, "factor.enroll");
        let stored = store::enroll(&self.db, by.user, sealed, now, entry).await;
        let is_new = stored.map_err(|error| {
            let is_gone = ["foreign_key", "totp_factors_user_id_fkey"]
                .iter()
                .any(|name| error.is_conflict_on(name));
            if is_gone {
                FactorError::NoUser
            } else {
                error.into()
            }
        })?;
        if !is_new {
            return Err(FactorError::AlreadySetUp);
        }
        let secret = totp::to_base32(&secret[..]);
        let otpauth_uri = totp::otpauth_uri(&secret, &account);
        Ok(Enrolment {
            secret,
            otpauth_uri,
        })
    }

    /// Takes the first code of an app.
    pub(crate) async fn confirm(&self, by: By, code: Secret) -> Result<Vec<Secret>, FactorError> {
        fresh::in_person(by.signed_in_at)?;
        let now = clock::now();
        let factor = store::factor_of(&self.db, by.user).await?;
        let factor = match factor {
            Some(factor) if factor.confirmed_at.is_some() => {
                return Err(FactorError::AlreadySetUp);
            }
            Some(factor) if now.since(factor.created_at) < PENDING_FOR => factor,
            _ => return Err(FactorError::NothingPending),
        };
        let Some(Shown::Code(code)) = Shown::read(code.expose()) else {
            return Err(wrong_at("/totp_code"));
        };
        let claimant = Claimant::signed_in(&by);
        let admitted = lock(&self.guesses).admit(by.user, Instant::now());
        let guess = match admitted {
            Ok(guess) => guess,
            Err(limited) => return Err(self.limited(by.user, limited, &claimant).await),
        };
        let step = self.step_of(&factor, code, now).map(|found| found.0);
        let Some(step) = step.inspect_err(|_| lock(&self.guesses).forgive(guess))? else {
            self.tell(claimant.refused(by.user, "wrong")).await;
            return Err(wrong_at("/totp_code"));
        };
        lock(&self.guesses).forgive(guess);
        let (codes, hashes) = recovery_codes()?;
        let entry = claimant.done(by.user, "factor.confirm");
        if store::confirm(&self.db, &factor, step, hashes, entry).await? {
            return Ok(codes);
        }
        Err(FactorError::NothingPending)
    }

    /// Takes the app and the recovery codes away.
    pub(crate) async fn disable(&self, by: By, shown: Secret) -> Result<(), FactorError> {
        let then = (Then::Remove, Some("factor.disable"));
        self.change(&by, &shown, then).await
    }

    /// Makes new recovery codes.
    pub(crate) async fn renew(&self, by: By, shown: Secret) -> Result<Vec<Secret>, FactorError> {
        let (codes, hashes) = recovery_codes()?;
        let then = (Then::Renew(hashes), Some("factor.renew"));
        self.change(&by, &shown, then).await?;
        Ok(codes)
    }

    /// What a user has set up.
    pub(crate) async fn overview(&self, user: Id) -> Result<FactorOverview, FactorError> {
        Ok(store::overview(&self.db, user).await?)
    }

    /// Waits until no request is under way.
    pub(crate) async fn finish(&self) {
        // Nobody closes the semaphore; whoever waits for it too early is stopped by the supervisor.
        drop(self.places.acquire_many(PLACES).await);
    }

    /// Changes a confirmed app for its owner, who proves to have it.
    async fn change(
        &self,
        by: &By,
        shown: &Secret,
        then: (Then, Option<&'static str>),
    ) -> Result<(), FactorError> {
        fresh::in_person(by.signed_in_at)?;
        let factor = store::factor_of(&self.db, by.user).await?;
        let factor = factor.filter(|factor| factor.confirmed_at.is_some());
        let factor = factor.ok_or(FactorError::NotSetUp)?;
        let claimant = Claimant::signed_in(by);
        let proven = self.prove(&factor, shown, then, &claimant).await;
        proven.map_err(|error| match (error, Shown::read(shown.expose())) {
            (FactorError::Wrong, Some(Shown::Recovery(_))) => wrong_at("/recovery_code"),
            (FactorError::Wrong, _) => wrong_at("/totp_code"),
            (other, _) => other,
        })
    }

    /// Uses up what was shown, together with what follows from it and is told as the action. A guess counts from before it is looked at.
    async fn prove(
        &self,
        factor: &Factor,
        text: &Secret,
        then: (Then, Option<&'static str>),
        claimant: &Claimant,
    ) -> Result<(), FactorError> {
        let shown = Shown::read(text.expose()).ok_or(FactorError::Wrong)?;
        let admitted = lock(&self.guesses).admit(factor.user, Instant::now());
        let redeemed = match (&admitted, &shown) {
            (Err(limited), Shown::Code(_)) => {
                return Err(self.limited(factor.user, *limited, claimant).await);
            }
            // Too long to be guessed, so it is looked at in any case: nobody locks somebody else out.
            (Err(_), Shown::Recovery(_)) | (Ok(_), _) => {
                self.redeem(factor, shown, then, claimant).await
            }
        };
        match (redeemed, admitted) {
            (Ok(false), Ok(_)) => {
                self.tell(claimant.refused(factor.user, "wrong")).await;
                Err(FactorError::Wrong)
            }
            (Ok(false), Err(limited)) => Err(self.limited(factor.user, limited, claimant).await),
            (Ok(true), Err(_)) => Ok(()),
            (redeemed, Ok(guess)) => {
                lock(&self.guesses).forgive(guess);
                redeemed.map(drop)
            }
            (Err(error), Err(_)) => Err(error),
        }
    }

    async fn redeem(
        &self,
        factor: &Factor,
        shown: Shown,
        (then, action): (Then, Option<&'static str>),
        claimant: &Claimant,
    ) -> Result<bool, FactorError> {
        let now = clock::now();
        let mut entries = Vec::new();
        let proof = match shown {
            Shown::Recovery(hash) => {
                entries.push(claimant.done(factor.user, "factor.recovery_used"));
                Proof::Recovery(hash)
            }
            Shown::Code(code) => {
                let (Some(step), sealed) = self.step_of(factor, code, now)? else {
                    return Ok(false);
                };
                Proof::Step { step, sealed }
            }
        };
        entries.extend(action.map(|action| claimant.done(factor.user, action)));
        Ok(store::redeem(&self.db, factor, proof, then, entries, now).await?)
    }

    /// The step whose code this is; and the secret sealed anew, where an older key had sealed it.
    fn step_of(
        &self,
        factor: &Factor,
        code: [u8; totp::DIGITS],
        now: Micros,
    ) -> Result<(Option<i64>, Option<Vec<u8>>), FactorError> {
        let place = place(factor.user.as_bytes());
        let opened = self.sealer.open(&place, &factor.sealed)?;
        let step = totp::accepted_step(&opened.plain, code, now, factor.last_step);
        // Without a present key it stays as it is: it can be read.
        let anew = (!opened.is_current).then(|| self.sealer.seal(&place, &opened.plain).ok());
        Ok((step, anew.flatten()))
    }

    /// The refusal of a guess too many, of which the first is told in the audit: who goes on cannot fill it.
    async fn limited(&self, user: Id, limited: Limited, claimant: &Claimant) -> FactorError {
        if limited.is_first {
            self.tell(claimant.refused(user, "limited")).await;
        }
        FactorError::Limited {
            retry_after: limited.retry_after,
        }
    }

    /// Tells of a refusal. It stays one when it cannot be told.
    async fn tell(&self, entry: Entry) {
        if let Err(error) = store::tell(&self.db, entry).await {
            tracing::warn!(%error, "a refused second factor is not in the audit");
        }
    }
}

/// Where the secret of a user's app belongs.
fn place(user: &[u8]) -> Place<'_> {
    Place {
        table: "totp_factors",
        row: user,
        column: "secret",
    }
}

fn recovery_codes() -> Result<(Vec<Secret>, Vec<CodeHash>), FactorError> {
    let mut made = (Vec::new(), Vec::new());
    for _ in 0..RECOVERY_CODES {
        let random = sealed::random::<{ recovery::CODE_BYTES }>()?;
        let (code, hash) = recovery::make(&random);
        made.0.push(code);
        made.1.push(hash);
    }
    Ok(made)
}

fn wrong_at(pointer: &str) -> FactorError {
    let message = "this code is wrong or was used before; wait for the next one";
    FactorError::Invalid(vec![Finding::new(pointer, "wrong_code", message)])
}
