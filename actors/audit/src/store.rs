//! Every statement of the audit but the one that appends, which is in `ground::audit`.

use ground::audit::{Actor, Entry, Record, Source};
use ground::db::{FromRow, Row, Snapshot};
use ground::{Db, DbError, Id, Micros, args};
use serde_json::Value;

use crate::chain::{Link, Mark};
use crate::types::Query;

/// The entry that tells of a removal: its details say where the chain was cut.
pub(crate) const PRUNED: &str = "audit.prune";
/// Entries about one user that are told at most.
const MAX_TOLD: u32 = 10_000;

impl FromRow for Link {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            record: Record {
                seq: row.get("seq")?,
                id: row.get("id")?,
                at: row.get("at")?,
                actor_kind: row.get("actor_kind")?,
                actor_user: row.get("actor_user")?,
                actor_credential: row.get("actor_credential")?,
                actor_uid: row.get("actor_uid")?,
                action: row.get("action")?,
                object: row.get("object")?,
                address: row.get("address")?,
                user_agent: row.get("user_agent")?,
                request_id: row.get("request_id")?,
                outcome: row.get("outcome")?,
                detail: row.get("detail")?,
            },
            hash: row.get("hash")?,
        })
    }
}

impl FromRow for Mark {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            seq: row.get("seq")?,
            hash: row.get("hash")?,
        })
    }
}

/// Where the chain says that it ends.
pub(crate) async fn head(snapshot: &mut Snapshot) -> Result<Option<Mark>, DbError> {
    let sql = "SELECT seq, hash FROM audit_chain WHERE id = 1";
    snapshot.fetch_optional(sql, args![]).await
}

/// Where the kept chain begins, when older entries were removed.
pub(crate) async fn anchor(snapshot: &mut Snapshot) -> Result<Option<Mark>, DbError> {
    let sql = "SELECT seq, hash FROM audit_anchor WHERE id = 1";
    snapshot.fetch_optional(sql, args![]).await
}

/// Where the chain was cut, as the newest entry about a removal tells it.
pub(crate) async fn told_anchor(snapshot: &mut Snapshot) -> Result<Option<Mark>, DbError> {
    let sql = "SELECT detail FROM audit_entries WHERE action = $1 ORDER BY seq DESC LIMIT 1";
    let told: Option<(String,)> = snapshot.fetch_optional(sql, args![PRUNED]).await?;
    let mark = told.and_then(|(detail,)| {
        let detail: Value = serde_json::from_str(&detail).ok()?;
        Mark::of_hex(detail["upto"].as_i64()?, detail["hash"].as_str()?).ok()
    });
    Ok(mark)
}

/// The hash stored beside one entry.
pub(crate) async fn mark(snapshot: &mut Snapshot, seq: i64) -> Result<Option<Mark>, DbError> {
    let sql = "SELECT seq, hash FROM audit_entries WHERE seq = $1";
    snapshot.fetch_optional(sql, args![seq]).await
}

/// The next entries after a number, oldest first.
pub(crate) async fn links_after(
    snapshot: &mut Snapshot,
    seq: i64,
    rows: u16,
) -> Result<Vec<Link>, DbError> {
    snapshot
        .fetch_all(
            "SELECT seq, id, at, actor_kind, actor_user, actor_credential, actor_uid, action, object, address, user_agent, \
             request_id, outcome, detail, hash FROM audit_entries WHERE seq > $1 ORDER BY seq LIMIT $2",
            args![seq, rows],
        )
        .await
}

/// The newest number; 0 when there is no entry.
pub(crate) async fn newest(db: &Db) -> Result<i64, DbError> {
    let sql = "SELECT max(seq) FROM audit_entries";
    let (newest,): (Option<i64>,) = db.fetch_one(sql, args![]).await?;
    Ok(newest.unwrap_or(0))
}

/// The next entries after a number and up to another, oldest first.
pub(crate) async fn links_between(
    db: &Db,
    after: i64,
    upto: i64,
    rows: u16,
) -> Result<Vec<Link>, DbError> {
    db.fetch_all(
        "SELECT seq, id, at, actor_kind, actor_user, actor_credential, actor_uid, action, object, address, user_agent, \
         request_id, outcome, detail, hash FROM audit_entries WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3",
        args![after, upto, rows],
    )
    .await
}

