//! Waiting for a condition, with a deadline.
//!
//! Why: a test that sleeps is slow on a fast machine and wrong on a slow one. A condition is asked for again and again
//! until it holds or the deadline passes, and then the last answer is part of the failure.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for anything that ought to happen soon. Generous, as two cores may run many tests at once:
/// it is only ever used up by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a test watches for something that must *not* happen. It bounds what is seen, not what is true.
pub const SHORT: Duration = Duration::from_millis(300);

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Asks `check` until it answers `Ok`, and gives back what it holds.
///
/// # Panics
///
/// When `limit` has passed: with the last `Err`, so that the failure says what was still missing.
pub async fn eventually<T, E: Display>(
    limit: Duration,
    mut check: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    loop {
        match tokio::time::timeout_at(deadline, check()).await.ok() {
            Some(Ok(value)) => return value,
            Some(Err(missing)) if Instant::now() + pause >= deadline => {
                panic!("not within {limit:?}: {missing}");
            }
            Some(Err(_)) => sleep(pause).await,
            None => panic!("not within {limit:?}: the check itself did not end"),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Awaits `future` for at most `limit`.
///
/// # Panics
///
/// When it takes longer, with `what` was awaited.
pub async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await.ok() {
        Some(value) => value,
        None => panic!("not within {limit:?}: {what}"),
    }
}
