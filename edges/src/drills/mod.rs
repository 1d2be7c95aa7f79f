//! Fault drills: one real fault, injected on purpose, and whether the status told of it as expected.
//!
//! Off by default. A drill names what it expects to be diagnosed (path, level, cause) and which domains it may hit before it
//! begins, injects the fault for a bounded time, and compares what the event history then says. One drill runs at a time, so
//! that its effects are its own, and none where something is wrong already. However a run ends, its fault ends with it.
//!
//! # Layout
//! `kind` what drills there are · `run` what callers see · `judge` decides, purely · `fault` the fault under way · `error`.

mod error;
mod fault;
mod judge;
mod kind;
mod run;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ground::lock;
use ground::{Id, Micros};
use supervisor::{
    ActError, Cause, Detail, Level, NodeKind, NodeStatus, State, Subscription, System, task,
};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

pub use error::DrillError;
pub use run::{Diagnosis, Drill, Hit, Order, Run};

use fault::Underway;
use judge::Judge;
use kind::{Aim, DATABASE, Kind, STORE};
use run::{DONE, RUNNING};

/// How long the fault lasts, when the caller does not say.
const DEFAULT_SPAN: Duration = Duration::from_secs(5);
/// The longest span that a caller may ask for.
pub const LONGEST_SPAN: Duration = Duration::from_mins(1);
/// How long a diagnosis is waited for after the fault has ended.
const LATE: Duration = Duration::from_secs(2);
/// How long all may take to be well after the fault has ended.
const RECOVERY: Duration = Duration::from_secs(50);
/// Runs that are remembered.
const KEPT_RUNS: usize = 64;

struct Inner {
    enabled: bool,
    system: System,
    runs: Mutex<VecDeque<Run>>,
    watching: Mutex<Option<task::OwnedTask>>,
}

/// Runs drills. Cheap to clone.
#[derive(Clone)]
pub struct Drills {
    inner: Arc<Inner>,
}

/// A drill that is about to be run.
struct Plan {
    run: Id,
    kind: Kind,
    target: String,
    span: Duration,
    /// From when on a call to the target counts as slow.
    slow_call: Duration,
    judge: Judge,
}

/// Says that a run is over, however its task ends: another one can follow.
struct Conclusion {
    drills: Drills,
    run: Id,
}

impl Drop for Conclusion {
    fn drop(&mut self) {
        self.drills.update(self.run, |run| run.state = DONE);
    }
}

