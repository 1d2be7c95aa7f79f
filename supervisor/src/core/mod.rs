//! The decisions of a supervisor as a pure state machine: `step(event, now) -> effects`.
//!
//! No I/O, no clock, no randomness of its own: time comes in with each event, jitter from a seed. So the rules (budget, backoff,
//! quarantine, order, strategies, stop) can be checked by property tests and replayed. The ractor shell in
//! `group.rs` carries the effects out and does nothing else.

mod child;
mod invariants;
#[cfg(test)]
mod model_tests;
mod stopping;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use child::{Child, Phase, Then};
pub(crate) use child::{ChildPlan, ChildView};

use crate::level::Level;
#[cfg(test)]
use crate::level::State;
use crate::spec::{Restart, Strategy};

/// A child within its group.
pub(crate) type ChildId = u32;

/// In which order children start; they stop in reverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Each when its hard needs are up; independent ones at once.
    Graph,
    /// One after the other, each when the one before is ready or has failed.
    Sequence,
    /// All at once.
    Parallel,
}

/// How an incarnation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndKind {
    Normal,
    FailedStart { permanent: bool },
    Failed,
    Panicked,
    Killed,
    Cancelled,
}

/// Why the supervisor kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KillReason {
    StartLimit,
    StopLimit,
    Drill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Restart,
    Stop,
    Start,
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The group itself is up: start the children.
    Start,
    /// A keyed child appears.
    Add(ChildPlan),
    /// An actor is ready, or a group has settled with all that is essential in it up (or not).
    Ready {
        child: ChildId,
        incarnation: u64,
        up: bool,
    },
    Ended {
        child: ChildId,
        incarnation: u64,
        end: EndKind,
    },
    Timer {
        child: ChildId,
        token: u64,
    },
    Operator {
        child: ChildId,
        order: Operator,
    },
    Shutdown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Launch {
        child: ChildId,
        incarnation: u64,
    },
    /// Refuse new requests, serve the queue, then stop.
    Drain {
        child: ChildId,
    },
    /// Stop after the message in hand.
    Stop {
        child: ChildId,
    },
    Kill {
        child: ChildId,
        reason: KillReason,
    },
    /// Wake the machine with [`Event::Timer`] at `at`.
    Timer {
        child: ChildId,
        token: u64,
        at: Duration,
    },
    /// Tell the world.
    Publish {
        child: ChildId,
        view: ChildView,
    },
    /// A child that exists no more.
    Remove {
        child: ChildId,
    },
    /// Every child that can start has started (once).
    Settled,
    /// Whether everything essential is up (on change).
    Up(bool),
    /// A child that could not be ended was given up during shutdown.
    Abandoned {
        child: ChildId,
    },
    /// All children have ended after a shutdown (once).
    Finished,
}

/// The state of one supervisor.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is set once and told once; they are independent"
)]
#[derive(Debug)]
pub(crate) struct Core {
    strategy: Strategy,
    order: Order,
    /// Boxed: a hundred thousand entries move about as the map grows.
    children: BTreeMap<ChildId, Box<Child>>,
    /// Children that want to be launched.
    pending: BTreeSet<ChildId>,
    essentials: Vec<ChildId>,
    /// Children with an incarnation that has not ended.
    live: usize,
    started: bool,
    settled: bool,
    up: bool,
    stopping: bool,
    finished: bool,
    random: u64,
}

impl Core {
    pub(crate) fn new(strategy: Strategy, order: Order, plans: Vec<ChildPlan>, seed: u64) -> Self {
        let essentials = plans
            .iter()
            .filter(|plan| plan.policy.bears >= Level::Critical)
            .map(|plan| plan.id)
            .collect();
        let children = plans
            .into_iter()
            .map(|plan| (plan.id, Box::new(Child::new(plan))))
            .collect();
        Self {
            strategy,
            order,
            children,
            pending: BTreeSet::new(),
            essentials,
            live: 0,
            started: false,
            settled: false,
            up: false,
            stopping: false,
            finished: false,
            random: seed | 1,
        }
    }

