//! The true root, over seeded random trees with injected faults: the truth is computed by the generator, plainly and from the
//! faults alone, and the status must say the same at every node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::board::{NodeFacts, StateChange};
use crate::core::EndKind;
use crate::end::End;
use crate::model::Model;
use crate::status::NodeKind;
use crate::*;

const SEEDS: u64 = 3_000;
const NODES: usize = 50;
const NAMES: [&str; 8] = [
    "ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "oak",
];

/// splitmix64: one number replays a tree.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

#[derive(Debug, Clone)]
struct Plant {
    path: String,
    parent: usize,
    kind: NodeKind,
    bears: Level,
    /// Domains only: index of the needed domain.
    needs: Vec<(usize, Strength)>,
    priority: Priority,
    /// Not there: its domain waits, or what holds it is down.
    gone: bool,
    waits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Restarting,
    Quarantined,
    StoppedByOrder,
    Reported(Level),
}

impl Kind {
    fn level(self) -> Level {
        match self {
            Self::Reported(level) => level,
            _ => Level::Offline,
        }
    }

    fn is_down(self) -> bool {
        !matches!(self, Self::Reported(_))
    }
}

#[derive(Debug, Clone, Copy)]
struct Fault {
    at: usize,
    kind: Kind,
}

/// A report that names another node as its root.
#[derive(Debug, Clone)]
struct Pointer {
    at: usize,
    level: Level,
    names: usize,
    /// The fault that is behind it, by the generator.
    fault: usize,
}

#[derive(Debug)]
struct Case {
    plants: Vec<Plant>,
    /// In the order in which they happen.
    faults: Vec<Fault>,
    pointers: Vec<Pointer>,
}

impl Case {
    fn grow(seed: u64) -> Self {
        let dice = &mut Dice(seed);
        let mut plants = vec![plant("/".to_owned(), 0, NodeKind::Root, Level::Offline)];
        let domains = 3 + dice.below(NAMES.len() - 2);
        let mut names = NAMES;
        for at in (1..names.len()).rev() {
            names.swap(at, dice.below(at + 1));
        }
        for name in &names[..domains] {
            let priority = dice.of(&[Priority::P0, Priority::P1, Priority::P2, Priority::P3]);
            let path = format!("/{name}");
            let mut domain = plant(path, 0, NodeKind::Domain, priority.cap());
            domain.priority = priority;
            for need in 1..plants.len() {
                if dice.chance(35) {
                    let strength = dice.of(&[Strength::Hard, Strength::Soft]);
                    domain.needs.push((need, strength));
                }
            }
            plants.push(domain);
        }
        while plants.len() < NODES {
            let parents: Vec<usize> = (1..plants.len())
                .filter(|at| matches!(plants[*at].kind, NodeKind::Domain | NodeKind::Group))
                .collect();
            let parent = dice.of(&parents);
            let kinds = [
                NodeKind::Group,
                NodeKind::Actor,
                NodeKind::Actor,
                NodeKind::Dependency,
            ];
            let path = format!("{}/n{}", plants[parent].path, plants.len());
            let bears = dice.of(&Level::ALL);
            plants.push(plant(path, parent, dice.of(&kinds), bears));
        }
        let mut case = Self {
            plants,
            faults: Vec::new(),
            pointers: Vec::new(),
        };
        case.break_some(dice);
        if dice.chance(50) {
            case.keep_dependents_waiting();
        }
        case.point(dice);
        case
    }

    fn break_some(&mut self, dice: &mut Dice) {
        let wanted = 1 + dice.below(3);
        while self.faults.len() < wanted {
            let at = 1 + dice.below(self.plants.len() - 1);
            let apart =
                |fault: &Fault| !self.is_above(fault.at, at) && !self.is_above(at, fault.at);
            if !self.faults.iter().all(apart) {
                continue;
            }
            let level = dice.of(&[Level::Degraded, Level::Critical, Level::Offline]);
            let kind = match self.plants[at].kind {
                NodeKind::Dependency => Kind::Reported(level),
                NodeKind::Actor => dice.of(&[
                    Kind::Restarting,
                    Kind::Quarantined,
                    Kind::StoppedByOrder,
                    Kind::Reported(level),
                ]),
                _ => dice.of(&[Kind::Restarting, Kind::Quarantined, Kind::StoppedByOrder]),
            };
            self.faults.push(Fault { at, kind });
            if kind.is_down() {
                self.empty(at);
            }
        }
    }

