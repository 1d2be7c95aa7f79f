//! The watchdog: blocked threads, a stalled runtime, circles of waiting, floods.

use std::sync::{Arc, Mutex};

use tokio::runtime::Runtime;

use super::lab::*;
use crate::*;

pub(super) fn runtime(workers: usize) -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
}

/// A system of two domains on a runtime of its own, under a watchdog; what it last found.
struct Watched {
    runtime: Runtime,
    system: System,
    base: Address<LabMsg>,
    aside: Address<LabMsg>,
    vitals: Arc<Mutex<Vitals>>,
    _watchdog: Watchdog,
}

impl Watched {
    fn new(workers: usize) -> Self {
        let runtime = runtime(workers);
        let mut builder = SystemBuilder::new();
        let base = builder.address::<Base>();
        let aside = builder.address::<Aside>();
        builder.add::<Base>(base.clone(), Policy::default(), LabSeed::default());
        builder.add::<Aside>(aside.clone(), Policy::default(), LabSeed::default());
        let system = runtime.block_on(async {
            let system = builder.start().await.unwrap();
            system.ready().await;
            system
        });
        let vitals = Arc::new(Mutex::new(Vitals::default()));
        let seen = Arc::clone(&vitals);
        let on_look = move |look: &Vitals| *seen.lock().unwrap() = look.clone();
        let watchdog = system.watch(runtime.handle().clone(), on_look).unwrap();
        Self {
            runtime,
            system,
            base,
            aside,
            vitals,
            _watchdog: watchdog,
        }
    }

    fn codes(&self, path: &str) -> (Level, Option<String>, Option<String>) {
        let node = self.system.status(Some(path), Some(0)).unwrap();
        let cause = node.cause.map(|cause| (cause.code, cause.path));
        let (code, path) = cause.unzip();
        (node.level, code, path)
    }
}

#[test]
fn a_handler_that_blocks_its_thread_is_named() {
    let watched = Watched::new(2);
    let (release, blocks) = std::sync::mpsc::channel();
    watched.base.tell(LabMsg::Block(blocks)).unwrap();
    eventually_outside("it is named", || {
        !watched.vitals.lock().unwrap().blocked.is_empty()
    });
    let blocked = watched.vitals.lock().unwrap().blocked[0].clone();
    assert_eq!(blocked.path, "/base/manager");
    assert_eq!(blocked.message.as_deref(), Some("Block"));
    let (level, code, _) = watched.codes("/base");
    assert_eq!(
        (level, code.as_deref()),
        (Level::Degraded, Some("actor.blocked"))
    );
    drop(release);
    eventually_outside("well again", || watched.system.level() == Level::Normal);
}

#[test]
fn a_runtime_without_a_turning_thread_is_told_with_who_holds_it() {
    let watched = Watched::new(1);
    let (release, blocks) = std::sync::mpsc::channel();
    watched.base.tell(LabMsg::Block(blocks)).unwrap();
    eventually_outside("it is stalled", || {
        watched.vitals.lock().unwrap().is_stalled()
    });
    eventually_outside("its holder is named", || {
        watched.codes("/").2.as_deref() == Some("/base/manager")
    });
    assert_eq!(watched.codes("/").0, Level::Critical);
    drop(release);
    eventually_outside("well again", || watched.system.level() == Level::Normal);
    assert!(!watched.vitals.lock().unwrap().is_stalled());
}

#[test]
fn actors_that_wait_for_each_other_are_told_as_a_circle() {
    let watched = Watched::new(2);
    // Both are kept busy until each has the other's request before it.
    let (release_base, keeps_base) = std::sync::mpsc::channel();
    let (release_aside, keeps_aside) = std::sync::mpsc::channel();
    watched.base.tell(LabMsg::Block(keeps_base)).unwrap();
    watched.aside.tell(LabMsg::Block(keeps_aside)).unwrap();
    let (base, aside) = (watched.base.clone(), watched.aside.clone());
    let tasks = watched.runtime.block_on(async {
        [(base.clone(), aside.clone()), (aside, base)].map(|(first, second)| {
            let mut ask = Box::pin(async move {
                drop(first.ask(|reply| LabMsg::Relay(second, reply)).await);
            });
            // Its first poll admits it.
            assert!(futures::FutureExt::now_or_never(&mut ask).is_none());
            task::spawn(ask)
        })
    });
    drop((release_base, release_aside));
    eventually_outside("they wait", || watched.system.waits().len() == 2);
    let waits = watched.system.waits();
    assert!(waits.iter().all(|wait| wait.in_circle), "{waits:?}");
    assert_eq!(waits[0].working_on.as_deref(), Some("Relay"));
    let is_circle = |path: &str| watched.codes(path).1.as_deref() == Some("actor.wait_circle");
    eventually_outside("the circle is told", || {
        is_circle("/base/manager") && is_circle("/aside/manager")
    });
    let cause = watched
        .system
        .status(Some("/aside"), Some(0))
        .unwrap()
        .cause
        .unwrap();
    assert!(
        cause.message.contains("/base/manager -> "),
        "{}",
        cause.message
    );
    drop(tasks);
}

#[test]
fn a_mailbox_that_refuses_is_told_and_forgotten_when_calm() {
    let watched = Watched::new(2);
    let (release, blocks) = std::sync::mpsc::channel();
    watched.base.tell(LabMsg::Block(blocks)).unwrap();
    while watched.base.tell(LabMsg::Finish).is_ok() {}
    eventually_outside("flooded", || {
        let events = watched.system.events(None, Some("/base/manager"), 100);
        let mut causes = events.into_iter().filter_map(|event| event.cause);
        causes.any(|cause| cause.code == "actor.flooded")
    });
    drop(release);
    eventually_outside("calm", || {
        let node = watched
            .system
            .status(Some("/base/manager"), Some(0))
            .unwrap();
        node.cause.is_none()
    });
}
