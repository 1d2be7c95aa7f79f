//! The actor behind the sessions' handle: takes requests, hands what waits for the database to owned tasks, and looks after the keys,
//! the uses to be noted, the ends by other processes and what is over, by the clock.
//!
//! It keeps nothing that must survive: sessions are in the database, what is remembered of them is shared with the handle.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ground::{Id, Micros};
use supervisor::{Condition, Context, Level, StartError, Worker, WorkerError};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::desk::Desk;
use super::error::SessionError;
use super::messages::{Answer, SessionsMsg};
use super::types::SessionIdentity;
use crate::known::Limits;
use crate::lookups::Joined;
use crate::manager::Seed;
use crate::store_watch::{LOST_FALLBACK, LOST_IMPACT, STORE_LOST};

/// How often it looks after things.
const TICK: Duration = Duration::from_millis(500);
/// How often the keys are looked after, and with them the database.
const KEYS_EVERY: Duration = Duration::from_secs(5);
/// The same while the database is away.
const ASK_EVERY: Duration = TICK;
/// How often what is over is ended, and what was over long ago is forgotten.
const CLEAN_EVERY: Duration = Duration::from_mins(1);
/// Uses that wait to be noted at most; more are not noted.
const MAX_USES: usize = 4096;

/// The actor.
pub(crate) struct SessionsActor {
    desk: Arc<Desk>,
    uses: HashMap<Id, Micros>,
    noting: Arc<Semaphore>,
    sweeping: Chore,
    keeping: Chore,
    cleaning: Chore,
    is_lost: Arc<std::sync::atomic::AtomicBool>,
}

/// Something that is done by the clock, once at a time.
struct Chore {
    turn: Arc<Semaphore>,
    done_at: Option<Instant>,
}

impl Chore {
    fn new() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            done_at: None,
        }
    }

    /// Does it in a task of its own, unless it is under way or was done lately.
    fn run<M, F>(&mut self, every: Duration, cx: &Context<M>, chore: impl FnOnce() -> F)
    where
        M: Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        if self.done_at.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else {
            return;
        };
        self.done_at = Some(Instant::now());
        let chore = chore();
        cx.offload(async move {
            chore.await;
            drop(turn);
        });
    }
}

impl Worker for SessionsActor {
    type Msg = SessionsMsg;
    type Seed = Seed;

    /// Starts without the database, too: after a fault of its own it has to serve those whose sessions are remembered.
    async fn start(seed: Seed, cx: &Context<SessionsMsg>) -> Result<Self, StartError> {
        let config = seed.config;
        let memory = seed.ports.shared.sessions.memory.clone();
        let capacity = usize::try_from(config.remembered_tokens).unwrap_or(usize::MAX);
        memory.known.set_limits(Limits {
            capacity: capacity.max(1),
            recheck_after: config.recheck_after,
            offline_limit: config.offline_limit,
        });
        let mut actor = Self {
            desk: Arc::new(Desk::new(config, seed.ports.db, memory)),
            uses: HashMap::new(),
            noting: Arc::new(Semaphore::new(1)),
            sweeping: Chore::new(),
            keeping: Chore::new(),
            cleaning: Chore::new(),
            is_lost: Arc::default(),
        };
        actor.tick(cx);
        Ok(actor)
    }

    async fn handle(
        &mut self,
        msg: SessionsMsg,
        cx: &Context<SessionsMsg>,
    ) -> Result<(), WorkerError> {
        let desk = &self.desk;
        match msg {
            SessionsMsg::Verify { session, reply } => self.look_up(session, Some(reply), cx),
            SessionsMsg::Recheck { session } => self.look_up(session, None, cx),
            SessionsMsg::Used { session, at } => self.used(session, at, cx),
            SessionsMsg::FindKeys { reply } => {
                let find = |desk: Arc<Desk>| async move { desk.find_keys().await };
                desk.serve_in(&desk.searches, cx, reply, find);
            }
            SessionsMsg::Begin { sign_in, reply } => {
                let begin = |desk: Arc<Desk>| async move { desk.begin(sign_in).await };
                desk.serve(cx, reply, begin);
            }
            SessionsMsg::Refresh {
                token,
                source,
                reply,
            } => {
                let refresh = |desk: Arc<Desk>| async move { desk.refresh(token, source).await };
                desk.serve(cx, reply, refresh);
            }
            SessionsMsg::End { end, reply } => {
                desk.serve(cx, reply, |desk| async move { desk.end(end).await });
            }
            SessionsMsg::EndAll {
                user,
                except,
                actor,
                source,
                reply,
            } => {
                let end = move |desk: Arc<Desk>| async move {
                    desk.end_all(user, except, (actor, source)).await
                };
                desk.serve(cx, reply, end);
            }
            SessionsMsg::List { user, page, reply } => {
                let list = move |desk: Arc<Desk>| async move { desk.list(user, page).await };
                desk.serve(cx, reply, list);
            }
            SessionsMsg::Tick => self.tick(cx),
        }
        Ok(())
    }

