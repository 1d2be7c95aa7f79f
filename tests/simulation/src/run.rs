//! One run: builds the tree of a plan, loads it, breaks it, heals it, stops it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use supervisor::task::{self, OwnedTask};
use supervisor::{Action, Address, Injection, Level, State, System, SystemBuilder};
use tokio::time::{Instant, sleep, timeout};

use crate::checks;
use crate::dice::Dice;
use crate::houses;
use crate::keys;
use crate::lab::{Behaviour, Lab, Outcome, StartMode, What};
use crate::plan::{Act, Branch, Plan, Timed};
use crate::roots;
use crate::worker::Msg;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// What must not have been; empty when all is well.
    pub wrong: Vec<String>,
    /// Of the whole trace.
    pub hash: u64,
    /// Lines of the trace.
    pub lines: usize,
    /// Requests.
    pub asks: usize,
    /// Statuses looked at for the root of an injected fault.
    pub looked: u64,
    /// The trace, a line each.
    pub trace: Vec<String>,
}

impl Report {
    /// Adds what another run of the same seed came to.
    pub fn join(&mut self, other: Self) {
        self.wrong.extend(other.wrong);
        self.hash ^= other.hash.rotate_left(1);
        self.lines += other.lines;
        self.asks += other.asks;
        self.looked += other.looked;
        self.trace.extend(other.trace);
    }
}

/// Everything that takes part in a run.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) plan: Arc<Plan>,
    pub(crate) lab: Arc<Lab>,
    pub(crate) system: System,
}

/// Runs a plan. Wants a paused clock.
pub async fn run(plan: Plan) -> Report {
    let plan = Arc::new(plan);
    let lab = Lab::new();
    for branch in plan.shape.branches().filter(|branch| branch.is_actor()) {
        // The main actors' addresses come from their manifests.
        if branch.name != "manager" {
            lab.know(supervisor::Address::vacant(&branch.path, branch.mailbox));
        }
    }
    keys::make(&plan, &lab);
    for (path, _) in &plan.ill_at_boot {
        lab.behave(path, failing(false));
    }
    let mut builder = SystemBuilder::new();
    houses::add_all(&mut builder, &plan.shape, &lab);
    match builder.start().await {
        Ok(system) => {
            let scene = Scene {
                plan: Arc::clone(&plan),
                lab: Arc::clone(&lab),
                system,
            };
            play(&scene).await;
        }
        Err(error) => lab.complain(error),
    }
    checks::check(&plan, &lab);
    report(&lab)
}

fn failing(permanent: bool) -> Behaviour {
    Behaviour {
        start: StartMode::Fails { permanent },
        crashes: false,
    }
}

async fn play(scene: &Scene) {
    let _listener = listen(scene);
    let mut callers: Vec<OwnedTask> = (0..scene.plan.callers)
        .map(|number| call(scene.clone(), number))
        .collect();
    let mut cures: Vec<OwnedTask> = scene
        .plan
        .ill_at_boot
        .iter()
        .map(|(path, until)| cure(scene.clone(), path.clone(), *until))
        .collect();
    let mut users = keys::use_all(scene);
    let system = scene.system.clone();
    let _ready = task::spawn(async move { system.ready().await });
    for timed in scene.plan.acts.clone() {
        sleep(timed.at.saturating_sub(scene.lab.now())).await;
        cures.push(act(scene.clone(), timed));
    }
    sleep(scene.plan.over_at.saturating_sub(scene.lab.now())).await;
    if scene.plan.heals {
        scene.lab.rest();
        for busy in cures.iter_mut().chain(&mut std::mem::take(&mut users)) {
            busy.finished().await;
        }
        heal(scene).await;
        if scene.plan.proves_keys {
            keys::prove(scene).await;
        }
    }
    shut_down(scene).await;
    for caller in callers.iter_mut().chain(&mut users) {
        caller.finished().await;
    }
    drop(cures);
    // The children of a supervisor that had to be killed are killed with it, and end at their next await.
    sleep(Duration::from_millis(1)).await;
    for survivor in scene.lab.survivors() {
        scene
            .lab
            .complain(format_args!("{survivor} lives after the shutdown"));
    }
}