/// The newest entries that a query wants, newest first, one more than its page holds.
pub(crate) async fn links_of(db: &Db, query: &Query, rows: i64) -> Result<Vec<Link>, DbError> {
    db.fetch_all(
        "SELECT seq, id, at, actor_kind, actor_user, actor_credential, actor_uid, action, object, address, user_agent, \
         request_id, outcome, detail, hash FROM audit_entries \
         WHERE seq < $1 AND ($2 IS NULL OR actor_user = $2) AND substr(action, 1, length($3)) = $3 \
           AND ($4 = '' OR outcome = $4) AND ($5 = '' OR object = $5) AND at >= $6 AND at <= $7 \
         ORDER BY seq DESC LIMIT $8",
        args![
            query.cursor.unwrap_or(i64::MAX),
            query.user,
            query.action.as_deref().unwrap_or_default(),
            query.outcome.map_or("", ground::audit::Outcome::word),
            query.object.as_deref().unwrap_or_default(),
            query.since.unwrap_or(Micros(i64::MIN)),
            query.until.unwrap_or(Micros(i64::MAX)),
            rows
        ],
    )
    .await
}

/// Appends entries, all or none. With `doubtful` some of them may be there already, from a write of which nobody knows how it ended.
pub(crate) async fn append(db: &Db, entries: Vec<Entry>, doubtful: bool) -> Result<(), DbError> {
    db.write(async move |tx| {
        if doubtful {
            // Nobody appends until this one is done, so what is not there now cannot come later.
            ground::audit::chain_of(tx).await?;
        }
        for entry in &entries {
            let sql = "SELECT seq FROM audit_entries WHERE id = $1";
            let there: Option<(i64,)> = if doubtful {
                tx.fetch_optional(sql, args![entry.id]).await?
            } else {
                None
            };
            if there.is_none() {
                ground::audit::append(tx, entry).await?;
            }
        }
        Ok(())
    })
    .await
}

/// Removes the oldest entries as far as all of them are older than `before`, at most `rows`; keeps the place where the chain is cut, and
/// tells of it in the chain itself. How many went.
pub(crate) async fn prune(
    db: &Db,
    before: Micros,
    now: Micros,
    rows: u16,
) -> Result<usize, DbError> {
    db.write(async move |tx| {
        ground::audit::chain_of(tx).await?;
        let oldest: Vec<(i64, Micros, [u8; 32])> = tx
            .fetch_all(
                "SELECT seq, at, hash FROM audit_entries ORDER BY seq LIMIT $1",
                args![rows],
            )
            .await?;
        let is_old = |(_, at, _): &&(i64, Micros, [u8; 32])| *at < before;
        let gone = oldest.iter().take_while(is_old).count();
        let Some((seq, _, hash)) = oldest.iter().take_while(is_old).last() else {
            return Ok(0);
        };
        let cut = Mark {
            seq: *seq,
            hash: *hash,
        };
        tx.execute("DELETE FROM audit_entries WHERE seq <= $1", args![cut.seq])
            .await?;
        tx.execute(
            "INSERT INTO audit_anchor (id, seq, hash, pruned_at) VALUES (1, $1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, pruned_at = excluded.pruned_at",
            args![cut.seq, cut.hash, now],
        )
        .await?;
        let mut entry = Entry::new(Actor::System, PRUNED, Source::default())
            .with("count", gone)
            .with("upto", cut.seq)
            .with("hash", cut.hex());
        entry.at = now;
        ground::audit::append(tx, &entry).await?;
        Ok(gone)
    })
    .await
}

/// The newest entries of what a user did, and of what was done to them.
pub(crate) async fn links_about(db: &Db, user: Id) -> Result<Vec<Link>, DbError> {
    db.fetch_all(
        "SELECT seq, id, at, actor_kind, actor_user, actor_credential, actor_uid, action, object, address, user_agent, \
         request_id, outcome, detail, hash FROM audit_entries WHERE actor_user = $1 OR object = $2 ORDER BY seq DESC LIMIT $3",
        args![user, user.to_string(), MAX_TOLD],
    )
    .await
}