    /// Takes one event and says what to do. `now` is monotonic.
    pub(crate) fn step(&mut self, event: Event, now: Duration) -> Vec<Effect> {
        let mut out = Vec::new();
        let touched = invariants::touched(&event);
        match event {
            Event::Start => self.start(),
            Event::Add(plan) => self.add(plan),
            Event::Ready {
                child,
                incarnation,
                up,
            } => self.ready(child, incarnation, up, now, &mut out),
            Event::Ended {
                child,
                incarnation,
                end,
            } => self.ended(child, incarnation, end, now, &mut out),
            Event::Timer { child, token } => self.timer(child, token, now, &mut out),
            Event::Operator { child, order } => self.operator(child, order, now, &mut out),
            Event::Shutdown => self.shutdown(now, &mut out),
        }
        self.advance(now, &mut out);
        debug_assert_eq!(invariants::broken(self, touched, &out, now), None);
        out
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether this child was asked to end.
    pub(crate) fn is_stopping_child(&self, id: ChildId) -> bool {
        let child = self.children.get(&id);
        child.is_some_and(|child| matches!(child.phase, Phase::Stopping { .. }))
    }

    fn start(&mut self) {
        self.started = true;
        self.pending.extend(self.children.keys().copied());
    }

    fn add(&mut self, plan: ChildPlan) {
        if self.stopping {
            return;
        }
        self.pending.insert(plan.id);
        self.children.insert(plan.id, Box::new(Child::new(plan)));
    }

    fn ready(
        &mut self,
        id: ChildId,
        incarnation: u64,
        up: bool,
        now: Duration,
        out: &mut Vec<Effect>,
    ) {
        let Some(child) = self.current(id, incarnation) else {
            return;
        };
        if matches!(child.phase, Phase::Stopping { .. }) {
            return;
        }
        child.up = up;
        if child.phase == Phase::Starting {
            child.phase = Phase::Running;
            child.settled = true;
            child.was_ready = true;
            if child.failures > 0 || child.probing {
                child.set_timer(now + child.healthy_after(), out);
            } else {
                child.cancel_timer();
            }
            child.publish(out);
        }
    }

    fn ended(
        &mut self,
        id: ChildId,
        incarnation: u64,
        end: EndKind,
        now: Duration,
        out: &mut Vec<Effect>,
    ) {
        let Some(child) = self.current(id, incarnation) else {
            return;
        };
        child.incarnation_live = false;
        child.up = false;
        child.cancel_timer();
        let phase = child.phase;
        self.live = self.live.saturating_sub(1);
        if let Phase::Stopping { then, .. } = phase {
            self.stopped(id, then, out);
        } else if self.stopping {
            self.stopped(id, Then::Stay, out);
        } else {
            self.decide(id, end, now, out);
        }
    }

    /// The restart decision.
    fn decide(&mut self, id: ChildId, end: EndKind, now: Duration, out: &mut Vec<Effect>) {
        let random = self.next_random();
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        let restart = match child.plan.policy.restart {
            Restart::Permanent => true,
            Restart::Transient => end != EndKind::Normal,
            Restart::Temporary => false,
        };
        child.settled = true;
        // A keyed child that never came up is the opener's to retry.
        let never_ready = child.plan.ephemeral && !child.was_ready;
        if !restart || never_ready {
            return self.leave_stopped(id, out);
        }
        let permanent = end == EndKind::FailedStart { permanent: true };
        child.count_restart(now);
        if permanent || child.probing || child.over_budget() {
            child.quarantine(now, random, out);
            return;
        }
        child.back_off(now, random, out);
        if child.phase == Phase::Due {
            self.pending.insert(id);
        }
        self.stop_affected_siblings(id, now, out);
    }

    fn leave_stopped(&mut self, id: ChildId, out: &mut Vec<Effect>) {
        if let Some(child) = self.children.get_mut(&id) {
            child.phase = Phase::Stopped;
            child.publish(out);
            if child.plan.ephemeral {
                self.children.remove(&id);
                out.push(Effect::Remove { child: id });
            }
        }
    }

    /// `rest_for_one` and `one_for_all`: siblings that depend on what the failed child held go down with it.
    fn stop_affected_siblings(&mut self, failed: ChildId, now: Duration, out: &mut Vec<Effect>) {
        let affected: Vec<ChildId> = match self.strategy {
            Strategy::OneForOne => return,
            Strategy::RestForOne => self
                .children
                .range(failed + 1..)
                .map(|(id, _)| *id)
                .collect(),
            Strategy::OneForAll => self.children.keys().copied().collect(),
        };
        for id in affected.into_iter().rev() {
            let Some(child) = self.children.get_mut(&id) else {
                continue;
            };
            match child.phase {
                Phase::Running | Phase::Starting if id != failed => {
                    child.begin_stop(Then::Park, now, out);
                }
                _ => {}
            }
        }
    }

    fn timer(&mut self, id: ChildId, token: u64, now: Duration, out: &mut Vec<Effect>) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        if child.token != token {
            return;
        }
        child.timer = None;
        match child.phase {
            Phase::Starting => out.push(Effect::Kill {
                child: id,
                reason: KillReason::StartLimit,
            }),
            Phase::Running => {
                child.mark_healthy();
                child.publish(out);
            }
            Phase::Backoff => {
                child.phase = Phase::Due;
                self.pending.insert(id);
            }
            Phase::Quarantined => {
                child.phase = Phase::Due;
                child.probing = true;
                self.pending.insert(id);
            }
            Phase::Stopping { .. } => self.escalate(id, now, out),
            Phase::Idle | Phase::Waiting | Phase::Due | Phase::Parked | Phase::Stopped => {}
        }
    }

