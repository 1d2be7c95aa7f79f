//! Dependencies as their callers and operators meet them, under a real supervisor and a paused clock.

mod heard;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::lab::{LabMsg, LabSeed, LabWorker, eventually};
use crate::*;

/// An error of calls as a domain would write it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Trouble {
    #[error("nobody there")]
    Gone,
    #[error("nonsense")]
    Nonsense,
    #[error("no such thing")]
    Unknown,
    #[error("not now")]
    NotNow(Duration),
    #[error("my own fault")]
    Mine,
}

impl Fault for Trouble {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Gone => FaultKind::Unavailable,
            Self::Nonsense => FaultKind::Upstream,
            Self::Unknown => FaultKind::NotFound,
            Self::NotNow(_) => FaultKind::Limited,
            Self::Mine => FaultKind::Internal,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Gone => "lab.gone",
            Self::Nonsense => "lab.nonsense",
            Self::Unknown => "lab.unknown",
            Self::NotNow(_) => "lab.not_now",
            Self::Mine => "lab.mine",
        }
    }
    fn outside(&self) -> String {
        self.to_string()
    }
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotNow(wait) => Some(*wait),
            _ => None,
        }
    }
}

impl CallFault for Trouble {
    fn unreachable(_detail: &str) -> Self {
        Self::Gone
    }
    fn garbage(_detail: &str) -> Self {
        Self::Nonsense
    }
}

fn policy() -> DependencyPolicy {
    DependencyPolicy {
        min_calls: 4,
        half_open_calls: 1,
        max_in_flight: 4,
        slow_call: Duration::from_millis(500),
        ..DependencyPolicy::default()
    }
}

fn dependency(policy: DependencyPolicy) -> Dependency {
    Dependency::new("/outer/service", policy)
}

/// Calls that answer one after the other what `script` says; tells the result and how many attempts were made.
async fn scripted(
    dependency: &Dependency,
    script: Vec<Result<u32, Trouble>>,
) -> (Result<u32, CallError<Trouble>>, usize) {
    let script = RefCell::new(script.into_iter());
    let made = RefCell::new(0);
    let result = dependency.call("script", |attempt| {
        *made.borrow_mut() += 1;
        assert_eq!(attempt as usize, *made.borrow());
        let answer = script.borrow_mut().next().unwrap_or(Err(Trouble::Gone));
        async { answer }
    });
    let result = result.await;
    (result, made.into_inner())
}

async fn fail(dependency: &Dependency) -> Result<(), CallError<Trouble>> {
    dependency.call_once(async { Err(Trouble::Gone) }).await
}

