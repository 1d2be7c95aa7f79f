//! The machine against a plain model: the same rules written down once more, slow and without any cleverness.
//!
//! The model keeps whole histories where the machine keeps counters, knows no tokens and no effects, and looks at everything after
//! every event. Random policies and schedules are played to both, and all that an outsider could see must agree.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::tests::World;
use super::*;
use crate::spec::{Backoff, Budget, Policy, Strategy};

const CHILDREN: ChildId = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Idle,
    Waiting,
    Starting,
    Running,
    Backoff,
    Due,
    Parked,
    Quarantined,
    Draining(Then),
    Stopping(Then),
    Killed(Then),
    Stopped,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "plain facts, as the machine has them"
)]
#[derive(Debug)]
struct PlainChild {
    plan: ChildPlan,
    doing: Doing,
    incarnations: u64,
    was_ready: bool,
    settled: bool,
    up: bool,
    probing: bool,
    /// Every restart since it was last healthy or forgiven.
    restarts: Vec<Duration>,
    restarts_ever: u64,
    failures: u32,
    quarantines: u32,
    /// Between when and when it is to be woken.
    alarm: Option<(Duration, Duration)>,
}

impl PlainChild {
    fn new(plan: ChildPlan) -> Self {
        Self {
            plan,
            doing: Doing::Idle,
            incarnations: 0,
            was_ready: false,
            settled: false,
            up: false,
            probing: false,
            restarts: Vec::new(),
            restarts_ever: 0,
            failures: 0,
            quarantines: 0,
            alarm: None,
        }
    }

    fn lives(&self) -> bool {
        matches!(self.doing, Doing::Starting | Doing::Running) || self.then().is_some()
    }

    /// What follows, while it is being stopped.
    fn then(&self) -> Option<Then> {
        match self.doing {
            Doing::Draining(then) | Doing::Stopping(then) | Doing::Killed(then) => Some(then),
            _ => None,
        }
    }

    fn wants_launch(&self, started: bool) -> bool {
        matches!(self.doing, Doing::Waiting | Doing::Due | Doing::Parked)
            || started && self.doing == Doing::Idle
    }

    /// Restarts in the window that ends with the newest of them; one more than the budget is told at most.
    fn in_window(&self) -> u32 {
        let Budget { max, window } = self.plan.policy.budget;
        let newest = self.restarts.last().copied().unwrap_or_default();
        let inside = |at: &&Duration| newest.saturating_sub(**at) <= window;
        let count = self.restarts.iter().filter(inside).count();
        u32::try_from(count).unwrap().min(max + 1)
    }

    fn state(&self) -> State {
        match self.doing {
            Doing::Starting | Doing::Due if self.probing => State::Quarantined,
            Doing::Idle => State::Starting,
            Doing::Starting | Doing::Due if self.failures == 0 => State::Starting,
            Doing::Starting | Doing::Due | Doing::Backoff | Doing::Parked => State::Restarting,
            Doing::Waiting => State::Waiting,
            Doing::Running => State::Running,
            Doing::Quarantined => State::Quarantined,
            Doing::Draining(_) | Doing::Stopping(_) | Doing::Killed(_) => State::Stopping,
            Doing::Stopped => State::Stopped,
        }
    }

    fn forgive(&mut self) {
        self.restarts.clear();
        self.failures = 0;
        self.quarantines = 0;
        self.probing = false;
    }

    fn ask_to_stop(&mut self, then: Then, now: Duration) {
        let half = now + self.plan.policy.stop_limit / 2;
        self.doing = match self.doing {
            Doing::Draining(_) => Doing::Draining(then),
            Doing::Stopping(_) => Doing::Stopping(then),
            Doing::Killed(_) => Doing::Killed(then),
            before => {
                self.alarm = Some((half, half));
                self.up = false;
                if before == Doing::Running {
                    Doing::Draining(then)
                } else {
                    Doing::Stopping(then)
                }
            }
        };
    }
}

/// The shortest and the longest wait before attempt `attempt`: doubled each time up to the cap, less a quarter at most.
fn waits(backoff: Backoff, attempt: u32, now: Duration) -> (Duration, Duration) {
    let mut longest = backoff.first.min(backoff.max);
    for _ in 0..attempt {
        longest = (longest * 2).min(backoff.max);
    }
    let shortest = (longest * 3 / 4).saturating_sub(Duration::from_micros(1));
    (now + shortest, now + longest)
}

