//! The whole tree: built from domains, started in order, read by edges, stopped in reverse.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::Actor;
use tokio::sync::oneshot;

use crate::address::{Address, Injection};
use crate::board::{Board, NodeFacts};
use crate::child_spec::ChildSpec;
use crate::clock::ClockShift;
use crate::core::{Operator, Order};
use crate::domain::{Domain, Manifest, domain_spec, main_address};
use crate::end::Record;
use crate::fault::{Fault, FaultKind};
use crate::group::{Group, GroupLaunch, GroupMsg};
use crate::group_start::GroupSource;
use crate::inbox::{GroupRef, Inbox};
use crate::level::{Level, State};
use crate::model::parent_of;
use crate::panics;
use crate::spec::{Budget, Policy, Strategy};
use crate::status::{Change, NodeKind, StatusEvent};
use crate::task::{self, OwnedTask};
use crate::watchdog::{Vitals, Watchdog};

/// What an operator can order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Stop gracefully, then start again; start if it is not running. Forgives old failures.
    Restart,
    /// Stop gracefully, and stay stopped.
    Stop,
    /// Start what is stopped, quarantined or in backoff.
    Start,
}

impl Action {
    const fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }

    const fn order(self) -> Operator {
        match self {
            Self::Restart => Operator::Restart,
            Self::Stop => Operator::Stop,
            Self::Start => Operator::Start,
        }
    }
}

/// Why the tree cannot be built. Found before anything starts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Two domains bear the same name.
    #[error("two domains are named {0}")]
    Twice(&'static str),
    /// A domain needs one that does not exist.
    #[error("domain {domain} needs {need}, which does not exist")]
    UnknownNeed {
        /// Who needs.
        domain: &'static str,
        /// What is missing.
        need: &'static str,
    },
    /// A domain cannot do without one that is switched off.
    #[error("domain {domain} cannot do without {need}, which is disabled")]
    NeedDisabled {
        /// Who needs.
        domain: &'static str,
        /// What is disabled.
        need: &'static str,
    },
    /// Domains need each other in a circle.
    #[error("domains need each other in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<&'static str>),
    /// The root could not be spawned.
    #[error("the root supervisor could not be spawned: {0}")]
    Spawn(String),
}

/// Why an operator's order was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// There is no such node.
    #[error("there is no node {0}")]
    Unknown(String),
    /// The root is started and stopped with the daemon.
    #[error("the root cannot be ordered")]
    Root,
    /// The supervisor of this node is down.
    #[error("the supervisor of {0} is down")]
    Down(String),
    /// The whole system is stopping.
    #[error("the system is stopping")]
    Stopping,
    /// The node is disabled by configuration.
    #[error("{0} is disabled by configuration")]
    Disabled(String),
    /// The node is no external dependency.
    #[error("{0} is no external dependency")]
    NoDependency(String),
}

impl Fault for ActError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Unknown(_) => FaultKind::NotFound,
            Self::Root | Self::Disabled(_) | Self::NoDependency(_) => FaultKind::Conflict,
            Self::Down(_) | Self::Stopping => FaultKind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "supervisor.unknown_path",
            Self::Root => "supervisor.root",
            Self::Down(_) => "supervisor.down",
            Self::Stopping => "supervisor.stopping",
            Self::Disabled(_) => "supervisor.disabled",
            Self::NoDependency(_) => "supervisor.no_dependency",
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Unknown(path) => format!("there is no node {path}; the status lists all"),
            Self::Root => "the whole system is stopped by ending the daemon".to_owned(),
            Self::Down(path) => format!("the supervisor of {path} is down; act on its parent"),
            Self::Stopping => "the daemon is stopping".to_owned(),
            Self::Disabled(path) => {
                format!("{path} is disabled by configuration; enable it there and restart")
            }
            Self::NoDependency(path) => {
                format!("{path} is no external dependency; the status tells which nodes are")
            }
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Down(_) | Self::Stopping).then_some(Duration::from_secs(1))
    }
}

/// What a stop had to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Nodes that did not end within their limit and were killed.
    pub killed: Vec<String>,
}

/// Collects domains before anything runs.
pub struct SystemBuilder {
    board: Board,
    specs: Vec<ChildSpec>,
    disabled: Vec<(&'static Manifest, String)>,
}

impl std::fmt::Debug for SystemBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemBuilder")
            .field("specs", &self.specs)
            .finish_non_exhaustive()
    }
}

impl Default for SystemBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemBuilder {
    /// An empty tree.
    pub fn new() -> Self {
        panics::install_hook();
        Self {
            board: Board::new(),
            specs: Vec::new(),
            disabled: Vec::new(),
        }
    }

    /// The vacant address of a domain's main actor, to make handles of before [`SystemBuilder::add`].
    pub fn address<D: Domain>(&self) -> Address<D::Msg> {
        main_address::<D>()
    }

