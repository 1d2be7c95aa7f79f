//! Stopping: drain, stop, kill, each within its limit; a whole group in reverse order.

use std::time::Duration;

use super::child::{Child, Phase, Stage, Then};
use super::{ChildId, Core, Effect, KillReason, Order};

/// How long a killed child may take to end before a shutdown goes on without it (its thread is blocked).
const AFTER_KILL: Duration = Duration::from_secs(1);

impl Child {
    /// Asks a live child to end: drain first, unless it is not ready yet.
    pub(super) fn begin_stop(&mut self, then: Then, now: Duration, out: &mut Vec<Effect>) {
        if let Phase::Stopping { stage, .. } = self.phase {
            self.phase = Phase::Stopping { stage, then };
            return;
        }
        let child = self.plan.id;
        let half = self.plan.policy.stop_limit / 2;
        let stage = if self.phase == Phase::Running {
            out.push(Effect::Drain { child });
            Stage::Drain
        } else {
            out.push(Effect::Stop { child });
            Stage::Stop
        };
        self.up = false;
        self.phase = Phase::Stopping { stage, then };
        self.publish(out);
        self.set_timer(now + half, out);
    }
}

impl Child {
    /// A keyed child on its way out for good.
    pub(super) fn is_closing(&self) -> bool {
        let stays = matches!(
            self.phase,
            Phase::Stopping {
                then: Then::Stay,
                ..
            }
        );
        self.plan.ephemeral && stays
    }

    /// A start that comes while it stops: it starts again when it has ended.
    pub(super) fn start_after_stop(&mut self) {
        if let Phase::Stopping {
            stage,
            then: Then::Stay,
        } = self.phase
        {
            self.forgive();
            self.phase = Phase::Stopping {
                stage,
                then: Then::Relaunch,
            };
        }
    }
}

impl Core {
    /// A stop took longer than its share of the limit.
    pub(super) fn escalate(&mut self, id: ChildId, now: Duration, out: &mut Vec<Effect>) {
        let stopping = self.stopping;
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        let Phase::Stopping { stage, then } = child.phase else {
            return;
        };
        match stage {
            Stage::Drain => {
                out.push(Effect::Stop { child: id });
                child.phase = Phase::Stopping {
                    stage: Stage::Stop,
                    then,
                };
                child.set_timer(now + child.plan.policy.stop_limit / 2, out);
            }
            Stage::Stop => {
                out.push(Effect::Kill {
                    child: id,
                    reason: KillReason::StopLimit,
                });
                child.phase = Phase::Stopping {
                    stage: Stage::Kill,
                    then,
                };
                child.set_timer(now + AFTER_KILL, out);
            }
            Stage::Kill if stopping => {
                child.incarnation_live = false;
                self.live = self.live.saturating_sub(1);
                out.push(Effect::Abandoned { child: id });
                self.stopped(id, Then::Stay, out);
            }
            // Outside of a shutdown nothing may be started beside it: look again, in case one begins.
            Stage::Kill => child.set_timer(now + AFTER_KILL, out),
        }
    }

    /// A child has ended as asked.
    pub(super) fn stopped(&mut self, id: ChildId, then: Then, out: &mut Vec<Effect>) {
        let stopping = self.stopping;
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        let then = if stopping { Then::Stay } else { then };
        child.settled = true;
        match then {
            Then::Stay => self.leave_stopped(id, out),
            Then::Relaunch => {
                child.phase = Phase::Due;
                child.publish(out);
                self.pending.insert(id);
            }
            Then::Park => {
                child.phase = Phase::Parked;
                child.publish(out);
                self.pending.insert(id);
            }
        }
    }

    pub(super) fn shutdown(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.pending.clear();
        let resting: Vec<ChildId> = self
            .children
            .values()
            .filter(|child| !child.incarnation_live)
            .map(|child| child.plan.id)
            .collect();
        for id in resting {
            if let Some(child) = self.children.get_mut(&id) {
                child.cancel_timer();
                if child.phase != Phase::Stopped {
                    child.phase = Phase::Stopped;
                    child.publish(out);
                }
            }
        }
        if self.order == Order::Parallel {
            for child in self.children.values_mut() {
                if child.incarnation_live {
                    child.begin_stop(Then::Stay, now, out);
                }
            }
        }
    }

    /// Stops what nothing live depends on any more; finished when nothing is live.
    pub(super) fn advance_shutdown(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.order != Order::Parallel {
            let next: Vec<ChildId> = self
                .children
                .iter()
                .filter(|(id, child)| {
                    child.incarnation_live
                        && !matches!(child.phase, Phase::Stopping { .. })
                        && !self.has_live_dependents(**id)
                })
                .map(|(id, _)| *id)
                .collect();
            for id in next {
                if let Some(child) = self.children.get_mut(&id) {
                    child.begin_stop(Then::Stay, now, out);
                }
            }
        }
        if self.live == 0 && !self.finished {
            self.finished = true;
            out.push(Effect::Finished);
        }
    }

    pub(super) fn has_live_dependents(&self, id: ChildId) -> bool {
        match self.order {
            Order::Parallel => false,
            Order::Sequence => self
                .children
                .range(id + 1..)
                .any(|(_, later)| later.incarnation_live),
            Order::Graph => self
                .children
                .values()
                .any(|other| other.incarnation_live && other.plan.all_needs.contains(&id)),
        }
    }
}
