//! What we rely on of ractor, each promise alone: an upgrade that changes one fails here, by name, and not in some tree at night.
//!
//! Nothing of the supervisor takes part. Each test says which part of ours would break.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{Notify, mpsc};

/// Far beyond anything that these tests wait for; the clock is paused, so it costs nothing.
const LIMIT: Duration = Duration::from_mins(1);

/// What the probes tell, in order.
#[derive(Clone)]
struct Log(mpsc::Sender<String>);

impl Log {
    fn new() -> (Self, Told) {
        let (sender, receiver) = mpsc::channel(256);
        (Self(sender), Told(receiver))
    }

    fn say(&self, line: impl Into<String>) {
        // A test that has ended listens no more.
        drop(self.0.try_send(line.into()));
    }
}

struct Told(mpsc::Receiver<String>);

impl Told {
    async fn next(&mut self) -> String {
        let line = tokio::time::timeout(LIMIT, self.0.recv()).await;
        line.expect("something is told in time").expect("told")
    }

    /// Everything that is told until nothing happens any more.
    async fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        // The clock is paused: it moves on only when every task waits.
        while let Ok(Some(line)) = tokio::time::timeout(Duration::from_secs(1), self.0.recv()).await
        {
            lines.push(line);
        }
        lines
    }
}

/// Says so when it is dropped.
struct DropGuard(Log, &'static str);

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.0.say(format!("{} dropped", self.1));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Well,
    RefusedEarly,
    RefusedLate,
    Slow,
    PanicsLate,
}

enum Msg {
    Note(&'static str),
    /// Says `held`, then waits for the gate.
    Hold(Arc<Notify>),
    Fail,
    Panic,
}

/// A child that tells what happens to it.
struct Probe {
    name: &'static str,
    log: Log,
    start: Start,
}

impl Actor for Probe {
    type Msg = Msg;
    type State = DropGuard;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<Msg>,
        (): (),
    ) -> Result<DropGuard, ActorProcessingErr> {
        if self.start == Start::RefusedEarly {
            return Err("refused early".into());
        }
        Ok(DropGuard(self.log.clone(), self.name))
    }

    async fn post_start(
        &self,
        _myself: ActorRef<Msg>,
        _state: &mut DropGuard,
    ) -> Result<(), ActorProcessingErr> {
        match self.start {
            Start::RefusedLate => Err("refused late".into()),
            Start::PanicsLate => panic!("panics late"),
            Start::Slow => std::future::pending().await,
            Start::Well | Start::RefusedEarly => Ok(()),
        }
    }

    async fn handle(
        &self,
        _myself: ActorRef<Msg>,
        msg: Msg,
        _state: &mut DropGuard,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            Msg::Note(text) => self.log.say(text),
            Msg::Fail => return Err("told to fail".into()),
            Msg::Panic => panic!("told to panic"),
            Msg::Hold(gate) => {
                let _guard = DropGuard(self.log.clone(), "handler");
                self.log.say("held");
                gate.notified().await;
                self.log.say("released");
            }
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Msg>,
        _state: &mut DropGuard,
    ) -> Result<(), ActorProcessingErr> {
        self.log.say(format!("{} post_stop", self.name));
        Ok(())
    }
}

/// A supervisor that tells every event it hears.
struct Parent(Log);

impl Actor for Parent {
    type Msg = Msg;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<Msg>,
        msg: Msg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            Msg::Note(text) => self.0.say(text),
            Msg::Hold(gate) => {
                self.0.say("parent held");
                gate.notified().await;
                self.0.say("parent released");
            }
            Msg::Fail => return Err("told to fail".into()),
            Msg::Panic => panic!("told to panic"),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Msg>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(_, state, reason) => {
                let state = if state.is_some() { "with" } else { "without" };
                let reason = reason.unwrap_or_default();
                self.0.say(format!("terminated {state} state: {reason}"));
            }
            SupervisionEvent::ActorFailed(_, error) => self.0.say(format!("failed: {error}")),
            _ => {}
        }
        Ok(())
    }
}

/// A parent with one child.
async fn family(start: Start) -> (ActorRef<Msg>, ActorRef<Msg>, Told, Handle) {
    let (log, told) = Log::new();
    let (parent, _task) = Actor::spawn(None, Parent(log.clone()), ())
        .await
        .expect("the parent starts");
    let (child, task) = child_of(&parent, "child", start, &log).await;
    (parent, child, told, task)
}

type Handle = ractor::concurrency::JoinHandle<()>;

