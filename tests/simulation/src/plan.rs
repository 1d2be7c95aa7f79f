//! What a run consists of, thrown from its seed before anything starts: shape, policies, load, faults, orders, the end.

use std::sync::Arc;
use std::time::Duration;

use supervisor::{Action, Backoff, Budget, Level, Policy, Restart, Strategy};

use crate::dice::Dice;
use crate::houses::{DOMAINS, GRAPHS, manifests};

/// What a branch of the tree is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// An actor.
    Actor,
    /// A supervisor.
    Group {
        /// How its children's restarts hang together.
        strategy: Strategy,
        /// In start order.
        children: Vec<Branch>,
    },
    /// A supervisor of children that come and go by key.
    Keyed(Keys),
}

/// Children by key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    /// How each is supervised.
    pub(crate) policy: Policy,
    /// How many there may be.
    pub(crate) max: usize,
    /// Keys in use, which may be more.
    pub(crate) in_use: u32,
    /// Who open, close and use them, all the time.
    pub(crate) users: u64,
}

/// One node below the root.
#[derive(Debug)]
pub(crate) struct Branch {
    /// The last part of its path.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: String,
    /// How it is supervised; that of a domain is the supervisor's own choice.
    pub(crate) policy: Policy,
    /// Requests that an actor admits at most.
    pub(crate) mailbox: u32,
    /// What it is.
    pub(crate) kind: Kind,
}

impl Branch {
    /// This and everything below.
    pub(crate) fn all(&self) -> Vec<&Self> {
        let mut all = vec![self];
        if let Kind::Group { children, .. } = &self.kind {
            all.extend(children.iter().flat_map(Self::all));
        }
        all
    }

    /// Whether it is an actor.
    pub(crate) fn is_actor(&self) -> bool {
        matches!(self.kind, Kind::Actor)
    }

    /// How long its stop may take at most: its own limit and the second after a kill, or, when they are quicker, its children's.
    pub(crate) fn stop_bound(&self, limit: Duration) -> Duration {
        let own = limit + Duration::from_secs(1);
        match &self.kind {
            Kind::Actor => own,
            // All at once.
            Kind::Keyed(keys) => (keys.policy.stop_limit + Duration::from_secs(1)).min(own),
            Kind::Group { children, .. } => {
                let bounds = children.iter().map(|c| c.stop_bound(c.policy.stop_limit));
                bounds.sum::<Duration>().min(own)
            }
        }
    }
}

/// The tree of a run.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Which graph of needs.
    pub(crate) graph: usize,
    /// The domains, as the graph lists them.
    pub(crate) domains: Vec<Arc<Branch>>,
    /// In which order they are added.
    pub(crate) order: Vec<usize>,
}

impl Shape {
    /// Every branch of every domain.
    pub(crate) fn branches(&self) -> impl Iterator<Item = &Branch> {
        self.domains.iter().flat_map(|domain| domain.all())
    }

    /// The branch at a path.
    pub(crate) fn branch(&self, path: &str) -> Option<&Branch> {
        self.branches().find(|branch| branch.path == path)
    }

    /// The branch that holds the one at `path`; `None` for domains.
    pub(crate) fn parent(&self, path: &str) -> Option<&Branch> {
        self.branch(path.rsplit_once('/')?.0)
    }
}

/// Something that is done to the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A handler panics.
    Panic,
    /// A handler returns an error.
    Error,
    /// It is killed.
    Kill,
    /// A handler waits for ever; it is killed after the span.
    Hang(Duration),
    /// It is killed, and starts take this long from then on.
    SlowStart(Duration, Duration),
    /// It is killed, and starts fail until the span is over; for good or not.
    FailedStart(Duration, bool),
    /// Each request makes it fail until the span is over.
    CrashLoop(Duration),
    /// It reports this level until the span is over.
    Report(Level, Duration),
    /// So many requests at once.
    Flood(u64),
    /// An operator's order.
    Order(Action),
}

/// Something that is done at a time, counted from the start.
#[derive(Debug, Clone)]
pub(crate) struct Timed {
    /// When.
    pub(crate) at: Duration,
    /// To whom.
    pub(crate) path: String,
    /// What.
    pub(crate) act: Act,
}