    /// What is under way is finished, and the uses that were not noted yet are noted.
    async fn stop(&mut self, _cx: &Context<SessionsMsg>) {
        self.desk.finish().await;
        if !self.uses.is_empty() {
            self.desk.note_uses(self.uses.drain().collect()).await;
        }
    }

    fn message_name(msg: &SessionsMsg) -> &'static str {
        match msg {
            SessionsMsg::Verify { .. } => "verify",
            SessionsMsg::Recheck { .. } => "recheck",
            SessionsMsg::Used { .. } => "used",
            SessionsMsg::FindKeys { .. } => "find_keys",
            SessionsMsg::Begin { .. } => "begin",
            SessionsMsg::Refresh { .. } => "refresh",
            SessionsMsg::End { .. } => "end",
            SessionsMsg::EndAll { .. } => "end_all",
            SessionsMsg::List { .. } => "list",
            SessionsMsg::Tick => "tick",
        }
    }

    /// Whoever still waits for an answer gets it from the next one; notes to itself begin anew with each incarnation.
    fn survives_restart(msg: &SessionsMsg) -> bool {
        !matches!(
            msg,
            SessionsMsg::Recheck { .. } | SessionsMsg::Used { .. } | SessionsMsg::Tick
        )
    }
}

impl SessionsActor {
    fn look_up(
        &self,
        session: Id,
        reply: Option<Answer<SessionIdentity>>,
        cx: &Context<SessionsMsg>,
    ) {
        match self.desk.lookups.join(session, reply) {
            Joined::Leads(lookup) => {
                let desk = Arc::clone(&self.desk);
                cx.offload(async move { desk.look_up(lookup).await });
            }
            Joined::Full(Some(reply)) => reply.send(Err(SessionError::busy())),
            Joined::Follows | Joined::Full(None) => {}
        }
    }

    fn used(&mut self, session: Id, at: Micros, cx: &Context<SessionsMsg>) {
        if self.uses.len() < MAX_USES || self.uses.contains_key(&session) {
            self.uses.insert(session, at);
        }
        self.note_uses(cx);
    }

    fn tick(&mut self, cx: &Context<SessionsMsg>) {
        self.keep_keys(cx);
        self.note_uses(cx);
        let (desk, memory) = (&self.desk, &self.desk.memory);
        // Nobody whose session was ended elsewhere has to be turned away as long as nobody was let in.
        if memory.known.len() > 0 || memory.revocations.has_watchers() {
            let (every, desk) = (desk.config.recheck_after, Arc::clone(desk));
            let sweep = || async move { desk.sweep().await };
            self.sweeping.run(every, cx, sweep);
        }
        let desk = Arc::clone(&self.desk);
        let clean = || async move { desk.clean().await };
        self.cleaning.run(CLEAN_EVERY, cx, clean);
        cx.detail("remembered_sessions", self.desk.memory.known.len());
        cx.after(TICK, SessionsMsg::Tick);
    }

    /// Looks after the keys, and draws from it whether the database is there.
    fn keep_keys(&mut self, cx: &Context<SessionsMsg>) {
        use std::sync::atomic::Ordering::AcqRel;
        let was_lost = self.is_lost.load(std::sync::atomic::Ordering::Acquire);
        if self.desk.db.engine().is_none() {
            if !self.is_lost.swap(true, AcqRel) {
                report_loss(cx);
            }
            return;
        }
        let every = if was_lost { ASK_EVERY } else { KEYS_EVERY };
        let (desk, is_lost, own) = (
            Arc::clone(&self.desk),
            Arc::clone(&self.is_lost),
            cx.clone(),
        );
        let keep = || async move {
            match desk.keep_keys().await {
                Ok(()) if is_lost.swap(false, AcqRel) => own.clear(),
                Err(SessionError::StoreLost { .. }) if !is_lost.swap(true, AcqRel) => {
                    report_loss(&own);
                }
                Ok(()) => {}
                Err(error) => tracing::debug!(%error, "the signing keys were not looked after"),
            }
        };
        self.keeping.run(every, cx, keep);
    }

    fn note_uses(&mut self, cx: &Context<SessionsMsg>) {
        let Ok(turn) = Arc::clone(&self.noting).try_acquire_owned() else {
            return;
        };
        if self.uses.is_empty() {
            return;
        }
        let (desk, uses) = (Arc::clone(&self.desk), self.uses.drain().collect());
        cx.offload(async move {
            desk.note_uses(uses).await;
            drop(turn);
        });
    }
}

fn report_loss(cx: &Context<SessionsMsg>) {
    let message = "the database is not available, so sessions cannot be looked up";
    let condition = Condition::new(Level::Critical, STORE_LOST, message)
        .with_impact(LOST_IMPACT)
        .with_fallback(LOST_FALLBACK)
        .with_root("/store");
    cx.report(condition);
}
