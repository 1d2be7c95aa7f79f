//! The ractor shell of a supervisor: carries out what the pure core decides, and nothing else.
//!
//! It never sleeps and never works: a child's start and stop run inside the child, timers are one heap with one wake-up,
//! and every answer comes back as a message or an event. A slow child therefore delays nobody.

mod drills;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use crate::address::{Down, Injection};
use crate::board::{Board, NodeFacts, StateChange};
use crate::child_spec::ChildSpec;
use crate::clock::Epoch;
use crate::core::{
    ChildId, ChildPlan, ChildView, Core, Effect, EndKind, Event, KillReason, Operator, Order,
};
use crate::end::{End, Record};
use crate::group_start::{GroupSource, plans_of};
use crate::inbox::{GroupRef, Inbox, InboxOwner, Knock};
use crate::launch::{Body, Call, Launcher, Live};
use crate::level::{Level, State};
use crate::panics::caught;
use crate::spec::Strategy;
use crate::task::OwnedTask;

/// What a supervisor is told.
pub(crate) enum GroupMsg {
    /// A child is ready, or its group has settled.
    Ready {
        child: ChildId,
        incarnation: u64,
        up: bool,
    },
    /// A worker has ended; its record tells how.
    Ended { child: ChildId, incarnation: u64 },
    /// The wake-up for this time.
    Wake { at: Duration },
    /// An operator's order for the child of this name.
    Operator { name: String, order: Operator },
    /// A drill for the child of this name; answers whether it took effect.
    Inject {
        name: String,
        injection: Injection,
        answer: oneshot::Sender<bool>,
    },
    /// A keyed child; the opener hears when it is ready or why not.
    Add {
        spec: Box<ChildSpec>,
        opener: oneshot::Sender<Result<(), End>>,
    },
    /// End the child of this name for good.
    Close { name: String },
    /// Stop all children in order, then end.
    Shutdown,
}

/// Who hears of this group.
#[derive(Clone)]
pub(crate) struct Parent {
    pub(crate) group: GroupRef,
    pub(crate) child: ChildId,
    pub(crate) incarnation: u64,
}

/// What a group is launched with.
pub(crate) struct GroupLaunch {
    pub(crate) path: Arc<str>,
    pub(crate) source: GroupSource,
    pub(crate) parent: Option<Parent>,
    pub(crate) record: Arc<Record>,
    pub(crate) board: Board,
    pub(crate) inbox: Arc<Inbox>,
}

pub(crate) struct Slot {
    name: Arc<str>,
    pub(crate) path: Arc<str>,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) live: Option<(Live, u64)>,
    pub(crate) last_end: Option<Box<End>>,
    opener: Option<oneshot::Sender<Result<(), End>>>,
    /// A drill makes it panic whenever it is ready, until then.
    crash_until: Option<Duration>,
}

pub(crate) struct GroupState {
    myself: GroupRef,
    inbox: InboxOwner,
    pub(crate) launch: GroupLaunch,
    pub(crate) core: Core,
    epoch: Epoch,
    pub(crate) slots: BTreeMap<ChildId, Box<Slot>>,
    names: HashMap<Arc<str>, ChildId>,
    pub(crate) actors: HashMap<ActorId, ChildId>,
    next_id: ChildId,
    timers: BinaryHeap<Reverse<(Duration, ChildId, u64)>>,
    /// The wake-up that is under way, if any.
    wake_at: Option<Duration>,
    wake_task: Option<OwnedTask>,
    settled: bool,
    up: bool,
}

pub(crate) struct Group;

impl GroupState {
    fn new(launch: GroupLaunch, actor: ActorRef<Knock>) -> Self {
        let inbox = Arc::clone(&launch.inbox);
        Self {
            myself: GroupRef::new(actor, Arc::clone(&inbox)),
            inbox: InboxOwner::new(inbox),
            launch,
            core: Core::new(Strategy::OneForOne, Order::Parallel, Vec::new(), 1),
            epoch: Epoch::start(),
            slots: BTreeMap::new(),
            names: HashMap::new(),
            actors: HashMap::new(),
            next_id: 0,
            timers: BinaryHeap::new(),
            wake_at: None,
            wake_task: None,
            settled: false,
            up: false,
        }
    }

