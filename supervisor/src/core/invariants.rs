//! What holds of a [`Core`] after every step, written once.
//!
//! `Core::step` asserts it in debug builds, so the property tests, the supervisor's tests with real actors, the simulation and a
//! developer's daemon all check the same list. Nothing here decides anything; a release build does without it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::child::{Child, Phase};
use super::{ChildId, Core, Effect, Event, Order};

/// Above this many children only those that a step touched are looked at: a check of all would make a debug build of a group of
/// thousands quadratic.
const LOOKED_AT_ALL: usize = 64;

/// The first invariant that does not hold after a step that took `touched`'s event at `now` and gave `effects`.
pub(crate) fn broken(
    core: &Core,
    touched: Option<ChildId>,
    effects: &[Effect],
    now: Duration,
) -> Option<String> {
    let complete = core.children.len() <= LOOKED_AT_ALL;
    let touched: BTreeSet<ChildId> = effects.iter().filter_map(child_of).chain(touched).collect();
    let of_children = core
        .children
        .values()
        .filter(|child| complete || touched.contains(&child.plan.id))
        .find_map(|child| told(child, of_child(core, child, now)));
    of_children
        .or_else(|| of_core(core, complete).map(str::to_owned))
        .or_else(|| effects.iter().find_map(|effect| of_effect(core, effect)))
        .or_else(|| of_effects(core, effects).map(str::to_owned))
}

/// The child that an event is about.
pub(super) fn touched(event: &Event) -> Option<ChildId> {
    match event {
        Event::Ready { child, .. }
        | Event::Ended { child, .. }
        | Event::Timer { child, .. }
        | Event::Operator { child, .. } => Some(*child),
        Event::Add(plan) => Some(plan.id),
        Event::Start | Event::Shutdown => None,
    }
}

fn child_of(effect: &Effect) -> Option<ChildId> {
    match effect {
        Effect::Launch { child, .. }
        | Effect::Drain { child }
        | Effect::Stop { child }
        | Effect::Kill { child, .. }
        | Effect::Timer { child, .. }
        | Effect::Publish { child, .. }
        | Effect::Remove { child }
        | Effect::Abandoned { child } => Some(*child),
        Effect::Settled | Effect::Up(_) | Effect::Finished => None,
    }
}

fn told(child: &Child, rule: Option<&'static str>) -> Option<String> {
    rule.map(|rule| format!("{rule}: {child:?}"))
}

fn first_broken(rules: &[(bool, &'static str)]) -> Option<&'static str> {
    rules
        .iter()
        .find(|(holds, _)| !holds)
        .map(|(_, rule)| *rule)
}

fn of_child(core: &Core, child: &Child, now: Duration) -> Option<&'static str> {
    of_phase(core, child)
        .or_else(|| of_counters(child, now))
        .or_else(|| (!timer_fits(child)).then_some("the timer fits the phase"))
}

fn of_phase(core: &Core, child: &Child) -> Option<&'static str> {
    let live = child.incarnation_live;
    let runs = matches!(
        child.phase,
        Phase::Starting | Phase::Running | Phase::Stopping { .. }
    );
    let queued = matches!(child.phase, Phase::Waiting | Phase::Due | Phase::Parked);
    let pending = core.pending.contains(&child.plan.id);
    first_broken(&[
        (
            live == runs,
            "an incarnation lives exactly while it starts, runs or stops",
        ),
        (
            !child.up || child.phase == Phase::Running,
            "only what runs is up",
        ),
        (
            !queued || pending,
            "what waits for its launch is in the queue of launches",
        ),
        (
            !pending || queued || child.phase == Phase::Idle,
            "what is in the queue of launches waits for its launch",
        ),
        (
            !core.stopping || live || child.phase == Phase::Stopped,
            "during a shutdown all that does not live is stopped",
        ),
        (
            !child.plan.ephemeral || child.phase != Phase::Stopped || core.stopping,
            "a keyed child that has ended for good is gone",
        ),
    ])
}

fn of_counters(child: &Child, now: Duration) -> Option<&'static str> {
    let window = &child.window;
    let mut pairs = window.iter().zip(window.iter().skip(1));
    let in_order = pairs.all(|(earlier, later)| earlier <= later);
    let at_rest = matches!(
        child.phase,
        Phase::Idle | Phase::Backoff | Phase::Quarantined
    );
    first_broken(&[
        (
            !child.incarnation_live || child.launched(),
            "a live incarnation has a number",
        ),
        (
            window.len() <= child.plan.policy.budget.max as usize + 1,
            "the budget's window holds one restart more than the budget at most",
        ),
        (
            in_order && window.back().is_none_or(|last| *last <= now),
            "restarts are counted in order and not ahead of time",
        ),
        (
            !child.probing || !at_rest,
            "a probe has left the quarantine",
        ),
        (
            child.phase != Phase::Quarantined || child.failures > 0,
            "a quarantine has a failure behind it",
        ),
    ])
}

