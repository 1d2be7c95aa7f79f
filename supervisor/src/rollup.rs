//! From what each node says of itself to what each node's level is and why: a pure function.
//!
//! The cause is the root, not the symptom: a level travels up from children and across from needs, and with it travels the node
//! where it began. A dependent of something that failed points at it instead of raising its own.
//!
//! Every node keeps the few worst of the roots that reach it, not only the first: one that arrives weaker than another may
//! be what counts further up, where both are capped, and nothing that is wrong should be hidden by something else that is.

use std::cmp::Reverse;

use crate::clock::WallTime;
use crate::domain::Strength;
use crate::level::Level;

/// Roots that a node keeps at most: the cause and what else is wrong.
pub(crate) const ROOTS_KEPT: usize = 8;

/// What is behind a node's own level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Something is wrong with the node itself, or so it reports.
    Fault,
    /// It was ordered to stop: whatever is wrong below or beside it, this is why it does not serve.
    Ordered,
    /// It is starting, which is no fault: what keeps it from being ready is the better answer.
    Starting,
    /// It does not run because a need is down, so it cannot be a root as long as one is.
    Waits,
}

/// What one node says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// Index of the parent; it is smaller than the node's own. `None` for the root alone.
    pub(crate) parent: Option<usize>,
    /// Level by its own state and report.
    pub(crate) own: Level,
    /// What is behind [`Input::own`].
    pub(crate) standing: Standing,
    /// It does not run, so that nothing that needs it can start.
    pub(crate) down: bool,
    /// Since when its own level is what it is.
    pub(crate) since: WallTime,
    /// The worst level that its parent takes from it.
    pub(crate) bears: Level,
    /// Other nodes that it needs (domains only).
    pub(crate) needs: Vec<(usize, Strength)>,
    /// Where its own report says that it began.
    pub(crate) points_at: Option<usize>,
}

/// What follows for one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) level: Level,
    /// From the root cause to this node, both included; empty at NORMAL.
    pub(crate) chain: Vec<usize>,
    /// The same for what else is wrong, worst first, then earliest; at most [`ROOTS_KEPT`] - 1.
    pub(crate) also: Vec<Vec<usize>>,
}

/// A level with where it comes from.
#[derive(Debug, Clone, Copy)]
struct Claim {
    level: Level,
    /// The node where it began.
    root: usize,
    /// The next node towards the root; the node itself at the root.
    via: usize,
    /// Nodes between here and the root.
    hops: usize,
    /// It keeps the node from being up, and not only from serving well.
    stops: bool,
}

/// What a node's own report counts for.
#[derive(Debug, Clone, Copy)]
enum Report {
    /// The node is its own root.
    Own,
    /// It names another node of which nothing is known yet.
    Open,
    /// It began at `claim.root`; `claim.via` is the node that was named.
    Elsewhere(Claim),
}

/// The claims of all nodes.
struct Rollup<'a> {
    inputs: &'a [Input],
    reports: Vec<Report>,
    claims: Vec<Vec<Claim>>,
}

/// Levels and causes of all nodes. Parents come before their children; index 0 is the root.
pub(crate) fn roll_up(inputs: &[Input]) -> Vec<Verdict> {
    let report = |input: &Input| input.points_at.map_or(Report::Own, |_| Report::Open);
    let mut rollup = Rollup {
        inputs,
        reports: inputs.iter().map(report).collect(),
        claims: Vec::new(),
    };
    rollup.propagate();
    // A report may name a node whose own report names another one, so once is not enough.
    while rollup.follow_pointers() {
        rollup.propagate();
    }
    if rollup.keep_open_reports() {
        rollup.propagate();
    }
    (0..inputs.len())
        .map(|index| rollup.verdict(index))
        .collect()
}