    async fn start(&mut self) -> Result<(), End> {
        let source = self.launch.source.clone();
        let path = Arc::clone(&self.launch.path);
        let children = caught(source.children(path)).await.map_err(|panic| {
            End::new(
                EndKind::FailedStart { permanent: false },
                "domain.start_panicked",
                format!("panicked while starting: {panic}"),
            )
        })?;
        let children = children?;
        let plans = plans_of(&children.specs);
        self.core = Core::new(children.strategy, children.order, plans, rand::random());
        for spec in children.specs {
            self.insert(spec);
        }
        self.launch
            .board
            .register_group(Arc::clone(&self.launch.path), self.myself.clone());
        self.handle_event(Event::Start).await;
        Ok(())
    }

    fn insert(&mut self, spec: ChildSpec) -> ChildId {
        let id = self.next_id;
        self.next_id += 1;
        let name: Arc<str> = spec.name.into();
        let mailbox = spec.launcher.mailbox();
        let cell = mailbox.map(|mailbox| Arc::clone(mailbox.cell()));
        let path = join(&self.launch.path, &name);
        // One text for all that name it, as long as the address is where it should be.
        let path: Arc<str> = match &cell {
            Some(cell) if **cell.path() == *path => Arc::clone(cell.path()),
            _ => path.into(),
        };
        self.launch.board.add(NodeFacts {
            path: Arc::clone(&path),
            kind: spec.launcher.kind(),
            bears: spec.policy.bears,
            budget: spec.policy.budget.max,
            cell,
            manifest: spec.manifest,
        });
        self.names.insert(Arc::clone(&name), id);
        self.slots.insert(
            id,
            Box::new(Slot {
                name,
                path,
                launcher: spec.launcher,
                live: None,
                last_end: None,
                opener: None,
                crash_until: None,
            }),
        );
        id
    }

    pub(crate) async fn handle_event(&mut self, event: Event) {
        let now = self.epoch.now();
        let was_up = self.up;
        let was_settled = self.settled;
        let mut next = Some(event);
        let mut later = VecDeque::new();
        while let Some(event) = next {
            for effect in self.core.step(event, now) {
                if let Effect::Launch { child, incarnation } = effect {
                    later.extend(self.launch_child(child, incarnation).await);
                } else {
                    self.carry_out(effect, now);
                }
            }
            next = later.pop_front();
        }
        if self.settled && (!was_settled || self.up != was_up) {
            self.tell_parent();
        }
        self.schedule_wake(now);
    }

    fn carry_out(&mut self, effect: Effect, now: Duration) {
        match effect {
            Effect::Drain { child } => self.stop_child(child, true),
            Effect::Stop { child } => self.stop_child(child, false),
            Effect::Kill { child, reason } => self.kill_child(child, reason),
            Effect::Timer { child, token, at } => self.timers.push(Reverse((at, child, token))),
            Effect::Publish { child, view } => self.publish(child, &view, now),
            Effect::Remove { child } => self.remove(child),
            Effect::Abandoned { child } => {
                if let Some(slot) = self.slots.get(&child) {
                    tracing::error!(path = %slot.path, "did not end after a kill: its thread is blocked");
                    self.launch.board.note_killed(&slot.path);
                }
            }
            Effect::Settled => self.settled = true,
            Effect::Up(up) => self.up = up,
            Effect::Finished => self.myself.stop(),
            // Launches wait for the child's mailbox, so they are not carried out here.
            Effect::Launch { .. } => {}
        }
    }

    /// Launches an incarnation; one that cannot even be spawned has ended.
    async fn launch_child(&mut self, child: ChildId, incarnation: u64) -> Option<Event> {
        let slot = self.slots.get_mut(&child)?;
        let call = Call {
            child,
            incarnation,
            path: Arc::clone(&slot.path),
            group: self.myself.clone(),
            board: self.launch.board.clone(),
        };
        match slot.launcher.launch(call).live().await {
            Ok(live) => {
                if let Some(actor) = live.body.actor() {
                    self.actors.insert(actor, child);
                }
                slot.live = Some((live, incarnation));
                None
            }
            Err(error) => {
                let end = EndKind::FailedStart { permanent: false };
                slot.last_end = Some(Box::new(End::new(end, "actor.not_spawned", error)));
                Some(Event::Ended {
                    child,
                    incarnation,
                    end,
                })
            }
        }
    }

