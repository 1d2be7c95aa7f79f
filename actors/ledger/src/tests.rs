//! The ledger under its real supervisor, with a memory that tests fill by hand and real databases.
//!
//! Every wait is for a condition and has a deadline.

mod house;
mod reading;
mod statements;
mod writing;

use supervisor::{Cause, Change, Level, State, StatusEvent, WallTime};

/// An event of a healthy node; its time follows from its id.
pub(crate) fn event(id: u64, path: &str) -> StatusEvent {
    let micros = i64::try_from(id).expect("a small id") * 1_000_000 + 1_700_000_000_123_456;
    StatusEvent {
        id,
        at: WallTime(micros),
        path: path.to_owned(),
        change: Change::State,
        state: State::Running,
        previous_state: Some(State::Starting),
        level: Level::Normal,
        previous_level: None,
        cause: None,
        impact: None,
        fallback: None,
        action: None,
        end: None,
    }
}

/// An event of a node that ended and will be started again.
pub(crate) fn failed(id: u64, path: &str, message: &str) -> StatusEvent {
    let event = event(id, path);
    StatusEvent {
        state: State::Restarting,
        previous_state: Some(State::Running),
        level: Level::Offline,
        cause: Some(Cause {
            path: path.to_owned(),
            code: "actor.failed".to_owned(),
            message: message.to_owned(),
            since: event.at,
            chain: vec![path.to_owned()],
        }),
        action: Some("restart at once".to_owned()),
        ..event
    }
}
