//! Reading the tree: status documents, health, the history and subscriptions to it.

use tokio::sync::watch;

use crate::dependency::Dependency;
use crate::domain::Manifest;
use crate::level::{Level, State};
use crate::model::{Model, domain_of, is_below, parent_of};
use crate::node::Node;
use crate::status::{Detail, Health, NodeKind, NodeStatus, Refusal, StatusEvent};
use crate::system::System;
use crate::waits::{self, Wait};

/// Events read at most at once by a subscription.
const BATCH: usize = 256;

impl System {
    /// The status of the node at `path` (the root without one) with `depth` levels of nodes below it (all without one).
    /// `None` when there is no such node.
    pub fn status(&self, path: Option<&str>, depth: Option<usize>) -> Option<NodeStatus> {
        self.board().with(|model| {
            model.settle();
            status_of(model, path.unwrap_or("/"), depth.unwrap_or(usize::MAX))
        })
    }

    /// The system's level.
    pub fn level(&self) -> Level {
        self.health().level
    }

    /// The system in a few lines.
    pub fn health(&self) -> Health {
        self.board().with(|model| {
            model.settle();
            let domains = model
                .tree()
                .filter(|node| node.facts.kind == NodeKind::Domain)
                .map(|node| {
                    let name = node.facts.path.trim_start_matches('/').to_owned();
                    (name, node.level)
                })
                .collect();
            let root = model.node("/");
            Health {
                level: root.map_or(Level::Offline, |root| root.level),
                since: root.map_or_else(|| model.started_at(), Node::since),
                ready: root.is_some_and(|root| root.state == State::Running),
                domains,
            }
        })
    }

    /// What the users of a domain lose when it serves at `level`, by its manifest.
    pub fn impact_of(&self, domain: &str, level: Level) -> Option<String> {
        self.board().with(|model| {
            let node = model.node(&format!("/{domain}"))?;
            node.facts.manifest?.impact.at(level).map(str::to_owned)
        })
    }

    /// Which domains would say so if the node at `path` were at `level`, each with the worst level that would reach it: first the
    /// node's own, then those that need it. Empty where nothing would: at NORMAL, for one of many, or for no node.
    pub fn blast_radius(&self, path: &str, level: Level) -> Vec<(String, Level)> {
        let (domain, reached) = self.board().with(|model| {
            let (mut at, mut reached) = (path, level);
            let domain = domain_of(path);
            while at != domain {
                let bears = model
                    .node(at)
                    .map_or(Level::Normal, |node| node.facts.bears);
                reached = reached.min(bears);
                at = parent_of(at).unwrap_or(domain);
            }
            let is_there = model
                .node(domain)
                .is_some_and(|node| node.facts.manifest.is_some());
            (domain, if is_there { reached } else { Level::Normal })
        });
        if reached == Level::Normal {
            return Vec::new();
        }
        let domain = domain.trim_start_matches('/').to_owned();
        let others = self.dependents_of(&domain);
        let others = others
            .into_iter()
            .map(|(other, passed)| (other, passed.min(reached)));
        std::iter::once((domain.clone(), reached))
            .chain(others)
            .collect()
    }

