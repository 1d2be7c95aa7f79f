//! The load: clients that write a row, wait for its answer, and write the next.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::figures::{Spread, float};

/// The text of a row: 200 bytes.
pub(crate) const BODY: &str = "The quick brown fox jumps over the lazy dog and runs on. The quick brown fox jumps over the lazy dog and runs on. \
The quick brown fox jumps over the lazy dog and runs on. The quick brown fox jumps ove";

/// The statement of both sides.
pub(crate) const INSERT: &str = "INSERT INTO bench_rows (id, body) VALUES ($1, $2)";
/// The table, as the store would make it.
pub(crate) const SQLITE_TABLE: &str = "CREATE TABLE bench_rows (id BLOB PRIMARY KEY NOT NULL, body TEXT NOT NULL) STRICT, WITHOUT ROWID";
/// The same.
pub(crate) const POSTGRES_TABLE: &str =
    "CREATE TABLE bench_rows (id uuid PRIMARY KEY, body text NOT NULL)";

/// What takes rows.
pub(crate) trait Taker: Clone + Send + Sync + 'static {
    /// Writes one row; it is on disk when this returns.
    fn put(&self) -> impl Future<Output = Result<()>> + Send;
}

/// What came of a round.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Rows that were acknowledged within the round.
    pub(crate) rows: u64,
    /// Rows that were refused: not a fault of the bench, but to be told.
    pub(crate) refused: u64,
    /// How long each row took, those that outlasted the round included.
    pub(crate) latency: Spread,
    span: Duration,
}

impl Outcome {
    /// Acknowledged rows a second.
    pub(crate) fn rate(&self) -> f64 {
        float(self.rows) / self.span.as_secs_f64()
    }
}

/// One client's part.
#[derive(Default)]
struct Part {
    rows: u64,
    refused: u64,
    latency: Vec<Duration>,
}

/// Has so many clients write for that long.
///
/// # Errors
///
/// When nothing at all was acknowledged, or a client ended by a panic.
pub(crate) async fn closed_loop(
    taker: &impl Taker,
    clients: usize,
    span: Duration,
) -> Result<Outcome> {
    // The first row of all pays for opening connections and preparing statements.
    taker.put().await?;
    let until = Instant::now() + span;
    let mut set = JoinSet::new();
    for _ in 0..clients {
        let taker = taker.clone();
        set.spawn(async move { client(&taker, until).await });
    }
    let mut whole = Part::default();
    while let Some(part) = set.join_next().await {
        let part = part?;
        whole.rows += part.rows;
        whole.refused += part.refused;
        whole.latency.extend(part.latency);
    }
    anyhow::ensure!(whole.rows > 0, "not one row was written");
    Ok(Outcome {
        rows: whole.rows,
        refused: whole.refused,
        latency: Spread::of(whole.latency),
        span,
    })
}

async fn client(taker: &impl Taker, until: Instant) -> Part {
    let mut part = Part::default();
    loop {
        let began = Instant::now();
        if began >= until {
            return part;
        }
        let outcome = taker.put().await;
        let ended = Instant::now();
        match outcome {
            Err(_) => part.refused += 1,
            Ok(()) if ended <= until => part.rows += 1,
            Ok(()) => {}
        }
        part.latency.push(ended - began);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_200_bytes() {
        assert_eq!(BODY.len(), 200);
    }
}
