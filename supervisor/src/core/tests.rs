//! The machine against random schedules: invariants that hold whatever happens in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::spec::{Policy, Strategy};

fn policy(restart: Restart) -> Policy {
    Policy {
        restart,
        ..Policy::default().budget(2, Duration::from_secs(10))
    }
}

fn plan(id: ChildId, policy: Policy, needs: &[ChildId]) -> ChildPlan {
    ChildPlan {
        id,
        policy,
        hard_needs: needs.to_vec(),
        all_needs: needs.to_vec(),
        ephemeral: false,
    }
}

/// The world around the machine: live incarnations, timers, time.
pub(super) struct World {
    pub(super) core: Core,
    pub(super) now: Duration,
    pub(super) live: BTreeMap<ChildId, u64>,
    pub(super) newest: BTreeMap<ChildId, u64>,
    pub(super) timers: BTreeSet<(Duration, ChildId, u64)>,
    pub(super) stopped: Vec<ChildId>,
    pub(super) finished: usize,
    pub(super) settled: usize,
    pub(super) abandoned: BTreeSet<ChildId>,
}

impl World {
    pub(super) fn new(core: Core) -> Self {
        Self {
            core,
            now: Duration::ZERO,
            live: BTreeMap::new(),
            newest: BTreeMap::new(),
            timers: BTreeSet::new(),
            stopped: Vec::new(),
            finished: 0,
            settled: 0,
            abandoned: BTreeSet::new(),
        }
    }

    pub(super) fn step(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.core.step(event, self.now);
        for effect in &effects {
            match effect {
                Effect::Launch { child, incarnation } => {
                    assert!(
                        self.live.insert(*child, *incarnation).is_none(),
                        "{child} launched beside a live incarnation"
                    );
                    assert!(!self.core.is_stopping(), "launched while stopping");
                    let newest = self.newest.insert(*child, *incarnation).unwrap_or(0);
                    assert_eq!(*incarnation, newest + 1, "incarnations count up by one");
                }
                Effect::Timer { child, token, at } => {
                    assert!(*at >= self.now, "a timer in the past");
                    self.timers.insert((*at, *child, *token));
                }
                Effect::Abandoned { child } => {
                    self.live.remove(child);
                    self.abandoned.insert(*child);
                }
                Effect::Finished => self.finished += 1,
                Effect::Settled => self.settled += 1,
                _ => {}
            }
        }
        effects
    }

    pub(super) fn end(&mut self, child: ChildId, end: EndKind) -> Vec<Effect> {
        match self.live.remove(&child) {
            Some(incarnation) => {
                self.stopped.push(child);
                self.step(Event::Ended {
                    child,
                    incarnation,
                    end,
                })
            }
            None => Vec::new(),
        }
    }

    pub(super) fn ready(&mut self, child: ChildId) -> Vec<Effect> {
        match self.live.get(&child).copied() {
            Some(incarnation) => self.step(Event::Ready {
                child,
                incarnation,
                up: true,
            }),
            None => Vec::new(),
        }
    }

    /// Fires the earliest timer.
    pub(super) fn tick(&mut self) -> Vec<Effect> {
        let Some((at, child, token)) = self.timers.pop_first() else {
            return Vec::new();
        };
        self.now = self.now.max(at);
        self.step(Event::Timer { child, token })
    }
}

fn launched(effects: &[Effect]) -> Vec<ChildId> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Launch { child, .. } => Some(*child),
            _ => None,
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Act {
    Ready(ChildId),
    End(ChildId, EndKind),
    Tick,
    Wait(u64),
    Operator(ChildId, Operator),
    Stale(ChildId),
}

fn any_end() -> impl Generator<Value = EndKind> {
    prop_oneof![
        Just(EndKind::Normal),
        any::<bool>().prop_map(|permanent| EndKind::FailedStart { permanent }),
        Just(EndKind::Failed),
        Just(EndKind::Panicked),
        Just(EndKind::Killed),
        Just(EndKind::Cancelled),
    ]
}

fn any_act() -> impl Generator<Value = Act> {
    let child = 0_u32..5;
    prop_oneof![
        3 => child.clone().prop_map(Act::Ready),
        3 => (child.clone(), any_end()).prop_map(|(child, end)| Act::End(child, end)),
        3 => Just(Act::Tick),
        1 => (0_u64..20_000).prop_map(Act::Wait),
        1 => (child.clone(), prop_oneof![
            Just(Operator::Restart), Just(Operator::Stop), Just(Operator::Start)
        ]).prop_map(|(child, order)| Act::Operator(child, order)),
        1 => child.prop_map(Act::Stale),
    ]
}