impl Drills {
    /// Drills on this tree, if configuration allows them.
    pub fn new(enabled: bool, system: System) -> Self {
        let inner = Inner {
            enabled,
            system,
            runs: Mutex::default(),
            watching: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// All drills.
    ///
    /// # Errors
    /// [`DrillError::Disabled`].
    pub fn list(&self) -> Result<Vec<Drill>, DrillError> {
        self.allowed()?;
        let drills = Kind::ALL.into_iter().map(|kind| {
            let targets = self.targets(kind);
            let expected = targets.first().map(|target| kind.expected(target));
            Drill {
                name: kind.name(),
                summary: kind.summary(),
                forecast: expected
                    .as_ref()
                    .map(|expected| self.forecast(kind, expected))
                    .unwrap_or_default(),
                expected,
                targets,
            }
        });
        Ok(drills.collect())
    }

    /// Injects the fault and answers with the run's id at once.
    ///
    /// # Errors
    /// See [`DrillError`]; nothing was injected then.
    pub async fn run(&self, name: &str, order: &Order) -> Result<Id, DrillError> {
        self.allowed()?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = kind.ok_or_else(|| DrillError::Unknown(name.to_owned()))?;
        let target = self.target(kind, order.target.as_deref())?;
        self.check(kind, &target)?;
        let span = order.for_ms.map_or(DEFAULT_SPAN, Duration::from_millis);
        let plan = self.begin(kind, target, span.min(LONGEST_SPAN))?;
        let run = plan.run;
        let (answer, answered) = oneshot::channel();
        // Owned here and not by the request, so that a run ends even when its caller has left.
        let drills = self.clone();
        let watching = task::spawn(async move { drills.carry_out(plan, answer).await });
        *lock(&self.inner.watching) = Some(watching);
        answered.await.unwrap_or(Err(DrillError::Running))?;
        Ok(run)
    }

    /// A run.
    ///
    /// # Errors
    /// [`DrillError::UnknownRun`].
    pub fn show(&self, id: Id) -> Result<Run, DrillError> {
        self.allowed()?;
        let runs = lock(&self.inner.runs);
        let run = runs.iter().find(|run| run.id == id);
        run.cloned().ok_or(DrillError::UnknownRun(id))
    }

    fn allowed(&self) -> Result<(), DrillError> {
        if self.inner.enabled {
            Ok(())
        } else {
            Err(DrillError::Disabled)
        }
    }

    /// What a kind can be aimed at now.
    fn targets(&self, kind: Kind) -> Vec<String> {
        match kind.aim() {
            Aim::Actor => self.actors(),
            Aim::Daemon => vec!["/".to_owned()],
            Aim::Database | Aim::Upstream => {
                let dependencies = self.inner.system.dependencies().into_iter();
                let paths = dependencies.map(|dependency| dependency.path().to_owned());
                paths
                    .filter(|path| kind.aim() == Aim::Upstream || path == DATABASE)
                    .collect()
            }
        }
    }

    /// The actors that run, without those that are one of many.
    fn actors(&self) -> Vec<String> {
        let root = self.inner.system.status(None, Some(2));
        let domains = root.map(|root| root.children).unwrap_or_default();
        domains
            .into_iter()
            .flat_map(|domain| domain.children)
            .filter(|node| node.kind == NodeKind::Actor && node.state == State::Running)
            .map(|node| node.path)
            .collect()
    }

    /// The target that is meant.
    fn target(&self, kind: Kind, asked: Option<&str>) -> Result<String, DrillError> {
        let targets = self.targets(kind);
        let Some(asked) = asked else {
            let first = targets.into_iter().next();
            return first.ok_or_else(|| DrillError::NoTarget("nothing".to_owned()));
        };
        let path = if kind.aim() == Aim::Actor {
            asked.to_owned()
        } else {
            format!("/{}", asked.trim_start_matches('/').replace('.', "/"))
        };
        // An actor may be one of the many that the list leaves out; whether it runs is looked at in any case.
        if kind.aim() == Aim::Actor || targets.contains(&path) {
            Ok(path)
        } else {
            Err(DrillError::NoTarget(asked.to_owned()))
        }
    }

    /// Whether the drill would do no more than it says.
    fn check(&self, kind: Kind, target: &str) -> Result<(), DrillError> {
        let system = &self.inner.system;
        let root = system.status(None, Some(0));
        if root.is_none_or(|root| root.state == State::Stopping) {
            return Err(ActError::Stopping.into());
        }
        if kind.aim() == Aim::Actor {
            self.check_actor(target)?;
        }
        if kind == Kind::DiskFull && !self.is_embedded() {
            return Err(DrillError::Unsuited(
                "the database is a server's, whose disk is not the daemon's to fill",
            ));
        }
        let domain = format!("/{}", target.split('/').nth(1).unwrap_or_default());
        let node = system.status(Some(&domain), Some(0));
        if node.is_some_and(|node| is_well_by_itself(&node)) {
            Ok(())
        } else {
            Err(DrillError::NotWell(domain))
        }
    }

    fn check_actor(&self, target: &str) -> Result<(), DrillError> {
        let node = self.inner.system.status(Some(target), Some(0));
        let node = node.filter(|node| node.kind == NodeKind::Actor && node.state == State::Running);
        let node = node.ok_or_else(|| DrillError::NoTarget(target.to_owned()))?;
        if node.restarts.in_window + 1 >= node.restarts.budget {
            return Err(DrillError::BudgetLow(target.to_owned()));
        }
        Ok(())
    }

    /// Whether the database is the daemon's own file.
    fn is_embedded(&self) -> bool {
        let store = self.inner.system.status(Some(STORE), Some(0));
        store.is_some_and(|store| store.detail.get("engine") == Some(&Detail::from("sqlite")))
    }

    /// The domain of the target, and those that would say so if the fault lasted.
    fn forecast(&self, kind: Kind, expected: &Diagnosis) -> Vec<Hit> {
        let system = &self.inner.system;
        let reached = system.blast_radius(&expected.path, kind.worst(expected));
        let hits = reached.into_iter().map(|(domain, level)| Hit {
            impact: system.impact_of(&domain, level),
            level,
            domain,
        });
        hits.collect()
    }

    fn begin(&self, kind: Kind, target: String, span: Duration) -> Result<Plan, DrillError> {
        let expected = kind.expected(&target);
        let forecast = self.forecast(kind, &expected);
        let dependencies = self.inner.system.dependencies();
        let dependency = dependencies.iter().find(|known| known.path() == target);
        let slow_call = dependency.map(|dependency| dependency.policy().slow_call);
        let mut runs = lock(&self.inner.runs);
        if runs.iter().any(Run::is_running) {
            return Err(DrillError::Running);
        }
        let run = Run {
            id: Id::generate(),
            name: kind.name(),
            target: target.clone(),
            state: RUNNING,
            started_at: Micros::now(),
            expected: expected.clone(),
            forecast,
            observed: None,
            matched: false,
            diagnosed_ms: None,
            recovered_ms: None,
            hit: Vec::new(),
            hit_as_forecast: true,
        };
        if runs.len() == KEPT_RUNS {
            runs.pop_front();
        }
        let id = run.id;
        runs.push_back(run);
        Ok(Plan {
            run: id,
            kind,
            target,
            span,
            slow_call: slow_call.unwrap_or_default(),
            judge: Judge::new(expected, self.inner.system.health().domains),
        })
    }

    fn update(&self, id: Id, change: impl FnOnce(&mut Run)) {
        if let Some(run) = lock(&self.inner.runs).iter_mut().find(|run| run.id == id) {
            change(run);
        }
    }

    async fn carry_out(&self, plan: Plan, answer: oneshot::Sender<Result<(), DrillError>>) {
        let _conclusion = Conclusion {
            drills: self.clone(),
            run: plan.run,
        };
        let system = &self.inner.system;
        let events = system.subscribe(None);
        let injected = Instant::now();
        let fault = plan.kind.fault(plan.span, plan.slow_call);
        match Underway::begin(system, &plan.target, fault, plan.span).await {
            Ok(underway) => {
                drop(answer.send(Ok(())));
                // The end of the tree ends the run, and with it the fault.
                tokio::select! {
                    () = self.watch(plan, underway, events, injected) => {}
                    () = system.ended() => {}
                }
            }
            Err(error) => {
                lock(&self.inner.runs).retain(|run| run.id != plan.run);
                drop(answer.send(Err(error)));
            }
        }
    }

    /// Watches until the fault has ended and all is as before, or for as long as that may take.
    async fn watch(
        &self,
        mut plan: Plan,
        underway: Underway,
        mut events: Subscription,
        injected: Instant,
    ) {
        let ends = injected + plan.span;
        let mut underway = plan.kind.lasts().then_some(underway);
        // What does not last is watched for its span.
        let mut gives_up = ends;
        let effect_after = if plan.kind.is_slow() {
            plan.slow_call
        } else {
            Duration::ZERO
        };
        while underway.is_some() || !plan.judge.is_settled() {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => plan.judge.note(&event, injected.elapsed()),
                    None => return,
                },
                () = sleep_until(ends), if underway.is_some() => {
                    underway = None;
                    plan.judge.fault_over(injected.elapsed());
                    let patience = if plan.judge.is_diagnosed() { RECOVERY } else { LATE };
                    gives_up = Instant::now() + patience;
                }
                () = sleep_until(gives_up), if underway.is_none() => return,
            }
            self.update(plan.run, |run| plan.judge.report(run, effect_after));
        }
    }
}

/// Whether nothing that is wrong with a domain began inside of it. What it suffers from another one is no fault that a drill
/// could be taken for: that restarts do not wait for a lost database is worth a drill.
fn is_well_by_itself(domain: &NodeStatus) -> bool {
    let inside = format!("{}/", domain.path.trim_end_matches('/'));
    let begins_inside =
        |cause: &Cause| cause.path == domain.path || cause.path.starts_with(&inside);
    let has_cause = domain.cause.is_some();
    (domain.level == Level::Normal || has_cause)
        && !domain.cause.iter().chain(&domain.also).any(begins_inside)
}
