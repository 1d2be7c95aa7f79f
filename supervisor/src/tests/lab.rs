//! A laboratory: workers that do as they are told, and small domains made of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::*;

/// What a lab worker can be told.
pub(super) enum LabMsg {
    Echo(u32, Reply<u32>),
    Incarnation(Reply<u64>),
    Panic,
    Fail,
    Hang(Reply<()>),
    Wait(Arc<Notify>, Reply<()>),
    Report(Condition),
    Finish,
    Later(Duration, Reply<()>),
    /// Survives restarts.
    Keep(u32, Reply<(u32, u64)>),
    /// Served before others.
    Urgent(Reply<()>),
    /// Asks another one, or itself, and waits.
    Relay(Address<LabMsg>, Reply<Result<u32, AskError>>),
    /// Works for as long as this, with a sign of progress each time.
    Toil(u32, Duration, Reply<()>),
    /// Blocks its thread until the sender is dropped.
    Block(std::sync::mpsc::Receiver<()>),
    /// Works for as long as this, protected.
    Long(Duration, Reply<()>),
}

/// What outlives the incarnations of a lab worker.
#[derive(Clone, Default)]
pub(super) struct LabSeed {
    pub(super) starts: Arc<AtomicU32>,
    pub(super) stops: Arc<AtomicU32>,
    /// Starts fail while set.
    pub(super) broken: Arc<AtomicBool>,
    /// Failing starts are permanent while set.
    pub(super) permanent: Arc<AtomicBool>,
    /// Starts never end while set.
    pub(super) slow: Arc<AtomicBool>,
    /// Names of stopped workers, in order.
    pub(super) log: Arc<std::sync::Mutex<Vec<String>>>,
}

pub(super) struct LabWorker {
    seed: LabSeed,
}

impl Worker for LabWorker {
    type Msg = LabMsg;
    type Seed = LabSeed;

    async fn start(seed: LabSeed, cx: &Context<LabMsg>) -> Result<Self, StartError> {
        seed.starts.fetch_add(1, Ordering::SeqCst);
        if seed.slow.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if seed.permanent.load(Ordering::SeqCst) {
            return Err(StartError::permanent("lab.refused", "will never work"));
        }
        if seed.broken.load(Ordering::SeqCst) {
            return Err(StartError::retry("lab.broken", "does not work now"));
        }
        seed.log
            .lock()
            .unwrap()
            .push(format!("start {}", cx.path()));
        Ok(Self { seed })
    }

    async fn handle(&mut self, msg: LabMsg, cx: &Context<LabMsg>) -> Result<(), WorkerError> {
        match msg {
            LabMsg::Echo(value, reply) => reply.send(value),
            LabMsg::Incarnation(reply) => reply.send(cx.incarnation()),
            LabMsg::Panic => panic!("told to"),
            LabMsg::Fail => return Err("told to fail".into()),
            LabMsg::Hang(_reply) => std::future::pending().await,
            LabMsg::Wait(notify, reply) => {
                notify.notified().await;
                reply.send(());
            }
            LabMsg::Report(condition) => cx.report(condition),
            LabMsg::Finish => cx.finish(),
            LabMsg::Later(delay, reply) => cx.reply_later(reply, tokio::time::sleep(delay)),
            LabMsg::Keep(value, reply) => reply.send((value, cx.incarnation())),
            LabMsg::Urgent(reply) => reply.send(()),
            LabMsg::Relay(other, reply) => {
                reply.send(other.ask(|reply| LabMsg::Echo(1, reply)).await);
            }
            LabMsg::Block(release) => drop(release.recv()),
            LabMsg::Toil(times, span, reply) => {
                for _ in 0..times {
                    tokio::time::sleep(span).await;
                    cx.progress();
                }
                reply.send(());
            }
            LabMsg::Long(span, reply) => {
                cx.protect(tokio::time::sleep(span)).await;
                reply.send(());
            }
        }
        Ok(())
    }

