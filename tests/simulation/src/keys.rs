//! Children by key: opened, asked, hurt and closed all the time by their users, and what must hold of them.
//!
//! While users are at work, each call and each life is a line of the trace, which [`check`] reads. Once they rest and the tree is whole
//! again, [`prove`] looks at what is there: nobody is lost or doubled, and everything can be had again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use supervisor::task::{self, OwnedTask};
use supervisor::{Action, Injection, Keyed, OpenError, State};
use tokio::time::{sleep, timeout};

use crate::dice::Dice;
use crate::lab::{Behaviour, Lab, StartMode, What};
use crate::plan::{Act, Branch, Keys, Kind, Plan};
use crate::run::{Scene, ask_at, state};
use crate::worker::{Msg, Seed, SimWorker};

/// The children of one group, by key.
pub(crate) type Children = Keyed<u32, SimWorker>;

/// No open may take longer, whatever happens to its group meanwhile.
const OPEN_BOUND: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// How a call to open a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// It is there.
    Ready,
    /// Refused: there are enough.
    Full,
    /// Refused: there is one with this key.
    Exists,
    /// Refused, or broken off: its group is down.
    Down,
    /// Its start failed.
    Failed,
}

impl<T> From<&Result<T, OpenError>> for Opened {
    fn from(opened: &Result<T, OpenError>) -> Self {
        match opened {
            Ok(_) => Self::Ready,
            Err(OpenError::Full { .. }) => Self::Full,
            Err(OpenError::Exists { .. }) => Self::Exists,
            Err(OpenError::Down { .. }) => Self::Down,
            Err(OpenError::Failed { .. }) => Self::Failed,
        }
    }
}

/// The groups of children by key in a plan.
fn groups(plan: &Plan) -> impl Iterator<Item = (&Branch, Keys)> {
    plan.shape
        .branches()
        .filter_map(|branch| match branch.kind {
            Kind::Keyed(keys) => Some((branch, keys)),
            _ => None,
        })
}

/// Whether this is the child of a key.
pub(crate) fn is_child(plan: &Plan, path: &str) -> bool {
    path.rsplit_once('/')
        .is_some_and(|(above, _)| groups(plan).any(|(group, _)| group.path == above))
}

/// Makes the directories of a plan known.
pub(crate) fn make(plan: &Plan, lab: &Lab) {
    for (branch, keys) in groups(plan) {
        let children = Children::new(&branch.path, keys.policy, branch.mailbox, keys.max);
        lab.know_children(&branch.path, children);
    }
}

/// Users of every group, until all rest or the end begins.
pub(crate) fn use_all(scene: &Scene) -> Vec<OwnedTask> {
    let users = groups(&scene.plan)
        .enumerate()
        .flat_map(|(at, (branch, keys))| {
            (0..keys.users).map(move |number| (branch.path.clone(), keys, (at as u64, number)))
        });
    users
        .map(|(path, keys, (at, number))| {
            let seed = scene.plan.seed ^ (at * 31 + number + 1).wrapping_mul(0x5EED_0F0F_1357);
            use_one(scene.clone(), path, keys, Dice::new(seed))
        })
        .collect()
}

fn use_one(scene: Scene, path: String, keys: Keys, mut dice: Dice) -> OwnedTask {
    task::spawn(async move {
        let lab = &scene.lab;
        let children = lab.children(&path);
        while !lab.is_ending() && !lab.is_resting() {
            sleep(dice.millis(1, 700)).await;
            let key = dice.key(keys.in_use);
            let child: Arc<str> = format!("{path}/{key}").into();
            match dice.between(0, 100) {
                0..45 => drop(open(lab, &children, &path, key).await),
                45..58 => close(lab, &children, &child, key),
                58..82 => {
                    if let Some(address) = children.address(&key) {
                        let (limit, work) = (dice.millis(1, 500), dice.millis(0, 40));
                        ask_at(lab, &address, &child, limit, work).await;
                    }
                }
                82..88 => {
                    // One that is not there, or full, does not hear it.
                    if let Some(address) = children.address(&key) {
                        lab.note(&child, What::Key("is to end by itself"));
                        drop(address.tell(Msg::Finish));
                    }
                }
                _ => hurt(&scene, &child, &mut dice).await,
            }
            let count = children.len();
            if count > keys.max {
                lab.complain(format_args!("{path} has {count} children of {}", keys.max));
            }
        }
    })
}

