//! What callers see of drills: the list, an order, a run.

use ground::audit::{By, Entry};
use ground::{Id, Micros};
use serde::{Deserialize, Serialize};
use supervisor::Level;
use utoipa::ToSchema;

/// What the status must say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Diagnosis {
    /// The node where it begins.
    pub path: String,
    /// That node's level while the fault lasts.
    #[schema(value_type = String)]
    pub level: Level,
    /// The code of the cause.
    pub cause_code: String,
}

/// A drill that can be run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Drill {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// What it can be aimed at.
    pub targets: Vec<String>,
    /// What the status must say when it is aimed at the first target.
    pub expected: Option<Diagnosis>,
    /// Which domains will be hit, and how hard at worst, when it is aimed at the first target.
    pub forecast: Vec<Hit>,
}

/// A domain that a drill hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hit {
    /// The domain.
    pub domain: String,
    /// The worst level that the fault can bring it to.
    #[schema(value_type = String)]
    pub level: Level,
    /// What its users lose if the fault lasts; null when nothing.
    pub impact: Option<String>,
}

/// What a caller asks for.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The actor, like `/ptys/manager`, or the dependency, like `/store/database` or `store.database`; the first target of the
    /// list without it.
    #[schema(max_length = 512)]
    pub target: Option<String>,
    /// How long the fault lasts, or how long the effects of one that does not last are watched, in milliseconds (100 to
    /// 60,000; 5,000 without it).
    #[schema(minimum = 100, maximum = 60_000)]
    pub for_ms: Option<u64>,
}

impl Order {
    /// The order of this drill, as it goes on record.
    pub(crate) fn entry(&self, by: &By, name: &str) -> Entry {
        let entry = by.entry("drill.run").on(name);
        match &self.target {
            Some(target) => entry.with("target", target.as_str()),
            None => entry,
        }
    }
}

/// A run of a drill.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Run {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: Id,
    /// Which drill.
    pub name: &'static str,
    /// What it was aimed at.
    pub target: String,
    /// `running` or `done`.
    pub state: &'static str,
    /// When the fault was injected.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: Micros,
    /// What the status must say.
    pub expected: Diagnosis,
    /// Which domains it may hit, and how hard at worst.
    pub forecast: Vec<Hit>,
    /// What it said first.
    pub observed: Option<Diagnosis>,
    /// Whether that is the same.
    pub matched: bool,
    /// From the fault's first effect to the diagnosis. The first effect of slowness is the first call that has been slow;
    /// that of any other fault is its injection.
    pub diagnosed_ms: Option<f64>,
    /// From the injection to serving again, with the fault's own time.
    pub recovered_ms: Option<f64>,
    /// The domains whose level really got worse.
    pub hit: Vec<String>,
    /// Whether the forecast named them all, each with this level or a worse one.
    pub hit_as_forecast: bool,
}

impl Run {
    /// Whether it goes on.
    pub(super) fn is_running(&self) -> bool {
        self.state == RUNNING
    }
}

pub(super) const RUNNING: &str = "running";
pub(super) const DONE: &str = "done";
