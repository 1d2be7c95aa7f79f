//! What is known of one node: its state, how it ended, what it says of itself, what is seen of it.

use crate::board::NodeFacts;
use crate::clock::WallTime;
use crate::context::Condition;
use crate::core::EndKind;
use crate::dependency::Dependency;
use crate::end::End;
use crate::level::{Level, State};
use crate::rollup::Standing;
use crate::status::{Cause, NodeKind, Refusal, Restarts};

/// Why a node is not well, as far as it knows itself.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) level: Level,
    code: String,
    message: String,
    pub(crate) since: WallTime,
    pub(crate) standing: Standing,
}

impl Own {
    /// This as the cause at `path`.
    pub(crate) fn cause(&self, path: &str) -> Cause {
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
    pub(crate) state_since: WallTime,
    pub(crate) restarts: Restarts,
    /// Until when the supervisor waits before its next attempt.
    pub(crate) next_at: Option<WallTime>,
    /// Boxed, as all that few nodes have: there may be a hundred thousand of them.
    pub(crate) end: Option<Box<(End, WallTime)>>,
    /// The newest end was not told yet.
    pub(crate) end_is_news: bool,
    /// It waits to be settled by itself.
    pub(crate) is_touched: bool,
    /// What the supervisor itself sees of it while it runs, one of a code.
    pub(crate) alarms: Vec<(Condition, WallTime)>,
    pub(crate) condition: Option<Box<(Condition, WallTime)>>,
    pub(crate) disabled_for: Option<String>,
    /// What the node stands for, where it is one outside of the process.
    pub(crate) dependency: Option<Dependency>,
    pub(crate) level: Level,
    pub(crate) level_since: WallTime,
    /// What more the last roll-up found; `None` at NORMAL.
    pub(crate) shown: Option<Box<Shown>>,
}

/// What the last roll-up found beside the level.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub(crate) cause: Option<Cause>,
    pub(crate) also: Vec<Cause>,
    pub(crate) impact: Option<String>,
    pub(crate) fallback: Option<String>,
}

impl Node {
    pub(crate) fn new(facts: NodeFacts, state: State, now: WallTime) -> Self {
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
            end_is_news: false,
            is_touched: false,
            alarms: Vec::new(),
            condition: None,
            disabled_for: None,
            dependency: None,
            level: state.level(),
            level_since: now,
            shown: None,
        }
    }

    /// One of many, whose level is nobody's but its own.
    pub(crate) fn is_one_of_many(&self) -> bool {
        let facts = &self.facts;
        facts.bears == Level::Normal && facts.kind == NodeKind::Actor && facts.manifest.is_none()
    }

    /// Why its level is what it is.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.shown.as_ref()?.cause.as_ref()
    }

    pub(crate) fn disabled_for(&self) -> Option<&str> {
        self.disabled_for.as_deref()
    }

    /// Set while its newest start was refused for good.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let (end, _) = self.end.as_deref()?;
        let refused = end.kind == EndKind::FailedStart { permanent: true };
        (refused && self.state != State::Running).then(|| Refusal {
            path: self.facts.path.to_string(),
            code: end.code.clone(),
            message: end.message.clone(),
        })
    }

    /// Since when state and level are what they are.
    pub(crate) fn since(&self) -> WallTime {
        self.level_since.max(self.state_since)
    }

    /// The worst that it says of itself or that is seen of it.
    pub(crate) fn worst_said(&self) -> Option<&(Condition, WallTime)> {
        // At the same level what is seen from outside says more, and the newest most.
        let said = self.condition.as_deref().into_iter().chain(&self.alarms);
        said.max_by_key(|(condition, _)| condition.level)
    }

    /// Where what is worst of it began, if it says so.
    pub(crate) fn points_at(&self) -> Option<&str> {
        self.worst_said()?.0.root.as_deref()
    }

    /// How a restart came out, when it has just come out.
    pub(crate) fn outcome(&self, previous: State, now: WallTime) -> Option<String> {
        let after_fault = matches!(previous, State::Restarting | State::Quarantined);
        let (_, ended_at) = self.end.as_deref().filter(|_| after_fault)?;
        if self.state != State::Running {
            return None;
        }
        let micros = now.0.saturating_sub(ended_at.0).max(0);
        Some(format!(
            "serves again after {}.{:03} ms",
            micros / 1_000,
            micros % 1_000
        ))
    }

    /// Its own level with the reason, from its state and its report.
    pub(crate) fn own(&self) -> Own {
        let by_state = self.state.level();
        if let Some((condition, since)) = self.worst_said()
            && condition.level >= by_state
        {
            return Own {
                level: condition.level,
                code: condition.code.to_owned(),
                message: condition.message.clone(),
                since: *since,
                standing: Standing::Fault,
            };
        }
        let (standing, code, message) = match (self.end.as_deref(), self.state) {
            (_, State::Waiting) => (
                Standing::Waits,
                "supervisor.waiting",
                "waits for something that it needs",
            ),
            (Some((end, at)), State::Restarting | State::Quarantined | State::Stopped)
                if end.kind != EndKind::Normal =>
            {
                return Own {
                    level: by_state,
                    code: end.code.clone(),
                    message: end.message.clone(),
                    since: *at,
                    standing: Standing::Fault,
                };
            }
            (_, State::Stopping | State::Stopped) => {
                (Standing::Ordered, "supervisor.stopped", "was stopped")
            }
            _ => (Standing::Starting, "supervisor.starting", "is starting"),
        };
        Own {
            level: by_state,
            code: code.to_owned(),
            message: message.to_owned(),
            since: self.state_since,
            standing,
        }
    }
}
