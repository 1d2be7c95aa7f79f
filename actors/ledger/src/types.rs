//! What is asked for, and what is told: records of events, from table and memory alike.

use std::str::FromStr;

use ground::{Micros, Page};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::LedgerError;

/// The most records on a page.
pub(crate) const MAX_LIMIT: u32 = 200;

/// A point in the history: an event, or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The event with this id, whether it is there or not.
    Id(u64),
    /// A time; times are told to the millisecond, so this is the whole of one.
    At(Micros),
}

/// The text is neither an id nor a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the id of an event, or a time such as 2026-01-31T12:00:00Z")]
pub struct MomentError;

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Id).map_err(|_| MomentError);
        }
        text.parse().map(Self::At).map_err(|_| MomentError)
    }
}

/// In which order records are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As it happened.
    #[default]
    OldestFirst,
    /// The other way round.
    NewestFirst,
}

/// Which records are wanted. The default is the oldest fifty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Those after this event, or from this time on.
    pub since: Option<Moment>,
    /// Those up to this event or time, included.
    pub until: Option<Moment>,
    /// Those of this node and the nodes below it (`/` is all), and every gap.
    pub path: Option<String>,
    /// The order.
    pub order: Order,
    /// The id of the last record of the page before.
    pub cursor: Option<u64>,
    /// How many at most, 1..=200; what is outside is taken for the nearest.
    pub limit: u32,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            path: None,
            order: Order::default(),
            cursor: None,
            limit: ground::paging::DEFAULT_LIMIT,
        }
    }
}

/// What happened: an event as it was told, with the run of the daemon that it belongs to. Serialises as the event with
/// one more field, `run`.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id; records are in this order.
    pub id: u64,
    /// The run of the daemon: the id after which it began to count, which is its start in microseconds since 1970.
    pub run: u64,
    /// The event, an object.
    pub event: Value,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.event.as_object().into_iter().flatten();
        let fields = fields.filter(|(name, _)| name.as_str() != "run");
        let run = Value::from(self.run);
        serializer.collect_map(
            fields
                .map(|(name, value)| (name.as_str(), value))
                .chain([("run", &run)]),
        )
    }
}

/// A page of records.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The records in the order asked for; the cursor is the id of the last one.
    pub page: Page<Record>,
    /// Why the table could not be asked: then the page knows only what memory holds.
    pub missing: Option<LedgerError>,
}