    /// The facts of a domain.
    pub fn manifest<D: Domain>() -> &'static Manifest {
        &D::MANIFEST
    }

    /// Adds a domain.
    pub fn add<D: Domain>(&mut self, address: Address<D::Msg>, config: D::Config, ports: D::Ports) {
        let manifest = Self::manifest::<D>();
        let policy = Policy {
            budget: Budget {
                max: 5,
                window: Duration::from_mins(1),
            },
            // Its children have start limits of their own; this one is for a start that hangs between them.
            start_limit: Duration::from_hours(1),
            stop_limit: Duration::from_secs(20),
            bears: manifest.priority.cap(),
            ..Policy::default()
        };
        self.specs
            .push(domain_spec::<D>(manifest, address, config, ports, policy));
    }

    /// Notes a domain that configuration switches off; `reason` tells how to switch it on.
    pub fn disable<D: Domain>(&mut self, reason: impl Into<String>) {
        self.disabled.push((Self::manifest::<D>(), reason.into()));
    }

    /// Checks the graph and starts the root. Returns at once: [`System::ready`] waits for the domains.
    ///
    /// # Errors
    /// See [`BuildError`]; nothing has been started then.
    pub async fn start(self) -> Result<System, BuildError> {
        let disabled: Vec<&'static Manifest> = self.disabled.iter().map(|(m, _)| *m).collect();
        let manifests: Vec<&'static Manifest> =
            self.specs.iter().filter_map(|spec| spec.manifest).collect();
        check_graph(&manifests, &disabled)?;
        for (manifest, reason) in self.disabled {
            let facts = NodeFacts {
                path: format!("/{}", manifest.name).into(),
                kind: NodeKind::Domain,
                bears: Level::Normal,
                budget: 0,
                cell: None,
                manifest: Some(manifest),
            };
            self.board.with(|model| model.add_disabled(facts, reason));
        }
        let inbox = Arc::new(Inbox::default());
        let launch = GroupLaunch {
            path: "/".into(),
            source: GroupSource::Fixed {
                strategy: Strategy::OneForOne,
                order: Order::Graph,
                specs: self.specs.into(),
            },
            parent: None,
            record: Arc::new(Record::default()),
            board: self.board.clone(),
            inbox: Arc::clone(&inbox),
        };
        let (actor, mut ended) = Actor::spawn(None, Group, launch)
            .await
            .map_err(|error| BuildError::Spawn(error.to_string()))?;
        let root = GroupRef::new(actor, inbox);
        let (ended_tx, ended_rx) = tokio::sync::watch::channel(false);
        let watcher = task::spawn(async move {
            if let Err(error) = (&mut ended).await {
                tracing::error!(%error, "the root supervisor ended");
            }
            ended_tx.send_replace(true);
        });
        Ok(System {
            inner: Arc::new(Inner {
                monitor: task::spawn(self.board.clone().monitor()),
                watcher,
                board: self.board,
                root,
                ended: ended_rx,
            }),
        })
    }
}

struct Inner {
    board: Board,
    root: GroupRef,
    #[expect(dead_code, reason = "owned: it ends with the system")]
    monitor: OwnedTask,
    #[expect(dead_code, reason = "owned: it ends with the system")]
    watcher: OwnedTask,
    ended: tokio::sync::watch::Receiver<bool>,
}

/// The running tree. Cheap to clone.
#[derive(Clone)]
pub struct System {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("System").finish_non_exhaustive()
    }
}

impl System {
    pub(crate) fn board(&self) -> &Board {
        &self.inner.board
    }

    /// Waits until every domain that can start has started. Cancel-safe.
    pub async fn ready(&self) {
        let mut ready = self.inner.board.ready();
        // The sender lives in the board that `self` holds.
        drop(ready.wait_for(|ready| *ready).await);
        self.inner.board.with(|model| {
            if !model.stopping {
                model.set_root_state(State::Running);
            }
        });
    }

    /// Orders a node to be restarted, stopped or started. Returns the id of the event that notes the order; what follows
    /// from it comes after that id.
    ///
    /// # Errors
    /// See [`ActError`].
    pub fn act(&self, path: &str, action: Action) -> Result<u64, ActError> {
        let (group, name) = self.supervisor_of(path)?;
        let event = self.note_operator(path, action.word());
        let order = action.order();
        group
            .send(GroupMsg::Operator { name, order })
            .map_err(|_| ActError::Down(path.to_owned()))?;
        Ok(event)
    }

    /// Injects a fault into an actor, for drills and tests. `Ok(false)` when the actor is not running.
    ///
    /// # Errors
    /// See [`ActError`].
    pub async fn inject(&self, path: &str, injection: Injection) -> Result<bool, ActError> {
        let (group, name) = self.supervisor_of(path)?;
        self.note_operator(path, "drill");
        let (answer, answered) = oneshot::channel();
        group
            .send(GroupMsg::Inject {
                name,
                injection,
                answer,
            })
            .map_err(|_| ActError::Down(path.to_owned()))?;
        Ok(answered.await.unwrap_or(false))
    }