/// Everything about a run.
#[derive(Debug)]
pub struct Plan {
    /// Its number.
    pub(crate) seed: u64,
    /// The tree.
    pub(crate) shape: Shape,
    /// Actors whose starts fail from the beginning, and until when.
    pub(crate) ill_at_boot: Vec<(String, Duration)>,
    /// In order of time.
    pub(crate) acts: Vec<Timed>,
    /// Callers that ask all the time.
    pub(crate) callers: u64,
    /// When the faults are over. With `heals`, the tree must then become whole before it is stopped; else it is stopped at this
    /// moment, whatever state it is in.
    pub(crate) over_at: Duration,
    /// See [`Plan::over_at`].
    pub(crate) heals: bool,
    /// Whether what is there by key is looked at when all is healed.
    pub(crate) proves_keys: bool,
}

impl Plan {
    /// The run of a seed.
    pub fn of(seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let graph = dice.index(GRAPHS);
        let domains = manifests(graph).iter();
        let domains: Vec<Arc<Branch>> = domains
            .map(|manifest| Arc::new(domain(&mut dice.split(), manifest.name)))
            .collect();
        let mut order: Vec<usize> = (0..DOMAINS).collect();
        for at in (1..DOMAINS).rev() {
            order.swap(at, dice.index(at + 1));
        }
        let shape = Shape {
            graph,
            domains,
            order,
        };
        let over_at = dice.millis(5_000, 30_000);
        let mut acts: Vec<Timed> = (0..dice.between(1, 12))
            .map(|_| timed(&mut dice.split(), &shape, over_at))
            .collect();
        acts.sort_by_key(|timed| timed.at);
        let actors: Vec<&Branch> = shape.branches().filter(|b| b.is_actor()).collect();
        let ill_at_boot = (0..dice.between(0, 3))
            .filter_map(|_| {
                let ill = dice.chance(40);
                let path = actors[dice.index(actors.len())].path.clone();
                ill.then(|| (path, dice.millis(500, 6_000)))
            })
            .collect();
        Self {
            seed,
            ill_at_boot,
            acts,
            callers: dice.between(2, 9),
            over_at,
            heals: dice.chance(60),
            proves_keys: dice.chance(60),
            shape,
        }
    }

    /// How long a shutdown may take at most.
    pub(crate) fn shutdown_bound(&self) -> Duration {
        // A domain's own limit, by `SystemBuilder::add`.
        let limit = Duration::from_secs(20);
        let domains = self.shape.domains.iter();
        domains.map(|domain| domain.stop_bound(limit)).sum()
    }

    /// How long the tree may need to become whole when nothing is wrong with it any more: every branch one after the other,
    /// each with its longest wait and a start.
    pub(crate) fn heal_bound(&self) -> Duration {
        let minute = Duration::from_mins(1);
        let heals = |policy: Policy| {
            policy.backoff.max.max(policy.probe.max) + policy.start_limit + policy.stop_limit
        };
        let branches = self.shape.branches().map(|branch| {
            let child = match &branch.kind {
                Kind::Keyed(keys) => heals(keys.policy),
                _ => Duration::ZERO,
            };
            heals(branch.policy) + child
        });
        branches.sum::<Duration>() + minute * 5
    }
}

fn domain(dice: &mut Dice, name: &str) -> Branch {
    let path = format!("/{name}");
    let mut children = vec![actor(dice, &path, "manager")];
    for number in 0..dice.between(0, 4) {
        let child = if dice.chance(30) {
            group(dice, &path, &format!("g{number}"))
        } else {
            actor(dice, &path, &format!("x{number}"))
        };
        children.push(child);
    }
    if dice.chance(25) {
        children.push(keyed(dice, &path));
    }
    let at = dice.index(children.len());
    children.swap(0, at);
    let strategy = strategy(dice);
    Branch {
        name: name.to_owned(),
        path,
        policy: Policy::default(),
        mailbox: 0,
        kind: Kind::Group { strategy, children },
    }
}

fn group(dice: &mut Dice, parent: &str, name: &str) -> Branch {
    let path = format!("{parent}/{name}");
    let children: Vec<Branch> = (0..dice.between(1, 4))
        .map(|number| actor(dice, &path, &format!("y{number}")))
        .collect();
    let mut policy = policy(dice);
    // Its children's starts are limited by their own; this one is for a start that hangs between them.
    policy.start_limit = Duration::from_mins(10);
    policy.stop_limit = dice.millis(500, 20_000);
    policy.restart = Restart::Permanent;
    let strategy = strategy(dice);
    Branch {
        name: name.to_owned(),
        path,
        policy,
        mailbox: 0,
        kind: Kind::Group { strategy, children },
    }
}