/// Writes into the trace what the status stream tells.
fn listen(scene: &Scene) -> OwnedTask {
    let scene = scene.clone();
    task::spawn(async move {
        let mut events = scene.system.subscribe(None);
        while let Some(event) = events.next().await {
            let cause = event.cause.map(|cause| (cause.path, cause.code));
            let told = format!(
                "{:?} {} {} {:?} {cause:?}",
                event.change, event.state, event.level, event.action
            );
            let path: Arc<str> = event.path.as_str().into();
            scene.lab.note(&path, What::Told(told));
        }
    })
}

/// A caller: asks one actor after the other, with deadlines that are sometimes too short.
fn call(scene: Scene, number: u64) -> OwnedTask {
    let mut dice = Dice::new(scene.plan.seed ^ (number + 1).wrapping_mul(0xA5A5_5A5A));
    task::spawn(async move {
        let actors: Vec<&Branch> = scene
            .plan
            .shape
            .branches()
            .filter(|branch| branch.is_actor())
            .collect();
        while !scene.lab.is_ending() {
            sleep(dice.millis(1, 400)).await;
            let path: Arc<str> = dice.pick(&actors).path.as_str().into();
            let limit = dice.millis(1, 800);
            ask(&scene.lab, &path, limit, dice.millis(0, 40)).await;
        }
    })
}

async fn ask(lab: &Arc<Lab>, path: &Arc<str>, limit: Duration, work: Duration) {
    ask_at(lab, &lab.address(path), path, limit, work).await;
}

/// Asks whoever is at an address, which belongs to this path.
pub(crate) async fn ask_at(
    lab: &Lab,
    address: &Address<Msg>,
    path: &Arc<str>,
    limit: Duration,
    work: Duration,
) -> Outcome {
    let request = lab.request();
    lab.note(path, What::Ask(request, limit));
    let deadline = Instant::now() + limit;
    let make = |reply| Msg::Ask {
        request,
        work,
        deadline,
        reply,
    };
    let answer = address.ask_within(limit, make).await;
    let outcome = match &answer {
        Ok(reply) => {
            if *reply != request {
                lab.complain(format_args!("{path} answered {request} with {reply}"));
            }
            Outcome::Reply
        }
        Err(error) => error.into(),
    };
    lab.note(path, What::Answer(request, outcome));
    outcome
}

/// Ends a fault that was there from the start.
fn cure(scene: Scene, path: String, until: Duration) -> OwnedTask {
    task::spawn(async move {
        sleep(until).await;
        scene.lab.behave(&path, Behaviour::default());
    })
}

/// Does one thing to the tree, sees that the status tells of it, and takes it back when its time is over.
fn act(scene: Scene, timed: Timed) -> OwnedTask {
    task::spawn(async move {
        if scene.lab.is_ending() {
            return;
        }
        let Timed { path, act, .. } = timed;
        let since = scene.lab.now();
        let worked = begin(&scene, &path, act).await;
        let at: Arc<str> = path.as_str().into();
        scene.lab.note(&at, What::Act(act, worked));
        let Some(lasts) = lasting(act) else { return };
        let watched = worked && roots::is_lasting_down(act);
        if watched && lasts > roots::TOLD_WITHIN {
            sleep(roots::TOLD_WITHIN).await;
            roots::look(&scene, &path, act, since);
            sleep(lasts.saturating_sub(roots::TOLD_WITHIN)).await;
        } else {
            sleep(lasts).await;
        }
        finish(&scene, &path, act).await;
        scene.lab.note(&at, What::Act(act, false));
    })
}

/// How long a fault lasts that somebody has to take back.
fn lasting(act: Act) -> Option<Duration> {
    match act {
        Act::Hang(span)
        | Act::SlowStart(_, span)
        | Act::FailedStart(span, _)
        | Act::CrashLoop(span)
        | Act::Report(_, span) => Some(span),
        Act::Order(Action::Stop) => Some(Duration::from_secs(3)),
        _ => None,
    }
}

async fn begin(scene: &Scene, path: &str, act: Act) -> bool {
    let inject = |injection| async move {
        let injected = scene.system.inject(path, injection).await;
        injected.unwrap_or(false)
    };
    let tell = |msg| scene.lab.address(path).tell(msg).is_ok();
    match act {
        Act::Panic => inject(Injection::Panic).await,
        Act::Error => inject(Injection::Error).await,
        Act::Kill => inject(Injection::Kill).await,
        Act::Hang(_) => tell(Msg::Hang),
        Act::SlowStart(by, _) => {
            let start = StartMode::Slow(by);
            let crashes = false;
            scene.lab.behave(path, Behaviour { start, crashes });
            inject(Injection::Kill).await
        }
        Act::FailedStart(_, permanent) => {
            scene.lab.behave(path, failing(permanent));
            inject(Injection::Kill).await
        }
        Act::CrashLoop(_) => {
            let start = StartMode::Well;
            let crashes = true;
            scene.lab.behave(path, Behaviour { start, crashes });
            true
        }
        Act::Report(level, _) => tell(Msg::Report(level)),
        Act::Flood(requests) => {
            flood(scene, path, requests).await;
            true
        }
        Act::Order(order) => scene.system.act(path, order).is_ok(),
    }
}