async fn child_of(
    parent: &ActorRef<Msg>,
    name: &'static str,
    start: Start,
    log: &Log,
) -> (ActorRef<Msg>, Handle) {
    let log = log.clone();
    let probe = Probe { name, log, start };
    Actor::spawn_linked(None, probe, (), parent.get_cell())
        .await
        .expect("the child starts")
}

async fn hold(actor: &ActorRef<Msg>, told: &mut Told, line: &str) -> Arc<Notify> {
    let gate = Arc::new(Notify::new());
    actor
        .send_message(Msg::Hold(Arc::clone(&gate)))
        .expect("alive");
    assert_eq!(told.next().await, line);
    gate
}

/// `group.rs`: an end is decided on before any operator's order that came earlier, so a restart is never late behind a queue.
#[tokio::test(start_paused = true)]
async fn supervision_events_are_served_before_messages() {
    let (parent, child, mut told, _task) = family(Start::Well).await;
    let gate = hold(&parent, &mut told, "parent held").await;
    parent
        .send_message(Msg::Note("message"))
        .expect("the parent is alive");
    child.send_message(Msg::Fail).expect("the child is alive");
    assert_eq!(told.next().await, "child dropped");
    gate.notify_one();
    assert_eq!(told.next().await, "parent released");
    assert_eq!(told.next().await, "failed: told to fail");
    assert_eq!(told.next().await, "message");
}

/// `group.rs`, `Effect::Finished`: a supervisor that stops serves nothing more.
#[tokio::test(start_paused = true)]
async fn a_stop_is_served_before_supervision_events_and_messages() {
    let (parent, child, mut told, _task) = family(Start::Well).await;
    let gate = hold(&parent, &mut told, "parent held").await;
    parent.send_message(Msg::Note("message")).expect("alive");
    child.send_message(Msg::Fail).expect("alive");
    assert_eq!(told.next().await, "child dropped");
    parent.stop(None);
    gate.notify_one();
    assert_eq!(told.rest().await, vec!["parent released"]);
}

/// `group.rs`, `kill_child`: a kill after an unanswered stop takes effect.
#[tokio::test(start_paused = true)]
async fn a_kill_overtakes_a_stop() {
    let (_parent, child, mut told, _task) = family(Start::Well).await;
    hold(&child, &mut told, "held").await;
    child.stop(None);
    child.kill();
    let told = told.rest().await;
    assert!(told.contains(&"terminated with state: killed".to_owned()));
    assert!(!told.contains(&"child post_stop".to_owned()), "{told:?}");
}

/// `core/stopping.rs`: drain and stop wait for the message in hand, so a handler is never cut in the middle by a graceful stop.
#[tokio::test(start_paused = true)]
async fn neither_a_stop_nor_a_drain_interrupts_a_handler() {
    for drain in [false, true] {
        let (_parent, child, mut told, _task) = family(Start::Well).await;
        let gate = hold(&child, &mut told, "held").await;
        if drain {
            child.drain().expect("alive");
        } else {
            child.stop(None);
        }
        assert!(told.rest().await.is_empty(), "it is still held");
        gate.notify_one();
        assert_eq!(told.next().await, "released");
    }
}

/// `group.rs`, `end.rs`: hung handlers are killed, what they held is dropped, and the end is recognised by its reason. The
/// state travels with the event: the supervisor drops it before anything follows the one that ended.
#[tokio::test(start_paused = true)]
async fn a_kill_drops_the_handler_at_its_await_runs_no_post_stop_and_is_told() {
    let (_parent, child, mut told, _task) = family(Start::Well).await;
    hold(&child, &mut told, "held").await;
    child.kill();
    let told = told.rest().await;
    let expected = [
        "handler dropped",
        "terminated with state: killed",
        "child dropped",
    ];
    assert_eq!(told, expected);
}

/// `core/mod.rs`, `KillReason::StartLimit`: a start that never ends can be killed, and that is told.
#[tokio::test(start_paused = true)]
async fn a_kill_interrupts_a_start_too() {
    let (_parent, child, mut told, _task) = family(Start::Slow).await;
    assert!(told.rest().await.is_empty(), "it is still starting");
    child.kill();
    let told = told.rest().await;
    assert_eq!(told, ["child dropped", "terminated without state: killed"]);
}

/// `launch.rs`: a launch returns before the child's own start, so a slow start holds up no supervisor.
#[tokio::test(start_paused = true)]
async fn a_spawn_does_not_wait_for_post_start() {
    let (log, mut told) = Log::new();
    let (parent, _task) = Actor::spawn(None, Parent(log.clone()), ())
        .await
        .expect("starts");
    let spawned = child_of(&parent, "slow", Start::Slow, &log);
    let (slow, _task) = tokio::time::timeout(LIMIT, spawned).await.expect("at once");
    slow.send_message(Msg::Note("served"))
        .expect("it is queued");
    assert!(
        told.rest().await.is_empty(),
        "nothing is served before the start has ended"
    );
}

