//! The manager: takes requests, hands what waits for the database to owned tasks, and looks after three things by the
//! clock: whether the database is there, uses to be noted, and revocations by other processes.
//!
//! It keeps nothing that must survive: tokens are in the database, and what is remembered of them is shared with the handle.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ground::{Id, Micros};
use supervisor::{Context, StartError, Worker, WorkerError};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::Config;
use crate::desk::{Desk, log_inside};
use crate::error::AccountsError;
use crate::known::Limits;
use crate::lookups::{Joined, VerifyReply};
use crate::messages::{Answer, ManagerMsg};
use crate::ports::Ports;
use crate::token::TokenHash;
use ground::lock;

/// How often it looks after things.
const TICK: Duration = Duration::from_millis(500);
/// Uses that wait to be noted at most; more are not noted.
const MAX_USES: usize = 4096;

/// What every incarnation is built from.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    pub(crate) config: Config,
    pub(crate) ports: Ports,
}

/// The actor behind the handle.
pub(crate) struct ManagerActor {
    desk: Arc<Desk>,
    uses: HashMap<Id, Micros>,
    swept_at: Instant,
}

impl Worker for ManagerActor {
    type Msg = ManagerMsg;
    type Seed = Seed;

    /// Starts without the database, too: after a fault of its own it has to serve those whose tokens are remembered.
    async fn start(seed: Seed, cx: &Context<ManagerMsg>) -> Result<Self, StartError> {
        let config = &seed.config;
        let capacity = usize::try_from(config.remembered_tokens).unwrap_or(usize::MAX);
        seed.ports.shared.known.set_limits(Limits {
            capacity: capacity.max(1),
            recheck_after: config.recheck_after,
            offline_limit: config.offline_limit,
        });
        seed.ports.shared.profiles.configure(config);
        let mut manager = Self {
            desk: Arc::new(Desk::new(seed.config, seed.ports)),
            uses: HashMap::new(),
            swept_at: Instant::now(),
        };
        manager.tick(cx);
        Ok(manager)
    }

    async fn handle(
        &mut self,
        msg: ManagerMsg,
        cx: &Context<ManagerMsg>,
    ) -> Result<(), WorkerError> {
        match msg {
            ManagerMsg::Verify { hash, reply } => self.verify(hash, reply, cx),
            ManagerMsg::Refresh { hash } => self.look_up(hash, None, cx),
            ManagerMsg::Used { id, at } => self.used(id, at, cx),
            ManagerMsg::Create { new, by, reply } => {
                self.serve(
                    cx,
                    reply,
                    move |desk| async move { desk.create(new, &by).await },
                );
            }
            ManagerMsg::List { page, owner, reply } => {
                let list = move |desk: Arc<Desk>| async move { desk.list(page, owner).await };
                self.serve(cx, reply, list);
            }
            ManagerMsg::Revoke {
                id,
                owner,
                by,
                reply,
            } => {
                let revoke =
                    move |desk: Arc<Desk>| async move { desk.revoke(id, owner, &by).await };
                self.serve(cx, reply, revoke);
            }
            ManagerMsg::HasTokens { reply } => {
                self.serve(cx, reply, |desk| async move { desk.has_tokens().await });
            }
            ManagerMsg::Tick => self.tick(cx),
        }
        Ok(())
    }

    /// What is under way is finished, and the uses that were not noted yet are noted.
    async fn stop(&mut self, cx: &Context<ManagerMsg>) {
        self.desk.finish().await;
        if !self.uses.is_empty() {
            let uses = self.uses.drain().collect();
            self.desk.note_uses(uses, cx).await;
        }
    }

    fn message_name(msg: &ManagerMsg) -> &'static str {
        match msg {
            ManagerMsg::Verify { .. } => "verify",
            ManagerMsg::Refresh { .. } => "refresh",
            ManagerMsg::Used { .. } => "used",
            ManagerMsg::Create { .. } => "create",
            ManagerMsg::List { .. } => "list",
            ManagerMsg::Revoke { .. } => "revoke",
            ManagerMsg::HasTokens { .. } => "has_tokens",
            ManagerMsg::Tick => "tick",
        }
    }

    /// Whoever still waits for an answer gets it from the next one; notes to itself begin anew with each incarnation.
    fn survives_restart(msg: &ManagerMsg) -> bool {
        !matches!(
            msg,
            ManagerMsg::Refresh { .. } | ManagerMsg::Used { .. } | ManagerMsg::Tick
        )
    }
}