impl Rollup<'_> {
    fn propagate(&mut self) {
        self.claims = vec![Vec::new(); self.inputs.len()];
        // Children before parents; the root waits for the needs between domains.
        for index in (1..self.inputs.len()).rev() {
            self.take_own(index);
            match self.inputs[index].parent {
                Some(parent) if parent != 0 => self.pass_up(index, parent),
                _ => {}
            }
        }
        let mut done = vec![false; self.inputs.len()];
        for index in 1..self.inputs.len() {
            self.settle_needs(&mut done, index);
        }
        for index in 1..self.inputs.len() {
            if self.inputs[index].parent == Some(0) {
                self.pass_up(index, 0);
            }
        }
        if !self.inputs.is_empty() {
            self.take_own(0);
        }
    }

    fn take_own(&mut self, index: usize) {
        let input = &self.inputs[index];
        if input.own == Level::Normal {
            return;
        }
        if input.standing == Standing::Ordered {
            self.claims[index].clear();
        }
        match self.reports[index] {
            Report::Own => self.add(
                index,
                Claim {
                    level: input.own,
                    root: index,
                    via: index,
                    hops: 0,
                    stops: input.down,
                },
            ),
            Report::Elsewhere(claim) => self.add(index, claim),
            Report::Open => {}
        }
    }

    fn pass_up(&mut self, index: usize, parent: usize) {
        for claim in self.passed(index, self.inputs[index].bears) {
            self.add(parent, claim);
        }
    }

    /// What arrives at the next node from node `from`, capped.
    fn passed(&self, from: usize, cap: Level) -> Vec<Claim> {
        let pass = |claim: &Claim| Claim {
            level: claim.level.min(cap),
            root: claim.root,
            via: from,
            hops: claim.hops + 1,
            stops: claim.stops && cap >= Level::Critical,
        };
        let claims = self.claims[from].iter().map(pass);
        claims.filter(|claim| claim.level > Level::Normal).collect()
    }

    /// Keeps `claim`, unless the same root is known in a worse way, or there are enough worse roots.
    fn add(&mut self, index: usize, claim: Claim) {
        let inputs = self.inputs;
        let claims = &mut self.claims[index];
        let shorter = |old: &Claim| old.level == claim.level && old.hops <= claim.hops;
        match claims.iter_mut().find(|old| old.root == claim.root) {
            Some(old) if old.level > claim.level || shorter(old) => old.stops |= claim.stops,
            Some(old) => {
                let stops = old.stops || claim.stops;
                *old = Claim { stops, ..claim };
            }
            None => claims.push(claim),
        }
        claims.sort_by_key(|claim| order_of(inputs, claim));
        claims.truncate(ROOTS_KEPT);
    }

    /// Joins what a domain needs, needs first. A cycle (refused at build time) would stop at its second visit.
    fn settle_needs(&mut self, done: &mut [bool], index: usize) {
        let input = &self.inputs[index];
        if std::mem::replace(&mut done[index], true) || input.standing == Standing::Ordered {
            return;
        }
        let mut soft = Vec::new();
        let mut hard = Vec::new();
        for &(need, strength) in &input.needs {
            self.settle_needs(done, need);
            match strength {
                Strength::Hard => hard.extend(self.passed(need, strength.cap())),
                // Its cap is below what stops anybody.
                Strength::Soft => soft.extend(self.passed(need, strength.cap())),
            }
        }
        if input.standing == Standing::Waits && !hard.is_empty() {
            self.explain_waiting(index, &mut hard);
        } else {
            // A need that fails later stops nobody.
            for claim in &mut hard {
                claim.stops = false;
            }
        }
        for claim in hard.into_iter().chain(soft) {
            self.add(index, claim);
        }
    }

    /// A node that waits is as far down as it says, because of what keeps its needs from being up.
    fn explain_waiting(&mut self, index: usize, hard: &mut [Claim]) {
        let is_known = hard.iter().any(|claim| claim.stops);
        for claim in hard.iter_mut().filter(|claim| claim.stops || !is_known) {
            claim.level = claim.level.max(self.inputs[index].own);
        }
        self.claims[index].retain(|claim| claim.root != index);
    }

    /// Reports that name another node take that node's root, as long as it is not well. Whether there was one.
    fn follow_pointers(&mut self) -> bool {
        let mut found = false;
        for (index, input) in self.inputs.iter().enumerate() {
            if let (Report::Open, Some(target)) = (self.reports[index], input.points_at)
                && let Some(claim) = self.claims[target].iter().find(|claim| claim.root != index)
            {
                self.reports[index] = Report::Elsewhere(Claim {
                    level: input.own,
                    root: claim.root,
                    via: target,
                    hops: claim.hops + 1,
                    stops: false,
                });
                found = true;
            }
        }
        found
    }

    /// A report that names a node which is well stands for itself. Whether there was one.
    fn keep_open_reports(&mut self) -> bool {
        let mut found = false;
        for report in &mut self.reports {
            if matches!(report, Report::Open) {
                *report = Report::Own;
                found = true;
            }
        }
        found
    }

    fn verdict(&self, index: usize) -> Verdict {
        let mut chains = self.claims[index]
            .iter()
            .map(|claim| self.chain(index, claim));
        Verdict {
            level: self.claims[index]
                .first()
                .map_or(Level::Normal, |claim| claim.level),
            chain: chains.next().unwrap_or_default(),
            also: chains.collect(),
        }
    }

    /// From the root of `claim` to node `index`, where it arrives.
    fn chain(&self, index: usize, claim: &Claim) -> Vec<usize> {
        let mut chain = vec![index];
        let mut at = index;
        while at != claim.root {
            let before = self.claims[at]
                .iter()
                .find(|other| other.root == claim.root);
            // Straight to the root where a node in between keeps it no more, or where reports lead in a circle.
            at = before
                .map(|before| before.via)
                .filter(|via| !chain.contains(via))
                .unwrap_or(claim.root);
            chain.push(at);
        }
        chain.reverse();
        chain
    }
}

