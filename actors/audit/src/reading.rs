//! Reading the chain, past the actor: it can be read and verified while the writer is down, and never waits behind a write.

use std::time::Duration;

use ground::db::Snapshot;
use ground::{Db, DbError, Page};
use tokio::time::Instant;

use crate::chain::{self, Break, Mark, Walk, What};
use crate::error::AuditError;
use crate::store;
use crate::types::{Kept, Query, Span, Verification};

/// The most entries on a page.
const MAX_LIMIT: u32 = 200;
/// Entries read at once.
const CHUNK: u16 = 256;
/// Entries that one verification looks at, at most, and for how long it begins to look at more.
const STRETCH: u64 = 20_000;
const STRETCH_TIME: Duration = Duration::from_secs(2);

/// A page of entries, newest first.
pub(crate) async fn list(db: &Db, query: &Query) -> Result<Page<Kept>, AuditError> {
    let limit = query.limit.clamp(1, MAX_LIMIT);
    let mut links = store::links_of(db, query, i64::from(limit) + 1).await?;
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = links.len() > page;
    links.truncate(page);
    let last = links.last().filter(|_| has_more);
    Ok(Page {
        next_cursor: last.map(|link| link.record.seq.to_string()),
        items: links.into_iter().map(Kept::from).collect(),
    })
}

/// Verifies a stretch of the chain: all of it is of one moment, and the next stretch goes on at a place that was proven.
pub(crate) async fn verify(db: &Db, span: Span) -> Result<Verification, AuditError> {
    let mut snapshot = db.snapshot().await?;
    let verification = verify_within(&mut snapshot, span).await;
    snapshot.end().await;
    Ok(verification?)
}

async fn verify_within(snapshot: &mut Snapshot, span: Span) -> Result<Verification, DbError> {
    let begun = Instant::now();
    let head = store::head(snapshot).await?;
    let anchor = store::anchor(snapshot).await?;
    let oldest = anchor.unwrap_or(Mark::BEGINNING);
    let (start, mut after) = match start(snapshot, span, head, oldest).await? {
        // From the very first number: what is stored before the place where the chain was cut does not belong there.
        Ok(start) if start == oldest => (start, i64::MIN),
        Ok(start) => (start, start.seq),
        Err(broken) => return Ok(verification(&Walk::from(oldest), Err(broken), false)),
    };
    let mut walk = Walk::from(start);
    loop {
        let links = match store::links_after(snapshot, after, CHUNK).await {
            // The snapshot's time is over, which is no matter once something was proven.
            Err(DbError::Deadline) if walk.checked() > 0 => {
                return Ok(verification(&walk, Ok(()), true));
            }
            links => links?,
        };
        if let Err(broken) = links.iter().try_for_each(|link| walk.step(link)) {
            return Ok(verification(&walk, Err(broken), false));
        }
        after = walk.at().seq;
        if links.len() < usize::from(CHUNK) {
            break;
        }
        if walk.checked() >= STRETCH || begun.elapsed() >= STRETCH_TIME {
            return Ok(verification(&walk, Ok(()), true));
        }
        tokio::task::yield_now().await;
    }
    let told = store::told_anchor(snapshot).await?;
    let ends = walk.end(head);
    let holds = ends.and_then(|()| chain::is_anchored(anchor, told));
    Ok(verification(&walk, holds, false))
}

/// The place from which the walk begins.
async fn start(
    snapshot: &mut Snapshot,
    span: Span,
    head: Option<Mark>,
    oldest: Mark,
) -> Result<Result<Mark, Break>, DbError> {
    let seq = match span {
        Span::All => return Ok(Ok(oldest)),
        // It may have been removed since.
        Span::After(mark) if mark.seq <= oldest.seq => return Ok(Ok(oldest)),
        Span::After(mark) => return Ok(Ok(mark)),
        Span::Newest(count) => head.map_or(0, |head| head.seq).saturating_sub(count.into()),
    };
    if seq <= oldest.seq {
        return Ok(Ok(oldest));
    }
    let what = What::Missing;
    let mark = store::mark(snapshot, seq).await?;
    Ok(mark.ok_or(Break { seq, what }))
}

fn verification(walk: &Walk, holds: Result<(), Break>, has_more: bool) -> Verification {
    Verification {
        ok: holds.is_ok(),
        checked: walk.checked(),
        last_seq: walk.at().seq,
        broken: holds.err(),
        next_cursor: has_more.then(|| walk.at().to_string()),
    }
}

/// All entries that there were at its beginning, oldest first, some at a time.
#[derive(Debug)]
pub struct Export {
    db: Db,
    after: i64,
    upto: i64,
}

impl Export {
    pub(crate) async fn begin(db: Db) -> Result<Self, AuditError> {
        let upto = store::newest(&db).await?;
        Ok(Self {
            db,
            after: i64::MIN,
            upto,
        })
    }

    /// The next entries; none when that was all. Not cancel-safe: what was read and not handed over is lost.
    ///
    /// # Errors
    /// Any [`AuditError`]; the export is not complete then.
    pub async fn next(&mut self) -> Result<Option<Vec<Kept>>, AuditError> {
        let links = store::links_between(&self.db, self.after, self.upto, CHUNK).await?;
        let Some(last) = links.last() else {
            return Ok(None);
        };
        self.after = last.record.seq;
        Ok(Some(links.into_iter().map(Kept::from).collect()))
    }
}