    /// What is down has no children.
    fn empty(&mut self, at: usize) {
        for other in 0..self.plants.len() {
            if other != at && self.is_above(at, other) {
                self.plants[other].gone = true;
            }
        }
    }

    /// As if the faults had been there before the start: who cannot start waits.
    fn keep_dependents_waiting(&mut self) {
        for at in 1..self.plants.len() {
            let has_own = self.faults.iter().any(|fault| self.is_above(at, fault.at));
            if !has_own && (0..self.faults.len()).any(|fault| self.holds_up(fault, at)) {
                self.plants[at].waits = true;
                self.empty(at);
            }
        }
    }

    fn point(&mut self, dice: &mut Dice) {
        let without: Vec<Vec<Level>> = (0..self.faults.len())
            .map(|fault| self.reach(fault))
            .collect();
        for _ in 0..dice.below(4) {
            let fault = dice.below(self.faults.len());
            let source = self.faults[fault].at;
            let domain = self.domain_of(source);
            let at = 1 + dice.below(self.plants.len() - 1);
            let free = self.faults.iter().all(|fault| fault.at != at)
                && self.pointers.iter().all(|pointer| pointer.at != at);
            if !free || self.plants[at].kind != NodeKind::Actor || self.plants[at].gone {
                continue;
            }
            // It names the node itself, or the domain, where that is not well.
            let by_domain = without[fault][domain] > Level::Normal && self.domain_of(at) != domain;
            let names = if by_domain && dice.chance(50) {
                domain
            } else {
                source
            };
            let level = dice.of(&[Level::Degraded, Level::Critical, Level::Offline]);
            self.pointers.push(Pointer {
                at,
                level,
                names,
                fault,
            });
            if !self.pointers.iter().all(|pointer| self.is_plain(pointer)) {
                self.pointers.pop();
            }
        }
    }

    /// What a report names is taken for what is wrong there, so the truth is plain only where nothing else is.
    fn is_plain(&self, pointer: &Pointer) -> bool {
        (0..self.faults.len()).all(|fault| {
            fault == pointer.fault || self.reach(fault)[pointer.names] == Level::Normal
        })
    }

    /// Whether `above` is `at` or holds it.
    fn is_above(&self, above: usize, mut at: usize) -> bool {
        while at != above && at != 0 {
            at = self.plants[at].parent;
        }
        at == above
    }

    fn domain_of(&self, mut at: usize) -> usize {
        while self.plants[at].parent != 0 {
            at = self.plants[at].parent;
        }
        at
    }

    /// Whether a domain could not start because of this one fault.
    fn holds_up(&self, fault: usize, domain: usize) -> bool {
        let needs = self.plants[domain].needs.iter();
        let mut hard = needs.filter(|(_, strength)| *strength == Strength::Hard);
        hard.any(|(need, _)| self.keeps_down(fault, *need))
    }

    /// Whether a domain is not up because of this one fault: of something in it that it cannot be up without, or of a need.
    fn keeps_down(&self, fault: usize, domain: usize) -> bool {
        let Fault { mut at, kind } = self.faults[fault];
        if self.plants[domain].waits && self.holds_up(fault, domain) {
            return true;
        }
        if !kind.is_down() || !self.is_above(domain, at) {
            return false;
        }
        while at != domain {
            if self.plants[at].bears < Level::Critical {
                return false;
            }
            at = self.plants[at].parent;
        }
        true
    }

    /// The level at which one fault arrives at every node, were it the only one: spread until nothing changes any more.
    fn reach(&self, fault: usize) -> Vec<Level> {
        let mut levels = vec![Level::Normal; self.plants.len()];
        let Fault { at, kind } = self.faults[fault];
        levels[at] = kind.level();
        for pointer in self
            .pointers
            .iter()
            .filter(|pointer| pointer.fault == fault)
        {
            levels[pointer.at] = levels[pointer.at].max(pointer.level);
        }
        for _ in 0..self.plants.len() {
            for at in 1..self.plants.len() {
                let plant = &self.plants[at];
                let by_order = |fault: &Fault| fault.at == at && fault.kind == Kind::StoppedByOrder;
                if !self.faults.iter().any(by_order) {
                    for (need, strength) in &plant.needs {
                        levels[at] = levels[at].max(levels[*need].min(strength.cap()));
                    }
                }
                if plant.waits && self.holds_up(fault, at) {
                    levels[at] = Level::Offline;
                }
                let passed = levels[at].min(plant.bears);
                levels[plant.parent] = levels[plant.parent].max(passed);
            }
        }
        levels
    }