    fn operator(&mut self, id: ChildId, order: Operator, now: Duration, out: &mut Vec<Effect>) {
        let stopping = self.stopping;
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        if stopping {
            return;
        }
        let live = child.incarnation_live;
        match order {
            // A keyed child that is being closed stays closed.
            Operator::Start | Operator::Restart if live && child.is_closing() => {}
            Operator::Start if live => child.start_after_stop(),
            Operator::Restart if live => {
                child.forgive();
                child.begin_stop(Then::Relaunch, now, out);
            }
            Operator::Start | Operator::Restart => {
                child.forgive();
                child.cancel_timer();
                child.phase = Phase::Due;
                child.publish(out);
                self.pending.insert(id);
            }
            Operator::Stop if live => child.begin_stop(Then::Stay, now, out),
            Operator::Stop => {
                child.cancel_timer();
                child.settled = true;
                self.pending.remove(&id);
                self.leave_stopped(id, out);
            }
        }
    }

    /// Launches what can be launched, and tells when the group has settled or its essentials came up or went down.
    fn advance(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.stopping {
            return self.advance_shutdown(now, out);
        }
        let pending: Vec<ChildId> = self.pending.iter().copied().collect();
        for id in pending {
            self.try_launch(id, now, out);
        }
        self.tell_progress(out);
    }

    fn try_launch(&mut self, id: ChildId, now: Duration, out: &mut Vec<Effect>) {
        let needs_up = self.needs_up(id);
        let turn = self.is_its_turn(id);
        let Some(child) = self.children.get_mut(&id) else {
            self.pending.remove(&id);
            return;
        };
        if !needs_up {
            if child.phase != Phase::Waiting {
                child.phase = Phase::Waiting;
                child.publish(out);
            }
            return;
        }
        if !turn {
            return;
        }
        self.pending.remove(&id);
        self.live += 1;
        child.launch(now, out);
    }

    fn needs_up(&self, id: ChildId) -> bool {
        let Some(child) = self.children.get(&id) else {
            return false;
        };
        child
            .plan
            .hard_needs
            .iter()
            .all(|need| self.children.get(need).is_some_and(|need| need.up))
    }

    /// Siblings that a restart takes along start one after the other.
    fn restarts_together(&self) -> bool {
        self.strategy != Strategy::OneForOne
    }

    fn is_its_turn(&self, id: ChildId) -> bool {
        let first_start = self.children.get(&id).is_some_and(|c| !c.launched());
        if self.restarts_together() {
            let clearing = self.children.values().any(|child| child.is_clearing());
            let earlier_busy = self.children.range(..id).any(|(_, c)| c.is_on_its_way());
            return !clearing && !earlier_busy;
        }
        match self.order {
            Order::Sequence if first_start => self.children.range(..id).all(|(_, c)| c.settled),
            _ => true,
        }
    }

    fn tell_progress(&mut self, out: &mut Vec<Effect>) {
        if !self.started {
            return;
        }
        if !self.settled {
            self.settled = self.order == Order::Parallel
                || self.children.keys().all(|id| self.has_settled(*id));
            if self.settled {
                out.push(Effect::Settled);
            }
        }
        let up = self
            .essentials
            .iter()
            .all(|id| self.children.get(id).is_some_and(|child| child.up));
        if up != self.up {
            self.up = up;
            out.push(Effect::Up(up));
        }
    }

    /// Settled itself, or waiting for something that has settled without coming up.
    fn has_settled(&self, id: ChildId) -> bool {
        let Some(child) = self.children.get(&id) else {
            return true;
        };
        child.settled
            || child.phase == Phase::Waiting
                && child.plan.hard_needs.iter().any(|need| {
                    self.children.get(need).is_none_or(|need| !need.up) && self.has_settled(*need)
                })
    }

    fn current(&mut self, id: ChildId, incarnation: u64) -> Option<&mut Child> {
        self.children
            .get_mut(&id)
            .filter(|child| child.incarnation == incarnation && child.incarnation_live)
            .map(|child| &mut **child)
    }

    /// xorshift64*: jitter needs no more, and a seed replays it.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    #[cfg(test)]
    pub(crate) fn state_of(&self, id: ChildId) -> Option<State> {
        self.children.get(&id).map(|child| child.view().state)
    }

    #[cfg(test)]
    pub(crate) fn view_of(&self, id: ChildId) -> Option<ChildView> {
        self.children.get(&id).map(|child| child.view())
    }
}
