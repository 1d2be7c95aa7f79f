//! What must hold of a whole run, read from its trace alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use supervisor::{Level, Strategy, Strength};

use crate::houses::manifests;
use crate::keys;
use crate::lab::{Entry, Lab, Outcome, What};
use crate::plan::{Branch, Kind, Plan};

/// Timers count whole milliseconds, rounded up.
const GRAIN: Duration = Duration::from_millis(2);
/// An order or a stop that began so long ago has ended.
const LONG_AGO: Duration = Duration::from_secs(25);

/// Checks everything, and complains to the lab.
pub(crate) fn check(plan: &Plan, lab: &Lab) {
    let trace = lab.trace();
    let run = Run {
        plan,
        lab,
        trace: &trace,
    };
    run.answers();
    run.incarnations();
    run.budgets();
    run.siblings();
    run.start_order();
    run.stop_order();
    keys::check(plan, lab);
}

struct Run<'a> {
    plan: &'a Plan,
    lab: &'a Lab,
    trace: &'a [Entry],
}

#[derive(Default)]
struct Request {
    path: String,
    asked: Option<(Duration, Duration)>,
    served: u32,
    answers: Vec<(Duration, Outcome)>,
}

impl Run<'_> {
    /// Every ask has one answer, in time, and what the answer says is what happened.
    fn answers(&self) {
        let mut requests: BTreeMap<u64, Request> = BTreeMap::new();
        for entry in self.trace {
            match entry.what {
                What::Ask(request, limit) => {
                    requests.entry(request).or_default().asked = Some((entry.at, limit));
                }
                What::Serve(request) => requests.entry(request).or_default().served += 1,
                What::Answer(request, outcome) => {
                    let request: &mut Request = requests.entry(request).or_default();
                    request.path = entry.path.to_string();
                    request.answers.push((entry.at, outcome));
                }
                _ => {}
            }
        }
        for (number, request) in requests {
            let Some((at, limit)) = request.asked else {
                self.lab
                    .complain(format_args!("request {number} was never asked"));
                continue;
            };
            let [(answered, outcome)] = request.answers[..] else {
                let answers = request.answers.len();
                self.lab
                    .complain(format_args!("request {number} has {answers} answers"));
                continue;
            };
            if answered > at + limit + GRAIN {
                self.lab
                    .complain(format_args!("request {number} waited past its deadline"));
            }
            let fits = match outcome {
                Outcome::Reply => request.served == 1,
                Outcome::Busy => request.served == 0 && answered == at,
                // At once, or when the incarnation ended in whose mailbox it waited.
                Outcome::Down => {
                    request.served == 0
                        && (answered == at || self.ended_at(&request.path, answered))
                }
                Outcome::Deadline => request.served <= 1 && answered >= at + limit,
                Outcome::Died => request.served <= 1,
            };
            if !fits {
                let served = request.served;
                self.lab.complain(format_args!(
                    "request {number}: {outcome:?} after {:?} of {limit:?}, served {served} times",
                    answered.saturating_sub(at)
                ));
            }
        }
    }

    /// Incarnations follow each other; none begins before the one before is gone.
    fn incarnations(&self) {
        let mut living: BTreeMap<&Arc<str>, u64> = BTreeMap::new();
        for entry in self.trace {
            let path = &entry.path;
            let (before, expected, incarnation) = match entry.what {
                What::Start(incarnation) => (living.insert(path, incarnation), None, incarnation),
                What::Ready(incarnation) | What::Stop(incarnation) => {
                    (living.get(path).copied(), Some(incarnation), incarnation)
                }
                What::Gone(incarnation) => (living.remove(path), Some(incarnation), incarnation),
                _ => continue,
            };
            if before != expected {
                self.lab.complain(format_args!(
                    "{path}: {:?} of {incarnation} while {before:?} lived",
                    entry.what
                ));
            }
        }
    }

    /// Whether an incarnation of this node ended at that time.
    fn ended_at(&self, path: &str, at: Duration) -> bool {
        let ends = self
            .of(path)
            .filter(|entry| matches!(entry.what, What::Gone(_)));
        ends.map(|entry| entry.at)
            .any(|end| end.abs_diff(at) <= GRAIN)
    }

    /// The entries of one node.
    fn of<'b>(&'b self, path: &'b str) -> impl Iterator<Item = &'b Entry> {
        self.trace.iter().filter(move |entry| &*entry.path == path)
    }

    /// Whether anything was done to a node, what holds it or, with `below`, what it holds, since `since`.
    fn acted_on(&self, path: &str, since: Duration, below: bool) -> bool {
        let holds = |above: &str, at: &str| at == above || at.starts_with(&format!("{above}/"));
        let ill = self.plan.ill_at_boot.iter();
        let mut ill = ill.filter(|_| since.is_zero());
        let mut acts = self
            .trace
            .iter()
            .filter(|entry| entry.at >= since && matches!(entry.what, What::Act(..)));
        let counts = |at: &str| holds(at, path) || below && holds(path, at);
        acts.any(|entry| counts(&entry.path)) || ill.any(|(at, _)| counts(at))
    }

    /// No more restarts in any window than the budget allows, as the supervisor itself announced them. An operator's order
    /// forgives, and a new supervisor begins anew.
    fn budgets(&self) {
        for branch in self.plan.shape.branches() {
            let budget = branch.policy.budget;
            let is_domain = self.plan.shape.parent(&branch.path).is_none();
            if is_domain {
                continue;
            }
            let mut restarts: Vec<Duration> = Vec::new();
            for entry in self.trace {
                let above = branch.path.starts_with(&format!("{}/", entry.path));
                match &entry.what {
                    What::Told(_) if above => restarts.clear(),
                    What::Told(told) if *entry.path == *branch.path => {
                        if told.contains("operator") {
                            restarts.clear();
                        }
                        if told.contains("\"restart ") {
                            restarts.push(entry.at);
                        }
                    }
                    _ => {}
                }
                let inside = |at: &&Duration| entry.at.saturating_sub(**at) < budget.window;
                let count = restarts.iter().filter(inside).count();
                if count > budget.max as usize {
                    self.lab.complain(format_args!(
                        "{}: {count} restarts within {:?}, allowed are {}",
                        branch.path, budget.window, budget.max
                    ));
                    restarts.clear();
                }
            }
        }
    }

    /// Whether what was done to others can have reached this branch: through what holds it, or through a sibling that takes it along.
    fn may_be_touched(&self, branch: &Branch) -> bool {
        let mut at = branch;
        if self.acted_on(&at.path, Duration::ZERO, false) {
            return true;
        }
        while let Some(parent) = self.plan.shape.parent(&at.path) {
            if let Kind::Group { strategy, children } = &parent.kind {
                let own = children.iter().position(|child| child.path == at.path);
                let touched = children.iter().enumerate().any(|(other, sibling)| {
                    let along = match strategy {
                        Strategy::OneForOne => false,
                        Strategy::RestForOne => Some(other) < own,
                        Strategy::OneForAll => true,
                    };
                    along && self.acted_on(&sibling.path, Duration::ZERO, false)
                });
                if touched {
                    return true;
                }
            }
            at = parent;
        }
        false
    }

    /// Who has nothing to do with any fault sees nothing of them: one incarnation, no refusal for being down, no lost request.
    fn siblings(&self) {
        let end = self.shutdown_at();
        for branch in self.plan.shape.branches() {
            if !branch.is_actor() || self.may_be_touched(branch) {
                continue;
            }
            let mut ready = false;
            for entry in self.of(&branch.path).filter(|entry| entry.at < end) {
                match entry.what {
                    What::Ready(_) => ready = true,
                    What::Start(incarnation) if incarnation > 1 => {
                        self.lab.complain(format_args!(
                            "{}, whom nothing was done to, started again at {:?}",
                            branch.path, entry.at
                        ));
                    }
                    What::Answer(_, Outcome::Down | Outcome::Died) if ready => {
                        self.lab.complain(format_args!(
                            "{}, whom nothing was done to, answered {:?} at {:?}",
                            branch.path, entry.what, entry.at
                        ));
                    }
                    _ => {}
                }
            }
        }
    }

    fn shutdown_at(&self) -> Duration {
        let shutdown = |entry: &&Entry| matches!(entry.what, What::Shutdown);
        let found = self.trace.iter().find(shutdown);
        found.map_or(Duration::MAX, |entry| entry.at)
    }

    /// A domain first starts when all that it cannot do without has been up; siblings start one after the other.
    fn start_order(&self) {
        for manifest in manifests(self.plan.shape.graph) {
            let path = format!("/{}", manifest.name);
            let Some(first) = self.first_start_in(&path) else {
                continue;
            };
            let hard = |need: &&supervisor::Need| need.strength == Strength::Hard;
            for need in manifest.needs.iter().filter(hard) {
                let need = format!("/{}", need.domain);
                let Some(branch) = self.plan.shape.branch(&need) else {
                    continue;
                };
                for actor in essentials(branch) {
                    let ready = |entry: &Entry| {
                        *entry.path == *actor && matches!(entry.what, What::Ready(_))
                    };
                    if !self.trace[..first].iter().any(ready) {
                        self.lab
                            .complain(format_args!("{path} started before {actor} was up"));
                    }
                }
            }
        }
        for branch in self.plan.shape.branches() {
            if let Kind::Group { children, .. } = &branch.kind {
                self.siblings_in_order(children);
            }
        }
    }

    fn siblings_in_order(&self, children: &[Branch]) {
        for pair in children.windows(2) {
            let [earlier, later] = pair else { continue };
            let both = earlier.is_actor() && later.is_actor();
            let Some(second) = self.first_start_in(&later.path) else {
                continue;
            };
            let settled = |entry: &Entry| {
                *entry.path == *earlier.path && matches!(entry.what, What::Ready(_) | What::Gone(_))
            };
            let ordered = self.acted_on(&earlier.path, Duration::ZERO, true);
            if both && !ordered && !self.trace[..second].iter().any(settled) {
                self.lab.complain(format_args!(
                    "{} started before {} had settled",
                    later.path, earlier.path
                ));
            }
        }
    }

    fn first_start_in(&self, path: &str) -> Option<usize> {
        let inside = format!("{path}/");
        self.trace.iter().position(|entry| {
            let below = *entry.path == *path || entry.path.starts_with(&inside);
            below && matches!(entry.what, What::Start(_))
        })
    }

    /// In a shutdown, nothing of a domain is asked to stop before all that use it are gone.
    fn stop_order(&self) {
        let end = self.shutdown_at();
        let Some(from) = self.trace.iter().position(|entry| entry.at >= end) else {
            return;
        };
        for user in manifests(self.plan.shape.graph) {
            let last = self.last_gone_in(&format!("/{}", user.name));
            for need in user.needs {
                let path = format!("/{}", need.domain);
                if self.acted_on(&path, end.saturating_sub(LONG_AGO), true) {
                    continue;
                }
                let inside = format!("{path}/");
                // Users end children by key at any time.
                let first = self.trace[from..].iter().position(|entry| {
                    entry.path.starts_with(&inside)
                        && matches!(entry.what, What::Stop(_))
                        && !keys::is_child(self.plan, &entry.path)
                });
                if let (Some(first), Some(last)) = (first, last)
                    && from + first < last
                {
                    self.lab.complain(format_args!(
                        "{path} was stopped while {} still lived",
                        user.name
                    ));
                }
            }
        }
    }

    fn last_gone_in(&self, path: &str) -> Option<usize> {
        let inside = format!("{path}/");
        self.trace.iter().rposition(|entry| {
            entry.path.starts_with(&inside) && matches!(entry.what, What::Gone(_))
        })
    }
}

/// The actors without which a branch is not up.
fn essentials(branch: &Branch) -> Vec<&str> {
    match &branch.kind {
        Kind::Actor => vec![&branch.path],
        Kind::Keyed(_) => Vec::new(),
        Kind::Group { children, .. } => children
            .iter()
            .filter(|child| child.policy.bears >= Level::Critical)
            .flat_map(essentials)
            .collect(),
    }
}
