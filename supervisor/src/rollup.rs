//! From what each node says of itself to what each node's level is and why: a pure function.
//!
//! The cause is the root, not the symptom: a level travels up from children and across from needs, and with it travels the node
//! where it began. A dependent of something that failed points at it instead of raising its own.

use crate::clock::WallTime;
use crate::domain::Strength;
use crate::level::Level;

/// What one node says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// Index of the parent; it is smaller than the node's own. `None` for the root alone.
    pub(crate) parent: Option<usize>,
    /// Level by its own state and report.
    pub(crate) own: Level,
    /// Since when its own level is what it is.
    pub(crate) since: WallTime,
    /// The worst level that its parent takes from it.
    pub(crate) bears: Level,
    /// Other nodes that it needs (domains only).
    pub(crate) needs: Vec<(usize, Strength)>,
    /// It does not run because a need is down, so it cannot be a root.
    pub(crate) waits: bool,
    /// Where its own report says that it began.
    pub(crate) points_at: Option<usize>,
}

/// What follows for one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) level: Level,
    /// From the root cause to this node, both included; empty at NORMAL.
    pub(crate) chain: Vec<usize>,
}

/// A level with where it comes from.
#[derive(Debug, Clone, Copy)]
struct Claim {
    level: Level,
    /// The node where it began.
    root: usize,
    /// The next node towards the root; the node itself at the root.
    via: usize,
}

/// Levels and causes of all nodes. Parents come before their children; index 0 is the root.
pub(crate) fn roll_up(inputs: &[Input]) -> Vec<Verdict> {
    let mut claims: Vec<Option<Claim>> = vec![None; inputs.len()];
    // Children before parents; the root waits for the needs between domains.
    for index in (1..inputs.len()).rev() {
        let below = claims[index].take();
        let own = own_claim(inputs, index);
        claims[index] = worse(inputs, own, below);
        if let (Some(parent), Some(claim)) = (inputs[index].parent, claims[index])
            && parent != 0
        {
            let passed = pass(claim, index, inputs[index].bears);
            claims[parent] = worse(inputs, claims[parent], passed);
        }
    }
    join_needs(inputs, &mut claims);
    if !inputs.is_empty() {
        let mut root = own_claim(inputs, 0);
        for (index, input) in inputs.iter().enumerate().skip(1) {
            if let (Some(0), Some(claim)) = (input.parent, claims[index]) {
                root = worse(inputs, root, pass(claim, index, input.bears));
            }
        }
        claims[0] = root;
    }
    resolve_pointers(inputs, &mut claims);
    (0..inputs.len())
        .map(|index| verdict(&claims, index))
        .collect()
}

fn own_claim(inputs: &[Input], index: usize) -> Option<Claim> {
    let input = &inputs[index];
    (input.own > Level::Normal).then_some(Claim {
        level: input.own,
        root: index,
        via: index,
    })
}

/// What arrives at the next node from `claim` of node `from`, capped.
fn pass(claim: Claim, from: usize, cap: Level) -> Option<Claim> {
    let level = claim.level.min(cap);
    (level > Level::Normal).then_some(Claim {
        level,
        root: claim.root,
        via: from,
    })
}

/// The worse of two claims. At the same level the one that began earlier, then the deeper one (`b`).
fn worse(inputs: &[Input], a: Option<Claim>, b: Option<Claim>) -> Option<Claim> {
    match (a, b) {
        (Some(a), Some(b)) if a.level > b.level => Some(a),
        (Some(a), Some(b)) if a.level == b.level => {
            let a_is_own = a.root == a.via && inputs[a.root].waits;
            let earlier = inputs[a.root].since < inputs[b.root].since;
            Some(if earlier && !a_is_own { a } else { b })
        }
        (a, b) => b.or(a),
    }
}

/// Joins what domains need from each other, needs first. A cycle (refused at build time) would stop at its second visit.
fn join_needs(inputs: &[Input], claims: &mut [Option<Claim>]) {
    let mut done = vec![false; inputs.len()];
    for index in 1..inputs.len() {
        settle_needs(inputs, claims, &mut done, index);
    }
}

fn settle_needs(inputs: &[Input], claims: &mut [Option<Claim>], done: &mut [bool], index: usize) {
    if std::mem::replace(&mut done[index], true) {
        return;
    }
    for &(need, strength) in &inputs[index].needs {
        settle_needs(inputs, claims, done, need);
        let Some(claim) = claims[need] else {
            continue;
        };
        let Some(mut passed) = pass(claim, need, strength.cap()) else {
            continue;
        };
        if inputs[index].waits && strength == Strength::Hard {
            // It is down because the need is down: its own level, the need's cause.
            passed.level = passed.level.max(inputs[index].own);
            claims[index] = Some(passed);
            return;
        }
        let own = claims[index];
        claims[index] = match own {
            Some(own) if own.level > passed.level => Some(own),
            _ => Some(passed),
        };
    }
}

/// A report that names another node as its root takes that node's root, as long as that node is not well.
fn resolve_pointers(inputs: &[Input], claims: &mut [Option<Claim>]) {
    for index in 0..inputs.len() {
        let Some(claim) = claims[index] else { continue };
        if let Some(target) = inputs[claim.root].points_at
            && let Some(pointed) = claims[target]
            && target != index
            && inputs[pointed.root].points_at.is_none()
        {
            claims[index] = Some(Claim {
                root: pointed.root,
                ..claim
            });
        }
    }
}

fn verdict(claims: &[Option<Claim>], index: usize) -> Verdict {
    let Some(claim) = claims[index] else {
        return Verdict {
            level: Level::Normal,
            chain: Vec::new(),
        };
    };
    let mut chain = vec![index];
    let mut at = index;
    let mut via = claim.via;
    while via != at && chain.len() <= claims.len() {
        chain.push(via);
        at = via;
        via = claims[at].map_or(at, |claim| claim.via);
    }
    if chain.last() != Some(&claim.root) {
        chain.push(claim.root);
    }
    chain.reverse();
    Verdict {
        level: claim.level,
        chain,
    }
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
            waits: false,
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
        nodes[2].since = WallTime(9);
        nodes[3].own = Level::Offline;
        nodes[3].waits = true;
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
