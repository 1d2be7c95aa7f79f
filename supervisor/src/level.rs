//! Levels (what the user can do) and states (what a node is doing). They are different questions and never mixed.

use serde::{Deserialize, Serialize};

/// How well something serves, from best to worst. About what the user can do, never about how many processes are up.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Everything that the component promises works.
    #[default]
    Normal,
    /// Every core operation answers, some of them from a fallback, slower, or with part of the function missing.
    Degraded,
    /// Some core operations are refused, others work.
    Critical,
    /// No operation answers.
    Offline,
}

impl Level {
    /// All levels, best first.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Degraded, Self::Critical, Self::Offline];

    /// The word that the contract uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Degraded => "DEGRADED",
            Self::Critical => "CRITICAL",
            Self::Offline => "OFFLINE",
        }
    }

    /// The level of this rank (0 is NORMAL, 3 and more is OFFLINE).
    pub const fn from_rank(rank: u8) -> Self {
        match rank {
            0 => Self::Normal,
            1 => Self::Degraded,
            2 => Self::Critical,
            _ => Self::Offline,
        }
    }

    /// 0 for NORMAL to 3 for OFFLINE.
    pub const fn rank(self) -> u8 {
        self as u8
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// What a node of the tree is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A hard need is down; it starts when the need recovers.
    Waiting,
    /// Launched and not ready yet, within its start limit.
    Starting,
    /// Ready.
    Running,
    /// It ended and will be started again.
    Restarting,
    /// Its restart budget is used up; it is probed at growing intervals.
    Quarantined,
    /// Asked to end.
    Stopping,
    /// Ended, and stays so until somebody starts it.
    Stopped,
    /// Switched off by configuration.
    Disabled,
}

impl State {
    /// The word that the contract uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Quarantined => "quarantined",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Disabled => "disabled",
        }
    }

    /// The level that a node in this state serves at when nothing else is known of it.
    pub const fn level(self) -> Level {
        match self {
            Self::Running | Self::Disabled => Level::Normal,
            _ => Level::Offline,
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}
