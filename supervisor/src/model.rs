//! The state behind the board: nodes by path, their own faults and reports, and the history of changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::board::{NodeFacts, StateChange};
use crate::clock::WallTime;
use crate::context::Condition;
use crate::core::EndKind;
use crate::dependency::Dependency;
use crate::domain::{Need, Strength};
use crate::end::End;
use crate::history::History;
use crate::level::{Level, State};
use crate::rollup::{Input, Verdict, roll_up};
use crate::status::{Cause, Change, NodeKind, Refusal, Restarts, StatusEvent};

/// Why a node is not well, as far as it knows itself.
#[derive(Debug, Clone)]
struct Own {
    level: Level,
    code: String,
    message: String,
    since: WallTime,
}

impl Own {
    /// This as the cause at `path`.
    fn cause(&self, path: &str) -> Cause {
        Cause {
            path: path.to_owned(),
            code: self.code.clone(),
            message: self.message.clone(),
            since: self.since,
            chain: vec![path.to_owned()],
        }
    }
}

pub(crate) struct Node {
    pub(crate) facts: NodeFacts,
    pub(crate) state: State,
    state_since: WallTime,
    pub(crate) restarts: Restarts,
    /// Until when the supervisor waits before its next attempt.
    pub(crate) next_at: Option<WallTime>,
    end: Option<(End, WallTime)>,
    condition: Option<(Condition, WallTime)>,
    disabled_for: Option<String>,
    /// What the node stands for, where it is one outside of the process.
    pub(crate) dependency: Option<Dependency>,
    verdict: Shown,
}

/// What the last roll-up found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub(crate) level: Level,
    pub(crate) level_since: Option<WallTime>,
    pub(crate) cause: Option<Cause>,
    pub(crate) impact: Option<String>,
    pub(crate) fallback: Option<String>,
}

impl Node {
    fn new(facts: NodeFacts, state: State, now: WallTime) -> Self {
        Self {
            restarts: Restarts {
                budget: facts.budget,
                ..Restarts::default()
            },
            facts,
            state,
            state_since: now,
            next_at: None,
            end: None,
            condition: None,
            disabled_for: None,
            dependency: None,
            verdict: Shown {
                level: state.level(),
                level_since: Some(now),
                ..Shown::default()
            },
        }
    }

    pub(crate) fn shown(&self) -> &Shown {
        &self.verdict
    }

    pub(crate) fn disabled_for(&self) -> Option<&str> {
        self.disabled_for.as_deref()
    }

    /// Set while its newest start was refused for good.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let (end, _) = self.end.as_ref()?;
        let refused = end.kind == EndKind::FailedStart { permanent: true };
        (refused && self.state != State::Running).then(|| Refusal {
            path: self.facts.path.to_string(),
            code: end.code.clone(),
            message: end.message.clone(),
        })
    }

    /// Since when state and level are what they are.
    pub(crate) fn since(&self) -> WallTime {
        self.verdict
            .level_since
            .map_or(self.state_since, |since| since.max(self.state_since))
    }

    /// Its own level with the reason, from its state and its report.
    fn own(&self) -> Own {
        let by_state = self.state.level();
        if let Some((condition, since)) = &self.condition
            && condition.level >= by_state
        {
            return Own {
                level: condition.level,
                code: condition.code.to_owned(),
                message: condition.message.clone(),
                since: *since,
            };
        }
        let (code, message, since) = match (&self.end, self.state) {
            (_, State::Waiting) => (
                "supervisor.waiting".to_owned(),
                "waits for something that it needs".to_owned(),
                self.state_since,
            ),
            (Some((end, at)), State::Restarting | State::Quarantined | State::Stopped)
                if end.kind != EndKind::Normal =>
            {
                (end.code.clone(), end.message.clone(), *at)
            }
            (_, State::Stopping | State::Stopped) => (
                "supervisor.stopped".to_owned(),
                "was stopped".to_owned(),
                self.state_since,
            ),
            _ => (
                "supervisor.starting".to_owned(),
                "is starting".to_owned(),
                self.state_since,
            ),
        };
        Own {
            level: by_state,
            code,
            message,
            since,
        }
    }
}

/// Everything that is known of the tree.
pub(crate) struct Model {
    nodes: BTreeMap<Arc<str>, Node>,
    pub(crate) history: History,
    dirty: bool,
    pub(crate) stopping: bool,
    started_at: WallTime,
}

