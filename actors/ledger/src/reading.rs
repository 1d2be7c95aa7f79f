//! What happened, from the table as far as it reaches and from memory for the newest.
//!
//! Memory is asked first: what it drops between the two questions has been written before, or else is lost and told as a gap. So an
//! event is in one of them, in both (and told once), or in a gap.

use std::time::Duration;

use ground::{DbError, Micros};
use supervisor::StatusEvent;
use tokio::time::timeout;

use crate::bounds::Bounds;
use crate::entries;
use crate::error::LedgerError;
use crate::pages::page;
use crate::ports::Ports;
use crate::store;
use crate::types::{Listed, Order, Query, Record};

/// How long the table may take to answer.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// The page that is asked for; without ports an empty one.
pub(crate) async fn list(ports: Option<&Ports>, query: &Query) -> Listed {
    let bounds = Bounds::of(query);
    let Some(ports) = ports else {
        return Listed {
            page: page(&bounds, []),
            missing: Some(LedgerError::Unwired),
        };
    };
    let run = ports.recent.run().unwrap_or(0);
    let recent = ports
        .recent
        .select(bounds.order, bounds.rows(), &|event| bounds.takes(event));
    let recent = recent.iter().map(|event| entries::record(run, event));
    let oldest = oldest(ports);
    if covers(oldest.as_ref(), &bounds) {
        return Listed {
            page: page(&bounds, recent),
            missing: None,
        };
    }
    let stored = timeout(READ_LIMIT, stored(ports, &bounds, run, oldest.as_ref()));
    match stored.await.unwrap_or(Err(DbError::Deadline)) {
        Ok(stored) => Listed {
            page: page(&bounds, stored.into_iter().chain(recent)),
            missing: None,
        },
        Err(error) => {
            tracing::debug!(%error, "the ledger's table could not be read");
            Listed {
                page: page(&bounds, recent),
                missing: Some(error.into()),
            }
        }
    }
}

fn oldest(ports: &Ports) -> Option<StatusEvent> {
    let mut first = ports.recent.select(Order::OldestFirst, 1, &|_| true);
    first.pop()
}

/// Whether memory has all that can be asked for.
fn covers(oldest: Option<&StatusEvent>, bounds: &Bounds) -> bool {
    oldest.is_some_and(|oldest| oldest.id <= bounds.after.saturating_add(1))
}

/// What the table has, and a gap for what is in neither yet.
async fn stored(
    ports: &Ports,
    bounds: &Bounds,
    run: u64,
    oldest: Option<&StatusEvent>,
) -> Result<Vec<Record>, DbError> {
    let mut snapshot = ports.db.snapshot().await?;
    let mut records = store::records(&mut snapshot, bounds).await?;
    if let Some(oldest) = oldest
        && oldest.id > run + 1
    {
        let newest = store::newest_id(&mut snapshot).await?.max(run);
        let (to, at) = (oldest.id - 1, Micros(oldest.at.0));
        if newest < to && bounds.takes_gap(to, at) {
            records.push(entries::hole_record(run, newest, to, at));
        }
    }
    snapshot.end().await;
    Ok(records)
}
