//! The tree as far as the caller may see it: who may act on it sees every node, who may only look sees none that stands for something of
//! somebody's.
//!
//! Actors that stand for one thing of one person, such as a terminal, have its id as their name. Whoever owns nothing of it must not even
//! learn that it exists, and the tree does not know owners; so that for onlookers these nodes are left out, and their ids wherever a text
//! names one. Operators need them: a node that hangs is restarted by its path.

use ground::Id;
use serde_json::Value;
use supervisor::{Cause, Detail, NodeStatus, StatusEvent, Wait};

use super::caller::Caller;
use super::routes::OPERATE;

/// What stands where an id was.
const HIDDEN: &str = "…";
/// Bytes of an id as text.
const ID_BYTES: usize = 36;

/// How much of the tree a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    sees_all: bool,
}

impl Sight {
    /// Of this caller.
    pub(crate) fn of(caller: &Caller) -> Self {
        let sees_all = caller.may(OPERATE).is_ok();
        Self { sees_all }
    }

    /// Whether a node at this path exists for the caller.
    fn sees(self, path: &str) -> bool {
        self.sees_all || !path.split('/').any(is_id)
    }

    /// A node and what is below it.
    pub(crate) fn node(self, mut node: NodeStatus) -> Option<NodeStatus> {
        if self.sees_all {
            return Some(node);
        }
        if !self.sees(&node.path) {
            return None;
        }
        node.cause
            .iter_mut()
            .chain(&mut node.also)
            .for_each(hush_cause);
        for detail in node.detail.values_mut() {
            if let Detail::Text(text) = detail {
                *text = hushed(text);
            }
        }
        let children = std::mem::take(&mut node.children);
        let seen = children.into_iter().filter_map(|child| self.node(child));
        node.children = seen.collect();
        Some(node)
    }

    /// A change.
    pub(crate) fn event(self, mut event: StatusEvent) -> Option<StatusEvent> {
        if !self.sees_all {
            event.cause.iter_mut().for_each(hush_cause);
        }
        self.sees(&event.path).then_some(event)
    }

    /// A change as it was kept.
    pub(crate) fn kept(self, event: &mut Value) -> bool {
        let path = event.get("path").and_then(Value::as_str);
        let is_seen = path.is_none_or(|path| self.sees(path));
        if !self.sees_all {
            hush_value(event);
        }
        is_seen
    }

    /// A wait.
    pub(crate) fn wait(self, wait: &Wait) -> bool {
        self.sees(&wait.caller) && self.sees(&wait.callee)
    }
}

fn is_id(text: &str) -> bool {
    text.len() == ID_BYTES && text.parse::<Id>().is_ok()
}

fn hush_cause(cause: &mut Cause) {
    cause.path = hushed(&cause.path);
    cause.message = hushed(&cause.message);
    cause.chain.iter_mut().for_each(|path| *path = hushed(path));
}

fn hush_value(value: &mut Value) {
    match value {
        Value::String(text) => *text = hushed(text),
        Value::Array(items) => items.iter_mut().for_each(hush_value),
        Value::Object(fields) => fields.values_mut().for_each(hush_value),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text without the ids in it.
fn hushed(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        if let Some((start, after)) = rest.split_at_checked(ID_BYTES)
            && is_id(start)
        {
            plain.push_str(HIDDEN);
            rest = after;
            continue;
        }
        let mut chars = rest.chars();
        let Some(first) = chars.next() else {
            return plain;
        };
        plain.push(first);
        rest = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ONLOOKER: Sight = Sight { sees_all: false };
    const OPERATOR: Sight = Sight { sees_all: true };

    #[test]
    fn who_may_act_sees_every_node() {
        let path = format!("/ptys/terminals/{}", Id::generate());
        assert!(OPERATOR.sees(&path) && OPERATOR.sees("/ptys"));
        assert!(!ONLOOKER.sees(&path) && !ONLOOKER.sees(&format!("{path}/pump")));
        assert!(ONLOOKER.sees("/") && ONLOOKER.sees("/ptys/terminals"));
    }

    #[test]
    fn a_kept_change_names_nobodys_things_to_an_onlooker() {
        let path = format!("/ptys/terminals/{}", Id::generate());
        let mut own = json!({ "path": path, "cause": null });
        assert!(!ONLOOKER.kept(&mut own));
        let mut above = json!({ "path": "/ptys", "cause": { "path": path, "chain": [path] } });
        let before = above.clone();
        assert!(OPERATOR.kept(&mut above));
        assert_eq!(above, before);
        assert!(ONLOOKER.kept(&mut above));
        assert_eq!(above["cause"]["chain"], json!(["/ptys/terminals/…"]));
    }

    proptest! {
        #[test]
        fn no_id_is_left_in_a_text(before in "\\PC{0,40}", between in "\\PC{0,3}", bytes in any::<[u8; 16]>()) {
            let id = Id::from_bytes(bytes);
            let told = hushed(&format!("{before} {id}{between}{id}"));
            prop_assert!(!told.contains(&id.to_string()), "{}", told);
        }

        #[test]
        fn a_text_without_an_id_stays(text in "\\PC{0,80}") {
            prop_assume!(!text.contains('-'));
            prop_assert_eq!(hushed(&text), text);
        }
    }
}
