//! The status document: what an operator, a script and the console read. Field names are fixed by the contract.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::WallTime;
use crate::level::{Level, State};

/// One node of the tree with everything below it.
#[derive(Debug, Clone, Serialize)]
pub struct NodeStatus {
    /// Where it is, like `/ptys/manager`; the root is `/`.
    pub path: String,
    /// What it is.
    pub kind: NodeKind,
    /// What it is doing.
    pub state: State,
    /// How well it serves.
    pub level: Level,
    /// Since when state and level are what they are.
    pub since: WallTime,
    /// The root cause of a level below NORMAL.
    pub cause: Option<Cause>,
    /// What else is wrong here, each with its own root: the worst first, then the earliest; at most seven.
    pub also: Vec<Cause>,
    /// What the user loses, in plain words.
    pub impact: Option<String>,
    /// What serves instead.
    pub fallback: Option<String>,
    /// How often it was started again.
    pub restarts: Restarts,
    /// Requests admitted and not finished; null for what has no mailbox.
    pub mailbox: Option<Mailbox>,
    /// Time from admission to reply over the last minutes; null before the first reply.
    pub latency_ms: Option<Latency>,
    /// Further facts that the node itself tells, plus `next` (what the supervisor does next) where there is one.
    pub detail: BTreeMap<String, Detail>,
    /// The nodes below, in start order of domains and by name elsewhere; empty where the depth asked for ends.
    pub children: Vec<NodeStatus>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// The whole system.
    Root,
    /// A domain.
    Domain,
    /// A supervisor inside a domain.
    Group,
    /// An actor.
    Actor,
    /// Something outside of the process that a domain needs.
    Dependency,
}

/// Why a level is what it is: the root, not the symptom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The node where it began.
    pub path: String,
    /// Stable code.
    pub code: String,
    /// What happened, for an operator.
    pub message: String,
    /// Since when.
    pub since: WallTime,
    /// From the root cause to the node that shows it, both included.
    pub chain: Vec<String>,
}

/// Restart counters of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restarts {
    /// Since the daemon started.
    pub count: u64,
    /// Inside the budget's window.
    pub in_window: u32,
    /// Restarts allowed inside the window.
    pub budget: u32,
    /// When it last ended unasked.
    pub last_at: Option<WallTime>,
    /// Why it last ended.
    pub last_reason: Option<String>,
}

/// Depth of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mailbox {
    /// Requests admitted and not finished.
    pub depth: u32,
    /// How many are admitted at most.
    pub limit: u32,
}

/// Latency in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// A fact in a status document.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

impl From<bool> for Detail {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<i64> for Detail {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<u32> for Detail {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}
impl From<usize> for Detail {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
impl From<f64> for Detail {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}
impl From<String> for Detail {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<&str> for Detail {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// What kind of change an event tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The state changed.
    State,
    /// The level changed.
    Level,
    /// An operator asked for something.
    Operator,
}

/// One change of state or level, kept in the history and sent to the status stream.
#[derive(Debug, Clone, Serialize)]
pub struct StatusEvent {
    /// Rises by at least one with each event, also across restarts of the daemon.
    pub id: u64,
    /// When.
    pub at: WallTime,
    /// Which node.
    pub path: String,
    /// What changed.
    pub change: Change,
    /// State after the change.
    pub state: State,
    /// State before it, where the state changed.
    pub previous_state: Option<State>,
    /// Level after the change.
    pub level: Level,
    /// Level before it, where the level changed.
    pub previous_level: Option<Level>,
    /// Why.
    pub cause: Option<Cause>,
    /// What the user loses.
    pub impact: Option<String>,
    /// What serves instead.
    pub fallback: Option<String>,
    /// What the supervisor decided or the operator asked, or how it came out, in a few words.
    pub action: Option<String>,
    /// The circumstances, where an unasked end led to this change.
    pub end: Option<Ended>,
}

/// How an actor ended unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// It could not start, or not within its start limit.
    FailedStart,
    /// A handler returned an error.
    Error,
    /// It panicked.
    Panic,
    /// It was killed: it hung, did not stop in time, or a drill asked for it.
    Kill,
    /// Its task was cancelled from outside of the supervisor.
    Cancel,
}

/// The circumstances of an unasked end; code and message are in the event's cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// How it ended.
    pub kind: EndedBy,
    /// Which incarnation, counted from 1 since the daemon's or its domain's start.
    pub incarnation: u64,
    /// The message that it was handling.
    pub message_type: Option<String>,
    /// Requests that it had admitted and not finished.
    pub mailbox_depth: u32,
    /// Where in the source, for a panic.
    pub location: Option<String>,
}

/// The system in a few lines: what `/health` tells.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    /// The system's level.
    pub level: Level,
    /// Since when.
    pub since: WallTime,
    /// Whether start-up is over and no stop was asked for.
    pub ready: bool,
    /// Each domain's level, in start order.
    pub domains: Vec<(String, Level)>,
}

/// A start that was refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which node.
    pub path: String,
    /// Stable code.
    pub code: String,
    /// Why, and what to do.
    pub message: String,
}
