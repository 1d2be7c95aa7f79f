//! The work: claims what is due, hands it over, and stores what came of it.
//!
//! The pauses between attempts are the queue's, not the dependency's: an attempt whose answer got lost may have been taken by the
//! server, so it is not made again within the moment, and a mail that waits must outlive this process anyway. From the
//! dependency come the limits of an attempt and the breaker: while that is open nothing is claimed.

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;
use ground::{Db, DbError, Id, Micros, clock};
use lettre::message::Mailbox;
use supervisor::{
    Backoff, Blame, BreakerState, CallError, CallFault as _, Condition, Context, Dependency,
    Fault as _, Level,
};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::MailConfig;
use crate::fault::SendError;
use crate::letter;
use crate::messages::MailMsg;
use crate::schedule::{Trouble, next_attempt};
use crate::sender::{Seed, Way};
use crate::smtp::Smtp;
use crate::store::{self, Claim, Claimed, LastError};
use crate::types::MailState;

/// How often the queue is looked at for what other processes wrote, and the outbox for what was taken out of it.
pub(crate) const LOOK: Duration = Duration::from_secs(15);
/// The pause after the database failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// The shortest pause between two rounds.
const SHORTEST: Duration = Duration::from_millis(5);
/// Mails that are handed over at the same time.
const AT_ONCE: i64 = 4;
/// Claims of one round; what is left is for the next one.
const CLAIMS: usize = 64;
/// How long a lease lasts that nobody renews: so long a mail waits whose sender was killed.
const LEASE: Duration = Duration::from_secs(15);
/// How often a lease is renewed while its mail is being sent.
const RENEW_EVERY: Duration = Duration::from_secs(4);
/// How often what is too old is forgotten.
const FORGET_EVERY: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The code of mails that were wanted no more before they could be sent.
pub(crate) const EXPIRED: &str = "mail.expired";
/// The code of the report about mails that somebody has to hand over.
pub(crate) const IN_OUTBOX: &str = "mail.outbox";

/// What the work needs.
pub(crate) struct Courier {
    db: Db,
    config: MailConfig,
    from: Mailbox,
    way: Way,
    nudge: Notify,
    /// Held while a round runs; closed when the actor stops.
    turn: Semaphore,
    book: Mutex<Book>,
}

/// What is remembered from round to round.
#[derive(Default)]
struct Book {
    /// When the next mail may leave.
    next_place: Option<Instant>,
    forgot_at: Option<Instant>,
    /// The server was away when last looked.
    was_away: bool,
    outbox_fault: Option<String>,
}

/// What came of handing a mail over.
enum Outcome {
    /// It is out.
    Gone(MailState),
    /// It was tried in vain.
    Failed(SendError),
    /// Nobody was called; it can be tried after this.
    NotTried(Duration),
    /// No answer in time.
    Unknown,
}