    fn stop_child(&mut self, child: ChildId, drain: bool) {
        let Some(slot) = self.slots.get(&child) else {
            return;
        };
        let Some((live, _)) = &slot.live else {
            return;
        };
        match (&live.body, slot.launcher.mailbox()) {
            // Fails only for a group that has already ended, whose event is then under way.
            (Body::Group(group), _) => drop(group.send(GroupMsg::Shutdown)),
            (Body::Task(_), Some(mailbox)) if drain => mailbox.drain(),
            (Body::Task(_), Some(mailbox)) => mailbox.stop(),
            (Body::Task(_), None) => {}
        }
    }

    fn kill_child(&mut self, child: ChildId, reason: KillReason) {
        if let Some(slot) = self.slots.get(&child) {
            if let Some(mailbox) = slot.launcher.mailbox() {
                mailbox.close(Down::default());
            }
            if reason == KillReason::StopLimit {
                tracing::warn!(path = %slot.path, "did not stop within its limit: killed");
            }
            if let Some((live, _)) = &slot.live {
                live.record.set_killed_for(reason);
                live.body.kill();
            }
        }
    }

    fn publish(&mut self, child: ChildId, view: &ChildView, now: Duration) {
        let Some(slot) = self.slots.get_mut(&child) else {
            return;
        };
        let wait = view.next.map(|at| at.saturating_sub(now));
        if view.state != State::Running {
            // One that is asked to end has been closed, and may still have to serve what it admitted.
            let has_no_next = matches!(
                view.state,
                State::Stopped | State::Quarantined | State::Waiting
            );
            if let Some(mailbox) = slot.launcher.mailbox() {
                mailbox.close(Down {
                    level: Level::Offline,
                    retry_at: view.next.map(|at| self.epoch.instant(at)),
                });
                if has_no_next {
                    mailbox.dismiss();
                }
            }
        } else if let Some(opener) = slot.opener.take() {
            // The opener may have gone; then nobody waits.
            drop(opener.send(Ok(())));
        }
        self.launch.board.change(&StateChange {
            path: Arc::clone(&slot.path),
            state: view.state,
            restarts: view.restarts,
            in_window: view.in_window,
            next_in: wait,
        });
    }

    fn remove(&mut self, child: ChildId) {
        if let Some(slot) = self.slots.remove(&child) {
            self.names.remove(&slot.name);
            self.launch.board.remove(&slot.path);
            slot.launcher.removed();
            if let Some(opener) = slot.opener {
                let end = slot.last_end.map_or_else(End::normal, |end| *end);
                drop(opener.send(Err(end)));
            }
        }
    }

    fn tell_parent(&self) {
        match &self.launch.parent {
            Some(parent) => {
                let ready = GroupMsg::Ready {
                    child: parent.child,
                    incarnation: parent.incarnation,
                    up: self.up,
                };
                // A parent that has ended takes this group down anyway.
                drop(parent.group.send(ready));
            }
            None => self.launch.board.set_ready(),
        }
    }

    fn schedule_wake(&mut self, now: Duration) {
        let Some(Reverse((at, _, _))) = self.timers.peek() else {
            return;
        };
        let at = *at;
        if self.wake_at.is_some_and(|wake_at| wake_at <= at) {
            return;
        }
        self.wake_at = Some(at);
        let wait = at.saturating_sub(now);
        // What was to wake it later is aborted by being replaced.
        self.wake_task = Some(self.myself.send_after(wait, GroupMsg::Wake { at }));
    }

    async fn wake(&mut self) {
        let now = self.epoch.now();
        while let Some(Reverse((at, child, token))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            self.handle_event(Event::Timer { child, token }).await;
        }
        self.wake_at = None;
        self.schedule_wake(now);
    }

