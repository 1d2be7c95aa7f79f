//! One child of a supervisor: its phase, counters and timers.

use std::collections::VecDeque;
use std::time::Duration;

use super::{ChildId, Effect};
use crate::level::State;
use crate::spec::Policy;

/// What the machine is told about a child.
#[derive(Debug, Clone)]
pub(crate) struct ChildPlan {
    pub(crate) id: ChildId,
    pub(crate) policy: Policy,
    /// Siblings that must be up before it starts.
    pub(crate) hard_needs: Vec<ChildId>,
    /// Siblings that it uses, hard or soft: they stop after it.
    pub(crate) all_needs: Vec<ChildId>,
    /// Gone when it has ended for good (keyed children).
    pub(crate) ephemeral: bool,
}

/// What the world is told about a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChildView {
    pub(crate) state: State,
    /// When the next attempt is due, on the monotonic clock.
    pub(crate) next: Option<Duration>,
    pub(crate) restarts: u64,
    pub(crate) in_window: u32,
}

/// What follows a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It stays stopped.
    Stay,
    /// It is launched again (asked by the operator).
    Relaunch,
    /// It is launched again when the siblings' restart has its turn.
    Park,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Drain,
    Stop,
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not started yet.
    Idle,
    /// A hard need is down.
    Waiting,
    Starting,
    Running,
    /// Waits for the backoff's end.
    Backoff,
    /// To be launched as soon as needs and order allow.
    Due,
    /// Stopped because of a sibling; launched when its turn comes.
    Parked,
    Quarantined,
    Stopping {
        stage: Stage,
        then: Then,
    },
    Stopped,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts; the phase is the state machine"
)]
#[derive(Debug)]
pub(super) struct Child {
    pub(super) plan: ChildPlan,
    pub(super) phase: Phase,
    /// Number of the newest incarnation; 0 before the first.
    pub(super) incarnation: u64,
    pub(super) incarnation_live: bool,
    pub(super) up: bool,
    pub(super) settled: bool,
    pub(super) was_ready: bool,
    /// Half-open: one failure leads back into quarantine.
    pub(super) probing: bool,
    /// Failures since it was last healthy.
    pub(super) failures: u32,
    /// Quarantines since it was last healthy.
    quarantines: u32,
    /// Times of restarts inside the budget's window.
    pub(super) window: VecDeque<Duration>,
    restarts: u64,
    /// Number of the newest timer; older ones are stale.
    pub(super) token: u64,
    /// When the newest timer fires; `None` when it has fired or counts no more.
    pub(super) timer: Option<Duration>,
    pub(super) next: Option<Duration>,
}

impl Child {
    pub(super) fn new(plan: ChildPlan) -> Self {
        Self {
            plan,
            phase: Phase::Idle,
            incarnation: 0,
            incarnation_live: false,
            up: false,
            settled: false,
            was_ready: false,
            probing: false,
            failures: 0,
            quarantines: 0,
            window: VecDeque::new(),
            restarts: 0,
            token: 0,
            timer: None,
            next: None,
        }
    }

    pub(super) fn launched(&self) -> bool {
        self.incarnation > 0
    }

    pub(super) fn launch(&mut self, now: Duration, out: &mut Vec<Effect>) {
        self.incarnation += 1;
        self.incarnation_live = true;
        self.phase = Phase::Starting;
        self.next = None;
        // A keyed child waits for nothing, so it has been starting since it was added.
        if self.incarnation == 1 && !self.plan.ephemeral {
            self.publish(out);
        }
        out.push(Effect::Launch {
            child: self.plan.id,
            incarnation: self.incarnation,
        });
        self.set_timer(now + self.plan.policy.start_limit, out);
    }

    pub(super) fn set_timer(&mut self, at: Duration, out: &mut Vec<Effect>) {
        self.token += 1;
        self.timer = Some(at);
        out.push(Effect::Timer {
            child: self.plan.id,
            token: self.token,
            at,
        });
    }

    pub(super) fn cancel_timer(&mut self) {
        self.token += 1;
        self.timer = None;
        self.next = None;
    }

    pub(super) fn publish(&self, out: &mut Vec<Effect>) {
        out.push(Effect::Publish {
            child: self.plan.id,
            view: self.view(),
        });
    }

    pub(super) fn view(&self) -> ChildView {
        let state = match self.phase {
            // Half-open: quarantined until it is ready.
            Phase::Starting | Phase::Due if self.probing => State::Quarantined,
            Phase::Idle => State::Starting,
            Phase::Starting | Phase::Due if self.failures == 0 => State::Starting,
            Phase::Starting | Phase::Backoff | Phase::Due | Phase::Parked => State::Restarting,
            Phase::Waiting => State::Waiting,
            Phase::Running => State::Running,
            Phase::Quarantined => State::Quarantined,
            Phase::Stopping { .. } => State::Stopping,
            Phase::Stopped => State::Stopped,
        };
        ChildView {
            state,
            next: self.next,
            restarts: self.restarts,
            in_window: u32::try_from(self.window.len()).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn count_restart(&mut self, now: Duration) {
        let window = self.plan.policy.budget.window;
        while self
            .window
            .front()
            .is_some_and(|first| now.saturating_sub(*first) > window)
        {
            self.window.pop_front();
        }
        self.window.push_back(now);
        // One more than the budget is all that a decision needs.
        let keep = self.plan.policy.budget.max as usize + 1;
        while self.window.len() > keep {
            self.window.pop_front();
        }
        self.restarts += 1;
    }

    pub(super) fn over_budget(&self) -> bool {
        self.window.len() > self.plan.policy.budget.max as usize
    }

    /// The first restart after a healthy span is immediate, the next ones back off.
    pub(super) fn back_off(&mut self, now: Duration, random: u64, out: &mut Vec<Effect>) {
        self.failures += 1;
        if self.failures == 1 {
            self.phase = Phase::Due;
            self.next = Some(now);
            self.publish(out);
            return;
        }
        let at = now + self.plan.policy.backoff.delay(self.failures - 2, random);
        self.phase = Phase::Backoff;
        self.next = Some(at);
        self.publish(out);
        self.set_timer(at, out);
    }

    pub(super) fn quarantine(&mut self, now: Duration, random: u64, out: &mut Vec<Effect>) {
        let at = now + self.plan.policy.probe.delay(self.quarantines, random);
        self.quarantines = self.quarantines.saturating_add(1);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Quarantined;
        self.probing = false;
        self.next = Some(at);
        self.publish(out);
        self.set_timer(at, out);
    }

    /// How long it must run after a failure to count as healthy again.
    pub(super) fn healthy_after(&self) -> Duration {
        self.plan.policy.budget.window
    }

    pub(super) fn mark_healthy(&mut self) {
        self.failures = 0;
        self.quarantines = 0;
        self.probing = false;
        self.window.clear();
    }

    /// The operator asked for it: old failures count no more.
    pub(super) fn forgive(&mut self) {
        self.mark_healthy();
    }

    /// Still going down to make room for a joint restart.
    pub(super) fn is_clearing(&self) -> bool {
        matches!(
            self.phase,
            Phase::Stopping {
                then: Then::Park,
                ..
            }
        )
    }

    /// Not running yet, but will be: later siblings wait for it.
    pub(super) fn is_on_its_way(&self) -> bool {
        matches!(
            self.phase,
            Phase::Idle | Phase::Starting | Phase::Backoff | Phase::Due | Phase::Parked
        )
    }
}