impl Courier {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            from: seed.config.sender(),
            db: seed.db,
            config: seed.config,
            way: seed.way,
            nudge: Notify::new(),
            turn: Semaphore::new(1),
            book: Mutex::default(),
        }
    }

    pub(crate) const fn db(&self) -> &Db {
        &self.db
    }

    /// Has the next round begin now.
    pub(crate) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Waits until somebody nudges.
    pub(crate) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// Waits for the end of the present round, after which there is none.
    pub(crate) async fn finish(&self) {
        drop(self.turn.acquire().await);
        self.turn.close();
    }

    /// One round: everything that is due. Tells when the next one should be at the latest.
    pub(crate) async fn round(&self, cx: &Context<MailMsg>) -> Duration {
        let Ok(_turn) = self.turn.acquire().await else {
            return LOOK;
        };
        let pause = match self.work().await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::debug!(%error, "the queue of mails was not worked off");
                STORE_PAUSE
            }
        };
        if let Err(error) = self.tell(cx).await {
            tracing::debug!(%error, "the queue of mails was not counted");
        }
        pause.clamp(SHORTEST, LOOK)
    }

    async fn work(&self) -> Result<Duration, DbError> {
        self.tidy().await?;
        for _ in 0..CLAIMS {
            let now = clock::now();
            let at_once = match self.places(now).await? {
                Ok(places) => places,
                Err(pause) => return Ok(pause),
            };
            let claim = Claim {
                lease: Id::generate(),
                now,
                until: now + LEASE,
            };
            let claimed = store::claim(&self.db, claim, at_once).await?;
            if claimed.is_empty() {
                break;
            }
            let sent = join_all(claimed.iter().map(|mail| self.send(mail, claim.lease))).await;
            sent.into_iter().collect::<Result<Vec<()>, _>>()?;
        }
        let next = store::next_due(&self.db).await?;
        Ok(next.map_or(LOOK, |next| next.since(clock::now())))
    }

    /// Gives up what is too late, and forgets what is too old.
    async fn tidy(&self) -> Result<(), DbError> {
        let now = clock::now();
        let expired = store::expire(&self.db, now, EXPIRED).await?;
        if expired > 0 {
            tracing::warn!(
                mails = expired,
                "mails were given up: nobody wants them any more"
            );
        }
        let last = self.book(|book| book.forgot_at);
        if last.is_none_or(|last| last.elapsed() >= FORGET_EVERY) {
            store::forget(&self.db, now - DAY * self.config.keep_days).await?;
            self.book(|book| book.forgot_at = Some(Instant::now()));
        }
        Ok(())
    }

    /// How many mails can be handed over at once now, or how long there is no use in trying.
    async fn places(&self, now: Micros) -> Result<Result<i64, Duration>, DbError> {
        let Way::Smtp(_, dependency) = &self.way else {
            return Ok(Ok(AT_ONCE));
        };
        let state = dependency.state();
        if state == BreakerState::Open {
            self.book(|book| book.was_away = true);
            let wait = dependency.retry_after().unwrap_or(SHORTEST);
            return Ok(Err(wait + SHORTEST));
        }
        if self.book(|book| std::mem::take(&mut book.was_away)) {
            store::hurry(&self.db, now, "mail.deferred").await?;
        }
        Ok(Ok(if state == BreakerState::Closed {
            AT_ONCE
        } else {
            1
        }))
    }

    /// Sends one mail and stores what came of it.
    async fn send(&self, mail: &Claimed, lease: Id) -> Result<(), DbError> {
        let handing_over = async {
            self.place().await;
            self.hand_over(mail).await
        };
        let outcome = tokio::select! {
            outcome = handing_over => outcome,
            never = self.keep(mail.id, lease) => match never {},
        };
        if self.conclude(mail, lease, outcome).await? {
            return Ok(());
        }
        if store::is_kept(&self.db, mail.id).await? {
            tracing::warn!(mail = %mail.id, "the lease had run out: another process may have sent the mail, too");
            return Ok(());
        }
        // Whose it was is gone, and with them all that was kept of them: so is what was put away in this very moment.
        if let Way::Outbox(outbox) = &self.way
            && let Err(error) = outbox.remove(vec![mail.id]).await
        {
            tracing::warn!(mail = %mail.id, %error, "a mail of somebody who was erased is left in the outbox");
        }
        Ok(())
    }

    /// Renews a lease for as long as it is asked to. One that cannot be renewed runs out, and the mail may be sent twice.
    async fn keep(&self, id: Id, lease: Id) -> Infallible {
        loop {
            sleep(RENEW_EVERY).await;
            let renewed = store::renew(&self.db, id, lease, clock::now() + LEASE).await;
            if let Err(error) = renewed {
                tracing::debug!(mail = %id, %error, "the lease of a mail was not renewed");
            }
        }
    }

    /// Stores what came of a mail. False when the lease is another's by now.
    async fn conclude(&self, mail: &Claimed, lease: Id, outcome: Outcome) -> Result<bool, DbError> {
        let now = clock::now();
        match outcome {
            Outcome::Gone(state) => {
                let Claimed {
                    id, kind, attempts, ..
                } = mail;
                tracing::info!(mail = %id, kind, %state, attempts, "mail has left");
                store::end(&self.db, *id, lease, state, now, None).await
            }
            Outcome::Failed(error) if error.is_final() => {
                self.give_up(mail, lease, now, &error).await
            }
            Outcome::Failed(error) => self.later(mail, lease, now, &error).await,
            Outcome::Unknown => {
                let detail = "no answer in time; the server may have taken the mail".to_owned();
                let error = SendError::Unreachable { detail };
                self.later(mail, lease, now, &error).await
            }
            Outcome::NotTried(wait) => {
                let next_at = (now + wait).min(mail.not_after);
                store::put_back(&self.db, mail.id, lease, next_at, false, None).await
            }
        }
    }

    async fn give_up(
        &self,
        mail: &Claimed,
        lease: Id,
        now: Micros,
        error: &SendError,
    ) -> Result<bool, DbError> {
        tracing::warn!(mail = %mail.id, kind = mail.kind, code = error.code(), "mail given up");
        let last = Some(last_error(error));
        store::end(&self.db, mail.id, lease, MailState::GivenUp, now, last).await
    }

    async fn later(
        &self,
        mail: &Claimed,
        lease: Id,
        now: Micros,
        error: &SendError,
    ) -> Result<bool, DbError> {
        let trouble = match error.blame() {
            Blame::Dependency => Trouble::Server,
            Blame::Caller | Blame::Nobody => Trouble::Mail,
        };
        let backoff = Backoff {
            first: self.config.retry_first,
            max: self.config.retry_max,
        };
        let next_at = next_attempt(
            backoff,
            trouble,
            mail.attempts,
            now,
            mail.not_after,
            rand::random(),
        );
        tracing::debug!(mail = %mail.id, kind = mail.kind, code = error.code(), %next_at, "mail not sent yet");
        store::put_back(
            &self.db,
            mail.id,
            lease,
            next_at,
            true,
            Some(last_error(error)),
        )
        .await
    }

    async fn hand_over(&self, mail: &Claimed) -> Outcome {
        let letter = match letter::write(mail, &self.from) {
            Ok(letter) => letter,
            Err(error) => return Outcome::Failed(error),
        };
        match &self.way {
            Way::Smtp(smtp, dependency) => by_server(smtp, dependency, &letter).await,
            Way::Outbox(outbox) => match outbox.put(mail.id, letter.bytes).await {
                Ok(()) => {
                    self.book(|book| book.outbox_fault = None);
                    Outcome::Gone(MailState::Outbox)
                }
                Err(error) => {
                    self.book(|book| book.outbox_fault = Some(error.to_string()));
                    Outcome::Failed(error)
                }
            },
        }
    }

    /// Waits for a place among the mails of this second.
    async fn place(&self) {
        let distance = Duration::from_secs(1) / self.config.max_per_second.max(1);
        let at = self.book(|book| {
            let now = Instant::now();
            let at = book.next_place.map_or(now, |next| next.max(now));
            book.next_place = Some(at + distance);
            at
        });
        sleep_until(at).await;
    }

    /// Tells the figures, and whether somebody has to hand mails over.
    ///
    /// An empty outbox is NORMAL: without a server, putting mails there is all that is promised. As soon as a wanted mail lies in it,
    /// somebody waits for a mail that comes only when an operator acts: part of the function is missing, which is DEGRADED. Nothing
    /// is refused and nothing is lost, so that it is not worse.
    async fn tell(&self, cx: &Context<MailMsg>) -> Result<(), DbError> {
        let counts = store::counts(&self.db).await?;
        cx.detail("waiting", counts.waiting);
        cx.detail("given_up", counts.given_up);
        let Way::Outbox(outbox) = &self.way else {
            return Ok(());
        };
        let wanted = store::wanted_of_outbox(&self.db, clock::now()).await?;
        let there = outbox.count(wanted).await;
        cx.detail("in_outbox", there);
        let folder = outbox.folder().display();
        if let Some(fault) = self.book(|book| book.outbox_fault.clone()) {
            let message = format!("mails cannot be put into {folder}: {fault}");
            cx.report(Condition::new(
                Level::Critical,
                "mail.outbox_failed",
                message,
            ));
        } else if there > 0 {
            let message = format!(
                "{there} mail(s) lie in {folder}, since no server is configured: hand them over and remove them, or set mail.smtp_host"
            );
            let condition = Condition::new(Level::Degraded, IN_OUTBOX, message)
                .with_impact("whoever waits for a mail gets it only from an operator")
                .with_fallback("mails are kept in the outbox of the data directory");
            cx.report(condition);
        } else {
            cx.clear();
        }
        Ok(())
    }

    /// Held for a few instructions, never across an await.
    fn book<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        act(&mut ground::lock(&self.book))
    }
}

async fn by_server(smtp: &Smtp, dependency: &Dependency, letter: &letter::Letter) -> Outcome {
    match dependency.call_once(smtp.deliver(letter)).await {
        Ok(()) => Outcome::Gone(MailState::Sent),
        Err(CallError::Open { retry_after, .. } | CallError::Full { retry_after, .. }) => {
            Outcome::NotTried(retry_after)
        }
        Err(CallError::Timeout { .. }) => {
            dependency.suspect();
            Outcome::Unknown
        }
        Err(CallError::Failed(error)) => {
            if error.blame() == Blame::Dependency {
                // One failure proves little; a probe at once proves it.
                dependency.suspect();
            }
            Outcome::Failed(error)
        }
    }
}

fn last_error(error: &SendError) -> LastError {
    LastError {
        code: error.code(),
        text: error.to_string(),
    }
}