async fn hurt(scene: &Scene, child: &Arc<str>, dice: &mut Dice) {
    let injection = dice.pick(&[Injection::Panic, Injection::Error, Injection::Kill]);
    let bad = [
        StartMode::Fails { permanent: false },
        StartMode::Fails { permanent: true },
        StartMode::Slow(dice.millis(50, 3_000)),
        StartMode::Well,
    ];
    let (start, crashes) = (dice.pick(&bad), dice.chance(20));
    scene.lab.note(child, What::Key("is hurt"));
    scene.lab.behave(child, Behaviour { start, crashes });
    // There may be none.
    drop(scene.system.inject(child, injection).await);
    sleep(dice.millis(10, 1_500)).await;
    scene.lab.behave(child, Behaviour::default());
}

async fn open(lab: &Arc<Lab>, children: &Children, path: &str, key: u32) -> Opened {
    let child: Arc<str> = format!("{path}/{key}").into();
    let request = lab.request();
    lab.note(&child, What::Open(request));
    let seed = Seed {
        path: Arc::clone(&child),
        lab: Arc::clone(lab),
    };
    let Ok(opened) = timeout(OPEN_BOUND, children.open(key, seed)).await else {
        lab.complain(format_args!(
            "{child}: an open has no answer after {OPEN_BOUND:?}"
        ));
        return Opened::Down;
    };
    let opened = Opened::from(&opened);
    lab.note(&child, What::Opened(request, opened));
    opened
}

fn close(lab: &Lab, children: &Children, child: &Arc<str>, key: u32) {
    lab.note(child, What::Key("is closed"));
    children.close(&key);
}

/// Looks at every group when nothing happens to it any more.
pub(crate) async fn prove(scene: &Scene) {
    for (branch, keys) in groups(&scene.plan) {
        let proof = Proof {
            scene,
            children: scene.lab.children(&branch.path),
            branch,
            keys,
        };
        proof.agree("after all was healed").await;
        proof.close_and_open_again().await;
        proof.restart().await;
    }
}

struct Proof<'a> {
    scene: &'a Scene,
    children: Children,
    branch: &'a Branch,
    keys: Keys,
}

impl Proof<'_> {
    /// Directory, status and the living are the same.
    async fn agree(&self, when: &str) {
        self.until(when, |seen| {
            let listed = seen.listed == seen.shown && seen.counted == seen.listed.len();
            listed && seen.shown == seen.alive && seen.counted <= self.keys.max
        })
        .await;
    }

    async fn empty(&self, when: &str) {
        self.until(when, |seen| {
            seen.counted == 0
                && seen.listed.is_empty()
                && seen.shown.is_empty()
                && seen.alive.is_empty()
        })
        .await;
    }

    async fn close_and_open_again(&self) {
        for key in self.children.keys() {
            close(&self.scene.lab, &self.children, &self.path_of(key), key);
        }
        self.empty("after all were closed").await;
        let most = u32::try_from(self.keys.max).unwrap_or(u32::MAX);
        for key in 0..most {
            self.opens(key, Opened::Ready).await;
            self.answers(key).await;
        }
        self.opens(most, Opened::Full).await;
        close(&self.scene.lab, &self.children, &self.path_of(0), 0);
        self.until("after one was closed", |seen| seen.counted < self.keys.max)
            .await;
        if most > 1 {
            self.opens(1, Opened::Exists).await;
        }
        self.opens(0, Opened::Ready).await;
        self.answers(0).await;
        self.agree("after one was opened again").await;
    }

    /// A new supervisor knows of nobody.
    async fn restart(&self) {
        let path: Arc<str> = self.branch.path.as_str().into();
        let order = Act::Order(Action::Restart);
        let is_taken = self.scene.system.act(&path, Action::Restart).is_ok();
        self.scene.lab.note(&path, What::Act(order, is_taken));
        self.empty("after its supervisor was restarted").await;
        if state(self.scene, &path) != Some(State::Running) {
            self.scene
                .lab
                .complain(format_args!("{path} does not run again"));
        }
        self.opens(0, Opened::Ready).await;
        self.answers(0).await;
        self.agree("after its supervisor was restarted").await;
    }

    async fn opens(&self, key: u32, expected: Opened) {
        let lab = &self.scene.lab;
        let opened = open(lab, &self.children, &self.branch.path, key).await;
        if opened != expected {
            let path = self.path_of(key);
            lab.complain(format_args!("{path}: {opened:?}, expected {expected:?}"));
        }
    }

    async fn answers(&self, key: u32) {
        let (lab, path) = (&self.scene.lab, self.path_of(key));
        let Some(address) = self.children.address(&key) else {
            return lab.complain(format_args!("{path} was opened and is not there"));
        };
        let limit = Duration::from_secs(1);
        let outcome = ask_at(lab, &address, &path, limit, Duration::ZERO).await;
        if outcome != crate::lab::Outcome::Reply {
            lab.complain(format_args!("{path} was opened and answers {outcome:?}"));
        }
    }

    fn path_of(&self, key: u32) -> Arc<str> {
        format!("{}/{key}", self.branch.path).into()
    }

    async fn until(&self, when: &str, wanted: impl Fn(&Seen) -> bool) {
        let looking = async {
            while state(self.scene, &self.branch.path) != Some(State::Running)
                || !wanted(&self.seen())
            {
                sleep(LOOK).await;
            }
        };
        if timeout(self.scene.plan.heal_bound(), looking)
            .await
            .is_err()
        {
            let (path, seen) = (&self.branch.path, self.seen());
            self.scene
                .lab
                .complain(format_args!("{path}: {seen:?} {when}"));
        }
    }

    fn seen(&self) -> Seen {
        let path = &self.branch.path;
        let status = self.scene.system.status(Some(path), Some(1));
        let shown = status.into_iter().flat_map(|status| status.children);
        let names = |mut paths: Vec<String>| {
            paths.sort_unstable();
            paths
        };
        let inside = format!("{path}/");
        let alive = self.scene.lab.survivors();
        Seen {
            counted: self.children.len(),
            listed: names(
                self.children
                    .keys()
                    .iter()
                    .map(|key| format!("{path}/{key}"))
                    .collect(),
            ),
            shown: names(shown.map(|child| child.path).collect()),
            alive: names(
                alive
                    .into_iter()
                    .filter(|at| at.starts_with(&inside))
                    .collect(),
            ),
        }
    }
}

