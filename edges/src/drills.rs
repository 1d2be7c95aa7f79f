//! Fault drills: one real fault, injected on purpose, and whether the status told of it as expected.
//!
//! Off by default. A drill names what it expects to be diagnosed (path, level, cause) before it begins, injects the fault, and compares
//! what the event history then says. One drill runs at a time, so that its effects are its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ground::{Id, Micros};
use serde::{Deserialize, Serialize};
use supervisor::{
    ActError, Fault, FaultKind, Injection, Level, NodeKind, State, StatusEvent, Subscription,
    System, task,
};
use tokio::sync::oneshot;
use tokio::time::Instant;
use utoipa::ToSchema;

/// How long a drill may take to show an effect and to be healed, when the caller does not say.
const DEFAULT_SPAN: Duration = Duration::from_secs(5);
/// The longest span that a caller may ask for.
pub const LONGEST_SPAN: Duration = Duration::from_mins(1);
/// Runs that are remembered.
const KEPT_RUNS: usize = 64;

/// A kind of drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    PanicActor,
    KillActor,
}

impl Kind {
    const ALL: [Self; 2] = [Self::PanicActor, Self::KillActor];

    const fn name(self) -> &'static str {
        match self {
            Self::PanicActor => "panic-actor",
            Self::KillActor => "kill-actor",
        }
    }

    const fn summary(self) -> &'static str {
        match self {
            Self::PanicActor => "the actor's handler panics; its supervisor starts it again",
            Self::KillActor => {
                "the actor is killed in the middle of its work; its supervisor starts it again"
            }
        }
    }

    const fn injection(self) -> Injection {
        match self {
            Self::PanicActor => Injection::Panic,
            Self::KillActor => Injection::Kill,
        }
    }

    const fn cause_code(self) -> &'static str {
        match self {
            Self::PanicActor => "actor.panicked",
            Self::KillActor => "actor.killed",
        }
    }
}

/// What the status must say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Diagnosis {
    /// The node where it begins.
    pub path: String,
    /// That node's level while the fault lasts.
    #[schema(value_type = String)]
    pub level: Level,
    /// The code of the cause.
    pub cause_code: String,
}

/// A drill that can be run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Drill {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// What it can be aimed at.
    pub targets: Vec<String>,
    /// What the status must say when it is aimed at the first target.
    pub expected: Option<Diagnosis>,
    /// Which domains will be hit, and how hard at worst, when it is aimed at the first target.
    pub forecast: Vec<Hit>,
}

/// A domain that a drill hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hit {
    /// The domain.
    pub domain: String,
    /// What its users lose if the fault lasts; null when nothing.
    pub impact: Option<String>,
}

/// What a caller asks for.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The actor, like `/ptys/manager`; the first target of the list without it.
    #[schema(max_length = 512)]
    pub target: Option<String>,
    /// How long the effects are watched, in milliseconds (100 to 60,000; 5,000 without it).
    #[schema(minimum = 100, maximum = 60_000)]
    pub for_ms: Option<u64>,
}

/// A run of a drill.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Run {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: Id,
    /// Which drill.
    pub name: &'static str,
    /// What it was aimed at.
    pub target: String,
    /// `running` or `done`.
    pub state: &'static str,
    /// When the fault was injected.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: Micros,
    /// What the status must say.
    pub expected: Diagnosis,
    /// What it said first.
    pub observed: Option<Diagnosis>,
    /// Whether that is the same.
    pub matched: bool,
    /// From the injection to the diagnosis.
    pub diagnosed_ms: Option<f64>,
    /// From the injection to serving again.
    pub recovered_ms: Option<f64>,
}

/// Why a drill is not run.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// Configuration does not allow drills.
    #[error("drills are disabled")]
    Disabled,
    /// There is no such drill.
    #[error("there is no drill {0}")]
    Unknown(String),
    /// There is no such run.
    #[error("there is no run {0}")]
    UnknownRun(Id),
    /// One is running.
    #[error("a drill is running")]
    Running,
    /// The target is no actor that runs.
    #[error("{0} is no running actor")]
    NoTarget(String),
    /// The target has few restarts left, so that the drill could do harm.
    #[error("{0} has used up its restart budget but for one")]
    BudgetLow(String),
    /// The supervisor refused.
    #[error(transparent)]
    Refused(#[from] ActError),
}