struct Plain {
    strategy: Strategy,
    order: Order,
    children: BTreeMap<ChildId, PlainChild>,
    started: bool,
    shutting_down: bool,
}

impl Plain {
    fn event(&mut self, event: Event, now: Duration) {
        match event {
            Event::Start => self.started = true,
            Event::Add(plan) => {
                if !self.shutting_down {
                    let mut child = PlainChild::new(plan);
                    child.doing = Doing::Due;
                    self.children.insert(child.plan.id, child);
                }
            }
            Event::Ready { child, up, .. } => self.ready(child, up, now),
            Event::Ended { child, end, .. } => self.ended(child, end, now),
            Event::Timer { child, .. } => self.alarm(child, now),
            Event::Operator { child, order } => self.operator(child, order, now),
            Event::Shutdown => self.shut_down(now),
        }
        if self.shutting_down {
            self.stop_what_nobody_needs(now);
        } else {
            self.launch_what_may(now);
        }
    }

    fn ready(&mut self, id: ChildId, up: bool, now: Duration) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        match child.doing {
            Doing::Starting => {
                child.doing = Doing::Running;
                child.up = up;
                child.settled = true;
                child.was_ready = true;
                let healthy = now + child.plan.policy.budget.window;
                let ailing = child.failures > 0 || child.probing;
                child.alarm = ailing.then_some((healthy, healthy));
            }
            Doing::Running => child.up = up,
            _ => {}
        }
    }

    fn ended(&mut self, id: ChildId, end: EndKind, now: Duration) {
        let shutting_down = self.shutting_down;
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        if !child.lives() {
            return;
        }
        child.up = false;
        child.settled = true;
        child.alarm = None;
        match child.then() {
            _ if shutting_down => self.rest(id),
            Some(Then::Stay) => self.rest(id),
            Some(Then::Relaunch) => child.doing = Doing::Due,
            Some(Then::Park) => child.doing = Doing::Parked,
            None => self.decide(id, end, now),
        }
    }

    fn rest(&mut self, id: ChildId) {
        if let Some(child) = self.children.get_mut(&id) {
            child.doing = Doing::Stopped;
            child.alarm = None;
            if child.plan.ephemeral {
                self.children.remove(&id);
            }
        }
    }

    fn decide(&mut self, id: ChildId, end: EndKind, now: Duration) {
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        let policy = child.plan.policy;
        let starts_again = match policy.restart {
            Restart::Permanent => true,
            Restart::Transient => end != EndKind::Normal,
            Restart::Temporary => false,
        };
        if !starts_again || child.plan.ephemeral && !child.was_ready {
            return self.rest(id);
        }
        child.restarts.push(now);
        child.restarts_ever += 1;
        child.failures += 1;
        let hopeless = end == EndKind::FailedStart { permanent: true };
        if hopeless || child.probing || child.in_window() > policy.budget.max {
            child.doing = Doing::Quarantined;
            child.alarm = Some(waits(policy.probe, child.quarantines, now));
            child.quarantines += 1;
            child.probing = false;
            return;
        }
        if child.failures == 1 {
            child.doing = Doing::Due;
        } else {
            child.doing = Doing::Backoff;
            child.alarm = Some(waits(policy.backoff, child.failures - 2, now));
        }
        let strategy = self.strategy;
        for (other, sibling) in &mut self.children {
            let goes_along = match strategy {
                Strategy::OneForOne => false,
                Strategy::RestForOne => *other > id,
                Strategy::OneForAll => *other != id,
            };
            if goes_along && matches!(sibling.doing, Doing::Starting | Doing::Running) {
                sibling.ask_to_stop(Then::Park, now);
            }
        }
    }

    fn alarm(&mut self, id: ChildId, now: Duration) {
        let shutting_down = self.shutting_down;
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        let limit = child.plan.policy.stop_limit / 2;
        let second = Duration::from_secs(1);
        child.alarm = None;
        match child.doing {
            Doing::Running => child.forgive(),
            Doing::Backoff => child.doing = Doing::Due,
            Doing::Quarantined => {
                child.doing = Doing::Due;
                child.probing = true;
            }
            Doing::Draining(then) => {
                child.doing = Doing::Stopping(then);
                child.alarm = Some((now + limit, now + limit));
            }
            Doing::Stopping(then) => {
                child.doing = Doing::Killed(then);
                child.alarm = Some((now + second, now + second));
            }
            Doing::Killed(_) if shutting_down => self.rest(id),
            Doing::Killed(_) => child.alarm = Some((now + second, now + second)),
            _ => {}
        }
    }

    fn operator(&mut self, id: ChildId, order: Operator, now: Duration) {
        let shutting_down = self.shutting_down;
        let Some(child) = self.children.get_mut(&id) else {
            return;
        };
        if shutting_down {
            return;
        }
        let closing = child.plan.ephemeral && child.then() == Some(Then::Stay);
        match (order, child.lives()) {
            (Operator::Stop, true) => child.ask_to_stop(Then::Stay, now),
            (Operator::Stop, false) => {
                child.settled = true;
                self.rest(id);
            }
            (_, true) if closing => {}
            (Operator::Restart, true) => {
                child.forgive();
                child.ask_to_stop(Then::Relaunch, now);
            }
            (Operator::Start, true) => {
                if child.then() == Some(Then::Stay) {
                    child.forgive();
                    child.ask_to_stop(Then::Relaunch, now);
                }
            }
            (_, false) => {
                child.forgive();
                child.doing = Doing::Due;
                child.alarm = None;
            }
        }
    }

    fn shut_down(&mut self, now: Duration) {
        if self.shutting_down {
            return;
        }
        self.shutting_down = true;
        for child in self.children.values_mut() {
            if child.lives() {
                if self.order == Order::Parallel {
                    child.ask_to_stop(Then::Stay, now);
                }
            } else {
                child.doing = Doing::Stopped;
                child.alarm = None;
            }
        }
    }

    fn launch_what_may(&mut self, now: Duration) {
        let ids: Vec<ChildId> = self.children.keys().copied().collect();
        for id in ids {
            let child = &self.children[&id];
            if !child.wants_launch(self.started) {
                continue;
            }
            let is_up = |need: &ChildId| self.children.get(need).is_some_and(|need| need.up);
            let (needs_up, turn) = (
                child.plan.hard_needs.iter().all(is_up),
                self.is_its_turn(id),
            );
            let child = self.children.get_mut(&id).unwrap();
            if !needs_up {
                child.doing = Doing::Waiting;
            } else if turn {
                child.doing = Doing::Starting;
                child.incarnations += 1;
                let limit = now + child.plan.policy.start_limit;
                child.alarm = Some((limit, limit));
            }
        }
    }

    fn is_its_turn(&self, id: ChildId) -> bool {
        let mut earlier = self.children.range(..id).map(|(_, child)| child);
        if self.strategy != Strategy::OneForOne {
            let clearing = |child: &PlainChild| child.then() == Some(Then::Park);
            let coming = |child: &PlainChild| {
                let coming = [
                    Doing::Idle,
                    Doing::Starting,
                    Doing::Backoff,
                    Doing::Due,
                    Doing::Parked,
                ];
                coming.contains(&child.doing)
            };
            return !self.children.values().any(clearing) && !earlier.any(coming);
        }
        let again = self.children[&id].incarnations > 0;
        again || self.order != Order::Sequence || earlier.all(|child| child.settled)
    }

    fn stop_what_nobody_needs(&mut self, now: Duration) {
        let ids: Vec<ChildId> = self.children.keys().copied().collect();
        let needed = |id: &ChildId| match self.order {
            Order::Parallel => false,
            Order::Sequence => self
                .children
                .range(id + 1..)
                .any(|(_, child)| child.lives()),
            Order::Graph => self
                .children
                .values()
                .any(|child| child.lives() && child.plan.all_needs.contains(id)),
        };
        let free: Vec<ChildId> = ids.into_iter().filter(|id| !needed(id)).collect();
        for id in free {
            let child = self.children.get_mut(&id).unwrap();
            if child.lives() && child.then().is_none() {
                child.ask_to_stop(Then::Stay, now);
            }
        }
    }
}