/// `group.rs`, `end.rs`: a task that somebody else aborts is told as an end of its own kind.
#[tokio::test(start_paused = true)]
async fn a_cancelled_task_is_told() {
    let (_parent, child, mut told, task) = family(Start::Well).await;
    hold(&child, &mut told, "held").await;
    task.abort();
    let told = told.rest().await;
    let last = told.last().map(String::as_str);
    assert_eq!(
        last,
        Some("terminated without state: actor_task_cancelled"),
        "{told:?}"
    );
    assert!(!told.contains(&"child post_stop".to_owned()));
}

/// `launch.rs`, `group.rs`: a launch that fails at once is the launcher's to handle: no event will come.
#[tokio::test(start_paused = true)]
async fn a_failed_pre_start_is_returned_and_raises_no_event() {
    let (log, mut told) = Log::new();
    let (parent, _task) = Actor::spawn(None, Parent(log.clone()), ())
        .await
        .expect("starts");
    let probe = Probe {
        name: "child",
        log,
        start: Start::RefusedEarly,
    };
    let spawned = Actor::spawn_linked(None, probe, (), parent.get_cell()).await;
    let error = spawned.map(|_| ()).expect_err("it was refused");
    assert!(error.to_string().contains("refused early"), "{error}");
    assert!(told.rest().await.is_empty());
    parent
        .send_message(Msg::Note("the parent lives"))
        .expect("alive");
    assert_eq!(told.next().await, "the parent lives");
}

/// `shell.rs`: workers start in `post_start`, so that a failed start, unlike one in `pre_start`, is an event.
#[tokio::test(start_paused = true)]
async fn a_failed_or_panicking_post_start_is_told() {
    for (start, text) in [
        (Start::RefusedLate, "refused late"),
        (Start::PanicsLate, "panics late"),
    ] {
        let (_parent, _child, mut told, _task) = family(start).await;
        let told = told.rest().await;
        let failed = told.iter().find(|line| line.starts_with("failed"));
        assert!(
            failed.is_some_and(|line| line.contains(text)),
            "{text}: {told:?}"
        );
        assert!(!told.contains(&"child post_stop".to_owned()));
    }
}

/// `shell.rs`, `ShellState::fail`: an error ends the actor without `post_stop`, and the supervisor hears it.
#[tokio::test(start_paused = true)]
async fn a_handlers_error_ends_the_actor_and_is_told() {
    let (parent, child, mut told, _task) = family(Start::Well).await;
    child.send_message(Msg::Fail).expect("alive");
    assert_eq!(told.next().await, "child dropped");
    assert_eq!(told.next().await, "failed: told to fail");
    assert!(child.send_message(Msg::Note("late")).is_err());
    parent.send_message(Msg::Note("lives")).expect("alive");
    assert_eq!(told.rest().await, ["lives"]);
}

/// `panics.rs` catches panics of workers; ractor's own net is what holds when one of ours is outside of it.
#[tokio::test(start_paused = true)]
async fn a_panic_is_caught_and_told() {
    let (parent, child, mut told, _task) = family(Start::Well).await;
    child.send_message(Msg::Panic).expect("alive");
    let told_of_it = told.rest().await;
    let failed = told_of_it.iter().find(|line| line.starts_with("failed"));
    assert!(
        failed.is_some_and(|line| line.contains("told to panic")),
        "{told_of_it:?}"
    );
    parent.send_message(Msg::Note("lives")).expect("alive");
    assert_eq!(told.next().await, "lives");
}

/// `core/stopping.rs`: this is why a supervisor ends only after its children: ractor would kill them.
#[tokio::test(start_paused = true)]
async fn a_supervisor_that_ends_kills_its_children_without_post_stop() {
    for kill in [false, true] {
        let (parent, _child, mut told, _task) = family(Start::Well).await;
        if kill {
            parent.kill();
        } else {
            parent.stop(None);
        }
        assert_eq!(told.rest().await, ["child dropped"]);
    }
}