fn keyed(dice: &mut Dice, parent: &str) -> Branch {
    let max = dice.index(5) + 1;
    let keys = Keys {
        policy: policy(dice),
        max,
        in_use: dice.key(8) + 1,
        users: dice.between(1, 3),
    };
    Branch {
        name: "keys".to_owned(),
        path: format!("{parent}/keys"),
        policy: Policy {
            start_limit: Duration::from_secs(10),
            stop_limit: dice.millis(500, 20_000),
            restart: Restart::Permanent,
            ..policy(dice)
        },
        mailbox: u32::try_from(dice.between(1, 8)).unwrap_or(1),
        kind: Kind::Keyed(keys),
    }
}

fn actor(dice: &mut Dice, parent: &str, name: &str) -> Branch {
    let mailbox = u32::try_from(dice.between(1, 16)).unwrap_or(1);
    Branch {
        name: name.to_owned(),
        path: format!("{parent}/{name}"),
        policy: policy(dice),
        mailbox,
        kind: Kind::Actor,
    }
}

fn strategy(dice: &mut Dice) -> Strategy {
    let one = Strategy::OneForOne;
    dice.pick(&[one, one, one, Strategy::RestForOne, Strategy::OneForAll])
}

fn policy(dice: &mut Dice) -> Policy {
    let permanent = Restart::Permanent;
    let restarts = [
        permanent,
        permanent,
        permanent,
        permanent,
        Restart::Transient,
        Restart::Temporary,
    ];
    let backoff = |first, max| Backoff { first, max };
    Policy {
        restart: dice.pick(&restarts),
        budget: Budget {
            max: u32::try_from(dice.between(1, 6)).unwrap_or(1),
            window: dice.millis(500, 20_000),
        },
        backoff: backoff(dice.millis(5, 200), dice.millis(200, 4_000)),
        probe: backoff(dice.millis(200, 2_000), dice.millis(2_000, 20_000)),
        handler_limit: dice.millis(200, 20_000),
        start_limit: dice.millis(200, 5_000),
        stop_limit: dice.millis(100, 4_000),
        bears: dice.pick(&[
            Level::Normal,
            Level::Degraded,
            Level::Critical,
            Level::Offline,
            Level::Offline,
        ]),
    }
}

fn timed(dice: &mut Dice, shape: &Shape, over_at: Duration) -> Timed {
    let at = dice.millis(100, u64::try_from(over_at.as_millis()).unwrap_or(u64::MAX));
    let branches: Vec<&Branch> = shape.branches().collect();
    let actors: Vec<&Branch> = branches.iter().copied().filter(|b| b.is_actor()).collect();
    let of_any = dice.chance(25);
    let target = if of_any {
        branches[dice.index(branches.len())]
    } else {
        actors[dice.index(actors.len())]
    };
    let act = if target.is_actor() {
        act_on_actor(dice)
    } else {
        act_on_group(dice, target)
    };
    Timed {
        at,
        path: target.path.clone(),
        act,
    }
}

fn order(dice: &mut Dice) -> Act {
    Act::Order(dice.pick(&[Action::Restart, Action::Stop, Action::Start]))
}

fn act_on_group(dice: &mut Dice, target: &Branch) -> Act {
    let is_domain = target.path.rfind('/') == Some(0);
    match dice.between(0, 4) {
        0 if is_domain => Act::FailedStart(dice.millis(1_500, 6_000), dice.chance(50)),
        0 | 1 => Act::Kill,
        _ => order(dice),
    }
}

fn act_on_actor(dice: &mut Dice) -> Act {
    let levels = [Level::Degraded, Level::Critical, Level::Offline];
    match dice.between(0, 12) {
        0 => Act::Panic,
        1 => Act::Error,
        2 => Act::Kill,
        3 | 4 => Act::Hang(dice.millis(500, 6_000)),
        5 => Act::SlowStart(dice.millis(100, 8_000), dice.millis(2_000, 10_000)),
        6 | 7 => Act::FailedStart(dice.millis(1_500, 8_000), dice.chance(30)),
        8 => Act::CrashLoop(dice.millis(500, 5_000)),
        9 => Act::Report(dice.pick(&levels), dice.millis(1_500, 6_000)),
        10 => Act::Flood(dice.between(5, 60)),
        _ => order(dice),
    }
}
