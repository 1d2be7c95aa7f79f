//! The dependency's actor in the tree: tells its condition and probes it. It owns nothing that a restart could lose.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::address::{Address, with_deadline};
use crate::child_spec::ChildSpec;
use crate::context::Context;
use crate::dependency::breaker::BreakerState;
use crate::dependency::fault::{Blame, CallFault};
use crate::dependency::{Dependency, SOONEST};
use crate::launch::{Call, Launcher, Launching, Mailbox, WorkerLauncher};
use crate::panics::caught;
use crate::spec::Policy;
use crate::status::NodeKind;
use crate::worker::{StartError, Worker, WorkerError};

/// Probes it once and counts what comes of it.
type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The longest pause between two trials of a half-open breaker that nobody else tries.
const TRIAL_PAUSE: Duration = Duration::from_millis(250);
/// The shortest pause between two probes, however many suspicions there are.
const PROBE_PAUSE: Duration = Duration::from_millis(20);

impl ChildSpec {
    /// A dependency as a node of the tree. The last part of its path should be `name`.
    ///
    /// `probe` asks the dependency whether it is well, in the cheapest way that proves it. It is run when the open span
    /// of the breaker is over, while it is half-open, when something hints at trouble, and while nobody calls if the
    /// policy says how often. It has the policy's `timeout`. What it finds is certain: where it fails and blames the
    /// dependency, the breaker opens at once, and the node's cause has the error's code and message.
    pub fn dependency<P, R, E>(name: impl Into<String>, dependency: &Dependency, probe: P) -> Self
    where
        P: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: CallFault,
    {
        let (probed, probe) = (dependency.clone(), Arc::new(probe));
        let seed = Seed {
            dependency: dependency.clone(),
            probe: Arc::new(move || {
                let (dependency, probe) = (probed.clone(), Arc::clone(&probe));
                // Called inside, where a panic of it is caught.
                Box::pin(async move { dependency.probe(async move { probe().await }).await })
            }),
        };
        let launcher = DependencyLauncher {
            dependency: dependency.clone(),
            worker: WorkerLauncher {
                handler_limit: Policy::default().handler_limit,
                address: Address::vacant(dependency.path(), 1),
                seed,
            },
        };
        Self {
            name: name.into(),
            policy: Policy {
                bears: dependency.policy().bears,
                ..Policy::default()
            },
            launcher: Arc::new(launcher),
            manifest: None,
        }
    }
}

#[derive(Clone)]
struct Seed {
    dependency: Dependency,
    probe: Probe,
}

/// The actor. All of its work is one owned task.
struct DependencyActor;

/// Nobody asks it anything.
enum DependencyMsg {}

impl Worker for DependencyActor {
    type Msg = DependencyMsg;
    type Seed = Seed;

    async fn start(seed: Seed, cx: &Context<DependencyMsg>) -> Result<Self, StartError> {
        cx.offload(attend(seed, cx.clone()));
        Ok(Self)
    }

    async fn handle(
        &mut self,
        msg: DependencyMsg,
        _cx: &Context<DependencyMsg>,
    ) -> Result<(), WorkerError> {
        match msg {}
    }

    fn message_name(msg: &DependencyMsg) -> &'static str {
        match *msg {}
    }
}

/// Tells the condition whenever it changes, and probes when it is time. One probe runs at a time.
async fn attend(seed: Seed, cx: Context<DependencyMsg>) {
    let Seed { dependency, probe } = seed;
    let mut news = dependency.inner.changed.subscribe();
    let mut running: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
    loop {
        match dependency.condition() {
            Some(condition) => cx.report(condition),
            None => cx.clear(),
        }
        let next = dependency.next_probe();
        tokio::select! {
            // The sender lives in `dependency`.
            told = news.changed() => drop(told),
            () = finish(&mut running), if running.is_some() => running = None,
            () = sleep(next.unwrap_or_default()), if running.is_none() && next.is_some() => {
                running = Some(probe());
            }
        }
    }
}

async fn finish(running: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>) {
    if let Some(running) = running {
        running.await;
    }
}

impl Dependency {
    /// In how long it is to be probed; never without. While somebody holds the breaker it is looked at again when that ends.
    pub(super) fn next_probe(&self) -> Option<Duration> {
        let policy = self.policy();
        self.act(|book, now| {
            let soonest = book.probed_at + PROBE_PAUSE;
            let at = match (book.breaker.until(), book.breaker.state()) {
                (Some(until), _) => until,
                (None, BreakerState::HalfOpen) => {
                    book.probed_at + policy.open.first.clamp(SOONEST, TRIAL_PAUSE)
                }
                (None, _) if book.is_suspected => soonest,
                (None, _) => {
                    // A probe that learned nothing is not repeated at once either.
                    let last = book.heard_at.max(book.probed_at);
                    let idle = policy.probe_every.map(|every| last + every);
                    // What was slow is so no longer when its calls are forgotten.
                    let forgotten = book.was_slow.then(|| last + policy.window + SOONEST);
                    idle.into_iter().chain(forgotten).min()?
                }
            };
            Some(at.saturating_sub(now))
        })
    }

    /// Runs a probe and counts what comes of it; nothing when the breaker lets none through at this moment.
    async fn probe<E: CallFault>(&self, probing: impl Future<Output = Result<(), E>>) {
        self.act(|book, now| {
            book.probed_at = now;
            book.is_suspected = false;
        });
        let Ok(attempt) = self.admit::<E>(false) else {
            return;
        };
        let timeout = self.policy().timeout;
        let limit = Instant::now() + timeout;
        let running = async {
            self.suffer::<E>().await?;
            probing.await
        };
        match caught(with_deadline(limit, timeout_at(limit, running))).await {
            Ok(Ok(Ok(()))) => attempt.found_well(),
            Ok(Ok(Err(error))) if error.blame() == Blame::Dependency => {
                attempt.condemned(error.code(), error.outside(), error.wait());
            }
            Ok(Ok(Err(error))) => attempt.failed(&error),
            Ok(Err(_)) => {
                let message = format!("it did not answer a probe within {timeout:?}");
                attempt.condemned("dependency.timeout", message, None);
            }
            Err(panic) => {
                tracing::error!(path = self.path(), %panic, "the probe panicked");
                attempt.condemned(
                    "dependency.probe_panicked",
                    format!("its probe panicked: {panic}"),
                    None,
                );
            }
        }
    }
}

/// Launches the actor, and tells the board which dependency the node is.
struct DependencyLauncher {
    dependency: Dependency,
    worker: WorkerLauncher<DependencyActor>,
}

impl Launcher for DependencyLauncher {
    fn kind(&self) -> NodeKind {
        NodeKind::Dependency
    }

    fn launch(&self, call: Call) -> Launching {
        call.board
            .with(|model| model.attach(&call.path, self.dependency.clone()));
        self.worker.launch(call)
    }

    fn mailbox(&self) -> Option<&dyn Mailbox> {
        self.worker.mailbox()
    }
}
