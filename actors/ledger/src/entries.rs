//! From events to rows, with a gap wherever the ids do not follow one another.
//!
//! A row holds the event as JSON, whole, so that a field which the supervisor gains is kept without a change here. A gap is
//! an event of its own shape: its `change` is `gap`, its `lost` the number of events, and its id that of the last one lost, so
//! that the order stays right and the ledger goes on behind it.

use ground::Micros;
use serde::Serialize;
use serde_json::{Value, json};
use supervisor::{StatusEvent, WallTime};

use crate::types::Record;

/// The node that gaps are told of.
const LEDGER: &str = "/ledger";
/// Bytes of an event as JSON; a larger one has its texts cut.
const MAX_EVENT_BYTES: usize = 16 * 1024;
/// Characters that are left of each text of such an event, and of the message in its own column.
const MAX_TEXT_CHARS: usize = 1000;

/// One row of the table. Serialises as the statement that inserts rows reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) run: u64,
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) path: String,
    pub(crate) change: String,
    pub(crate) state: String,
    pub(crate) level: String,
    pub(crate) end_kind: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    /// The event as JSON.
    pub(crate) event: String,
}

/// The rows of `events`, which are in order and come after the event `last` of the same run.
pub(crate) fn rows_after(run: u64, last: u64, events: &[StatusEvent]) -> Vec<Row> {
    let mut rows = Vec::with_capacity(events.len());
    let mut last = last;
    for event in events {
        if event.id > last + 1 {
            let gap = lost_between(last, event.id - 1, event.at);
            rows.push(row(run, event.id - 1, event.at, gap));
        }
        last = event.id;
        let told = serde_json::to_value(event).unwrap_or_default();
        rows.push(row(run, event.id, event.at, told));
    }
    rows
}

/// An event of memory as it is told.
pub(crate) fn record(run: u64, event: &StatusEvent) -> Record {
    Record {
        id: event.id,
        run,
        event: serde_json::to_value(event).unwrap_or_default(),
    }
}

/// The events after `known` up to `to`, told as a gap: the table does not have them (yet), memory does not any more.
pub(crate) fn hole_record(run: u64, known: u64, to: u64, at: Micros) -> Record {
    let lost = to - known;
    let message = format!("{lost} event(s) are no longer in memory and not in the store");
    Record {
        id: to,
        run,
        event: gap(to, lost, WallTime(at.get()), &message),
    }
}

/// The gap between the event `known` and the one after `to`.
fn lost_between(known: u64, to: u64, at: WallTime) -> Value {
    let lost = to - known;
    let message = format!(
        "{lost} event(s) were not kept: more happened than memory holds before the store took them"
    );
    gap(to, lost, at, &message)
}

fn gap(to: u64, lost: u64, at: WallTime, message: &str) -> Value {
    json!({
        "id": to, "at": at, "path": LEDGER, "change": "gap",
        "state": "running", "previous_state": null, "level": "DEGRADED", "previous_level": null,
        "cause": {"path": LEDGER, "code": "ledger.gap", "message": message, "since": at, "chain": [LEDGER]},
        "impact": null, "fallback": null, "action": null, "lost": lost,
    })
}

fn row(run: u64, id: u64, at: WallTime, mut event: Value) -> Row {
    let mut whole = event.to_string();
    if whole.len() > MAX_EVENT_BYTES {
        shorten(&mut event);
        whole = event.to_string();
    }
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(column);
    Row {
        id,
        run,
        at: at.0,
        path: text("/path").unwrap_or_default(),
        change: text("/change").unwrap_or_default(),
        state: text("/state").unwrap_or_default(),
        level: text("/level").unwrap_or_default(),
        end_kind: text("/end/kind"),
        code: text("/cause/code"),
        message: text("/cause/message"),
        event: whole,
    }
}

/// A text for a column of its own: short, and without the one character that PostgreSQL does not take.
fn column(text: &str) -> String {
    let taken = text.chars().filter(|c| *c != '\0');
    taken.take(MAX_TEXT_CHARS).collect()
}

/// Cuts every long text in `value`.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().count() > MAX_TEXT_CHARS => {
            *text = text.chars().take(MAX_TEXT_CHARS).chain(['…']).collect();
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::{event, failed};

    #[test]
    fn a_row_repeats_what_is_searched_for() {
        let failed = failed(7, "/a/b", "it broke");
        let rows = rows_after(5, 6, std::slice::from_ref(&failed));
        let [row] = rows.as_slice() else {
            panic!("one row: {rows:?}")
        };
        assert_eq!(
            (row.id, row.run, row.at, row.path.as_str()),
            (7, 5, failed.at.0, "/a/b")
        );
        assert_eq!(
            (row.change.as_str(), row.state.as_str(), row.level.as_str()),
            ("state", "restarting", "OFFLINE")
        );
        assert_eq!(row.code.as_deref(), Some("actor.failed"));
        assert_eq!(row.message.as_deref(), Some("it broke"));
        let told: Value = serde_json::from_str(&row.event).expect("JSON");
        assert_eq!(told, serde_json::to_value(&failed).expect("JSON"));
    }

    #[test]
    fn how_something_ended_is_a_column_as_soon_as_an_event_tells_it() {
        let told = json!({"path": "/a", "end": {"kind": "panic", "new": 1}});
        let row = row(1, 2, WallTime(0), told.clone());
        assert_eq!(row.end_kind.as_deref(), Some("panic"));
        assert_eq!(row.event, told.to_string(), "unknown fields stay");
    }

    #[test]
    fn an_endless_message_is_cut_and_a_zero_byte_stays_out_of_columns() {
        let long = failed(2, "/a", &"ab\0".repeat(100_000));
        let rows = rows_after(1, 1, &[long]);
        let row = rows.first().expect("a row");
        assert!(row.event.len() <= MAX_EVENT_BYTES, "{}", row.event.len());
        let message = row.message.as_deref().expect("a message");
        assert_eq!(message.chars().count(), 668, "of the 1,000 that are left");
        assert!(!message.contains('\0'));
    }

    proptest! {
        /// Whatever memory has dropped: each event is told once, in order, and the gaps count the rest.
        #[test]
        fn nothing_is_lost_silently(last in 0_u64..50, kept in proptest::collection::btree_set(51_u64..120, 0..40)) {
            let events: Vec<_> = kept.iter().map(|id| event(*id, "/a")).collect();
            let rows = rows_after(9, last, &events);
            prop_assert!(rows.windows(2).all(|pair| pair[0].id < pair[1].id));
            let gaps: Vec<&Row> = rows.iter().filter(|row| row.change == "gap").collect();
            let lost: u64 = gaps.iter().map(|row| {
                let told: Value = serde_json::from_str(&row.event).expect("JSON");
                told["lost"].as_u64().expect("a number")
            }).sum();
            let told: Vec<u64> = rows.iter().filter(|row| row.change != "gap").map(|row| row.id).collect();
            prop_assert_eq!(&told, &kept.iter().copied().collect::<Vec<_>>());
            let newest = kept.last().copied().unwrap_or(last);
            prop_assert_eq!(lost + told.len() as u64, newest - last);
            prop_assert!(gaps.iter().all(|row| !kept.contains(&row.id)));
        }
    }
}
