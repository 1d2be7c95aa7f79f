//! Who waits for whom: the open asks from one actor to another, and the circles among them that never end by themselves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dashmap::DashMap;
use serde::Serialize;
use tokio::time::Instant;

use crate::cell::NodeCell;
use crate::on_thread;

/// An open ask of one actor to another.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    /// Number of the actor that waits.
    pub(crate) caller: u64,
    pub(crate) callee: Arc<NodeCell>,
    pub(crate) since: Instant,
}

/// One actor that waits for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// Who waits.
    pub caller: String,
    /// For whom.
    pub callee: String,
    /// What the one who waits is working on, if it waits inside a handler.
    pub working_on: Option<String>,
    /// For how long already, in milliseconds.
    pub for_ms: u64,
    /// Whether it is part of a circle, in which everybody waits for everybody.
    pub in_circle: bool,
}

static OPEN: LazyLock<DashMap<u64, Open>> = LazyLock::new(DashMap::new);

/// Ends the note of an open ask.
#[derive(Debug)]
pub(crate) struct Waiting(u64);

impl Drop for Waiting {
    fn drop(&mut self) {
        OPEN.remove(&self.0);
    }
}

/// Notes that the actor whose code runs here (if any) waits for `callee`.
pub(crate) fn note(callee: &Arc<NodeCell>, since: Instant) -> Option<Waiting> {
    static TICKETS: AtomicU64 = AtomicU64::new(0);
    let asker = on_thread::current();
    (asker != 0).then(|| {
        let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
        let callee = Arc::clone(callee);
        OPEN.insert(
            ticket,
            Open {
                caller: asker,
                callee,
                since,
            },
        );
        Waiting(ticket)
    })
}

/// Everything that is open now.
pub(crate) fn open() -> Vec<Open> {
    OPEN.iter().map(|entry| entry.value().clone()).collect()
}

/// The waits between these actors, the longest first.
pub(crate) fn told(cells: &HashMap<u64, Arc<NodeCell>>) -> Vec<Wait> {
    let now = Instant::now();
    let mut open = open();
    open.sort_by_key(|wait| wait.since);
    let circles = circles(&open, now, Duration::ZERO);
    let told = open.iter().filter_map(|wait| {
        let waits = cells.get(&wait.caller)?;
        let awaited = cells.get(&wait.callee.id())?;
        let together =
            |circle: &Vec<u64>| circle.contains(&wait.caller) && circle.contains(&awaited.id());
        let waited = now.saturating_duration_since(wait.since);
        Some(Wait {
            caller: waits.path().to_string(),
            callee: awaited.path().to_string(),
            working_on: waits.in_hand().map(|hand| hand.message.to_owned()),
            for_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            in_circle: circles.iter().any(together),
        })
    });
    told.collect()
}

/// The circles among waits of at least `age`: each a list of numbers in which every actor waits for the next and the last one for
/// the first. Each circle is told once, from its smallest number on.
pub(crate) fn circles(open: &[Open], now: Instant, age: Duration) -> Vec<Vec<u64>> {
    let mut next: HashMap<u64, Vec<u64>> = HashMap::new();
    for wait in open {
        if now.saturating_duration_since(wait.since) >= age {
            next.entry(wait.caller).or_default().push(wait.callee.id());
        }
    }
    find_circles(&next)
}

fn find_circles(next: &HashMap<u64, Vec<u64>>) -> Vec<Vec<u64>> {
    let mut found: Vec<Vec<u64>> = Vec::new();
    let mut starts: Vec<u64> = next.keys().copied().collect();
    starts.sort_unstable();
    for start in starts {
        if let Some(circle) = circle_from(start, next)
            && !found.contains(&circle)
        {
            found.push(circle);
        }
    }
    found
}

/// The shortest way from `start` back to itself, told from its smallest member on.
fn circle_from(start: u64, next: &HashMap<u64, Vec<u64>>) -> Option<Vec<u64>> {
    let mut came_from: HashMap<u64, u64> = HashMap::new();
    let mut frontier = std::collections::VecDeque::from([start]);
    while let Some(at) = frontier.pop_front() {
        for &to in next.get(&at).map_or(&[][..], Vec::as_slice) {
            if to == start {
                let mut circle = vec![at];
                let mut back = at;
                while back != start {
                    back = *came_from.get(&back)?;
                    circle.push(back);
                }
                circle.reverse();
                let smallest = circle.iter().enumerate().min_by_key(|(_, id)| **id)?.0;
                circle.rotate_left(smallest);
                return Some(circle);
            }
            if to != at && !came_from.contains_key(&to) {
                came_from.insert(to, at);
                frontier.push_back(to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(edges: &[(u64, u64)]) -> HashMap<u64, Vec<u64>> {
        let mut next: HashMap<u64, Vec<u64>> = HashMap::new();
        for (from, to) in edges {
            next.entry(*from).or_default().push(*to);
        }
        next
    }

    #[test]
    fn circles_are_found_once() {
        assert!(find_circles(&graph(&[(1, 2), (2, 3), (1, 3)])).is_empty());
        assert_eq!(
            find_circles(&graph(&[(2, 3), (3, 1), (1, 2), (4, 1)])),
            [[1, 2, 3]]
        );
        assert_eq!(find_circles(&graph(&[(7, 7)])), [[7]]);
    }

    proptest! {
        /// Against plain reachability: who can reach itself is in a circle that is told, and every circle told is one.
        #[test]
        fn every_circle_is_real_and_none_is_missed(edges in prop::collection::vec((0_u64..8, 0_u64..8), 0..20)) {
            let next = graph(&edges);
            let found = find_circles(&next);
            for circle in &found {
                for (at, id) in circle.iter().enumerate() {
                    let to = circle[(at + 1) % circle.len()];
                    prop_assert!(next.get(id).is_some_and(|all| all.contains(&to)));
                }
            }
            for start in 0..8 {
                let mut seen = std::collections::HashSet::new();
                let mut todo = next.get(&start).cloned().unwrap_or_default();
                while let Some(at) = todo.pop() {
                    if seen.insert(at) {
                        todo.extend(next.get(&at).into_iter().flatten());
                    }
                }
                let told = found.iter().any(|circle| circle.contains(&start));
                prop_assert_eq!(told, seen.contains(&start));
            }
        }
    }
}
