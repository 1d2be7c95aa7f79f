//! Rolls levels up over the model and writes what changed into the history.
//!
//! Levels of a tree hang together, so all of it is rolled up at once. One of many (a terminal, a session) moves nobody's level but
//! its own: those are settled one by one, or a hundred thousand of them would be rolled up whenever one changes.

use std::sync::Arc;

use crate::clock::WallTime;
use crate::domain::Need;
use crate::level::{Level, State};
use crate::model::{Model, domain_of, parent_of};
use crate::node::{Node, Own, Shown};
use crate::rollup::{Input, Verdict, roll_up};
use crate::status::{Cause, Change, NodeKind, StatusEvent};

impl Model {
    /// Rolls levels up and writes what changed into the history.
    pub(crate) fn settle(&mut self) {
        if !self.is_dirty() {
            return;
        }
        let now = WallTime::now();
        if std::mem::take(&mut self.unsettled.dirty) {
            self.settle_tree(now);
        }
        for path in std::mem::take(&mut self.unsettled.touched) {
            self.settle_one(&path, now);
        }
    }

    /// The nodes whose levels hang together.
    fn settle_tree(&mut self, now: WallTime) {
        let paths = self.paths_of_tree();
        let nodes = || paths.iter().filter_map(|path| self.nodes.get(path));
        let owns: Vec<Own> = nodes().map(|node| node.own()).collect();
        let inputs: Vec<Input> = nodes()
            .zip(&owns)
            .map(|(node, own)| input_of(node, own, &paths))
            .collect();
        let verdicts = roll_up(&inputs);
        let shown: Vec<Option<Shown>> = verdicts
            .iter()
            .enumerate()
            .map(|(index, verdict)| self.show(&paths, &owns, index, verdict, &verdicts))
            .collect();
        for ((path, verdict), shown) in paths.iter().zip(&verdicts).zip(shown) {
            self.settle_to(path, verdict.level, shown, now);
        }
    }

    /// All that are not one of many, and those of the many that name another or are named. Parents come before their children.
    fn paths_of_tree(&self) -> Vec<Arc<str>> {
        let mut paths: Vec<Arc<str>> = self
            .tree
            .iter()
            .chain(&self.unsettled.pointing)
            .cloned()
            .collect();
        let named = paths.iter().filter_map(|path| {
            let named = self.nodes.get(path)?.points_at()?;
            let (path, node) = self.nodes.get_key_value(named)?;
            node.is_one_of_many().then(|| Arc::clone(path))
        });
        let named: Vec<Arc<str>> = named.collect();
        paths.extend(named);
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// One of many: its level is what it says and what is seen of it.
    fn settle_one(&mut self, path: &Arc<str>, now: WallTime) {
        let Some(node) = self.nodes.get_mut(path) else {
            return;
        };
        node.is_touched = false;
        if self.unsettled.pointing.contains(path) {
            // Settled with the tree.
            return;
        }
        let own = node.own();
        let shown = (own.level > Level::Normal).then(|| {
            let (impact, fallback) = self.texts(path, own.level, &[0], std::slice::from_ref(path));
            Shown {
                cause: Some(own.cause(path)),
                also: Vec::new(),
                impact,
                fallback,
            }
        });
        self.settle_to(path, own.level, shown, now);
    }

    fn settle_to(&mut self, path: &Arc<str>, level: Level, shown: Option<Shown>, now: WallTime) {
        let Some(node) = self.nodes.get_mut(path) else {
            return;
        };
        node.shown = shown.map(Box::new);
        let previous = std::mem::replace(&mut node.level, level);
        if previous != level {
            node.level_since = now;
            let event = level_event(node, path, previous, now);
            self.history.append(event);
        }
    }

    fn show(
        &self,
        paths: &[Arc<str>],
        owns: &[Own],
        index: usize,
        verdict: &Verdict,
        all: &[Verdict],
    ) -> Option<Shown> {
        let cause_of = |chain: &Vec<usize>| {
            let &root = chain.first()?;
            Some(Cause {
                chain: chain.iter().map(|at| paths[*at].to_string()).collect(),
                ..owns[root].cause(&paths[root])
            })
        };
        let cause = cause_of(&verdict.chain)?;
        let (impact, fallback) = if index == 0 {
            self.system_texts(paths, all)
        } else {
            self.texts(&paths[index], verdict.level, &verdict.chain, paths)
        };
        Some(Shown {
            cause: Some(cause),
            also: verdict.also.iter().filter_map(cause_of).collect(),
            impact,
            fallback,
        })
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
            .find_map(|at| self.nodes.get(at)?.worst_said())
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
    fn system_texts(
        &self,
        paths: &[Arc<str>],
        all: &[Verdict],
    ) -> (Option<String>, Option<String>) {
        let mut impacts = Vec::new();
        let mut fallbacks = Vec::new();
        for (path, verdict) in paths.iter().zip(all) {
            let node = self.nodes.get(path);
            let is_domain = node.is_some_and(|node| node.facts.kind == NodeKind::Domain);
            if !is_domain || verdict.level == Level::Normal {
                continue;
            }
            let (impact, fallback) = self.texts(path, verdict.level, &verdict.chain, paths);
            let name = path.trim_start_matches('/');
            impacts.extend(impact.map(|impact| format!("{name}: {impact}")));
            fallbacks.extend(fallback.map(|fallback| format!("{name}: {fallback}")));
        }
        let joined = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.join("; "));
        (joined(impacts), joined(fallbacks))
    }
}

/// What a node says of itself, for the roll-up; indices are places in `paths`.
fn input_of(node: &Node, own: &Own, paths: &[Arc<str>]) -> Input {
    let index_of = |path: &str| paths.binary_search_by(|other| (**other).cmp(path)).ok();
    let domain =
        |need: &Need| index_of(&format!("/{}", need.domain)).map(|index| (index, need.strength));
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
        standing: own.standing,
        down: node.state.level() == Level::Offline,
        since: own.since,
        bears: node.facts.bears,
        needs: needs.iter().filter_map(domain).collect(),
        points_at: node.points_at().and_then(index_of),
    }
}

fn level_event(node: &Node, path: &str, previous: Level, now: WallTime) -> StatusEvent {
    let shown = node.shown.as_deref().cloned().unwrap_or_default();
    StatusEvent {
        id: 0,
        at: now,
        path: path.to_owned(),
        change: Change::Level,
        state: node.state,
        previous_state: None,
        level: node.level,
        previous_level: Some(previous),
        cause: shown.cause,
        impact: shown.impact,
        fallback: shown.fallback,
        action: None,
        end: None,
    }
}