    /// The domains that would say so if `domain` were OFFLINE, each with the level that would pass to it.
    pub fn dependents_of(&self, domain: &str) -> Vec<(String, Level)> {
        let manifests: Vec<&'static Manifest> = self.board().with(|model| {
            let domains = model.tree();
            domains.filter_map(|node| node.facts.manifest).collect()
        });
        let mut levels = vec![(domain.to_owned(), Level::Offline)];
        let mut at = 0;
        while let Some((name, level)) = levels.get(at).cloned() {
            for manifest in &manifests {
                let need = manifest.needs.iter().find(|need| need.domain == name);
                let known = levels.iter().any(|(known, _)| known == manifest.name);
                if let (Some(need), false) = (need, known) {
                    let passed = level.min(need.strength.cap());
                    levels.push((manifest.name.to_owned(), passed));
                }
            }
            at += 1;
        }
        levels.split_off(1)
    }

    /// Which actors wait for which others at this moment, the longest wait first.
    pub fn waits(&self) -> Vec<Wait> {
        let cells = self.board().with(|model| model.cells());
        waits::told(&cells)
    }

    /// Starts that were refused for good: trying again is useless until somebody changes something.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.board().with(|model| {
            model
                .nodes()
                .values()
                .filter_map(|node| node.refusal())
                .collect()
        })
    }

    /// The oldest `limit` kept events after the id `since` (from the oldest kept one without it), of `path` and below
    /// when given.
    pub fn events(&self, since: Option<u64>, path: Option<&str>, limit: usize) -> Vec<StatusEvent> {
        self.board()
            .with(|model| model.history.after(since.unwrap_or(0), path, limit))
    }

    /// The oldest `limit` of the kept events that `wanted` takes, or the newest ones, newest first. `wanted` is asked while
    /// supervisors wait, so it must be quick.
    pub fn events_where(
        &self,
        newest_first: bool,
        limit: usize,
        wanted: &dyn Fn(&StatusEvent) -> bool,
    ) -> Vec<StatusEvent> {
        self.board()
            .with(|model| model.history.select(newest_first, limit, wanted))
    }

    /// The id after which this run of the daemon counts its events, one by one. It tells the runs apart.
    pub fn event_origin(&self) -> u64 {
        self.board().with(|model| model.history.origin())
    }

    /// Waits until there has been an event with this id or a later one. Cancel-safe.
    pub async fn event_reached(&self, id: u64) {
        let mut newest = self.board().newest();
        // The sender lives in the board that `self` holds.
        drop(newest.wait_for(|newest| *newest >= id).await);
    }

    /// All events after the id `after`, or from now on without one. A subscriber that falls behind by more than the kept
    /// history misses the oldest; it holds up nobody.
    pub fn subscribe(&self, after: Option<u64>) -> Subscription {
        let newest = self.board().newest();
        let now = *newest.borrow();
        // An id from a clock that was ahead is none of ours: from now on.
        let seen = after.map_or(now, |after| after.min(now));
        Subscription {
            system: self.clone(),
            newest,
            seen,
            batch: std::collections::VecDeque::new(),
        }
    }
}

/// A reader of the history that waits for what comes.
#[derive(Debug)]
pub struct Subscription {
    system: System,
    newest: watch::Receiver<u64>,
    seen: u64,
    batch: std::collections::VecDeque<StatusEvent>,
}

impl Subscription {
    /// The next event; `None` when the tree is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<StatusEvent> {
        loop {
            if let Some(event) = self.batch.pop_front() {
                self.seen = event.id;
                return Some(event);
            }
            let seen = self.seen;
            self.newest.wait_for(|newest| *newest > seen).await.ok()?;
            self.batch = self.system.events(Some(seen), None, BATCH).into();
            if self.batch.is_empty() {
                // What was announced has been dropped from the history already.
                self.seen = *self.newest.borrow();
            }
        }
    }
}

fn status_of(model: &Model, path: &str, depth: usize) -> Option<NodeStatus> {
    let node = model.node(path)?;
    let mut status = own_status(node);
    if depth > 0 {
        status.children = model
            .nodes()
            .range::<str, _>((std::ops::Bound::Excluded(path), std::ops::Bound::Unbounded))
            .map(|(other, _)| other)
            .take_while(|other| is_below(other, path) || other.starts_with(path))
            .filter(|other| parent_of(other) == Some(path))
            .filter_map(|child| status_of(model, child, depth - 1))
            .collect();
    }
    Some(status)
}

fn own_status(node: &Node) -> NodeStatus {
    let shown = node.shown.as_deref().cloned().unwrap_or_default();
    let cell = node.facts.cell.as_ref();
    let dependency = node.dependency.as_ref();
    let mut detail = cell.map(|cell| cell.details()).unwrap_or_default();
    if let Some(dependency) = dependency {
        detail.extend(dependency.details());
    } else if let Some(cell) = cell {
        detail.insert(
            "replies".to_owned(),
            Detail::Int(i64::try_from(cell.replies()).unwrap_or(i64::MAX)),
        );
    }
    if let Some(hand) = cell.and_then(|cell| cell.in_hand()) {
        detail.insert("in_hand".to_owned(), Detail::Text(hand.message.to_owned()));
    }
    if let Some(next) = node.next_at {
        detail.insert("next".to_owned(), Detail::Text(next.to_string()));
    }
    if let Some(reason) = node.disabled_for() {
        detail.insert("disabled".to_owned(), Detail::Text(reason.to_owned()));
    }
    NodeStatus {
        path: node.facts.path.to_string(),
        kind: node.facts.kind,
        state: node.state,
        level: node.level,
        since: node.since(),
        cause: shown.cause,
        also: shown.also,
        impact: shown.impact,
        fallback: shown.fallback,
        restarts: node.restarts.clone(),
        mailbox: dependency
            .map(Dependency::calls)
            .or_else(|| cell.map(|cell| cell.mailbox())),
        latency_ms: match dependency {
            Some(dependency) => dependency.latency(),
            None => cell.and_then(|cell| cell.latency()),
        },
        detail,
        children: Vec::new(),
    }
}