fn any_core() -> impl Generator<Value = Core> {
    let restart = prop_oneof![
        Just(Restart::Permanent),
        Just(Restart::Transient),
        Just(Restart::Temporary)
    ];
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
    let children = proptest::collection::vec((restart, any::<[bool; 5]>()), 5);
    (strategy, order, children, any::<u64>()).prop_map(|(strategy, order, children, seed)| {
        let graph = order == Order::Graph;
        let strategy = if graph { Strategy::OneForOne } else { strategy };
        let plans = (0..)
            .zip(children)
            .map(|(id, (restart, needs))| {
                let needs: Vec<ChildId> = (0..id)
                    .filter(|need| graph && needs[*need as usize])
                    .collect();
                plan(id, policy(restart), &needs)
            })
            .collect();
        Core::new(strategy, order, plans, seed)
    })
}

fn apply(world: &mut World, act: &Act) {
    match act.clone() {
        Act::Ready(child) => drop(world.ready(child)),
        Act::End(child, end) => drop(world.end(child, end)),
        Act::Tick => drop(world.tick()),
        Act::Wait(ms) => world.now += Duration::from_millis(ms),
        Act::Operator(child, order) => drop(world.step(Event::Operator { child, order })),
        Act::Stale(child) => {
            let incarnation = world.newest.get(&child).map_or(7, |newest| newest + 3);
            let effects = world.step(Event::Ended {
                child,
                incarnation,
                end: EndKind::Panicked,
            });
            assert!(
                !effects.iter().any(|e| matches!(e, Effect::Launch { .. })),
                "an event of an unknown incarnation changed something"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever happens: one live incarnation a child, a shutdown that ends, everything settled once.
    #[test]
    fn any_schedule_keeps_the_invariants(core in any_core(), acts in proptest::collection::vec(any_act(), 0..80)) {
        let mut world = World::new(core);
        world.step(Event::Start);
        for act in acts {
            apply(&mut world, &act);
            for (child, incarnation) in &world.live {
                prop_assert_eq!(world.newest.get(child), Some(incarnation));
            }
        }
        world.step(Event::Shutdown);
        let order: Vec<ChildId> = Vec::new();
        let mut left = 200;
        while !world.live.is_empty() && left > 0 {
            left -= 1;
            let stopping: Vec<ChildId> = world.live.keys().copied()
                .filter(|child| world.core.state_of(*child) == Some(State::Stopping)).collect();
            prop_assert!(!stopping.is_empty(), "live children and nobody is asked to stop: {order:?}");
            world.end(stopping[0], EndKind::Normal);
        }
        prop_assert!(world.live.is_empty());
        prop_assert_eq!(world.finished, 1);
        prop_assert!(world.settled <= 1);
    }

    /// A shutdown of children that never answer ends by itself through the timers.
    #[test]
    fn a_shutdown_ends_even_when_nobody_answers(core in any_core(), ready in any::<[bool; 5]>()) {
        let mut world = World::new(core);
        world.step(Event::Start);
        for (child, ready) in (0..).zip(ready) {
            if ready { world.ready(child); }
        }
        world.step(Event::Shutdown);
        for _ in 0..100 {
            if world.finished > 0 { break; }
            world.tick();
        }
        prop_assert_eq!(world.finished, 1);
        prop_assert!(world.now <= Duration::from_secs(5 * 6 + 6));
    }

    /// The restart decision of a permanent child against a plain model of budget and quarantine.
    #[test]
    fn restarts_follow_the_plain_model(gaps in proptest::collection::vec(0_u64..8_000, 1..60)) {
        let mut world = World::new(Core::new(
            Strategy::OneForOne, Order::Parallel, vec![plan(0, policy(Restart::Permanent), &[])], 7));
        world.step(Event::Start);
        let mut crashes: Vec<u64> = Vec::new();
        let mut probing = false;
        for gap in gaps {
            // Bring it up, whatever it waits for.
            while world.live.is_empty() {
                probing = world.core.state_of(0) == Some(State::Quarantined);
                world.tick();
            }
            world.ready(0);
            let healthy_at = world.now + Duration::from_secs(10);
            world.now += Duration::from_millis(gap);
            if world.now >= healthy_at { unreachable!("gaps are shorter than the window"); }
            let now_us = u64::try_from(world.now.as_micros()).unwrap();
            crashes.push(now_us);
            let in_window = crashes.iter().filter(|at| now_us - **at <= 10_000_000).count();
            world.end(0, EndKind::Panicked);
            let expected = if probing || in_window > 2 { State::Quarantined } else { State::Restarting };
            prop_assert_eq!(shown(&world), expected, "crashes {:?} probing {}", crashes, probing);
        }
    }
}

/// The state as the outside sees it; a child that was relaunched at once shows as restarting until ready.
fn shown(world: &World) -> State {
    world.core.state_of(0).unwrap()
}

#[test]
fn a_healthy_span_resets_backoff_and_budget() {
    let mut world = World::new(Core::new(
        Strategy::OneForOne,
        Order::Parallel,
        vec![plan(0, policy(Restart::Permanent), &[])],
        7,
    ));
    world.step(Event::Start);
    for _ in 0..10 {
        world.ready(0);
        world.now += Duration::from_secs(11);
        while world
            .timers
            .first()
            .is_some_and(|(at, ..)| *at <= world.now)
        {
            world.tick();
        }
        let effects = world.end(0, EndKind::Failed);
        assert_eq!(
            launched(&effects),
            vec![0],
            "the first restart is immediate"
        );
    }
}

#[test]
fn one_for_all_stops_all_in_reverse_and_starts_all_in_order() {
    let plans = (0..3)
        .map(|id| plan(id, policy(Restart::Permanent), &[]))
        .collect();
    let mut world = World::new(Core::new(Strategy::OneForAll, Order::Sequence, plans, 7));
    assert_eq!(launched(&world.step(Event::Start)), vec![0]);
    assert_eq!(launched(&world.ready(0)), vec![1]);
    assert_eq!(launched(&world.ready(1)), vec![2]);
    world.ready(2);
    let effects = world.end(1, EndKind::Panicked);
    let drained: Vec<_> = effects
        .iter()
        .filter(|e| matches!(e, Effect::Drain { .. }))
        .collect();
    assert_eq!(
        drained,
        vec![&Effect::Drain { child: 2 }, &Effect::Drain { child: 0 }]
    );
    assert!(launched(&effects).is_empty());
    assert!(launched(&world.end(2, EndKind::Normal)).is_empty());
    assert_eq!(launched(&world.end(0, EndKind::Normal)), vec![0]);
    assert_eq!(launched(&world.ready(0)), vec![1]);
    assert_eq!(launched(&world.ready(1)), vec![2]);
}

#[test]
fn rest_for_one_leaves_earlier_siblings_alone() {
    let plans = (0..3)
        .map(|id| plan(id, policy(Restart::Permanent), &[]))
        .collect();
    let mut world = World::new(Core::new(Strategy::RestForOne, Order::Sequence, plans, 7));
    world.step(Event::Start);
    for child in 0..3 {
        world.ready(child);
    }
    world.end(1, EndKind::Panicked);
    assert_eq!(launched(&world.end(2, EndKind::Normal)), vec![1]);
    assert_eq!(launched(&world.ready(1)), vec![2]);
    assert_eq!(world.newest[&0], 1);
}

#[test]
fn temporary_children_are_never_restarted_and_transient_ones_after_faults_only() {
    let plans = vec![
        plan(0, policy(Restart::Temporary), &[]),
        plan(1, policy(Restart::Transient), &[]),
    ];
    let mut world = World::new(Core::new(Strategy::OneForOne, Order::Parallel, plans, 7));
    world.step(Event::Start);
    world.ready(0);
    world.ready(1);
    assert!(launched(&world.end(0, EndKind::Panicked)).is_empty());
    assert_eq!(launched(&world.end(1, EndKind::Killed)), vec![1]);
    world.ready(1);
    assert!(launched(&world.end(1, EndKind::Normal)).is_empty());
}

#[test]
fn a_keyed_child_that_is_closed_while_it_waits_is_gone() {
    let mut keyed = plan(0, policy(Restart::Permanent), &[]);
    keyed.ephemeral = true;
    let core = Core::new(Strategy::OneForOne, Order::Parallel, Vec::new(), 7);
    let mut world = World::new(core);
    world.step(Event::Start);
    world.step(Event::Add(keyed));
    world.ready(0);
    world.end(0, EndKind::Panicked);
    world.ready(0);
    world.end(0, EndKind::Panicked);
    assert_eq!(world.core.state_of(0), Some(State::Restarting));
    let order = Operator::Stop;
    let effects = world.step(Event::Operator { child: 0, order });
    assert!(effects.contains(&Effect::Remove { child: 0 }));
    assert_eq!(world.core.state_of(0), None);
}

#[test]
fn a_start_during_a_stop_starts_again_and_a_late_ready_raises_nothing() {
    let plans = vec![
        plan(0, policy(Restart::Permanent), &[]),
        plan(1, policy(Restart::Permanent), &[0]),
    ];
    let mut world = World::new(Core::new(Strategy::OneForOne, Order::Graph, plans, 7));
    world.step(Event::Start);
    let stop = Operator::Stop;
    world.step(Event::Operator {
        child: 0,
        order: stop,
    });
    assert!(launched(&world.ready(0)).is_empty(), "it is stopping");
    let order = Operator::Start;
    world.step(Event::Operator { child: 0, order });
    assert_eq!(launched(&world.end(0, EndKind::Normal)), vec![0]);
    assert_eq!(launched(&world.ready(0)), vec![1]);
}

#[test]
fn a_healthy_child_tells_that_its_window_is_empty() {
    let plans = vec![plan(0, policy(Restart::Permanent), &[])];
    let mut world = World::new(Core::new(Strategy::OneForOne, Order::Parallel, plans, 7));
    world.step(Event::Start);
    world.ready(0);
    world.end(0, EndKind::Panicked);
    world.ready(0);
    let mut told = None;
    while told.is_none() && !world.timers.is_empty() {
        told = world.tick().into_iter().find_map(|effect| match effect {
            Effect::Publish { view, .. } => Some(view.in_window),
            _ => None,
        });
    }
    assert_eq!(told, Some(0));
}
