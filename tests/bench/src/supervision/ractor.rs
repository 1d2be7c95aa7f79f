//! The peer: bare ractor, with the least that a user of it must write himself to have children restarted and found again.
//!
//! A reference is dead for good after a restart, so every child has a slot that its supervisor fills anew. No budget, no
//! backoff, no history, no bound on the queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ::ractor::rpc::CallResult;
use ::ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use anyhow::{Context, Result};
use futures::FutureExt;

use super::peer::{Crash, LIMIT, Peer, Shared};

/// What a child is told.
enum ChildMsg {
    Ping(RpcReplyPort<u64>),
    Fail,
    Panic,
    Hang,
}

struct Child;

impl Actor for Child {
    type Msg = ChildMsg;
    type State = (u64, Arc<Shared>);
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        _myself: ActorRef<ChildMsg>,
        shared: Arc<Shared>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok((shared.started(), shared))
    }

    async fn handle(
        &self,
        _myself: ActorRef<ChildMsg>,
        msg: ChildMsg,
        (number, shared): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            // A caller that has gone needs no answer.
            ChildMsg::Ping(reply) => drop(reply.send(*number)),
            ChildMsg::Fail => return Err("told to fail".into()),
            ChildMsg::Panic => panic!("told to panic"),
            ChildMsg::Hang => shared.hang().await,
        }
        Ok(())
    }
}

/// Where the present incarnation of a child is found.
#[derive(Default)]
pub(crate) struct Slot {
    actor: Mutex<Option<ActorRef<ChildMsg>>>,
}

impl Slot {
    fn set(&self, actor: ActorRef<ChildMsg>) {
        *self.actor.lock().unwrap_or_else(PoisonError::into_inner) = Some(actor);
    }

    fn get(&self) -> Option<ActorRef<ChildMsg>> {
        let actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner);
        actor.clone()
    }
}

/// What the supervisor is told.
enum ParentMsg {
    Open(Vec<Arc<Slot>>, RpcReplyPort<()>),
    Close(Vec<Arc<Slot>>),
}

struct Parent;

struct ParentState {
    shared: Arc<Shared>,
    children: HashMap<ActorId, Arc<Slot>>,
}

impl ParentState {
    async fn spawn(
        &mut self,
        myself: &ActorRef<ParentMsg>,
        slot: Arc<Slot>,
    ) -> Result<(), ActorProcessingErr> {
        let shared = Arc::clone(&self.shared);
        let (actor, _task) = Actor::spawn_linked(None, Child, shared, myself.get_cell()).await?;
        slot.set(actor.clone());
        self.children.insert(actor.get_id(), slot);
        Ok(())
    }
}

impl Actor for Parent {
    type Msg = ParentMsg;
    type State = ParentState;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        _myself: ActorRef<ParentMsg>,
        shared: Arc<Shared>,
    ) -> Result<ParentState, ActorProcessingErr> {
        Ok(ParentState {
            shared,
            children: HashMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ParentMsg>,
        msg: ParentMsg,
        state: &mut ParentState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            ParentMsg::Open(slots, done) => {
                for slot in slots {
                    state.spawn(&myself, slot).await?;
                }
                drop(done.send(()));
            }
            ParentMsg::Close(slots) => {
                for actor in slots.iter().filter_map(|slot| slot.get()) {
                    state.children.remove(&actor.get_id());
                    actor.stop(None);
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<ParentMsg>,
        event: SupervisionEvent,
        state: &mut ParentState,
    ) -> Result<(), ActorProcessingErr> {
        let (SupervisionEvent::ActorTerminated(ended, ..)
        | SupervisionEvent::ActorFailed(ended, _)) = event
        else {
            return Ok(());
        };
        match state.children.remove(&ended.get_id()) {
            Some(slot) => state.spawn(&myself, slot).await,
            None => Ok(()),
        }
    }
}

/// A supervisor and its children.
pub(crate) struct Bare {
    shared: Arc<Shared>,
    parent: ActorRef<ParentMsg>,
}

impl Peer for Bare {
    type Child = Arc<Slot>;

    async fn start(shared: Arc<Shared>) -> Result<Self> {
        let (parent, _task) = Actor::spawn(None, Parent, Arc::clone(&shared)).await?;
        Ok(Self { shared, parent })
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    async fn open(&self, count: usize) -> Result<Vec<Arc<Slot>>> {
        let slots: Vec<Arc<Slot>> = (0..count).map(|_| Arc::default()).collect();
        let opened = slots.clone();
        let answer = self
            .parent
            .call(|done| ParentMsg::Open(opened, done), None)
            .await?;
        anyhow::ensure!(answer.is_success(), "the supervisor ended");
        Ok(slots)
    }

    async fn close(&self, children: Vec<Arc<Slot>>) -> Result<()> {
        Ok(self.parent.cast(ParentMsg::Close(children))?)
    }

    async fn crash(&self, child: &Arc<Slot>, how: Crash) -> Result<()> {
        let actor = child.get().context("a child that was never started")?;
        match how {
            Crash::Error => actor.cast(ChildMsg::Fail)?,
            Crash::Panic => actor.cast(ChildMsg::Panic)?,
            Crash::Kill => actor.kill(),
        }
        Ok(())
    }

    async fn ping(&self, child: &Arc<Slot>) -> Option<u64> {
        match child.get()?.call(ChildMsg::Ping, Some(LIMIT)).await {
            Ok(CallResult::Success(number)) => Some(number),
            _ => None,
        }
    }

    async fn hang(&self, child: &Arc<Slot>) -> Result<()> {
        let actor = child.get().context("a child that was never started")?;
        Ok(actor.cast(ChildMsg::Hang)?)
    }

    fn is_taken(&self, child: &Arc<Slot>) -> bool {
        let Some(actor) = child.get() else {
            return false;
        };
        let asked = actor.call(ChildMsg::Ping, Some(LIMIT)).now_or_never();
        asked.is_none()
    }
}
