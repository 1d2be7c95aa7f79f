//! The audit on real databases, and under its real supervisor. Every wait is for a condition and has a deadline.

mod house;
mod reading;
mod recording;
mod removal;

use ground::audit::{Actor, Entry, Outcome, Source};
use ground::{Db, DbError, Micros};

/// An entry of an operator.
pub(crate) fn entry(object: &str) -> Entry {
    Entry::new(Actor::Local { uid: 7 }, "node.restart", Source::default()).on(object)
}

/// Some entries, ten minutes apart, the newest now.
pub(crate) async fn filled(db: &Db, count: u32) -> Micros {
    let now = ground::clock::now();
    let entries: Vec<Entry> = (0..count)
        .map(|number| {
            let mut entry = entry(&format!("/{number}"));
            entry.at = now - std::time::Duration::from_mins(10) * (count - 1 - number);
            if number % 2 == 1 {
                entry.action = "token.create";
                entry.outcome = Outcome::Refused;
            }
            entry
        })
        .collect();
    for some in entries.chunks(50) {
        crate::store::append(db, some.to_vec(), false)
            .await
            .expect("stored");
    }
    now
}

/// Somebody who can write into the database does.
pub(crate) async fn tamper(db: &Db, sql: &'static str) {
    let done: Result<u64, DbError> = db.execute(sql, ground::args![]).await;
    assert_eq!(done.expect("done"), 1, "{sql}");
}
