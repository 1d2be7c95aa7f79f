//! The state behind the board: nodes by path, their own faults and reports, and the history of changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::board::{NodeFacts, StateChange};
use crate::cell::NodeCell;
use crate::clock::WallTime;
use crate::context::Condition;
use crate::core::EndKind;
use crate::dependency::Dependency;
use crate::domain::Strength;
use crate::end::End;
use crate::history::History;
use crate::level::{Level, State};
use crate::node::Node;
use crate::status::{Cause, Change, NodeKind, StatusEvent};

/// Everything that is known of the tree.
pub(crate) struct Model {
    /// Boxed: a hundred thousand entries move about as the map grows.
    pub(crate) nodes: BTreeMap<Arc<str>, Box<Node>>,
    /// The nodes that are not one of many.
    pub(crate) tree: BTreeSet<Arc<str>>,
    pub(crate) history: History,
    pub(crate) unsettled: Unsettled,
    pub(crate) stopping: bool,
    started_at: WallTime,
}

/// What changed and has not been settled.
#[derive(Default)]
pub(crate) struct Unsettled {
    /// Something in the tree changed.
    pub(crate) dirty: bool,
    /// Nodes of the many that say it began elsewhere: they hang together with the tree.
    pub(crate) pointing: BTreeSet<Arc<str>>,
    /// Nodes of the many that changed.
    pub(crate) touched: Vec<Arc<str>>,
}

impl Unsettled {
    /// Notes that `node` changed.
    fn note(&mut self, node: &mut Node) {
        if !node.is_one_of_many() {
            self.dirty = true;
            return;
        }
        let path = &node.facts.path;
        if node.points_at().is_some() {
            self.pointing.insert(Arc::clone(path));
        } else if !self.pointing.is_empty() {
            self.pointing.remove(path);
        }
        // It may be what one of those points at.
        self.dirty |= !self.pointing.is_empty();
        if !std::mem::replace(&mut node.is_touched, true) {
            self.touched.push(Arc::clone(&node.facts.path));
        }
    }
}

impl Model {
    pub(crate) fn new() -> Self {
        let now = WallTime::now();
        let mut model = Self {
            nodes: BTreeMap::new(),
            history: History::new(now),
            tree: BTreeSet::new(),
            unsettled: Unsettled::default(),
            stopping: false,
            started_at: now,
        };
        let facts = NodeFacts {
            path: "/".into(),
            kind: NodeKind::Root,
            bears: Level::Offline,
            budget: 0,
            cell: None,
            manifest: None,
        };
        model.insert(Node::new(facts, State::Starting, now));
        model
    }

    pub(crate) fn started_at(&self) -> WallTime {
        self.started_at
    }

    pub(crate) fn newest_event(&self) -> u64 {
        self.history.newest()
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.unsettled.dirty || !self.unsettled.touched.is_empty()
    }

    fn insert(&mut self, node: Node) {
        let path = Arc::clone(&node.facts.path);
        let mut node = Box::new(node);
        if !node.is_one_of_many() {
            self.tree.insert(Arc::clone(&path));
        }
        self.unsettled.note(&mut node);
        self.nodes.insert(path, node);
    }

    pub(crate) fn nodes(&self) -> &BTreeMap<Arc<str>, Box<Node>> {
        &self.nodes
    }

    /// The nodes that are not one of many, by path.
    pub(crate) fn tree(&self) -> impl Iterator<Item = &Node> {
        let nodes = self.tree.iter().filter_map(|path| self.nodes.get(path));
        nodes.map(|node| &**node)
    }