/// `group.rs`, `kill_child`: what drains is not killed with its supervisor, so whoever kills a supervisor has to kill what drains
/// below it as well; else a child that hangs while it drains outlives everything.
#[tokio::test(start_paused = true)]
async fn a_draining_child_outlives_its_supervisor() {
    let (parent, child, mut told, _task) = family(Start::Well).await;
    let gate = hold(&child, &mut told, "held").await;
    child.drain().expect("alive");
    let below = parent.get_children();
    parent.kill();
    assert!(told.rest().await.is_empty(), "the child is held still");
    assert!(parent.get_children().is_empty(), "and nobody's any more");
    for child in below {
        child.kill();
    }
    let told = told.rest().await;
    assert_eq!(told, ["handler dropped", "child dropped"]);
    drop(gate);
}

/// `group.rs`, `stop_child`: graceful stops drain, because a stop alone would lose what was admitted.
#[tokio::test(start_paused = true)]
async fn a_stop_loses_what_is_queued_and_a_drain_serves_it() {
    for drain in [false, true] {
        let (_parent, child, mut told, _task) = family(Start::Well).await;
        let gate = hold(&child, &mut told, "held").await;
        child.send_message(Msg::Note("queued")).expect("alive");
        if drain {
            child.drain().expect("alive");
        } else {
            child.stop(None);
        }
        let late = child.send_message(Msg::Note("late"));
        assert_eq!(late.is_err(), drain, "only a drain refuses at once");
        gate.notify_one();
        let told = told.rest().await;
        assert_eq!(told.contains(&"queued".to_owned()), drain, "{told:?}");
        assert!(!told.contains(&"late".to_owned()), "{told:?}");
        assert!(told.contains(&"child post_stop".to_owned()), "{told:?}");
        assert_eq!(
            told.last().map(String::as_str),
            Some("child dropped"),
            "its state goes with the event"
        );
    }
}

/// `address.rs`: what is sent to an actor that has ended comes back as an error, so a request is refused and never lost silently.
#[tokio::test(start_paused = true)]
async fn a_dead_actor_refuses_every_message() {
    let (_parent, child, mut told, task) = family(Start::Well).await;
    child.stop(None);
    task.await.expect("it ends");
    assert!(child.send_message(Msg::Note("late")).is_err());
    assert!(child.drain().is_err());
    // Neither of them fails, and nothing comes of them.
    child.stop(None);
    child.kill();
    assert!(!told.rest().await.contains(&"late".to_owned()));
}

/// `address.rs`: a message that is dropped unserved is dropped as a value, so its permit and its reply port are too.
#[tokio::test(start_paused = true)]
async fn messages_queued_at_a_crash_are_dropped() {
    let (_parent, child, mut told, _task) = family(Start::Well).await;
    let gate = hold(&child, &mut told, "held").await;
    let queued = Arc::new(Notify::new());
    child.send_message(Msg::Fail).expect("alive");
    child
        .send_message(Msg::Hold(Arc::clone(&queued)))
        .expect("alive");
    assert_eq!(Arc::strong_count(&queued), 2);
    gate.notify_one();
    told.rest().await;
    assert_eq!(Arc::strong_count(&queued), 1);
}

/// `group.rs` finds the child of an event by its id, `address.rs` the owner of a slot.
#[tokio::test(start_paused = true)]
async fn ids_are_unique_and_never_used_again() {
    let (log, _told) = Log::new();
    let (parent, _task) = Actor::spawn(None, Parent(log.clone()), ())
        .await
        .expect("starts");
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let (child, task) = child_of(&parent, "child", Start::Well, &log).await;
        assert!(seen.insert(child.get_id().pid()), "used twice");
        child.stop(None);
        task.await.expect("it ends");
    }
    assert_eq!(seen.len(), 100);
}

/// `group.rs`, timers: a wake-up that is aborted never comes, one that is not comes once.
#[tokio::test(start_paused = true)]
async fn a_delayed_message_comes_once_and_not_after_its_abort() {
    let (_parent, child, mut told, _task) = family(Start::Well).await;
    let aborted = child.send_after(Duration::from_millis(5), || Msg::Note("aborted"));
    let _kept = child.send_after(Duration::from_millis(5), || Msg::Note("kept"));
    aborted.abort();
    assert_eq!(told.rest().await, ["kept"]);
}

/// `group.rs`, `wake`: a wake-up for an actor that has ended harms nobody.
#[tokio::test(start_paused = true)]
async fn a_delayed_message_to_a_dead_actor_is_dropped() {
    let (_parent, child, _told, task) = family(Start::Well).await;
    let made = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&made);
    let late = child.send_after(Duration::from_millis(5), move || {
        noted.store(true, Ordering::SeqCst);
        Msg::Note("late")
    });
    child.stop(None);
    task.await.expect("it ends");
    let sent = late.await.expect("it is no panic");
    assert!(made.load(Ordering::SeqCst));
    assert!(sent.is_err());
}