async fn succeed(dependency: &Dependency) -> Result<(), CallError<Trouble>> {
    dependency.call_once(async { Ok(()) }).await
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_where_that_helps() {
    let dependency = dependency(policy());
    let began = Instant::now();
    let (result, made) = scripted(&dependency, vec![Err(Trouble::Gone), Ok(7)]).await;
    assert_eq!((result, made), (Ok(7), 2));
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(75) && took <= Duration::from_millis(101),
        "{took:?}"
    );
    let (result, made) = scripted(&dependency, vec![Err(Trouble::Unknown), Ok(7)]).await;
    assert_eq!(
        (result, made),
        (Err(CallError::Failed(Trouble::Unknown)), 1)
    );
    let rates = dependency.rates();
    assert_eq!(
        (rates.calls, rates.faults),
        (3, 1),
        "a refusal is an answer"
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_kept_and_never_waited_for_in_vain() {
    let dependency = dependency(policy());
    let wait = Duration::from_secs(3);
    let began = Instant::now();
    let (result, _) = scripted(&dependency, vec![Err(Trouble::NotNow(wait)), Ok(1)]).await;
    assert_eq!(result, Ok(1));
    assert!(began.elapsed() >= wait);
    let began = Instant::now();
    let deadline = began + Duration::from_secs(2);
    let script = vec![Err(Trouble::NotNow(wait)), Ok(1)];
    let (result, made) = with_deadline(deadline, scripted(&dependency, script)).await;
    assert_eq!(made, 1);
    let error = result.unwrap_err();
    assert_eq!(error.retry_after(), Some(wait));
    assert_eq!(began.elapsed(), Duration::ZERO, "given up at once");
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_deadline() {
    let dependency = dependency(policy());
    for limit_ms in [1, 700, 6_000, 30_000] {
        let began = Instant::now();
        let limit = Duration::from_millis(limit_ms);
        let hang = dependency.call("hang", |_| std::future::pending::<Result<(), Trouble>>());
        let result = with_deadline(began + limit, hang).await;
        assert!(matches!(
            result,
            Err(CallError::Timeout { .. } | CallError::Open { .. })
        ));
        let longest = limit.min(dependency.policy().call_limit);
        assert!(
            began.elapsed() <= longest + Duration::from_millis(1),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_impatient_caller_does_not_open_the_breaker() {
    let dependency = dependency(policy());
    for _ in 0..20 {
        let soon = Instant::now() + Duration::from_millis(5);
        let hang = dependency.call_once(std::future::pending::<Result<(), Trouble>>());
        let result = with_deadline(soon, hang).await;
        assert!(matches!(result, Err(CallError::Timeout { .. })));
    }
    assert_eq!(dependency.rates().calls, 0);
    for _ in 0..4 {
        let hang = dependency.call_once(std::future::pending::<Result<(), Trouble>>());
        assert!(hang.await.is_err());
    }
    assert_eq!(dependency.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_at_once_and_a_trial_closes_it() {
    let dependency = dependency(policy());
    for _ in 0..4 {
        assert!(matches!(fail(&dependency).await, Err(CallError::Failed(_))));
    }
    let (result, made) = scripted(&dependency, vec![Ok(1)]).await;
    assert_eq!(made, 0, "nobody was called");
    let error = result.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (FaultKind::Unavailable, "dependency.open")
    );
    let wait = error.retry_after().unwrap();
    assert!(wait <= Duration::from_secs(1) && wait == dependency.retry_after().unwrap());
    tokio::time::advance(wait).await;
    assert_eq!(succeed(&dependency).await, Ok(()));
    assert_eq!(dependency.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn places_are_bounded_and_a_dropped_call_counts_as_nothing() {
    let dependency = dependency(policy());
    let gate = Arc::new(Notify::new());
    let hang = || {
        Box::pin(dependency.call("hang", |_| {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                Ok::<(), Trouble>(())
            }
        }))
    };
    let mut waiting: Vec<_> = (0..4).map(|_| hang()).collect();
    for call in &mut waiting {
        assert!(futures::poll!(call).is_pending());
    }
    let refused = hang().await.unwrap_err();
    assert!(matches!(refused, CallError::Full { in_flight: 4, .. }));
    assert!(refused.retry_after().is_some());
    drop(waiting);
    assert_eq!(dependency.calls().depth, 0);
    assert_eq!(dependency.rates(), Rates::default());
    assert_eq!(succeed(&dependency).await, Ok(()));
    // The same for a trial: whoever gives it up makes room for the next.
    dependency.trip(&Trouble::Gone);
    tokio::time::advance(Duration::from_secs(1)).await;
    let trial = dependency.enter::<Trouble>().unwrap();
    assert!(dependency.enter::<Trouble>().is_err());
    drop(trial);
    dependency.enter::<Trouble>().unwrap().succeeded();
    assert_eq!(dependency.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_multiplied_by_retries() {
    let dependency = dependency(DependencyPolicy {
        attempts: 10,
        ..policy()
    });
    // Without the breaker, the budget alone has to hold them back.
    dependency.force(Forced::Closed, Duration::from_hours(1));
    let mut attempts = 0;
    for _ in 0..200 {
        attempts += scripted(&dependency, Vec::new()).await.1;
    }
    assert!((200..=200 + 10 + 40).contains(&attempts), "{attempts}");
}

/// A domain with one dependency and one actor.
struct Outer;

#[derive(Clone)]
struct OuterPorts {
    dependency: Dependency,
    is_broken: Arc<AtomicBool>,
    /// Probes fail by a fault of their own.
    is_blind: Arc<AtomicBool>,
    /// Probes panic before they have begun.
    is_faulty: Arc<AtomicBool>,
    probes: Arc<AtomicU32>,
}

impl Domain for Outer {
    const MANIFEST: Manifest = Manifest {
        name: "outer",
        title: "outer",
        priority: Priority::P0,
        needs: &[],
        impact: Impact {
            degraded: "a little",
            critical: "much",
            offline: "all",
        },
        fallback: Some("the other one"),
        main_actor: "manager",
        mailbox_limit: 8,
        route_prefixes: &[],
    };
    type Config = ();
    type Ports = OuterPorts;
    type Msg = LabMsg;
    type Handle = Address<LabMsg>;

    fn handle(address: Address<LabMsg>) -> Address<LabMsg> {
        address
    }

    async fn start(
        cx: DomainContext<LabMsg>,
        (): (),
        ports: OuterPorts,
    ) -> Result<Started, StartError> {
        let probe = {
            let ports = ports.clone();
            move || {
                ports.probes.fetch_add(1, Ordering::SeqCst);
                assert!(!ports.is_faulty.load(Ordering::SeqCst), "told to");
                let is_broken = ports.is_broken.load(Ordering::SeqCst);
                let is_blind = ports.is_blind.load(Ordering::SeqCst);
                async move {
                    match (is_blind, is_broken) {
                        (true, _) => Err(Trouble::Mine),
                        (false, true) => Err(Trouble::Gone),
                        (false, false) => Ok(()),
                    }
                }
            }
        };
        let children = vec![
            ChildSpec::dependency("service", &ports.dependency, probe),
            ChildSpec::actor::<LabWorker>(
                "manager",
                cx.address().clone(),
                LabSeed::default(),
                Policy::default(),
            ),
        ];
        Ok(Started::new(Strategy::OneForOne, children))
    }
}

async fn house(policy: DependencyPolicy) -> (System, OuterPorts) {
    let ports = OuterPorts {
        dependency: dependency(policy),
        is_broken: Arc::default(),
        is_blind: Arc::default(),
        is_faulty: Arc::default(),
        probes: Arc::default(),
    };
    let mut builder = SystemBuilder::new();
    let address = builder.address::<Outer>();
    builder.add::<Outer>(address, (), ports.clone());
    let system = builder.start().await.unwrap();
    system.ready().await;
    (system, ports)
}

fn node(system: &System) -> NodeStatus {
    system.status(Some("/outer/service"), Some(0)).unwrap()
}

fn code(status: &NodeStatus) -> Option<String> {
    status.cause.as_ref().map(|cause| cause.code.clone())
}

fn text(status: &NodeStatus, name: &str) -> String {
    match status.detail.get(name) {
        Some(Detail::Text(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

async fn at(system: &System, level: Level, cause: Option<&str>) -> NodeStatus {
    eventually(&format!("{level} for {cause:?}"), || {
        let status = node(system);
        status.level == level && code(&status).as_deref() == cause
    })
    .await;
    node(system)
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_the_root_cause_and_a_probe_heals_it() {
    let (system, ports) = house(policy()).await;
    let well = at(&system, Level::Normal, None).await;
    assert_eq!(
        (well.kind, text(&well, "breaker").as_str()),
        (NodeKind::Dependency, "closed")
    );
    assert_eq!(
        ports.probes.load(Ordering::SeqCst),
        0,
        "nobody asked for a probe"
    );
    ports.is_broken.store(true, Ordering::SeqCst);
    for _ in 0..4 {
        fail(&ports.dependency).await.unwrap_err();
    }
    let status = at(&system, Level::Critical, Some("dependency.open")).await;
    assert!(
        text(&status, "last_error").contains("lab.gone"),
        "{status:?}"
    );
    assert!(status.detail.contains_key("next_probe"));
    let root = system.status(None, Some(0)).unwrap();
    let cause = root.cause.unwrap();
    assert_eq!(cause.path, "/outer/service");
    assert!(
        cause.message.contains("4 of 4 calls failed"),
        "{}",
        cause.message
    );
    assert!(cause.message.contains("nobody there"), "{}", cause.message);
    assert_eq!(
        (root.level, root.impact.as_deref()),
        (Level::Critical, Some("outer: much"))
    );
    // It is probed at growing intervals, and all the time the same fault since the same moment.
    tokio::time::sleep(Duration::from_mins(5)).await;
    let probes = ports.probes.load(Ordering::SeqCst);
    assert!((8..=20).contains(&probes), "{probes} probes");
    assert_eq!(node(&system).cause.unwrap().since, cause.since);
    ports.is_broken.store(false, Ordering::SeqCst);
    let healed = at(&system, Level::Normal, None).await;
    assert_eq!(text(&healed, "breaker"), "closed");
    assert_eq!(succeed(&ports.dependency).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_a_probe_finds_needs_no_rates() {
    let (system, ports) = house(DependencyPolicy {
        probe_every: Some(Duration::from_secs(1)),
        bears: Level::Degraded,
        ..policy()
    })
    .await;
    eventually("probed", || ports.probes.load(Ordering::SeqCst) > 2).await;
    ports.is_broken.store(true, Ordering::SeqCst);
    let began = Instant::now();
    at(&system, Level::Degraded, Some("lab.gone")).await;
    assert!(began.elapsed() <= Duration::from_secs(2));
    ports.is_broken.store(false, Ordering::SeqCst);
    at(&system, Level::Normal, None).await;
    // A hint makes it come at once.
    ports.is_broken.store(true, Ordering::SeqCst);
    let began = Instant::now();
    ports.dependency.suspect();
    at(&system, Level::Degraded, Some("lab.gone")).await;
    assert!(
        began.elapsed() <= Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
}

/// Whatever the state, a probe that can tell nothing costs little and changes nothing.
#[tokio::test(start_paused = true)]
async fn a_probe_that_learns_nothing_changes_nothing() {
    let (system, ports) = house(DependencyPolicy {
        probe_every: Some(Duration::from_secs(1)),
        ..policy()
    })
    .await;
    ports.is_blind.store(true, Ordering::SeqCst);
    let count = || ports.probes.load(Ordering::SeqCst);
    let before = count();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(
        (8..=12).contains(&(count() - before)),
        "{}",
        count() - before
    );
    at(&system, Level::Normal, None).await;
    ports.dependency.trip(&Trouble::Gone);
    let before = count();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(
        (20..=50).contains(&(count() - before)),
        "{}",
        count() - before
    );
    assert_eq!(ports.dependency.state(), BreakerState::HalfOpen);
    let status = at(&system, Level::Critical, Some("lab.gone")).await;
    assert_eq!(text(&status, "breaker"), "half_open");
    ports.is_blind.store(false, Ordering::SeqCst);
    at(&system, Level::Normal, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_is_told_and_tried_again() {
    let (system, ports) = house(policy()).await;
    ports.is_faulty.store(true, Ordering::SeqCst);
    ports.dependency.suspect();
    let status = at(&system, Level::Critical, Some("dependency.probe_panicked")).await;
    assert!(status.cause.unwrap().message.contains("told to"));
    assert_eq!(status.restarts.count, 0);
    ports.is_faulty.store(false, Ordering::SeqCst);
    at(&system, Level::Normal, None).await;
}

#[tokio::test(start_paused = true)]
async fn slow_calls_are_told_and_forgotten() {
    let (system, ports) = house(policy()).await;
    for _ in 0..4 {
        let slow = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok::<(), Trouble>(())
        };
        ports.dependency.call_once(slow).await.unwrap();
    }
    let status = at(&system, Level::Degraded, Some("dependency.slow")).await;
    assert!(
        status
            .cause
            .unwrap()
            .message
            .contains("4 of 4 calls took 500ms")
    );
    assert_eq!(ports.dependency.state(), BreakerState::Closed);
    // Nobody calls any more, and still it does not stay slow for ever.
    at(&system, Level::Normal, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_its_actor_forgets_nothing() {
    let (system, ports) = house(policy()).await;
    ports.is_broken.store(true, Ordering::SeqCst);
    ports.dependency.trip(&Trouble::Gone);
    let before = at(&system, Level::Critical, Some("lab.gone")).await;
    for injection in [Injection::Panic, Injection::Kill] {
        let restarts = node(&system).restarts.count;
        assert!(system.inject("/outer/service", injection).await.unwrap());
        eventually("restarted", || {
            let status = node(&system);
            status.restarts.count > restarts && status.state == State::Running
        })
        .await;
        let after = at(&system, Level::Critical, Some("lab.gone")).await;
        assert_eq!(text(&after, "open_since"), text(&before, "open_since"));
        assert!(matches!(
            succeed(&ports.dependency).await,
            Err(CallError::Open { .. })
        ));
    }
    ports.is_broken.store(false, Ordering::SeqCst);
    at(&system, Level::Normal, None).await;
}

#[tokio::test(start_paused = true)]
async fn drills_disturb_calls_for_a_bounded_time() {
    let (system, ports) = house(policy()).await;
    let path = "/outer/service";
    let span = Duration::from_secs(5);
    for (disturbance, code, expected) in [
        (Disturbance::Down, "lab.gone", Trouble::Gone),
        (Disturbance::Garbage, "lab.nonsense", Trouble::Nonsense),
    ] {
        ports
            .dependency
            .force(Forced::Closed, Duration::from_millis(50));
        system.disturb(path, disturbance, span).unwrap();
        let result = succeed(&ports.dependency).await;
        assert_eq!(result, Err(CallError::Failed(expected)));
        let status = at(&system, Level::Critical, Some(code)).await;
        assert!(
            text(&status, "drill").starts_with(&disturbance.to_string()),
            "{status:?}"
        );
        let healed = at(&system, Level::Normal, None).await;
        assert!(!healed.detail.contains_key("drill"));
    }
    let by = Duration::from_secs(1);
    system
        .disturb(path, Disturbance::Slow(by), Duration::from_mins(1))
        .unwrap();
    let began = Instant::now();
    for _ in 0..4 {
        succeed(&ports.dependency).await.unwrap();
    }
    assert!(began.elapsed() >= by * 4);
    at(&system, Level::Degraded, Some("dependency.slow")).await;
    ports.dependency.calm();
    at(&system, Level::Normal, None).await;
    let told = system.events(None, Some(path), 1_000);
    let orders: Vec<String> = told.into_iter().filter_map(|event| event.action).collect();
    assert!(
        orders.contains(&"operator: drill: garbage".to_owned()),
        "{orders:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn operators_hold_it_by_path() {
    let (system, ports) = house(policy()).await;
    assert_eq!(system.dependencies().len(), 1);
    let path = system.dependencies()[0].path().to_owned();
    system
        .force(&path, Forced::Open, Duration::from_secs(9))
        .unwrap();
    let status = at(&system, Level::Critical, Some("dependency.open")).await;
    assert_eq!(text(&status, "held"), "open");
    assert!(matches!(
        succeed(&ports.dependency).await,
        Err(CallError::Open { .. })
    ));
    at(&system, Level::Normal, None).await;
    assert!(ports.probes.load(Ordering::SeqCst) > 0, "a trial decided");
    for (path, expected) in [
        (
            "/outer/manager",
            ActError::NoDependency("/outer/manager".to_owned()),
        ),
        (
            "/outer/nobody",
            ActError::Unknown("/outer/nobody".to_owned()),
        ),
    ] {
        let refused = system.disturb(path, Disturbance::Down, Duration::from_secs(1));
        assert_eq!(refused, Err(expected));
    }
}