impl Model {
    pub(crate) fn new() -> Self {
        let now = WallTime::now();
        let mut model = Self {
            nodes: BTreeMap::new(),
            history: History::new(now),
            dirty: false,
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
        model
            .nodes
            .insert("/".into(), Node::new(facts, State::Starting, now));
        model
    }

    pub(crate) fn started_at(&self) -> WallTime {
        self.started_at
    }

    pub(crate) fn newest_event(&self) -> u64 {
        self.history.newest()
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(crate) fn nodes(&self) -> &BTreeMap<Arc<str>, Node> {
        &self.nodes
    }

    pub(crate) fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub(crate) fn add(&mut self, facts: NodeFacts) {
        let path = Arc::clone(&facts.path);
        let node = Node::new(facts, State::Starting, WallTime::now());
        self.nodes.insert(path, node);
        self.dirty = true;
    }

    /// A domain that configuration switches off.
    pub(crate) fn add_disabled(&mut self, facts: NodeFacts, reason: String) {
        let path = Arc::clone(&facts.path);
        let mut node = Node::new(facts, State::Disabled, WallTime::now());
        node.disabled_for = Some(reason);
        self.nodes.insert(path, node);
        self.dirty = true;
    }

    /// Notes which dependency a node stands for.
    pub(crate) fn attach(&mut self, path: &str, dependency: Dependency) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.dependency = Some(dependency);
        }
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
        self.dirty = true;
    }

    pub(crate) fn remove_below(&mut self, path: &str) {
        self.nodes.retain(|other, _| !is_below(other, path));
        self.dirty = true;
    }

    /// Notes how an incarnation ended; its report ends with it.
    pub(crate) fn ended(&mut self, path: &str, end: &End) {
        let now = WallTime::now();
        if let Some(node) = self.nodes.get_mut(path) {
            node.condition = None;
            if end.kind != EndKind::Normal {
                node.restarts.last_at = Some(now);
                node.restarts.last_reason = Some(end.message.clone());
            }
            node.end = Some((end.clone(), now));
            self.dirty = true;
        }
    }

    pub(crate) fn set_condition(&mut self, path: &str, condition: Option<Condition>) {
        let Some(node) = self.nodes.get_mut(path) else {
            return;
        };
        let unchanged = match (&node.condition, &condition) {
            (Some((old, _)), Some(new)) => old == new,
            (None, None) => true,
            _ => false,
        };
        if unchanged {
            return;
        }
        // The same fault in other words began when it began.
        let since = match (&node.condition, &condition) {
            (Some((old, since)), Some(new)) if old.code == new.code => *since,
            _ => WallTime::now(),
        };
        node.condition = condition.map(|condition| (condition, since));
        self.dirty = true;
    }