/// What there is, in three books.
#[derive(Debug)]
struct Seen {
    counted: usize,
    /// In the directory.
    listed: Vec<String>,
    /// In the status.
    shown: Vec<String>,
    /// Incarnations.
    alive: Vec<String>,
}

/// One call to open a child, as the trace has it.
#[derive(Debug, Default)]
struct Call {
    path: Arc<str>,
    asked: Option<Duration>,
    answers: Vec<(Duration, Opened)>,
}

/// Every open has one answer that says what happened, and nobody starts for the first time whom nobody opens.
pub(crate) fn check(plan: &Plan, lab: &Lab) {
    let mut trace = lab.trace();
    trace.retain(|entry| is_child(plan, &entry.path));
    let mut calls: BTreeMap<u64, Call> = BTreeMap::new();
    for entry in &trace {
        match entry.what {
            What::Open(request) => {
                let call = calls.entry(request).or_default();
                (call.path, call.asked) = (Arc::clone(&entry.path), Some(entry.at));
            }
            What::Opened(request, opened) => {
                let call = calls.entry(request).or_default();
                call.answers.push((entry.at, opened));
            }
            _ => {}
        }
    }
    for (number, call) in &calls {
        let (Some(asked), [(answered, opened)]) = (call.asked, &call.answers[..]) else {
            lab.complain(format_args!("open {number} has not one answer: {call:?}"));
            continue;
        };
        let during = |wanted: &dyn Fn(&What) -> bool| {
            let inside = |at: Duration| asked <= at && at <= *answered;
            trace
                .iter()
                .any(|entry| entry.path == call.path && inside(entry.at) && wanted(&entry.what))
        };
        let fits = match opened {
            Opened::Ready => during(&|what| matches!(what, What::Ready(1))),
            Opened::Full | Opened::Exists => asked == *answered,
            // A supervisor on its way out fails what it has not begun; of what it has begun nothing stays.
            Opened::Down | Opened::Failed => true,
        };
        if !fits {
            lab.complain(format_args!(
                "open {number} is told {opened:?}, which is not so: {call:?}"
            ));
        }
    }
    let first_starts = trace
        .iter()
        .filter(|entry| matches!(entry.what, What::Start(1)));
    for entry in first_starts {
        let opens = |call: &Call| {
            let until = call.answers.first().map_or(Duration::MAX, |(at, _)| *at);
            call.path == entry.path && call.asked <= Some(entry.at) && entry.at <= until
        };
        if !calls.values().any(opens) {
            lab.complain(format_args!(
                "{} starts at {:?}, and nobody opens it",
                entry.path, entry.at
            ));
        }
    }
}