    pub(crate) fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path).map(|node| &**node)
    }

    pub(crate) fn add(&mut self, facts: NodeFacts) {
        self.insert(Node::new(facts, State::Starting, WallTime::now()));
    }

    /// A domain that configuration switches off.
    pub(crate) fn add_disabled(&mut self, facts: NodeFacts, reason: String) {
        let mut node = Node::new(facts, State::Disabled, WallTime::now());
        node.disabled_for = Some(reason);
        self.insert(node);
    }

    /// Notes which dependency a node stands for.
    pub(crate) fn attach(&mut self, path: &str, dependency: Dependency) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.dependency = Some(dependency);
        }
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.unsettled.dirty |= self.tree.remove(path) | !self.unsettled.pointing.is_empty();
        self.unsettled.pointing.remove(path);
        self.nodes.remove(path);
    }

    pub(crate) fn remove_below(&mut self, path: &str) {
        self.nodes.retain(|other, _| !is_below(other, path));
        self.tree.retain(|other| !is_below(other, path));
        self.unsettled
            .pointing
            .retain(|other| !is_below(other, path));
        self.unsettled.dirty = true;
    }

    /// Notes how an incarnation ended; its report ends with it.
    pub(crate) fn ended(&mut self, path: &str, end: &End) {
        let now = WallTime::now();
        if let Some(node) = self.nodes.get_mut(path) {
            node.condition = None;
            node.alarms.clear();
            node.end_is_news = true;
            if end.kind != EndKind::Normal {
                node.restarts.last_at = Some(now);
                node.restarts.last_reason = Some(end.message.clone());
            }
            node.end = Some(Box::new((end.clone(), now)));
            self.unsettled.note(node);
        }
    }

    pub(crate) fn set_condition(&mut self, path: &str, condition: Option<Condition>) {
        let Some(node) = self.nodes.get_mut(path) else {
            return;
        };
        let unchanged = match (node.condition.as_deref(), &condition) {
            (Some((old, _)), Some(new)) => old == new,
            (None, None) => true,
            _ => false,
        };
        if unchanged {
            return;
        }
        // The same fault in other words began when it began.
        let since = match (node.condition.as_deref(), &condition) {
            (Some((old, since)), Some(new)) if old.code == new.code => *since,
            _ => WallTime::now(),
        };
        node.condition = condition.map(|condition| Box::new((condition, since)));
        self.unsettled.note(node);
    }

    /// What the supervisor sees of a node from outside.
    pub(crate) fn raise_alarm(&mut self, path: &str, alarm: Condition) {
        let Some(node) = self.nodes.get_mut(path) else {
            return;
        };
        let known = node.alarms.iter_mut();
        match known.map(|(old, _)| old).find(|old| old.code == alarm.code) {
            Some(old) if *old == alarm => return,
            Some(old) => *old = alarm,
            None => node.alarms.push((alarm, WallTime::now())),
        }
        self.unsettled.note(node);
    }

    /// Ends the alarm of this code.
    pub(crate) fn end_alarm(&mut self, path: &str, code: &str) {
        if let Some(node) = self.nodes.get_mut(path) {
            let before = node.alarms.len();
            node.alarms.retain(|(alarm, _)| alarm.code != code);
            if node.alarms.len() != before {
                self.unsettled.note(node);
            }
        }
    }

    /// The cells of all actors by their numbers.
    pub(crate) fn cells(&self) -> HashMap<u64, Arc<NodeCell>> {
        let cells = self
            .nodes
            .values()
            .filter_map(|node| node.facts.cell.as_ref());
        cells.map(|cell| (cell.id(), Arc::clone(cell))).collect()
    }

    /// Takes a change of state and writes it into the history.
    pub(crate) fn change(&mut self, change: &StateChange) {
        let now = WallTime::now();
        let Some(node) = self.nodes.get_mut(&change.path) else {
            return;
        };
        self.unsettled.note(node);
        let previous = std::mem::replace(&mut node.state, change.state);
        node.next_at = change.next_in.map(|wait| now.plus(wait));
        node.restarts.count = change.restarts;
        node.restarts.in_window = change.in_window;
        if previous == change.state && change.state != State::Quarantined {
            return;
        }
        node.state_since = now;
        let action = action_of(change).or_else(|| node.outcome(previous, now));
        let end = match node.end.as_deref() {
            Some((end, _)) if std::mem::take(&mut node.end_is_news) => end.told(),
            _ => None,
        };
        let own = node.own();
        let tells_why = own.level > Level::Normal || change.state == State::Restarting;
        let cause = match change.state {
            State::Waiting => self.awaited(&change.path),
            _ => tells_why.then(|| own.cause(&change.path)),
        };
        let event = StatusEvent {
            id: 0,
            at: now,
            path: change.path.to_string(),
            change: Change::State,
            state: change.state,
            previous_state: Some(previous),
            level: own.level,
            previous_level: None,
            cause,
            impact: None,
            fallback: None,
            action,
            end,
        };
        self.history.append(event);
    }

    /// What a waiting domain waits for, as far as that is known at this moment.
    fn awaited(&self, path: &str) -> Option<Cause> {
        let needs = self.nodes.get(path)?.facts.manifest?.needs;
        let hard = needs.iter().filter(|need| need.strength == Strength::Hard);
        let (at, need) = hard
            .map(|need| format!("/{}", need.domain))
            .find_map(|at| {
                let node = self.nodes.get(at.as_str())?;
                let is_up = node.state == State::Running && node.level < Level::Offline;
                (!is_up).then_some((at, node))
            })?;
        let mut cause = match need.cause() {
            Some(cause) if need.state == State::Running => cause.clone(),
            _ => need.own().cause(&at),
        };
        cause.chain.push(path.to_owned());
        Some(cause)
    }

    /// The root's own state.
    pub(crate) fn set_root_state(&mut self, state: State) {
        self.stopping |= state == State::Stopping;
        self.change(&StateChange {
            path: "/".into(),
            state,
            restarts: 0,
            in_window: 0,
            next_in: None,
        });
    }
}

/// What the supervisor does next, in a few words.
fn action_of(change: &StateChange) -> Option<String> {
    let wait = change.next_in.map(|wait| wait.as_millis());
    match (change.state, wait) {
        (State::Restarting, Some(0)) => Some("restart at once".to_owned()),
        (State::Restarting, Some(ms)) => Some(format!("restart in {ms} ms")),
        (State::Quarantined, Some(ms)) => Some(format!("quarantine, probe in {ms} ms")),
        _ => None,
    }
}

/// The parent's path; `None` for the root.
pub(crate) fn parent_of(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        _ if path == "/" => None,
        Some(("", _)) => Some("/"),
        Some((parent, _)) => Some(parent),
        None => None,
    }
}

/// Whether `path` lies strictly below `above`.
pub(crate) fn is_below(path: &str, above: &str) -> bool {
    above == "/" && path != "/"
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// The path of the domain that a node belongs to.
pub(crate) fn domain_of(path: &str) -> &str {
    let end = path
        .char_indices()
        .skip(1)
        .find(|(_, c)| *c == '/')
        .map_or(path.len(), |(at, _)| at);
    path.get(..end).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_know_their_parents_and_domains() {
        assert_eq!(parent_of("/"), None);
        assert_eq!(parent_of("/a"), Some("/"));
        assert_eq!(parent_of("/a/b"), Some("/a"));
        assert_eq!(domain_of("/a/b/c"), "/a");
        assert_eq!(domain_of("/a"), "/a");
        assert!(is_below("/a/b", "/a") && !is_below("/ab", "/a") && is_below("/a", "/"));
    }
}