    /// Faults that reach a node, worst first, then earliest.
    fn roots(&self, reaches: &[Vec<Level>], node: usize) -> Vec<(Level, usize)> {
        let mut roots: Vec<(Level, usize)> = (0..self.faults.len())
            .map(|fault| (reaches[fault][node], fault))
            .filter(|(level, _)| *level > Level::Normal)
            .collect();
        roots.sort_by_key(|(level, fault)| (std::cmp::Reverse(*level), *fault));
        roots
    }

    /// Tells a model what happens in this case, as supervisors and workers would.
    fn play(&self) -> Model {
        let mut model = Model::new();
        let mut manifests = BTreeMap::new();
        for (at, plant) in self.plants.iter().enumerate().skip(1) {
            let manifest = (plant.kind == NodeKind::Domain).then(|| self.manifest(at));
            manifests.insert(at, manifest);
            model.add(NodeFacts {
                path: plant.path.as_str().into(),
                kind: plant.kind,
                bears: plant.bears,
                budget: 5,
                cell: None,
                manifest,
            });
        }
        for plant in &self.plants[1..] {
            if plant.waits {
                say(&mut model, &plant.path, State::Waiting);
                model.remove_below(&plant.path);
            } else if !plant.gone {
                say(&mut model, &plant.path, State::Running);
            }
        }
        model.set_root_state(State::Running);
        self.play_pointers(&mut model, 0);
        for fault in &self.faults {
            later();
            self.play_fault(&mut model, *fault);
        }
        self.play_pointers(&mut model, 1);
        model.settle();
        model
    }

    /// Every second dependent notices before the node that it depends on does.
    fn play_pointers(&self, model: &mut Model, turn: usize) {
        for (_, pointer) in (0..).zip(&self.pointers).filter(|(at, _)| at % 2 == turn) {
            let names = self.plants[pointer.names].path.as_str();
            let condition = Condition::new(pointer.level, "test.dependent", "has no answer");
            let path = &self.plants[pointer.at].path;
            model.set_condition(path, Some(condition.with_root(names)));
        }
    }

    fn play_fault(&self, model: &mut Model, fault: Fault) {
        let path = &self.plants[fault.at].path;
        let failed = End::new(EndKind::Failed, "test.failed", "it failed");
        match fault.kind {
            Kind::Reported(level) => {
                let condition = Condition::new(level, "dependency.open", "does not answer");
                model.set_condition(path, Some(condition));
                return;
            }
            Kind::Restarting => {
                model.ended(path, &failed);
                say(model, path, State::Restarting);
            }
            Kind::Quarantined => {
                model.ended(path, &failed);
                say(model, path, State::Quarantined);
            }
            Kind::StoppedByOrder => {
                say(model, path, State::Stopping);
                model.ended(path, &End::normal());
                say(model, path, State::Stopped);
            }
        }
        model.remove_below(path);
    }

    /// Leaked: a manifest is a constant of the program, and these are a few hundred bytes each.
    fn manifest(&self, at: usize) -> &'static Manifest {
        let plant = &self.plants[at];
        let name = |path: &str| {
            let known = NAMES.iter().find(|name| path == format!("/{name}"));
            *known.unwrap()
        };
        let needs: Vec<Need> = plant
            .needs
            .iter()
            .map(|(need, strength)| Need {
                domain: name(&self.plants[*need].path),
                strength: *strength,
            })
            .collect();
        Box::leak(Box::new(Manifest {
            name: name(&plant.path),
            title: "a tree",
            priority: plant.priority,
            needs: needs.leak(),
            impact: Impact {
                degraded: "less shade",
                critical: "little shade",
                offline: "no shade",
            },
            fallback: None,
            main_actor: "manager",
            mailbox_limit: 8,
            route_prefixes: &[],
        }))
    }
}