/// Who waits for a time has a timer for it; who does not has none that could still fire.
fn timer_fits(child: &Child) -> bool {
    let watched = child.failures > 0 || child.probing;
    match child.phase {
        Phase::Backoff => child.failures > 1 && child.timer.is_some() && child.timer == child.next,
        Phase::Quarantined => child.timer.is_some() && child.timer == child.next,
        Phase::Stopping { .. } => child.timer.is_some(),
        Phase::Running => child.timer.is_some() == watched,
        // The start limit has passed, and the end of the killed start is under way.
        Phase::Starting => true,
        Phase::Idle | Phase::Waiting | Phase::Due | Phase::Parked | Phase::Stopped => {
            child.timer.is_none()
        }
    }
}

fn of_core(core: &Core, complete: bool) -> Option<&'static str> {
    let live = || {
        core.children
            .values()
            .filter(|child| child.incarnation_live)
            .count()
    };
    first_broken(&[
        (
            !complete || live() == core.live,
            "the number of live incarnations is right",
        ),
        (
            !core.stopping || core.pending.is_empty(),
            "a shutdown launches nothing",
        ),
        (
            !core.finished || core.stopping && core.live == 0,
            "a group has finished when it was shut down and nothing of it lives",
        ),
        (
            core.finished || !core.stopping || core.live > 0,
            "a shut down group without live children has finished",
        ),
    ])
}

fn of_effect(core: &Core, effect: &Effect) -> Option<String> {
    let child = core.children.get(&child_of(effect)?)?;
    let rule = match effect {
        Effect::Launch { incarnation, .. } => first_broken(&[
            (!core.stopping, "nothing is launched during a shutdown"),
            (
                child.incarnation == *incarnation && child.phase == Phase::Starting,
                "what was launched is starting",
            ),
            (
                core.needs_up(child.plan.id),
                "what was launched has its needs up",
            ),
            (has_its_turn(core, child), "what was launched had its turn"),
        ]),
        Effect::Drain { .. } => first_broken(&[
            (child.incarnation_live, "only what lives is drained"),
            (
                !core.stopping || !core.has_live_dependents(child.plan.id),
                "a shutdown stops what nothing live needs",
            ),
        ]),
        Effect::Stop { .. } => {
            first_broken(&[(child.incarnation_live, "only what lives is stopped")])
        }
        Effect::Kill { .. } => {
            first_broken(&[(child.incarnation_live, "only what lives is killed")])
        }
        Effect::Remove { .. } => Some("what was removed is gone"),
        _ => None,
    };
    told(child, rule)
}

/// The order of first starts, and of all starts where siblings restart together.
fn has_its_turn(core: &Core, child: &Child) -> bool {
    let mut earlier = core.children.range(..child.plan.id).map(|(_, other)| other);
    if core.restarts_together() {
        let clearing = core.children.values().any(|child| child.is_clearing());
        return !clearing && !earlier.any(|child| child.is_on_its_way());
    }
    let first = child.incarnation == 1;
    core.order != Order::Sequence || !first || earlier.all(|other| other.settled)
}

fn of_effects(core: &Core, effects: &[Effect]) -> Option<&'static str> {
    let mut launched = BTreeSet::new();
    let once = effects.iter().all(|effect| match effect {
        Effect::Launch { child, .. } => launched.insert(*child),
        _ => true,
    });
    // Later timers of a child replace earlier ones.
    let newest = effects.iter().rev().find_map(|effect| match effect {
        Effect::Timer { child, token, at } => Some((core.children.get(child)?, *token, *at)),
        _ => None,
    });
    let current =
        newest.is_none_or(|(child, token, at)| child.token != token || child.timer == Some(at));
    let ahead = newest.is_none_or(|(child, token, _)| token <= child.token);
    first_broken(&[
        (once, "a child is launched once in a step"),
        (current && ahead, "the newest timer is the one that counts"),
    ])
}
