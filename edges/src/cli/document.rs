//! The API's documents as the command line reads them. The daemon may be older or newer than this binary, so a field that
//! is missing or unknown is no error, and what only JSON readers need is not spelt out here.

use ground::Micros;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use supervisor::{Level, State};

use super::{exit::Exit, failure::Failure};

/// One node of the status tree.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) kind: String,
    pub(crate) state: State,
    pub(crate) level: Level,
    #[serde(default)]
    pub(crate) since: Option<Micros>,
    #[serde(default)]
    pub(crate) cause: Option<Cause>,
    #[serde(default)]
    pub(crate) also: Vec<Cause>,
    #[serde(default)]
    pub(crate) impact: Option<String>,
    #[serde(default)]
    pub(crate) fallback: Option<String>,
    #[serde(default)]
    pub(crate) restarts: Restarts,
    #[serde(default)]
    pub(crate) mailbox: Option<Mailbox>,
    #[serde(default)]
    pub(crate) latency_ms: Option<Latency>,
    #[serde(default)]
    pub(crate) detail: Map<String, Value>,
    #[serde(default)]
    pub(crate) children: Vec<Node>,
}

/// Why a level is what it is.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Cause {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) since: Option<Micros>,
    #[serde(default)]
    pub(crate) chain: Vec<String>,
}

/// Restart counters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Restarts {
    pub(crate) count: u64,
    pub(crate) in_window: u64,
    pub(crate) budget: u64,
    pub(crate) last_at: Option<Micros>,
    pub(crate) last_reason: Option<String>,
}

/// Depth of a mailbox.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Mailbox {
    pub(crate) depth: u64,
    pub(crate) limit: u64,
}

/// Latency in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Latency {
    #[serde(default)]
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// One change of state or level.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) at: Option<Micros>,
    pub(crate) path: String,
    pub(crate) state: State,
    #[serde(default)]
    pub(crate) previous_state: Option<State>,
    pub(crate) level: Level,
    #[serde(default)]
    pub(crate) previous_level: Option<Level>,
    #[serde(default)]
    pub(crate) cause: Option<Cause>,
    #[serde(default)]
    pub(crate) impact: Option<String>,
    #[serde(default)]
    pub(crate) fallback: Option<String>,
    #[serde(default)]
    pub(crate) action: Option<String>,
    /// How an incarnation ended, where one did.
    #[serde(default)]
    pub(crate) end: Option<End>,
    /// Which run of the daemon it is of: the run's start in microseconds since 1970. Only the history tells.
    #[serde(default)]
    pub(crate) run: Option<i64>,
}

/// How an incarnation ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct End {
    pub(crate) kind: Option<String>,
    pub(crate) message_type: Option<String>,
    pub(crate) mailbox_depth: Option<u64>,
    pub(crate) location: Option<String>,
}

impl Event {
    /// Whether something ended unasked here, and what the supervisor decided.
    pub(crate) fn is_end(&self) -> bool {
        if let Some(end) = &self.end {
            return end.kind.as_deref() != Some("normal");
        }
        let is_asked = || {
            let code = self.cause.as_ref().map(|cause| cause.code.as_str());
            code.is_none_or(|code| code == "supervisor.stopped")
        };
        self.previous_state.is_some()
            && match self.state {
                State::Restarting | State::Quarantined => true,
                State::Stopped => !is_asked(),
                _ => false,
            }
    }
}

/// A list of the API.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}

impl Node {
    /// The last part of its path; the root is `/`.
    pub(crate) fn name(&self) -> &str {
        match self.path.trim_end_matches('/').rsplit('/').next() {
            Some(name) if !name.is_empty() => name,
            _ => "/",
        }
    }

    /// The node itself and every node below it, parents before children.
    pub(crate) fn walk(&self) -> impl Iterator<Item = &Self> {
        let mut waiting = vec![self];
        std::iter::from_fn(move || {
            let node = waiting.pop()?;
            waiting.extend(node.children.iter().rev());
            Some(node)
        })
    }

    /// The node with this path, here or below.
    #[cfg(test)]
    pub(crate) fn find(&self, path: &str) -> Option<&Self> {
        self.walk().find(|node| node.path == path)
    }
}

/// Reads a document of the API.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        Failure::new(Exit::Failed, "the daemon's answer was not understood")
            .caused_by(&error)
            .next("mainstay version --json tells whether daemon and command line are of the same version")
    })
}

/// `document` as `--json` prints it, with a line break at its end.
pub(crate) fn json_text(document: &Value) -> String {
    // Printing a `Value` cannot fail.
    format!("{document:#}\n")
}

/// A path as a user may type it (`ptys`, `/ptys/`, `//ptys`), in the form of the status document.
pub(crate) fn node_path(typed: &str) -> String {
    let parts: Vec<_> = typed
        .trim()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_with_the_least_in_it_is_read() {
        let node: Node =
            read(json!({"path": "/", "state": "running", "level": "NORMAL", "new_field": 1}))
                .unwrap();
        assert_eq!((node.name(), node.children.len()), ("/", 0));
    }

    #[test]
    fn what_is_not_understood_is_told_with_the_reason() {
        let failure =
            read::<Node>(json!({"path": "/", "state": "dancing", "level": "NORMAL"})).unwrap_err();
        assert!(
            failure.causes.iter().any(|cause| cause.contains("dancing")),
            "{failure:?}"
        );
    }

    #[test]
    fn paths_are_taken_as_people_type_them() {
        for (typed, path) in [
            ("ptys", "/ptys"),
            ("/ptys/", "/ptys"),
            ("//a///b", "/a/b"),
            ("", "/"),
            ("/", "/"),
        ] {
            assert_eq!(node_path(typed), path);
        }
    }

    #[test]
    fn parents_come_before_their_children() {
        let tree: Node = read(
            json!({"path": "/", "state": "running", "level": "NORMAL", "children": [
            {"path": "/a", "state": "running", "level": "NORMAL", "children": [
                {"path": "/a/b", "state": "running", "level": "NORMAL"}]},
            {"path": "/c", "state": "running", "level": "NORMAL"}]}),
        )
        .unwrap();
        assert_eq!(
            tree.walk()
                .map(|node| node.path.as_str())
                .collect::<Vec<_>>(),
            ["/", "/a", "/a/b", "/c"]
        );
        assert_eq!(tree.find("/a/b").map(Node::name), Some("b"));
    }
}