impl Fault for DrillError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Disabled => FaultKind::Forbidden,
            Self::Unknown(_) | Self::UnknownRun(_) => FaultKind::NotFound,
            Self::Running | Self::NoTarget(_) | Self::BudgetLow(_) => FaultKind::Conflict,
            Self::Refused(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "drills.disabled",
            Self::Unknown(_) => "drills.unknown",
            Self::UnknownRun(_) => "drills.unknown_run",
            Self::Running => "drills.running",
            Self::NoTarget(_) => "drills.no_target",
            Self::BudgetLow(_) => "drills.budget_low",
            Self::Refused(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Disabled => {
                "drills are switched off; set drills.enabled = true and restart the daemon"
                    .to_owned()
            }
            Self::Unknown(name) => {
                format!("there is no drill {name}; GET /api/v1/drills lists all")
            }
            Self::UnknownRun(id) => format!("there is no run {id}, or it was too long ago"),
            Self::Running => "another drill is running; wait for its end".to_owned(),
            Self::NoTarget(path) => {
                format!("{path} is no running actor; the list of drills names the targets")
            }
            Self::BudgetLow(path) => {
                format!("{path} failed lately; wait until its restart budget has recovered")
            }
            Self::Refused(error) => error.outside(),
        }
    }
}

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
        let targets = self.targets();
        let drills = Kind::ALL.into_iter().map(|kind| Drill {
            name: kind.name(),
            summary: kind.summary(),
            expected: targets.first().map(|target| expected(kind, target)),
            forecast: targets
                .first()
                .map(|target| self.forecast(target))
                .unwrap_or_default(),
            targets: targets.clone(),
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
        let target = order
            .target
            .clone()
            .or_else(|| self.targets().into_iter().next())
            .unwrap_or_default();
        self.check_target(&target)?;
        let span = order
            .for_ms
            .map_or(DEFAULT_SPAN, Duration::from_millis)
            .min(LONGEST_SPAN);
        let run = self.begin(kind, &target)?;
        let (answer, answered) = oneshot::channel();
        // Owned here and not by the request, so that a run ends even when its caller has left.
        let drills = self.clone();
        let watching = task::spawn(async move {
            let events = drills.inner.system.subscribe(None);
            let injected = Instant::now();
            match drills.inner.system.inject(&target, kind.injection()).await {
                Ok(true) => {
                    drop(answer.send(Ok(())));
                    drills.watch(run, target, events, injected, span).await;
                }
                Ok(false) => {
                    drills.update(run, |run| run.state = "done");
                    drop(answer.send(Err(DrillError::NoTarget(target))));
                }
                Err(error) => {
                    drills.update(run, |run| run.state = "done");
                    drop(answer.send(Err(error.into())));
                }
            }
        });
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

    /// The actors that run, without those that are one of many.
    fn targets(&self) -> Vec<String> {
        let root = self.inner.system.status(None, Some(2));
        let domains = root.map(|root| root.children).unwrap_or_default();
        domains
            .into_iter()
            .flat_map(|domain| domain.children)
            .filter(|node| node.kind == NodeKind::Actor && node.state == State::Running)
            .map(|node| node.path)
            .collect()
    }

    fn check_target(&self, target: &str) -> Result<(), DrillError> {
        let node = self.inner.system.status(Some(target), Some(0));
        let node = node.filter(|node| node.kind == NodeKind::Actor && node.state == State::Running);
        let node = node.ok_or_else(|| DrillError::NoTarget(target.to_owned()))?;
        if node.restarts.in_window + 1 >= node.restarts.budget {
            return Err(DrillError::BudgetLow(target.to_owned()));
        }
        Ok(())
    }

    /// The domain of the target, and those that would say so if the fault lasted.
    fn forecast(&self, target: &str) -> Vec<Hit> {
        let domain = target.split('/').nth(1).unwrap_or_default().to_owned();
        let impact = self.inner.system.impact_of(&domain, Level::Offline);
        std::iter::once(Hit {
            domain: domain.clone(),
            impact,
        })
        .chain(
            self.inner
                .system
                .dependents_of(&domain)
                .into_iter()
                .map(|(domain, level)| Hit {
                    impact: self.inner.system.impact_of(&domain, level),
                    domain,
                }),
        )
        .collect()
    }

    fn begin(&self, kind: Kind, target: &str) -> Result<Id, DrillError> {
        let mut runs = lock(&self.inner.runs);
        if runs.iter().any(|run| run.state == "running") {
            return Err(DrillError::Running);
        }
        let run = Run {
            id: Id::generate(),
            name: kind.name(),
            target: target.to_owned(),
            state: "running",
            started_at: Micros::now(),
            expected: expected(kind, target),
            observed: None,
            matched: false,
            diagnosed_ms: None,
            recovered_ms: None,
        };
        if runs.len() == KEPT_RUNS {
            runs.pop_front();
        }
        let id = run.id;
        runs.push_back(run);
        Ok(id)
    }

    fn update(&self, id: Id, change: impl FnOnce(&mut Run)) {
        if let Some(run) = lock(&self.inner.runs).iter_mut().find(|run| run.id == id) {
            change(run);
        }
    }

    async fn watch(
        &self,
        run: Id,
        target: String,
        mut events: Subscription,
        injected: Instant,
        span: Duration,
    ) {
        let healed = async {
            while let Some(event) = events.next().await {
                if event.path != target {
                    continue;
                }
                let took = injected.elapsed().as_secs_f64() * 1_000.0;
                if let Some(observed) = diagnosis_of(&event) {
                    self.update(run, |run| run.observe(observed, took));
                }
                if event.state == State::Running && event.previous_state.is_some() {
                    self.update(run, |run| run.recovered_ms = Some(took));
                    return;
                }
            }
        };
        // A fault that is not healed within the span is told as such: no time of recovery.
        let _within_span = tokio::time::timeout(span, healed).await;
        self.update(run, |run| run.state = "done");
    }
}

impl Run {
    fn observe(&mut self, observed: Diagnosis, took_ms: f64) {
        if self.observed.is_none() {
            self.matched = observed == self.expected;
            self.observed = Some(observed);
            self.diagnosed_ms = Some(took_ms);
        }
    }
}

fn expected(kind: Kind, target: &str) -> Diagnosis {
    Diagnosis {
        path: target.to_owned(),
        level: Level::Offline,
        cause_code: kind.cause_code().to_owned(),
    }
}

fn diagnosis_of(event: &StatusEvent) -> Option<Diagnosis> {
    let cause = event.cause.as_ref()?;
    Some(Diagnosis {
        path: cause.path.clone(),
        level: event.level,
        cause_code: cause.code.clone(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