    async fn stop(&mut self, cx: &Context<LabMsg>) {
        self.seed.stops.fetch_add(1, Ordering::SeqCst);
        self.seed
            .log
            .lock()
            .unwrap()
            .push(format!("stop {}", cx.path()));
    }

    fn message_name(msg: &LabMsg) -> &'static str {
        match msg {
            LabMsg::Echo(..) => "Echo",
            LabMsg::Incarnation(_) => "Incarnation",
            LabMsg::Panic => "Panic",
            LabMsg::Fail => "Fail",
            LabMsg::Hang(_) => "Hang",
            LabMsg::Wait(..) => "Wait",
            LabMsg::Report(_) => "Report",
            LabMsg::Finish => "Finish",
            LabMsg::Later(..) => "Later",
            LabMsg::Keep(..) => "Keep",
            LabMsg::Urgent(_) => "Urgent",
            LabMsg::Relay(..) => "Relay",
            LabMsg::Block(_) => "Block",
            LabMsg::Toil(..) => "Toil",
            LabMsg::Long(..) => "Long",
        }
    }

    fn handler_limit(msg: &LabMsg) -> Option<Duration> {
        // Its notifications come when the test likes.
        matches!(msg, LabMsg::Wait(..)).then_some(Duration::from_hours(1))
    }

    fn survives_restart(msg: &LabMsg) -> bool {
        matches!(msg, LabMsg::Keep(..))
    }

    fn is_control(msg: &LabMsg) -> bool {
        matches!(msg, LabMsg::Urgent(_))
    }
}

/// Defines a domain with one manager and given needs.
macro_rules! lab_domain {
    ($name:ident, $text:literal, $priority:expr, [$($need:expr),*]) => {
        pub(super) struct $name;
        impl Domain for $name {
            const MANIFEST: Manifest = Manifest {
                name: $text,
                title: $text,
                priority: $priority,
                needs: &[$($need),*],
                impact: Impact { degraded: "a little", critical: "much", offline: "all" },
                fallback: Some("the other one"),
                main_actor: "manager",
                mailbox_limit: 8,
                route_prefixes: &[],
            };
            type Config = Policy;
            type Ports = LabSeed;
            type Msg = LabMsg;
            type Handle = Address<LabMsg>;
            fn handle(address: Address<LabMsg>) -> Address<LabMsg> { address }
            async fn start(
                cx: DomainContext<LabMsg>,
                config: Policy,
                ports: LabSeed,
            ) -> Result<Started, StartError> {
                let manager =
                    ChildSpec::actor::<LabWorker>("manager", cx.address().clone(), ports, config);
                Ok(Started::new(Strategy::OneForOne, vec![manager]))
            }
        }
    };
}

lab_domain!(Base, "base", Priority::P0, []);
lab_domain!(Upper, "upper", Priority::P1, [Need::hard("base")]);
lab_domain!(Aside, "aside", Priority::P1, [Need::soft("base")]);
lab_domain!(Loop, "loop", Priority::P1, [Need::hard("loop")]);

/// A running system of the one domain `base`.
pub(super) async fn base_alone(policy: Policy) -> (System, Address<LabMsg>, LabSeed) {
    let seed = LabSeed::default();
    let mut builder = SystemBuilder::new();
    let address = builder.address::<Base>();
    builder.add::<Base>(address.clone(), policy, seed.clone());
    let system = builder.start().await.unwrap();
    system.ready().await;
    (system, address, seed)
}

/// Waits until `check` holds; fails after ten seconds.
pub(super) async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(10);
    while !check() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// As [`eventually`], from outside of a runtime whose threads may all be blocked.
pub(super) fn eventually_outside(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !check() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::yield_now();
    }
}

pub(super) fn state(system: &System, path: &str) -> Option<State> {
    system.status(Some(path), Some(0)).map(|node| node.state)
}

pub(super) fn level(system: &System, path: &str) -> Option<Level> {
    system.status(Some(path), Some(0)).map(|node| node.level)
}

pub(super) fn reason(system: &System, path: &str) -> String {
    let node = system.status(Some(path), Some(0)).unwrap();
    node.restarts.last_reason.unwrap_or_default()
}