fn plant(path: String, parent: usize, kind: NodeKind, bears: Level) -> Plant {
    Plant {
        path,
        parent,
        kind,
        bears,
        needs: Vec::new(),
        priority: Priority::P0,
        gone: false,
        waits: false,
    }
}

fn say(model: &mut Model, path: &str, state: State) {
    let path: Arc<str> = path.into();
    model.change(&StateChange {
        path,
        state,
        restarts: 0,
        in_window: 0,
        next_in: None,
    });
}

/// The wall clock counts microseconds: the next thing happens in a later one.
fn later() {
    let before = WallTime::now();
    while WallTime::now() <= before {
        std::hint::spin_loop();
    }
}

#[derive(Debug, Default)]
struct Score {
    affected: usize,
    named: usize,
    impacts: usize,
    misses: Vec<String>,
}

impl Score {
    fn judge(&mut self, seed: u64) {
        let case = Case::grow(seed);
        let model = case.play();
        let reaches: Vec<Vec<Level>> = (0..case.faults.len()).map(|f| case.reach(f)).collect();
        for (at, plant) in case.plants.iter().enumerate() {
            if plant.gone {
                assert!(model.node(&plant.path).is_none(), "seed {seed}: {plant:?}");
                continue;
            }
            let roots = case.roots(&reaches, at);
            let wrong = self.judge_node(&case, &model, at, &roots);
            if let Some(wrong) = wrong {
                self.misses
                    .push(format!("seed {seed}: {}: {wrong}", plant.path));
            }
        }
        let expected: BTreeSet<&str> = (1..case.plants.len())
            .filter(|at| case.plants[*at].kind == NodeKind::Domain && !case.plants[*at].gone)
            .filter(|at| !case.roots(&reaches, *at).is_empty())
            .map(|at| case.plants[at].path.trim_start_matches('/'))
            .collect();
        let impact = model
            .node("/")
            .unwrap()
            .shown
            .as_ref()
            .and_then(|shown| shown.impact.clone())
            .unwrap_or_default();
        let listed: BTreeSet<&str> = impact
            .split("; ")
            .filter_map(|text| Some(text.split_once(": ")?.0))
            .collect();
        if listed == expected {
            self.impacts += 1;
        } else {
            let miss = format!("seed {seed}: impact {listed:?}, expected {expected:?}");
            self.misses.push(miss);
        }
    }

    fn judge_node(
        &mut self,
        case: &Case,
        model: &Model,
        at: usize,
        roots: &[(Level, usize)],
    ) -> Option<String> {
        let path = &case.plants[at].path;
        let node = model.node(path).unwrap();
        let shown = node.shown.as_deref().cloned().unwrap_or_default();
        let path_of =
            |(_, fault): &(Level, usize)| case.plants[case.faults[*fault].at].path.as_str();
        let named = shown.cause.as_ref().map(|cause| cause.path.as_str());
        let expected = roots.first().map(path_of);
        let level = roots.first().map_or(Level::Normal, |(level, _)| *level);
        let others: Vec<&str> = roots.iter().skip(1).map(path_of).collect();
        let also: Vec<&str> = shown.also.iter().map(|cause| cause.path.as_str()).collect();
        if expected.is_some() {
            self.affected += 1;
            self.named += usize::from(named == expected);
        }
        let chains_hold = shown.cause.iter().chain(&shown.also).all(|cause| {
            cause.chain.first() == Some(&cause.path) && cause.chain.last() == Some(path)
        });
        let right = named == expected && node.level == level && also == others && chains_hold;
        (!right).then(|| {
            format!(
                "{} {named:?} also {also:?}, expected {level} {expected:?} also {others:?}",
                node.level
            )
        })
    }
}

/// At every node the status names the fault that lowers it most, then the earliest, and keeps the others; the system's impact
/// lists exactly the affected domains.
#[test]
fn the_true_root_is_named_at_every_node_of_random_trees() {
    let mut score = Score::default();
    for seed in 0..SEEDS {
        score.judge(seed);
    }
    println!(
        "true root named at {} of {} affected nodes, impact right in {} of {SEEDS} trees",
        score.named, score.affected, score.impacts
    );
    let misses = &score.misses;
    let first: Vec<&String> = misses.iter().take(10).collect();
    assert!(misses.is_empty(), "{} misses: {first:#?}", misses.len());
}