/// The machine and the model side by side.
struct Pair {
    world: World,
    plain: Plain,
    next_id: ChildId,
}

impl Pair {
    fn new(setup: &Setup) -> Self {
        let core = Core::new(setup.strategy, setup.order, setup.plans.clone(), setup.seed);
        let children = setup.plans.iter().cloned();
        let plain = Plain {
            strategy: setup.strategy,
            order: setup.order,
            children: children
                .map(|plan| (plan.id, PlainChild::new(plan)))
                .collect(),
            started: false,
            shutting_down: false,
        };
        let world = World::new(core);
        Self {
            world,
            plain,
            next_id: CHILDREN,
        }
    }

    fn event(&mut self, event: Event) -> Result<(), TestCaseError> {
        self.plain.event(event.clone(), self.world.now);
        self.world.step(event);
        self.compare()
    }

    fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        let live = |child: &ChildId| self.world.live.get(child).copied();
        match act.clone() {
            Act::Ready(child, up) => match live(&child) {
                Some(incarnation) => self.event(Event::Ready {
                    child,
                    incarnation,
                    up,
                }),
                None => Ok(()),
            },
            Act::End(child, end) => match live(&child) {
                Some(incarnation) => {
                    self.world.live.remove(&child);
                    self.event(Event::Ended {
                        child,
                        incarnation,
                        end,
                    })
                }
                None => Ok(()),
            },
            Act::Alarm => self.wake(),
            Act::Wait(ms) => {
                self.world.now += Duration::from_millis(ms);
                Ok(())
            }
            Act::Operator(child, order) => self.event(Event::Operator { child, order }),
            Act::Add(mut plan) => {
                plan.id = self.next_id;
                self.next_id += 1;
                self.event(Event::Add(plan))
            }
            Act::Shutdown => self.event(Event::Shutdown),
        }
    }

    /// Fires the earliest timer that the machine still counts, and all stale ones before it.
    fn wake(&mut self) -> Result<(), TestCaseError> {
        while let Some((at, child, token)) = self.world.timers.pop_first() {
            let counts = |other: &Child| other.token == token && other.timer == Some(at);
            self.world.now = self.world.now.max(at);
            let event = Event::Timer { child, token };
            if self
                .world
                .core
                .children
                .get(&child)
                .is_some_and(|child| counts(child))
            {
                return self.event(event);
            }
            let effects = self.world.step(event);
            prop_assert!(effects.is_empty(), "a stale timer did {effects:?}");
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let core = &self.world.core;
        let known: Vec<ChildId> = core.children.keys().copied().collect();
        let expected: Vec<ChildId> = self.plain.children.keys().copied().collect();
        prop_assert_eq!(known, expected);
        for (id, plain) in &self.plain.children {
            let view = core.view_of(*id).unwrap();
            prop_assert_eq!(view.state, plain.state(), "{:?}", plain);
            prop_assert_eq!(view.in_window, plain.in_window(), "{:?}", plain);
            prop_assert_eq!(view.restarts, plain.restarts_ever, "{:?}", plain);
            let launched = self.world.newest.get(id).copied().unwrap_or(0);
            prop_assert_eq!(launched, plain.incarnations, "{:?}", plain);
            prop_assert_eq!(core.children[id].up, plain.up, "{:?}", plain);
            prop_assert_eq!(self.world.live.contains_key(id), plain.lives());
            let timer = core.children[id].timer;
            let fits = match (timer, plain.alarm) {
                (Some(at), Some((first, last))) => first <= at && at <= last,
                (timer, alarm) => timer.is_none() && alarm.is_none(),
            };
            prop_assert!(fits, "timer {timer:?}: {plain:?}");
        }
        let done = self.plain.shutting_down && !self.plain.children.values().any(PlainChild::lives);
        prop_assert_eq!(self.world.finished, usize::from(done));
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Act {
    Ready(ChildId, bool),
    End(ChildId, EndKind),
    Alarm,
    Wait(u64),
    Operator(ChildId, Operator),
    Add(ChildPlan),
    Shutdown,
}

#[derive(Debug, Clone)]
struct Setup {
    strategy: Strategy,
    order: Order,
    plans: Vec<ChildPlan>,
    seed: u64,
}

fn any_policy() -> impl Generator<Value = Policy> {
    let restart = prop_oneof![
        3 => Just(Restart::Permanent),
        1 => Just(Restart::Transient),
        1 => Just(Restart::Temporary),
    ];
    let spans = (1_u64..20_000, 1_u64..500, 1_u64..5_000, 1_u64..2_000);
    let longest = (1_u64..10_000, 1_u64..60_000, 2_u64..8_000);
    (restart, 0_u32..5, spans, longest).prop_map(
        |(restart, max, (window, first, probe, start), (longest, longest_probe, stop))| {
            let ms = Duration::from_millis;
            let backoff = |first, max| Backoff {
                first: ms(first),
                max: ms(max),
            };
            Policy {
                restart,
                budget: Budget {
                    max,
                    window: ms(window),
                },
                backoff: backoff(first, longest),
                probe: backoff(probe, longest_probe),
                start_limit: ms(start),
                stop_limit: ms(stop),
                ..Policy::default()
            }
        },
    )
}

fn any_setup() -> impl Generator<Value = Setup> {
    let strategy = prop_oneof![
        Just(Strategy::OneForOne),
        Just(Strategy::RestForOne),
        Just(Strategy::OneForAll)
    ];
    let order = prop_oneof![
        Just(Order::Graph),
        Just(Order::Sequence),
        Just(Order::Parallel)
    ];
    let children = proptest::collection::vec(
        (any_policy(), any::<[Option<bool>; CHILDREN as usize]>()),
        CHILDREN as usize,
    );
    (strategy, order, children, any::<u64>()).prop_map(|(strategy, order, children, seed)| {
        let graph = order == Order::Graph;
        let strategy = if graph { Strategy::OneForOne } else { strategy };
        let plans = (0..).zip(children).map(|(id, (policy, needs))| {
            let of = |hard: bool| {
                let wanted = move |need: &ChildId| {
                    graph && needs[*need as usize].is_some_and(|is_hard| !hard || is_hard)
                };
                (0..id).filter(wanted).collect()
            };
            ChildPlan {
                id,
                policy,
                hard_needs: of(true),
                all_needs: of(false),
                ephemeral: false,
            }
        });
        Setup {
            strategy,
            order,
            plans: plans.collect(),
            seed,
        }
    })
}

fn any_act() -> impl Generator<Value = Act> {
    let child = 0..CHILDREN + 2;
    let end = prop_oneof![
        Just(EndKind::Normal),
        any::<bool>().prop_map(|permanent| EndKind::FailedStart { permanent }),
        Just(EndKind::Failed),
        Just(EndKind::Panicked),
        Just(EndKind::Killed),
        Just(EndKind::Cancelled),
    ];
    let order = prop_oneof![
        Just(Operator::Restart),
        Just(Operator::Stop),
        Just(Operator::Start)
    ];
    let keyed = any_policy().prop_map(|policy| ChildPlan {
        id: 0,
        policy,
        hard_needs: Vec::new(),
        all_needs: Vec::new(),
        ephemeral: true,
    });
    let up = prop::bool::weighted(0.9);
    prop_oneof![
        12 => (child.clone(), up).prop_map(|(child, up)| Act::Ready(child, up)),
        10 => (child.clone(), end).prop_map(|(child, end)| Act::End(child, end)),
        12 => Just(Act::Alarm),
        3 => (0_u64..5_000).prop_map(Act::Wait),
        4 => (child, order).prop_map(|(child, order)| Act::Operator(child, order)),
        1 => keyed.prop_map(Act::Add),
        1 => Just(Act::Shutdown),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Budget, backoff, quarantine, probes, needs, order, strategies, stops: all as the model has it, after every event.
    #[test]
    fn the_machine_does_what_the_plain_model_does(
        setup in any_setup(),
        acts in proptest::collection::vec(any_act(), 0..120),
    ) {
        let mut pair = Pair::new(&setup);
        pair.event(Event::Start)?;
        for act in &acts {
            pair.act(act)?;
        }
    }
}
