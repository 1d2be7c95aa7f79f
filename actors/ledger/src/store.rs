//! Every statement of the ledger.

use ground::db::{Engine, FromRow, Row as DbRow, Snapshot};
use ground::{Db, DbError, Micros, args};
use serde_json::Value;

use crate::bounds::Bounds;
use crate::entries::Row;
use crate::types::{Order, Record};

impl FromRow for Record {
    fn from_row(row: &DbRow) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get("id")?,
            run: row.get("run")?,
            event: row.parse::<Value>("event")?,
        })
    }
}

/// As the database writes it: ids of ours are times in microseconds, far below the limit.
fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn engine(db: &Db) -> Result<Engine, DbError> {
    db.backend().map(|backend| backend.engine)
}

/// Inserts the rows in one statement and tells how many were new. A row that is there already stays as it is.
pub(crate) async fn append(db: &Db, rows: &[Row]) -> Result<u64, DbError> {
    let rows = serde_json::to_string(rows).map_err(DbError::failed)?;
    let sql = engine(db)?.pick(
        "INSERT INTO ledger_events (id, run, at, path, change, state, level, end_kind, code, message, event) \
         SELECT value ->> 'id', value ->> 'run', value ->> 'at', value ->> 'path', value ->> 'change', value ->> 'state', \
                value ->> 'level', value ->> 'end_kind', value ->> 'code', value ->> 'message', value ->> 'event' \
         FROM json_each($1) WHERE true ON CONFLICT (id) DO NOTHING",
        "INSERT INTO ledger_events (id, run, at, path, change, state, level, end_kind, code, message, event) \
         SELECT id, run, at, path, change, state, level, end_kind, code, message, event \
         FROM json_to_recordset(CAST($1 AS json)) AS row (id bigint, run bigint, at bigint, path text, change text, \
              state text, level text, end_kind text, code text, message text, event text) \
         ON CONFLICT (id) DO NOTHING",
    );
    db.execute(sql, args![rows]).await
}

/// The newest id of one run; the run's own when nothing of it is stored.
pub(crate) async fn newest_of_run(db: &Db, run: u64) -> Result<u64, DbError> {
    let sql = "SELECT max(id) FROM ledger_events WHERE id > $1 AND run = $1";
    let (newest,): (Option<u64>,) = db.fetch_one(sql, args![number(run)]).await?;
    Ok(newest.unwrap_or(run))
}

/// The newest id of all; zero when nothing is stored.
pub(crate) async fn newest_id(snapshot: &mut Snapshot) -> Result<u64, DbError> {
    let sql = "SELECT max(id) FROM ledger_events";
    let (newest,): (Option<u64>,) = snapshot.fetch_one(sql, args![]).await?;
    Ok(newest.unwrap_or(0))
}

/// The first records within the bounds, one more than a page has.
pub(crate) async fn records(
    snapshot: &mut Snapshot,
    bounds: &Bounds,
) -> Result<Vec<Record>, DbError> {
    let sql = match bounds.order {
        Order::OldestFirst => {
            "SELECT id, run, event FROM ledger_events \
             WHERE id > $1 AND id <= $2 AND at >= $3 AND at <= $4 \
               AND ($5 = '' OR path = $5 OR substr(path, 1, length($6)) = $6 OR change = 'gap') \
             ORDER BY id LIMIT $7"
        }
        Order::NewestFirst => {
            "SELECT id, run, event FROM ledger_events \
             WHERE id > $1 AND id <= $2 AND at >= $3 AND at <= $4 \
               AND ($5 = '' OR path = $5 OR substr(path, 1, length($6)) = $6 OR change = 'gap') \
             ORDER BY id DESC LIMIT $7"
        }
    };
    let rows = i64::try_from(bounds.rows()).unwrap_or(i64::MAX);
    snapshot
        .fetch_all(
            sql,
            args![
                number(bounds.after),
                number(bounds.upto),
                bounds.from,
                bounds.to,
                bounds.path,
                bounds.below(),
                rows
            ],
        )
        .await
}

/// How many rows there are. Reads the whole table.
pub(crate) async fn count(db: &Db) -> Result<u64, DbError> {
    let (count,): (u64,) = db
        .fetch_one("SELECT count(*) FROM ledger_events", args![])
        .await?;
    Ok(count)
}

/// Deletes the oldest rows, at most so many, and tells how many went.
pub(crate) async fn drop_oldest(db: &Db, rows: u64) -> Result<u64, DbError> {
    db.execute(
        "DELETE FROM ledger_events WHERE id IN (SELECT id FROM ledger_events ORDER BY id LIMIT $1)",
        args![number(rows)],
    )
    .await
}

/// Deletes those among so many oldest rows that are older than a moment, and tells how many went.
pub(crate) async fn drop_expired(db: &Db, before: Micros, rows: u64) -> Result<u64, DbError> {
    db.execute(
        "DELETE FROM ledger_events WHERE at < $1 \
         AND id IN (SELECT id FROM ledger_events ORDER BY id LIMIT $2)",
        args![before, number(rows)],
    )
    .await
}
