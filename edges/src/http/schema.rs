//! The status document as the OpenAPI document shows it.
//!
//! The supervisor knows no HTTP and derives no schema, so its types are described here once more. Nothing is converted:
//! a test checks what the supervisor serialises against these descriptions, which is what keeps the two together.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// How well something serves, from best to worst.
#[derive(Debug, ToSchema)]
#[schema(as = Level, rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "describes what the supervisor serialises")]
pub(crate) enum LevelWord {
    /// Everything that it promises works.
    Normal,
    /// Every core operation answers, some slower, from a fallback, or with part missing.
    Degraded,
    /// Some core operations are refused, others work.
    Critical,
    /// No operation answers.
    Offline,
}

/// What a node is doing.
#[derive(Debug, ToSchema)]
#[schema(as = State, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes what the supervisor serialises")]
pub(crate) enum StateWord {
    /// A hard need is down.
    Waiting,
    /// Launched and not ready yet.
    Starting,
    /// Ready.
    Running,
    /// It ended and will be started again.
    Restarting,
    /// Its restart budget is used up; it is probed at growing intervals.
    Quarantined,
    /// Asked to end.
    Stopping,
    /// Ended until somebody starts it.
    Stopped,
    /// Switched off by configuration.
    Disabled,
}

/// A node of the tree with what is below it.
#[derive(Debug, ToSchema)]
#[schema(as = NodeStatus)]
#[expect(dead_code, reason = "describes what the supervisor serialises")]
pub(crate) struct NodeSchema {
    /// Where it is, like `/ptys/manager`; the root is `/`.
    path: String,
    /// `root`, `domain`, `group`, `actor` or `dependency`.
    kind: String,
    /// What it is doing.
    #[schema(inline)]
    state: StateWord,
    /// How well it serves.
    #[schema(inline)]
    level: LevelWord,
    /// Since when state and level are what they are.
    #[schema(format = DateTime)]
    since: String,
    /// The root cause of a level below NORMAL.
    #[schema(required)]
    cause: Option<CauseSchema>,
    /// What else is wrong here, each with its own root: the worst first, then the earliest; at most seven.
    also: Vec<CauseSchema>,
    /// What the user loses, in plain words.
    #[schema(required)]
    impact: Option<String>,
    /// What serves instead.
    #[schema(required)]
    fallback: Option<String>,
    /// How often it was started again.
    restarts: RestartsSchema,
    /// Requests admitted and not finished.
    #[schema(required)]
    mailbox: Option<MailboxSchema>,
    /// Time from admission to reply.
    #[schema(required)]
    latency_ms: Option<LatencySchema>,
    /// Further facts: numbers, texts and yes or no.
    detail: BTreeMap<String, serde_json::Value>,
    /// The nodes below, as deep as was asked for.
    #[schema(no_recursion)]
    children: Vec<NodeSchema>,
}

/// Why a level is what it is: the root, not the symptom.
#[derive(Debug, ToSchema)]
#[schema(as = Cause)]
#[expect(dead_code, reason = "describes what the supervisor serialises")]
pub(crate) struct CauseSchema {
    /// The node where it began.
    path: String,
    /// Stable code.
    code: String,
    /// What happened.
    message: String,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// From the root cause to the node that shows it.
    chain: Vec<String>,
}

/// Restart counters.
#[derive(Debug, ToSchema)]
#[schema(as = Restarts)]
#[expect(dead_code, reason = "describes what the supervisor serialises")]
pub(crate) struct RestartsSchema {
    /// Since the daemon started.
    #[schema(minimum = 0)]
    count: u64,
    /// Inside the budget's window.
    in_window: u32,
    /// Allowed inside the window.
    budget: u32,
    /// When it last ended unasked.
    #[schema(required, format = DateTime)]
    last_at: Option<String>,
    /// Why it last ended.
    #[schema(required)]
    last_reason: Option<String>,
}

/// Depth of a mailbox.
#[derive(Debug, ToSchema)]
#[schema(as = Mailbox)]
#[expect(dead_code, reason = "describes what the supervisor serialises")]
pub(crate) struct MailboxSchema {
    /// Requests admitted and not finished.
    depth: u32,
    /// How many are admitted at most.
    limit: u32,
}

/// Latency in milliseconds.
#[derive(Debug, ToSchema)]
#[schema(as = Latency)]
#[expect(dead_code, reason = "describes what the supervisor serialises")]
pub(crate) struct LatencySchema {
    /// Median.
    p50: f64,
    /// 99th percentile.
    p99: f64,
}

/// One change of state or level.
#[derive(Debug, ToSchema)]
#[schema(as = StatusEvent)]
#[expect(dead_code, reason = "describes what the supervisor serialises")]
pub(crate) struct EventSchema {
    /// Rises with each event, also across restarts of the daemon; the `id` in the stream.
    id: u64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Which node.
    path: String,
    /// `state`, `level` or `operator`; in the history also `gap`: events that were lost.
    change: String,
    /// State after the change.
    #[schema(inline)]
    state: StateWord,
    /// State before it, where the state changed.
    #[schema(required)]
    previous_state: Option<String>,
    /// Level after the change.
    #[schema(inline)]
    level: LevelWord,
    /// Level before it, where the level changed.
    #[schema(required)]
    previous_level: Option<String>,
    /// Why.
    #[schema(required)]
    cause: Option<CauseSchema>,
    /// What the user loses.
    #[schema(required)]
    impact: Option<String>,
    /// What serves instead.
    #[schema(required)]
    fallback: Option<String>,
    /// What the supervisor decided or the operator asked, or how a restart came out.
    #[schema(required)]
    action: Option<String>,
    /// The circumstances, where an unasked end led to this change.
    #[schema(required)]
    end: Option<EndedSchema>,
    /// In the history alone: the run of the daemon that it belongs to, as the id after which that run began to count (its
    /// start in microseconds since 1970).
    #[schema(nullable = false)]
    run: Option<u64>,
    /// At a gap alone: how many events were lost.
    #[schema(nullable = false)]
    lost: Option<u64>,
}

/// The circumstances of an unasked end; code and message are in the event's cause.
#[derive(Debug, ToSchema)]
#[schema(as = Ended)]
#[expect(dead_code, reason = "describes what the supervisor serialises")]
struct EndedSchema {
    /// `failed_start`, `error`, `panic`, `kill` or `cancel`.
    kind: String,
    /// Which incarnation.
    incarnation: u64,
    /// The message that it was handling.
    #[schema(required)]
    message_type: Option<String>,
    /// Requests that it had admitted and not finished.
    mailbox_depth: u32,
    /// Where in the source, for a panic.
    #[schema(required)]
    location: Option<String>,
}