async fn flood(scene: &Scene, path: &str, requests: u64) {
    let path: Arc<str> = path.into();
    let asks = (0..requests).map(|_| {
        let (lab, path) = (Arc::clone(&scene.lab), Arc::clone(&path));
        task::spawn(async move {
            ask(
                &lab,
                &path,
                Duration::from_millis(200),
                Duration::from_millis(10),
            )
            .await;
        })
    });
    for mut ask in asks.collect::<Vec<_>>() {
        ask.finished().await;
    }
}

async fn finish(scene: &Scene, path: &str, act: Act) {
    match act {
        // Nobody else ends a handler that waits for ever; one that has been ended meanwhile is killed in vain.
        Act::Hang(_) => drop(scene.system.inject(path, Injection::Kill).await),
        Act::Report(..) => drop(scene.lab.address(path).tell(Msg::Report(Level::Normal))),
        Act::Order(_) => drop(scene.system.act(path, Action::Start)),
        _ => scene.lab.behave(path, Behaviour::default()),
    }
}

/// With everybody well again, the tree becomes whole by itself, but for what only an operator can start.
async fn heal(scene: &Scene) {
    scene.lab.calm();
    let bound = scene.plan.heal_bound();
    let whole = async {
        loop {
            let down: Vec<String> = scene
                .plan
                .shape
                .branches()
                .map(|branch| branch.path.clone())
                .filter(|path| state(scene, path) == Some(State::Stopped))
                .collect();
            for path in &down {
                drop(scene.system.act(path, Action::Start));
            }
            for branch in scene.plan.shape.branches() {
                // Reports of an incarnation that is still hung or was refused the message.
                if branch.is_actor() && scene.system.level() != Level::Normal {
                    drop(
                        scene
                            .lab
                            .address(&branch.path)
                            .tell(Msg::Report(Level::Normal)),
                    );
                }
            }
            if down.is_empty() && scene.system.level() == Level::Normal {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    if timeout(bound, whole).await.is_err() {
        let status = scene.system.status(None, Some(0));
        let cause = status.and_then(|status| status.cause);
        scene
            .lab
            .complain(format_args!("not whole after {bound:?}: {cause:?}"));
    }
}

pub(crate) fn state(scene: &Scene, path: &str) -> Option<State> {
    let status = scene.system.status(Some(path), Some(0));
    status.map(|status| status.state)
}

async fn shut_down(scene: &Scene) {
    let root: Arc<str> = "/".into();
    scene.lab.note(&root, What::Shutdown);
    scene.lab.end();
    let bound = scene.plan.shutdown_bound();
    let began = scene.lab.now();
    if timeout(bound + Duration::from_mins(1), scene.system.stop())
        .await
        .is_err()
    {
        scene.lab.complain("the shutdown does not end");
    }
    scene.lab.note(&root, What::Ended);
    let took = scene.lab.now().saturating_sub(began);
    // The clock counts whole milliseconds, and each step of a stop may lose one.
    if took > bound + Duration::from_millis(100) {
        let text = format!("the shutdown took {took:?}, its limits allow {bound:?}");
        scene.lab.complain(text);
    }
}

fn report(lab: &Lab) -> Report {
    let entries = lab.trace();
    let trace: Vec<String> = entries.iter().map(ToString::to_string).collect();
    let asks = entries
        .iter()
        .filter(|entry| matches!(entry.what, What::Ask(..)))
        .count();
    Report {
        wrong: lab.wrong(),
        hash: hash(&trace),
        lines: trace.len(),
        asks,
        looked: lab.looked.load(Ordering::Relaxed),
        trace,
    }
}

/// FNV-1a.
pub(crate) fn hash(lines: &[String]) -> u64 {
    let bytes = lines.iter().flat_map(|line| line.bytes());
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}
