//! A database that goes away under a domain and comes back, and the patience to see what the domain makes of it.

use std::sync::Arc;
use std::time::Duration;

use ground::Db;
use ground::db::Backend;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// What callers hear of when to come back, while the database is away.
const RETRY_AFTER: Duration = Duration::from_millis(700);
/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The database, pulled out of its handle.
pub struct Pulled(Arc<Backend>);

impl Pulled {
    /// Pulls it out: whoever holds the handle is told that the database is away.
    ///
    /// # Panics
    /// When there is none in it.
    pub fn out_of(db: &Db) -> Self {
        Self(db.vacate(RETRY_AFTER).expect("a database"))
    }

    /// Puts it back.
    ///
    /// # Panics
    /// When somebody does not let go of it.
    pub async fn back_into(self, db: &Db) {
        // Whoever began a statement before still holds it.
        eventually("nobody uses the database", async || {
            Arc::strong_count(&self.0) == 1
        })
        .await;
        db.install(Arc::into_inner(self.0).expect("nobody else holds it"));
    }
}

/// Waits until `check` holds.
///
/// # Panics
/// When it does not within 30 s.
pub async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut beat = interval(Duration::from_millis(2));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !check().await {
        assert!(Instant::now() < deadline, "never came true: {what}");
        beat.tick().await;
    }
}
