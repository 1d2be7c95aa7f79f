//! The keeper: what happens to terminals by time, and their end when the domain stops.
//!
//! Once a second it looks the terminals over. It closes those that nobody uses, drops those whose shell ended long ago, and mends what
//! a fault left undone: a terminal without actor, a shell without pump, an actor without terminal. So every repair has one
//! place, and none depends on somebody asking.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ground::Micros;
use supervisor::{Context, StartError, Worker, WorkerError};
use tokio::time::Instant;

use crate::frames::ClosedReason;
use crate::house::House;
use crate::store::Record;
use crate::terminal::{Closing, Terminal};

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(1);

/// The keeper's own reminder.
#[derive(Debug)]
pub(crate) enum KeeperMsg {
    /// It is time for a round.
    Round,
}

/// Looks after the terminals.
#[derive(Debug)]
pub(crate) struct KeeperActor {
    house: Arc<House>,
}

impl KeeperActor {
    fn round(&self, cx: &Context<KeeperMsg>) {
        let terminals = self.house.directory().terminals();
        self.mend(&terminals, cx);
        let mut departed = self.house.directory().all_departed();
        departed.sort_unstable_by_key(|record| record.id);
        self.forget_departed(&departed);
        for (terminal, reason) in self.overdue(&terminals) {
            if let Some(closing) = terminal.begin_closing() {
                self.close(closing, reason, cx);
            }
        }
        tell(&terminals, self.house.directory().all_departed().len(), cx);
    }

    fn mend(&self, terminals: &[Arc<Terminal>], cx: &Context<KeeperMsg>) {
        for terminal in terminals {
            terminal.ensure_pump();
            if self.house.actors.address(&terminal.id).is_none() {
                let (house, terminal) = (Arc::clone(&self.house), Arc::clone(terminal));
                cx.offload(async move {
                    if let Err(error) = house.give_actor(&terminal).await {
                        tracing::warn!(id = %terminal.id, %error, "a terminal got no actor");
                    }
                });
            }
        }
        for id in self.house.actors.keys() {
            self.house.dismiss(id);
        }
    }

    /// Which terminals are to be closed now, and why: idle ones, and of those that ended the old and the oldest beyond the number to
    /// keep.
    fn overdue(&self, terminals: &[Arc<Terminal>]) -> Vec<(Arc<Terminal>, ClosedReason)> {
        let config = &self.house.config;
        let now = Micros::now();
        let mut overdue = Vec::new();
        let mut ended: Vec<(Micros, &Arc<Terminal>)> = Vec::new();
        for terminal in terminals {
            match terminal.ended_at() {
                Some(at) if now.since(at) >= config.keep_exited_for => {
                    overdue.push((Arc::clone(terminal), ClosedReason::Retention));
                }
                Some(at) => ended.push((at, terminal)),
                None if is_idle(terminal, config.idle_timeout) => {
                    overdue.push((Arc::clone(terminal), ClosedReason::Idle));
                }
                None => {}
            }
        }
        ended.sort_unstable_by_key(|(at, _)| *at);
        let keep = usize::try_from(config.keep_exited).unwrap_or(usize::MAX);
        let surplus = ended.len().saturating_sub(keep);
        let oldest = ended
            .iter()
            .take(surplus)
            .map(|(_, terminal)| (Arc::clone(terminal), ClosedReason::Retention));
        overdue.extend(oldest);
        overdue
    }

    fn forget_departed(&self, departed: &[Record]) {
        let keep = usize::try_from(self.house.config.keep_exited).unwrap_or(usize::MAX);
        let surplus = departed.len().saturating_sub(keep);
        let now = Micros::now();
        for (position, record) in departed.iter().enumerate() {
            let age = record.ended_at.map_or(Duration::ZERO, |at| now.since(at));
            if position < surplus || age >= self.house.config.keep_exited_for {
                self.house.directory().forget(record.id);
            }
        }
    }

    fn close(&self, closing: Closing, reason: ClosedReason, cx: &Context<KeeperMsg>) {
        let house = Arc::clone(&self.house);
        cx.offload(async move {
            let terminal = closing.terminal();
            match house.close(terminal, reason).await {
                Ok(()) => house.dismiss(terminal.id),
                Err(error) => tracing::warn!(id = %terminal.id, %error, "terminal not closed"),
            }
        });
    }

    /// Whether the domain stops, and not only this actor: the manager and the terminals' actors are stopped before it.
    fn is_domain_stopping(&self) -> bool {
        let actors = &self.house.actors;
        let mut addresses = actors
            .keys()
            .into_iter()
            .filter_map(|id| actors.address(&id));
        !self.house.manager.is_up() && !addresses.any(|address| address.is_up())
    }
}

fn is_idle(terminal: &Terminal, limit: Duration) -> bool {
    !limit.is_zero()
        && terminal
            .idle_since()
            .is_some_and(|since| Instant::now().duration_since(since) >= limit)
}

fn tell(terminals: &[Arc<Terminal>], departed: usize, cx: &Context<KeeperMsg>) {
    let exited = terminals
        .iter()
        .filter(|terminal| terminal.has_exited())
        .count();
    let viewers: u32 = terminals
        .iter()
        .map(|terminal| terminal.info().viewers)
        .sum();
    cx.detail("running", terminals.len() - exited);
    cx.detail("exited", exited);
    cx.detail("departed", departed);
    cx.detail("viewers", viewers);
}

impl Worker for KeeperActor {
    type Msg = KeeperMsg;
    type Seed = Arc<House>;

    async fn start(house: Self::Seed, cx: &Context<Self::Msg>) -> Result<Self, StartError> {
        cx.after(Duration::ZERO, KeeperMsg::Round);
        Ok(Self { house })
    }

    async fn handle(&mut self, msg: Self::Msg, cx: &Context<Self::Msg>) -> Result<(), WorkerError> {
        match msg {
            KeeperMsg::Round => self.round(cx),
        }
        cx.after(ROUND, KeeperMsg::Round);
        Ok(())
    }

    async fn stop(&mut self, _cx: &Context<Self::Msg>) {
        if !self.is_domain_stopping() {
            return;
        }
        let terminals = self.house.directory().terminals();
        let ends = terminals.iter().map(|terminal| async {
            let left = terminal.end(ClosedReason::Shutdown).await;
            if left > 0 {
                tracing::error!(id = %terminal.id, left, "processes could not be ended");
            }
            self.house.directory().unlist(terminal.id);
        });
        join_all(ends).await;
    }

    fn message_name(msg: &Self::Msg) -> &'static str {
        match msg {
            KeeperMsg::Round => "round",
        }
    }
}
