//! The keeper: takes requests and hands what waits for the database to owned tasks. It keeps nothing that must survive: what counts is in
//! the database, and a claim that was lost on the way is one of unknown outcome.

use std::sync::Arc;
use std::time::Duration;

use supervisor::{Context, StartError, Worker, WorkerError};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::Config;
use crate::desk::Desk;
use crate::error::IdempotencyError;
use crate::messages::{KeeperMsg, Told};
use crate::ports::Ports;
use crate::types::{Claimed, Key, Settlement};

/// How often it looks after what is to be settled and forgotten.
const TICK: Duration = Duration::from_secs(1);
/// Requests under way at most.
const PLACES: usize = 256;
/// How long the last settlements may take when the daemon stops.
const LAST_LIMIT: Duration = Duration::from_secs(1);

/// What every incarnation is built from.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    pub(crate) config: Config,
    pub(crate) ports: Ports,
}

/// The actor behind the handle.
pub(crate) struct KeeperActor {
    desk: Arc<Desk>,
    places: Arc<Semaphore>,
    /// Of the chores, one runs at a time.
    turn: Arc<Semaphore>,
}

impl Worker for KeeperActor {
    type Msg = KeeperMsg;
    type Seed = Seed;

    async fn start(seed: Seed, cx: &Context<KeeperMsg>) -> Result<Self, StartError> {
        cx.after(Duration::ZERO, KeeperMsg::Tick);
        Ok(Self {
            desk: Arc::new(Desk::new(&seed.config, seed.ports)),
            places: Arc::new(Semaphore::new(PLACES)),
            turn: Arc::new(Semaphore::new(1)),
        })
    }

    async fn handle(&mut self, msg: KeeperMsg, cx: &Context<KeeperMsg>) -> Result<(), WorkerError> {
        match msg {
            KeeperMsg::Claim {
                key,
                fingerprint,
                reply,
            } => self.claim(key, fingerprint, reply, cx),
            KeeperMsg::Settle {
                claim,
                settlement,
                reply,
            } => {
                // It is never refused: what came of a request must not be lost for want of a place.
                let desk = Arc::clone(&self.desk);
                cx.offload(async move { reply.send(desk.settle(claim, settlement).await) });
            }
            KeeperMsg::Tick => self.tick(cx),
        }
        Ok(())
    }

    async fn stop(&mut self, _cx: &Context<KeeperMsg>) {
        if timeout(LAST_LIMIT, self.desk.settle_left()).await.is_err() {
            tracing::warn!("answers to requests with a key were not stored before the stop");
        }
    }

    fn message_name(msg: &KeeperMsg) -> &'static str {
        match msg {
            KeeperMsg::Claim { .. } => "claim",
            KeeperMsg::Settle { .. } => "settle",
            KeeperMsg::Tick => "tick",
        }
    }

    /// Whoever waits for a claim or a settlement gets it from the next one.
    fn survives_restart(msg: &KeeperMsg) -> bool {
        !matches!(msg, KeeperMsg::Tick)
    }
}

impl KeeperActor {
    /// Claims a key in a task of its own. Nobody runs the request of a caller that has left meanwhile, so that claim is given back.
    fn claim(
        &self,
        key: Key,
        fingerprint: [u8; 32],
        reply: Told<Claimed>,
        cx: &Context<KeeperMsg>,
    ) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return reply.send(Err(IdempotencyError::Busy {
                retry_after: ground::db::BUSY_RETRY,
            }));
        };
        let desk = Arc::clone(&self.desk);
        cx.offload(async move {
            let claimed = desk.claim(key, fingerprint).await;
            drop(place);
            match claimed {
                // What fails here is tried again.
                Ok(Claimed::Fresh(claim)) if reply.is_abandoned() => {
                    drop(desk.settle(claim, Settlement::Released).await);
                }
                claimed => reply.send(claimed),
            }
        });
    }

    fn tick(&self, cx: &Context<KeeperMsg>) {
        if let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() {
            let desk = Arc::clone(&self.desk);
            cx.offload(async move {
                desk.settle_left().await;
                desk.forget().await;
                drop(turn);
            });
        }
        cx.detail("to_settle", self.desk.left());
        cx.detail("keys", self.desk.kept());
        cx.after(TICK, KeeperMsg::Tick);
    }
}
