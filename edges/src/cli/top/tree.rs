//! The status tree as it is looked at: flat, in drawing order, with what lies below each part counted and the replies of
//! each second. Pure.
//!
//! Why flat: a domain may have thousands of parts (a terminal each), and every key press asks what is above, below and next.
//! Parents come before their children, so a part's whole subtree is the slice behind it, and no pointer is needed.

use std::{collections::HashMap, time::Duration};

use supervisor::Level;

use super::super::document::Node;

/// The least time over which replies are counted: over less, chance decides.
const LEAST_SPAN: Duration = Duration::from_millis(900);

/// One part of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// What its document says; its children are parts of their own.
    pub(crate) node: Node,
    /// Steps below the root.
    pub(crate) depth: usize,
    /// The part above it; `None` for the root.
    pub(crate) parent: Option<usize>,
    /// How many parts lie right below it.
    pub(crate) children: usize,
    /// How many parts lie anywhere below it: as many follow it in the list.
    pub(crate) below: usize,
    /// How many of those are not NORMAL.
    pub(crate) unwell: usize,
    /// Replies a second, once they were counted for a second.
    pub(crate) rate: Option<f64>,
}

/// The parts, parents before their children.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// All of them; the first is the root.
    pub(crate) parts: Vec<Part>,
}

impl Tree {
    /// The tree below `root`.
    pub(crate) fn of(root: Node) -> Self {
        let mut tree = Self::default();
        tree.add(root, None, 0);
        tree
    }

    fn add(&mut self, mut node: Node, parent: Option<usize>, depth: usize) -> (usize, usize) {
        let at = self.parts.len();
        let children = std::mem::take(&mut node.children);
        let own_unwell = usize::from(node.level != Level::Normal);
        self.parts.push(Part {
            node,
            depth,
            parent,
            children: children.len(),
            below: 0,
            unwell: 0,
            rate: None,
        });
        let (mut below, mut unwell) = (0, 0);
        for child in children {
            let (child_below, child_unwell) = self.add(child, Some(at), depth + 1);
            below += child_below + 1;
            unwell += child_unwell;
        }
        if let Some(part) = self.parts.get_mut(at) {
            (part.below, part.unwell) = (below, unwell);
        }
        (below, unwell + own_unwell)
    }

    /// The part with this path.
    #[cfg(test)]
    pub(crate) fn position(&self, path: &str) -> Option<usize> {
        self.parts.iter().position(|part| part.node.path == path)
    }

    /// The part at this place.
    pub(crate) fn get(&self, at: usize) -> Option<&Part> {
        self.parts.get(at)
    }

    /// The root.
    pub(crate) fn root(&self) -> Option<&Part> {
        self.parts.first()
    }
}

/// How many replies each part had given, and when that was read.
#[derive(Debug, Default)]
pub(crate) struct Rates(HashMap<String, Sample>);

#[derive(Clone, Copy, Debug)]
struct Sample {
    replies: u64,
    at: Duration,
    rate: Option<f64>,
}

impl Rates {
    /// Fills in the replies a second of every part that counts them. `at` is when the tree was read, on any clock that only
    /// goes forward.
    pub(crate) fn fill(&mut self, tree: &mut Tree, at: Duration) {
        let mut samples = HashMap::with_capacity(self.0.len());
        for part in &mut tree.parts {
            let Some(replies) = part
                .node
                .detail
                .get("replies")
                .and_then(serde_json::Value::as_u64)
            else {
                continue;
            };
            let (path, before) = self.0.remove_entry(&part.node.path).map_or_else(
                || (part.node.path.clone(), None),
                |(path, before)| (path, Some(before)),
            );
            let sample = next_sample(before, replies, at);
            part.rate = sample.rate;
            samples.insert(path, sample);
        }
        self.0 = samples;
    }