/// The worst first; of those equally bad a fault before what only waits for one, then the earliest, then the deepest.
fn order_of(inputs: &[Input], claim: &Claim) -> (Reverse<Level>, u8, WallTime, bool, usize) {
    let root = &inputs[claim.root];
    let rank = match root.standing {
        Standing::Fault | Standing::Ordered => 0,
        Standing::Starting => 1,
        Standing::Waits => 2,
    };
    let is_own = claim.hops == 0;
    (Reverse(claim.level), rank, root.since, is_own, claim.root)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(parent: Option<usize>, own: Level, since: i64) -> Input {
        Input {
            parent,
            own,
            since: WallTime(since),
            bears: Level::Offline,
            needs: Vec::new(),
            standing: Standing::Fault,
            down: false,
            points_at: None,
        }
    }

    /// root, store(1) with manager(2), accounts(3) needs store hard, ptys(4) needs store softly with manager(5).
    fn house() -> Vec<Input> {
        let mut nodes = vec![
            node(None, Level::Normal, 0),
            node(Some(0), Level::Normal, 0),
            node(Some(1), Level::Normal, 0),
            node(Some(0), Level::Normal, 0),
            node(Some(0), Level::Normal, 0),
            node(Some(4), Level::Normal, 0),
        ];
        nodes[3].needs = vec![(1, Strength::Hard)];
        nodes[4].needs = vec![(1, Strength::Soft)];
        nodes[4].bears = Level::Critical;
        nodes
    }

    #[test]
    fn a_lost_database_is_the_cause_everywhere() {
        let mut nodes = house();
        nodes[2].own = Level::Critical;
        let verdicts = roll_up(&nodes);
        assert_eq!(verdicts[2].chain, vec![2]);
        assert_eq!(
            (verdicts[1].level, verdicts[1].chain.clone()),
            (Level::Critical, vec![2, 1])
        );
        assert_eq!(
            (verdicts[3].level, verdicts[3].chain.clone()),
            (Level::Critical, vec![2, 1, 3])
        );
        assert_eq!(
            (verdicts[4].level, verdicts[4].chain.clone()),
            (Level::Degraded, vec![2, 1, 4])
        );
        assert_eq!(verdicts[5].level, Level::Normal);
        assert_eq!(verdicts[0].level, Level::Critical);
        assert_eq!(verdicts[0].chain[0], 2);
    }

    #[test]
    fn who_waits_points_at_what_it_waits_for() {
        let mut nodes = house();
        nodes[2].own = Level::Offline;
        nodes[2].down = true;
        nodes[2].since = WallTime(9);
        nodes[3].own = Level::Offline;
        nodes[3].standing = Standing::Waits;
        nodes[3].since = WallTime(1);
        let verdicts = roll_up(&nodes);
        assert_eq!(verdicts[3].level, Level::Offline);
        assert_eq!(verdicts[3].chain[0], 2);
        assert_eq!(verdicts[0].chain[0], 2);
    }

    #[test]
    fn one_of_many_never_takes_its_parent_down() {
        let mut nodes = house();
        nodes[5].own = Level::Offline;
        nodes[5].bears = Level::Normal;
        let verdicts = roll_up(&nodes);
        assert_eq!(verdicts[5].level, Level::Offline);
        assert_eq!(verdicts[4].level, Level::Normal);
        assert_eq!(verdicts[0].level, Level::Normal);
    }

    #[test]
    fn a_report_can_point_at_its_root() {
        let mut nodes = house();
        nodes[2].own = Level::Critical;
        nodes[5].own = Level::Degraded;
        nodes[5].points_at = Some(1);
        let verdicts = roll_up(&nodes);
        assert_eq!(verdicts[5].chain[0], 2);
    }

    #[test]
    fn of_two_needs_the_worse_one_is_named_and_the_other_is_kept() {
        for (slow, lost) in [(1, 4), (4, 1)] {
            let mut nodes = house();
            nodes[4].needs.clear();
            nodes[3].needs = vec![(1, Strength::Hard), (4, Strength::Hard)];
            nodes[slow].own = Level::Degraded;
            nodes[lost].own = Level::Critical;
            nodes[lost].since = WallTime(5);
            let verdicts = roll_up(&nodes);
            assert_eq!(verdicts[3].chain, vec![lost, 3]);
            assert_eq!(verdicts[3].also, vec![vec![slow, 3]]);
        }
    }

    #[test]
    fn who_waits_names_what_is_down_and_not_what_is_only_ill() {
        let mut nodes = house();
        nodes[3].needs = vec![(4, Strength::Hard), (1, Strength::Hard)];
        nodes[3].own = Level::Offline;
        nodes[3].standing = Standing::Waits;
        nodes[4].own = Level::Offline;
        nodes[2].own = Level::Offline;
        nodes[2].down = true;
        nodes[2].since = WallTime(9);
        nodes[2].bears = Level::Critical;
        let verdicts = roll_up(&nodes);
        assert_eq!(verdicts[3].level, Level::Offline);
        assert!(verdicts[3].also.iter().any(|chain| chain[0] == 2));
        nodes[4].own = Level::Critical;
        assert_eq!(roll_up(&nodes)[3].chain, vec![2, 1, 3]);
    }

    #[test]
    fn what_is_only_starting_points_at_what_keeps_it() {
        let mut nodes = house();
        for starting in [0, 1] {
            nodes[starting].own = Level::Offline;
            nodes[starting].standing = Standing::Starting;
        }
        nodes[2].own = Level::Offline;
        nodes[2].since = WallTime(9);
        let verdicts = roll_up(&nodes);
        assert_eq!(verdicts[1].chain, vec![2, 1]);
        assert_eq!(verdicts[0].chain, vec![2, 1, 0]);
    }

    #[test]
    fn who_was_stopped_by_order_points_at_nothing_else() {
        let mut nodes = house();
        nodes[2].own = Level::Offline;
        nodes[3].own = Level::Offline;
        nodes[3].standing = Standing::Ordered;
        nodes[3].since = WallTime(9);
        nodes[5].own = Level::Offline;
        nodes[4].own = Level::Offline;
        nodes[4].standing = Standing::Ordered;
        nodes[4].since = WallTime(9);
        let verdicts = roll_up(&nodes);
        assert_eq!(verdicts[3].chain, vec![3]);
        assert_eq!(verdicts[4].chain, vec![4]);
        assert!(verdicts[4].also.is_empty());
    }

    #[test]
    fn where_two_are_capped_alike_the_earlier_is_named() {
        let mut nodes = house();
        nodes[4].bears = Level::Degraded;
        nodes[5].own = Level::Offline;
        nodes[5].since = WallTime(9);
        nodes[4].own = Level::Degraded;
        nodes[4].since = WallTime(3);
        let verdicts = roll_up(&nodes);
        assert_eq!(verdicts[4].chain, vec![5, 4]);
        assert_eq!(verdicts[0].chain, vec![4, 0]);
        assert_eq!(verdicts[0].also, vec![vec![5, 4, 0]]);
    }

    #[test]
    fn reports_that_point_at_each_other_or_at_a_report_end() {
        let mut nodes = house();
        nodes[2].own = Level::Critical;
        nodes[3].own = Level::Degraded;
        nodes[3].points_at = Some(5);
        nodes[5].own = Level::Degraded;
        nodes[5].points_at = Some(1);
        assert_eq!(roll_up(&nodes)[3].chain[0], 2);
        // With nothing else wrong each is a root of its own, even one that points at its parent.
        nodes[2].own = Level::Normal;
        nodes[5].points_at = Some(4);
        let verdicts = roll_up(&nodes);
        assert_eq!(verdicts[5].chain, vec![5]);
        assert_eq!(verdicts[4].chain, vec![5, 4]);
    }

    proptest! {
        #[test]
        fn causes_are_faulty_nodes_and_levels_are_justified(
            shape in proptest::collection::vec((0_usize..50, 0_u8..4, 0_u8..4, 0_i64..20), 1..50),
        ) {
            let mut nodes = vec![node(None, Level::Normal, 0)];
            for (parent, own, bears, since) in shape {
                let parent = parent % nodes.len();
                let mut new = node(Some(parent), Level::from_rank(own), since);
                new.bears = Level::from_rank(bears);
                nodes.push(new);
            }
            let verdicts = roll_up(&nodes);
            for (index, verdict) in verdicts.iter().enumerate() {
                prop_assert!(verdict.level >= nodes[index].own);
                if verdict.level == Level::Normal {
                    prop_assert!(verdict.chain.is_empty());
                } else {
                    prop_assert!(nodes[verdict.chain[0]].own >= verdict.level);
                    prop_assert_eq!(*verdict.chain.last().unwrap(), index);
                    for pair in verdict.chain.windows(2) {
                        prop_assert_eq!(nodes[pair[0]].parent, Some(pair[1]));
                    }
                }
                if let Some(parent) = nodes[index].parent {
                    prop_assert!(verdicts[parent].level >= verdict.level.min(nodes[index].bears));
                }
            }
        }
    }
}