    /// Takes a change of state and writes it into the history.
    pub(crate) fn change(&mut self, change: &StateChange) {
        let now = WallTime::now();
        let action = action_of(change);
        let Some(node) = self.nodes.get_mut(&change.path) else {
            return;
        };
        let previous = std::mem::replace(&mut node.state, change.state);
        node.next_at = change.next_in.map(|wait| now.plus(wait));
        node.restarts.count = change.restarts;
        node.restarts.in_window = change.in_window;
        self.dirty = true;
        if previous == change.state && change.state != State::Quarantined {
            return;
        }
        node.state_since = now;
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
                let is_up = node.state == State::Running && node.verdict.level < Level::Offline;
                (!is_up).then_some((at, node))
            })?;
        let mut cause = match &need.verdict.cause {
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

    /// Rolls levels up and writes what changed into the history.
    pub(crate) fn settle(&mut self) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let paths: Vec<Arc<str>> = self.nodes.keys().cloned().collect();
        let owns: Vec<Own> = self.nodes.values().map(Node::own).collect();
        let inputs = self.inputs(&paths, &owns);
        let verdicts = roll_up(&inputs);
        let shown: Vec<Shown> = verdicts
            .iter()
            .enumerate()
            .map(|(index, verdict)| self.show(&paths, &owns, index, verdict, &verdicts))
            .collect();
        let now = WallTime::now();
        for (path, mut shown) in paths.into_iter().zip(shown) {
            let Some(node) = self.nodes.get_mut(&path) else {
                continue;
            };
            let previous = node.verdict.level;
            if previous == shown.level {
                shown.level_since = node.verdict.level_since;
                node.verdict = shown;
                continue;
            }
            shown.level_since = Some(now);
            node.verdict = shown;
            let event = level_event(node, &path, previous, now);
            self.history.append(event);
        }
    }

    fn inputs(&self, paths: &[Arc<str>], owns: &[Own]) -> Vec<Input> {
        let index_of = |path: &str| paths.binary_search_by(|other| (**other).cmp(path)).ok();
        self.nodes
            .values()
            .zip(owns)
            .map(|(node, own)| {
                let points_at = node
                    .condition
                    .as_ref()
                    .and_then(|(condition, _)| condition.root.as_deref());
                let domain = |need: &Need| {
                    index_of(&format!("/{}", need.domain)).map(|index| (index, need.strength))
                };
                let needs = node.facts.manifest.map_or(&[][..], |facts| facts.needs);
                // A disabled domain needs nothing.
                let needs = if node.state == State::Disabled {
                    &[][..]
                } else {
                    needs
                };
                Input {
                    parent: parent_of(&node.facts.path).and_then(index_of),
                    own: own.level,
                    since: own.since,
                    bears: node.facts.bears,
                    needs: needs.iter().filter_map(domain).collect(),
                    waits: node.state == State::Waiting,
                    points_at: points_at.and_then(index_of),
                }
            })
            .collect()
    }

    fn show(
        &self,
        paths: &[Arc<str>],
        owns: &[Own],
        index: usize,
        verdict: &Verdict,
        all: &[Verdict],
    ) -> Shown {
        let Some(&root) = verdict.chain.first() else {
            return Shown::default();
        };
        let cause = Cause {
            path: paths[root].to_string(),
            code: owns[root].code.clone(),
            message: owns[root].message.clone(),
            since: owns[root].since,
            chain: verdict
                .chain
                .iter()
                .map(|at| paths[*at].to_string())
                .collect(),
        };
        let (impact, fallback) = if index == 0 {
            self.system_texts(all)
        } else {
            self.texts(&paths[index], verdict.level, &verdict.chain, paths)
        };
        Shown {
            level: verdict.level,
            level_since: None,
            cause: Some(cause),
            impact,
            fallback,
        }
    }

    /// Impact and fallback of a node: its own report's, else that of the report which caused it, else its domain's
    /// sentences.
    fn texts(
        &self,
        path: &str,
        level: Level,
        chain: &[usize],
        paths: &[Arc<str>],
    ) -> (Option<String>, Option<String>) {
        let domain = domain_of(path);
        let manifest = self.nodes.get(domain).and_then(|node| node.facts.manifest);
        let reported = chain
            .iter()
            .map(|at| &paths[*at])
            .filter(|at| domain_of(at) == domain)
            .find_map(|at| self.nodes.get(at)?.condition.as_ref())
            .map(|(condition, _)| condition);
        let impact = reported
            .and_then(|condition| condition.impact.clone())
            .or_else(|| Some(manifest?.impact.at(level)?.to_owned()));
        let fallback = reported
            .and_then(|condition| condition.fallback.clone())
            .or_else(|| Some(manifest?.fallback?.to_owned()));
        (impact, fallback)
    }

    /// What the user of the whole system loses: a sentence a domain.
    fn system_texts(&self, all: &[Verdict]) -> (Option<String>, Option<String>) {
        let mut impacts = Vec::new();
        let mut fallbacks = Vec::new();
        let paths: Vec<Arc<str>> = self.nodes.keys().cloned().collect();
        for (index, (path, node)) in self.nodes.iter().enumerate() {
            let verdict = &all[index];
            if node.facts.kind != NodeKind::Domain || verdict.level == Level::Normal {
                continue;
            }
            let (impact, fallback) = self.texts(path, verdict.level, &verdict.chain, &paths);
            let name = path.trim_start_matches('/');
            impacts.extend(impact.map(|impact| format!("{name}: {impact}")));
            fallbacks.extend(fallback.map(|fallback| format!("{name}: {fallback}")));
        }
        let joined = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.join("; "));
        (joined(impacts), joined(fallbacks))
    }
}

fn level_event(node: &Node, path: &str, previous: Level, now: WallTime) -> StatusEvent {
    let shown = &node.verdict;
    StatusEvent {
        id: 0,
        at: now,
        path: path.to_owned(),
        change: Change::Level,
        state: node.state,
        previous_state: None,
        level: shown.level,
        previous_level: Some(previous),
        cause: shown.cause.clone(),
        impact: shown.impact.clone(),
        fallback: shown.fallback.clone(),
        action: None,
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
fn domain_of(path: &str) -> &str {
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