impl ManagerActor {
    fn verify(&self, hash: TokenHash, reply: VerifyReply, cx: &Context<ManagerMsg>) {
        // While the database is away nothing can be said about a token that is not remembered.
        let refusal = if self.desk.store.is_lost(&self.desk.db) {
            None
        } else {
            lock(&self.desk.refusals).of(&hash, Instant::now())
        };
        match refusal {
            Some(refusal) => reply.send(Err(refusal.into())),
            None => self.look_up(hash, Some(reply), cx),
        }
    }

    fn look_up(&self, hash: TokenHash, reply: Option<VerifyReply>, cx: &Context<ManagerMsg>) {
        match self.desk.lookups.join(hash, reply) {
            Joined::Leads(lookup) => {
                let (desk, own) = (Arc::clone(&self.desk), cx.clone());
                cx.offload(async move { desk.look_up(lookup, &own).await });
            }
            Joined::Full(Some(reply)) => reply.send(Err(busy())),
            Joined::Follows | Joined::Full(None) => {}
        }
    }

    /// Runs `work` in a task of its own, to its end even when the caller leaves.
    fn serve<T, F, W>(&self, cx: &Context<ManagerMsg>, reply: Answer<T>, work: W)
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AccountsError>> + Send + 'static,
        W: FnOnce(Arc<Desk>) -> F + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.desk.places).try_acquire_owned() else {
            return reply.send(Err(busy()));
        };
        let (desk, own) = (Arc::clone(&self.desk), cx.clone());
        cx.offload(async move {
            let result = work(Arc::clone(&desk)).await;
            desk.store.hear(&result, &desk.db, &own);
            if let Err(error @ AccountsError::Internal(_)) = &result {
                log_inside("a request about tokens failed", error);
            }
            drop(place);
            reply.send(result);
        });
    }

    fn used(&mut self, id: Id, at: Micros, cx: &Context<ManagerMsg>) {
        if self.uses.len() < MAX_USES || self.uses.contains_key(&id) {
            self.uses.insert(id, at);
        }
        self.note_uses(cx);
    }

    fn tick(&mut self, cx: &Context<ManagerMsg>) {
        let desk = &self.desk;
        if desk.store.is_question_due(&desk.db, cx) {
            let ask = |desk: Arc<Desk>, cx| async move { desk.ask(&cx).await };
            self.alone(cx, &desk.turns.asking, ask);
        }
        self.note_uses(cx);
        self.sweep(cx);
        cx.detail("remembered_tokens", self.desk.shared.known.len());
        cx.after(TICK, ManagerMsg::Tick);
    }

    /// Nobody whose token was revoked elsewhere has to be turned away as long as nobody was let in.
    fn sweep(&mut self, cx: &Context<ManagerMsg>) {
        let shared = &self.desk.shared;
        let is_due = self.swept_at.elapsed() >= self.desk.config.recheck_after;
        if is_due && (shared.known.len() > 0 || shared.revocations.has_watchers()) {
            self.swept_at = Instant::now();
            let sweep = |desk: Arc<Desk>, cx| async move { desk.sweep(&cx).await };
            self.alone(cx, &self.desk.turns.sweeping, sweep);
        }
    }

    fn note_uses(&mut self, cx: &Context<ManagerMsg>) {
        if self.uses.is_empty() || self.desk.turns.noting.available_permits() == 0 {
            return;
        }
        let uses: Vec<_> = self.uses.drain().collect();
        let note = |desk: Arc<Desk>, cx| async move { desk.note_uses(uses, &cx).await };
        self.alone(cx, &self.desk.turns.noting, note);
    }

    /// Runs a chore in a task of its own, unless it is under way already.
    fn alone<F>(
        &self,
        cx: &Context<ManagerMsg>,
        turn: &Arc<Semaphore>,
        chore: impl FnOnce(Arc<Desk>, Context<ManagerMsg>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(turn) = Arc::clone(turn).try_acquire_owned() else {
            return;
        };
        let chore = chore(Arc::clone(&self.desk), cx.clone());
        cx.offload(async move {
            chore.await;
            drop(turn);
        });
    }
}

fn busy() -> AccountsError {
    AccountsError::Busy {
        retry_after: ground::db::BUSY_RETRY,
    }
}