    /// Moves wall time `ahead` until the result is dropped, as a clock that jumps would. The event that notes it comes before.
    ///
    /// # Errors
    /// [`ActError::Stopping`].
    pub fn jump_clock(&self, ahead: Duration) -> Result<ClockShift, ActError> {
        if self.inner.board.with(|model| model.stopping) {
            return Err(ActError::Stopping);
        }
        self.note_operator("/", &format!("drill: clock ahead by {ahead:?}"));
        Ok(ClockShift::begin(ahead))
    }

    fn supervisor_of(&self, path: &str) -> Result<(GroupRef, String), ActError> {
        let Some(parent) = parent_of(path) else {
            return Err(ActError::Root);
        };
        let (state, stopping) = self.inner.board.with(|model| {
            let state = model.node(path).map(|node| node.state);
            (state, model.stopping)
        });
        match state {
            _ if stopping => Err(ActError::Stopping),
            None => Err(ActError::Unknown(path.to_owned())),
            Some(State::Disabled) => Err(ActError::Disabled(path.to_owned())),
            Some(_) => {
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                let group = self.inner.board.group(parent);
                group
                    .map(|group| (group, name))
                    .ok_or_else(|| ActError::Down(path.to_owned()))
            }
        }
    }

    pub(crate) fn note_operator(&self, path: &str, what: &str) -> u64 {
        self.inner.board.with(|model| {
            let now = crate::clock::WallTime::now();
            let (state, level) = model
                .node(path)
                .map_or((State::Stopped, Level::Offline), |node| {
                    (node.state, node.level)
                });
            model.history.append(StatusEvent {
                id: 0,
                at: now,
                path: path.to_owned(),
                change: Change::Operator,
                state,
                previous_state: None,
                level,
                previous_level: None,
                cause: None,
                impact: None,
                fallback: None,
                action: Some(format!("operator: {what}")),
                end: None,
            })
        })
    }

    /// Starts the watchdog over this tree and the runtime that it runs on. `on_look` is called ten times a second, on the
    /// watchdog's thread; it must not block.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn watch(
        &self,
        runtime: tokio::runtime::Handle,
        on_look: impl FnMut(&Vitals) + Send + 'static,
    ) -> std::io::Result<Watchdog> {
        Watchdog::start(self.inner.board.clone(), runtime, on_look)
    }

    /// Stops all domains in reverse order, each within its limits, and tells who had to be killed. Safe to call twice.
    pub async fn stop(&self) -> StopReport {
        // Kills of the daemon's life so far are no part of this stop.
        drop(self.inner.board.take_killed());
        self.inner
            .board
            .with(|model| model.set_root_state(State::Stopping));
        // A root that has ended already needs no order.
        drop(self.inner.root.send(GroupMsg::Shutdown));
        let mut ended = self.inner.ended.clone();
        drop(ended.wait_for(|ended| *ended).await);
        StopReport {
            killed: self.inner.board.take_killed(),
        }
    }

    /// Waits until the root has ended, which it only does after [`System::stop`] (or by a fault of ours).
    pub async fn ended(&self) {
        let mut ended = self.inner.ended.clone();
        drop(ended.wait_for(|ended| *ended).await);
    }
}

/// Finds double names, unknown needs and cycles before anything starts.
fn check_graph(
    manifests: &[&'static Manifest],
    disabled: &[&'static Manifest],
) -> Result<(), BuildError> {
    let mut known: HashMap<&'static str, &'static Manifest> = HashMap::new();
    for manifest in manifests {
        if known.insert(manifest.name, manifest).is_some() {
            return Err(BuildError::Twice(manifest.name));
        }
    }
    for manifest in manifests {
        for need in manifest.needs {
            let is_disabled = disabled.iter().any(|other| other.name == need.domain);
            match (known.contains_key(need.domain), is_disabled) {
                (true, _) => {}
                (false, true) if need.strength == crate::domain::Strength::Soft => {}
                (false, true) => {
                    return Err(BuildError::NeedDisabled {
                        domain: manifest.name,
                        need: need.domain,
                    });
                }
                (false, false) => {
                    return Err(BuildError::UnknownNeed {
                        domain: manifest.name,
                        need: need.domain,
                    });
                }
            }
        }
    }
    let mut done = Vec::new();
    for manifest in manifests {
        find_cycle(manifest, &known, &mut done, &mut Vec::new())?;
    }
    Ok(())
}

fn find_cycle(
    manifest: &'static Manifest,
    known: &HashMap<&'static str, &'static Manifest>,
    done: &mut Vec<&'static str>,
    trail: &mut Vec<&'static str>,
) -> Result<(), BuildError> {
    if done.contains(&manifest.name) {
        return Ok(());
    }
    if let Some(at) = trail.iter().position(|name| *name == manifest.name) {
        let mut cycle = trail.split_off(at);
        cycle.push(manifest.name);
        return Err(BuildError::Cycle(cycle));
    }
    trail.push(manifest.name);
    for need in manifest.needs {
        if let Some(next) = known.get(need.domain) {
            find_cycle(next, known, done, trail)?;
        }
    }
    trail.pop();
    done.push(manifest.name);
    Ok(())
}