    async fn add(&mut self, spec: ChildSpec, opener: oneshot::Sender<Result<(), End>>) {
        if self.core.is_stopping() {
            spec.launcher.removed();
            drop(opener.send(Err(End::new(
                EndKind::FailedStart { permanent: false },
                "supervisor.stopping",
                "the supervisor is stopping",
            ))));
            return;
        }
        let policy = spec.policy;
        let id = self.insert(spec);
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.opener = Some(opener);
        }
        let plan = ChildPlan {
            id,
            policy,
            hard_needs: Vec::new(),
            all_needs: Vec::new(),
            ephemeral: true,
        };
        self.handle_event(Event::Add(plan)).await;
    }

    async fn serve(&mut self, msg: GroupMsg) {
        match msg {
            GroupMsg::Ready {
                child,
                incarnation,
                up,
            } => {
                let event = Event::Ready {
                    child,
                    incarnation,
                    up,
                };
                self.handle_event(event).await;
                self.crash_again(child);
            }
            GroupMsg::Ended { child, incarnation } => {
                self.child_ended(child, incarnation, None).await;
            }
            // A wake-up that an earlier one replaced is nobody's.
            GroupMsg::Wake { at } if self.wake_at != Some(at) => {}
            GroupMsg::Wake { .. } => self.wake().await,
            GroupMsg::Operator { name, order } => {
                if let Some(child) = self.names.get(name.as_str()).copied() {
                    self.end_crashes(child);
                    self.handle_event(Event::Operator { child, order }).await;
                }
            }
            GroupMsg::Inject {
                name,
                injection,
                answer,
            } => drop(answer.send(self.inject(&name, injection))),
            GroupMsg::Add { spec, opener } => self.add(*spec, opener).await,
            GroupMsg::Close { name } => {
                if let Some(child) = self.names.get(name.as_str()).copied() {
                    let order = Operator::Stop;
                    self.handle_event(Event::Operator { child, order }).await;
                }
            }
            GroupMsg::Shutdown => self.handle_event(Event::Shutdown).await,
        }
    }
}

impl Actor for Group {
    type Msg = Knock;
    type State = GroupState;
    type Arguments = GroupLaunch;

    async fn pre_start(
        &self,
        myself: ActorRef<Knock>,
        launch: GroupLaunch,
    ) -> Result<GroupState, ActorProcessingErr> {
        Ok(GroupState::new(launch, myself))
    }

    async fn post_start(
        &self,
        _myself: ActorRef<Knock>,
        state: &mut GroupState,
    ) -> Result<(), ActorProcessingErr> {
        state.start().await.map_err(|end| {
            let message = end.message.clone();
            state.launch.record.set_end(end);
            message.into()
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Knock>,
        Knock: Knock,
        state: &mut GroupState,
    ) -> Result<(), ActorProcessingErr> {
        let mut batch = state.inbox.take();
        while let Some(msg) = batch.pop_front() {
            // A fault of our own must not end what everything hangs on.
            if let Err(panic) = caught(state.serve(msg)).await {
                tracing::error!(path = %state.launch.path, %panic, "a supervisor panicked and goes on");
            }
        }
        state.inbox.served(batch, &state.myself);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Knock>,
        event: SupervisionEvent,
        state: &mut GroupState,
    ) -> Result<(), ActorProcessingErr> {
        let (actor, failed) = match event {
            SupervisionEvent::ActorTerminated(actor, left, _) => {
                drop(left);
                (actor, None)
            }
            SupervisionEvent::ActorFailed(actor, error) => (actor, Some(error.to_string())),
            _ => return Ok(()),
        };
        let noted = state.group_ended(actor.get_id(), failed);
        if let Err(panic) = caught(noted).await {
            tracing::error!(path = %state.launch.path, %panic, "a supervisor panicked and goes on");
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Knock>,
        state: &mut GroupState,
    ) -> Result<(), ActorProcessingErr> {
        state.launch.record.set_end(End::normal());
        state.launch.board.unregister_group(&state.launch.path);
        Ok(())
    }
}

/// The path of a child.
pub(crate) fn join(parent: &str, name: &str) -> String {
    if parent == "/" {
        format!("/{name}")
    } else {
        format!("{parent}/{name}")
    }
}