    /// Forgets all: the counters begin anew.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

fn next_sample(before: Option<Sample>, replies: u64, at: Duration) -> Sample {
    let fresh = Sample {
        replies,
        at,
        rate: None,
    };
    // Fewer replies than before: it counts anew.
    let Some(before) = before.filter(|before| before.replies <= replies) else {
        return fresh;
    };
    let span = at.saturating_sub(before.at);
    if span < LEAST_SPAN {
        return before;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond 2^52 replies in a second nobody counts"
    )]
    let counted = (replies - before.replies) as f64;
    Sample {
        rate: Some(counted / span.as_secs_f64()),
        ..fresh
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::super::document::read;
    use super::*;

    fn node(path: &str, level: &str, replies: u64, children: &[Value]) -> Value {
        json!({"path": path, "state": "running", "level": level, "detail": {"replies": replies}, "children": children})
    }

    fn tree(replies: u64) -> Tree {
        let terminals = [
            node("/ptys/manager/a", "NORMAL", 0, &[]),
            node("/ptys/manager/b", "OFFLINE", 0, &[]),
        ];
        let manager = node("/ptys/manager", "NORMAL", replies, &terminals);
        let root = node(
            "/",
            "DEGRADED",
            0,
            &[
                node("/ptys", "DEGRADED", 0, &[manager]),
                node("/store", "NORMAL", 0, &[]),
            ],
        );
        Tree::of(read(root).unwrap())
    }

    fn rate_of(tree: &Tree, path: &str) -> Option<f64> {
        tree.get(tree.position(path).unwrap()).unwrap().rate
    }

    #[test]
    fn parts_are_flat_and_what_lies_below_is_counted() {
        let tree = tree(0);
        let told: Vec<_> = tree
            .parts
            .iter()
            .map(|part| {
                (
                    part.node.path.as_str(),
                    part.depth,
                    part.children,
                    part.below,
                    part.unwell,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("/", 0, 2, 5, 2),
                ("/ptys", 1, 1, 3, 1),
                ("/ptys/manager", 2, 2, 2, 1),
                ("/ptys/manager/a", 3, 0, 0, 0),
                ("/ptys/manager/b", 3, 0, 0, 0),
                ("/store", 1, 0, 0, 0),
            ]
        );
        assert_eq!(tree.parts[3].parent, tree.position("/ptys/manager"));
    }

    #[test]
    fn replies_a_second_are_counted_over_a_second() {
        let mut rates = Rates::default();
        let mut look = |replies, millis| {
            let mut tree = tree(replies);
            rates.fill(&mut tree, Duration::from_millis(millis));
            rate_of(&tree, "/ptys/manager")
        };
        assert_eq!(look(100, 0), None);
        // Too soon: what was known stays, and the count goes on from the first look.
        assert_eq!(look(150, 200), None);
        assert_eq!(look(300, 2_000), Some(100.0));
        assert_eq!(look(301, 2_100), Some(100.0));
        assert_eq!(look(300, 4_000), Some(0.0));
        // It was started again.
        assert_eq!(look(5, 5_000), None);
        assert_eq!(look(15, 6_000), Some(10.0));
    }

    #[test]
    fn what_has_left_the_tree_is_forgotten() {
        let mut rates = Rates::default();
        rates.fill(&mut tree(1), Duration::ZERO);
        let mut small = Tree::of(read(node("/", "NORMAL", 1, &[])).unwrap());
        rates.fill(&mut small, Duration::from_secs(1));
        assert_eq!(rates.0.len(), 1);
    }

    fn build(at: &[usize], paths: &[Vec<usize>]) -> Value {
        let children: Vec<_> = paths
            .iter()
            .filter(|path| path.len() == at.len() + 1 && path.starts_with(at))
            .map(|path| build(path, paths))
            .collect();
        node(&format!("{at:?}"), "NORMAL", 0, &children)
    }

    proptest! {
        #[test]
        fn every_subtree_is_the_slice_behind_its_part(shape in prop::collection::vec(0usize..6, 0..40)) {
            // Each new node goes below the part that the number picks among those on the way to the last one.
            let mut paths = vec![vec![0usize]];
            for pick in shape {
                let last = paths.last().cloned().unwrap_or_default();
                let above = last.get(..=pick.min(last.len() - 1)).unwrap_or(&last).to_vec();
                let place = paths.len();
                paths.push([above, vec![place]].concat());
            }
            let tree = Tree::of(read(build(&[0], &paths)).unwrap());
            prop_assert_eq!(tree.parts.len(), paths.len());
            for (at, part) in tree.parts.iter().enumerate() {
                let mut above = 0;
                for (other, below) in tree.parts.iter().enumerate() {
                    let mut up = below.parent;
                    let mut is_below = false;
                    while let Some(parent) = up {
                        is_below |= parent == at;
                        up = tree.parts[parent].parent;
                    }
                    prop_assert_eq!(is_below, other > at && other <= at + part.below);
                    above += usize::from(is_below);
                }
                prop_assert_eq!(above, part.below);
            }
        }
    }
}
