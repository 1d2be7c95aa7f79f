//! Every statement about keys.

use ground::db::{Conn, FromRow, Row};
use ground::{Db, DbError, Id, Micros, args};

use crate::types::{Answer, Claim, KEPT_FOR, KeptRequest, Key, Settlement};

/// Answers that make room at once when there are as many keys as may be.
const ROOM: u8 = 16;
/// Requests of one caller that are told at most.
const MAX_TOLD: u32 = 10_000;

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing: it is claimed now.
    Free,
    /// Nothing, and there is no room.
    Full,
    /// Another claim.
    Taken {
        fingerprint: [u8; 32],
        is_done: bool,
        answer: Option<Answer>,
    },
}

struct Kept {
    claim: Id,
    created_at: Micros,
    fingerprint: [u8; 32],
    is_done: bool,
    answer: Option<Answer>,
}

impl FromRow for Kept {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let state: String = row.get("state")?;
        let status: Option<u16> = row.get("status")?;
        let headers: Option<String> = row.get("headers")?;
        let body: Option<Vec<u8>> = row.get("body")?;
        let answer = match (status, headers, body) {
            (Some(status), Some(headers), Some(body)) => Some(Answer {
                status,
                headers: serde_json::from_str(&headers).map_err(DbError::failed)?,
                body,
            }),
            _ => None,
        };
        Ok(Self {
            claim: row.get("claim")?,
            created_at: row.get("created_at")?,
            fingerprint: row.get("fingerprint")?,
            is_done: state == "done",
            answer,
        })
    }
}

/// Claims a key that is free or too old; tells what stands there otherwise.
pub(crate) async fn claim(
    db: &Db,
    claim: Claim,
    key: Key,
    fingerprint: [u8; 32],
    now: Micros,
    is_full: bool,
) -> Result<Found, DbError> {
    db.write(async move |tx| {
        if insert(tx, claim, &key, fingerprint, now).await? {
            if is_full && !make_room(tx).await? {
                remove(tx, claim.0).await?;
                return Ok(Found::Full);
            }
            return Ok(Found::Free);
        }
        let sql = "SELECT claim, fingerprint, state, status, headers, body, created_at FROM idempotency_keys \
                   WHERE caller = $1 AND route = $2 AND path = $3 AND key = $4";
        let kept: Option<Kept> = tx
            .fetch_optional(sql, args![key.caller, key.route, key.path, key.key])
            .await?;
        match kept {
            Some(kept) if kept.created_at > now - KEPT_FOR => Ok(Found::Taken {
                fingerprint: kept.fingerprint,
                is_done: kept.is_done,
                answer: kept.answer,
            }),
            too_old => {
                if let Some(kept) = too_old {
                    remove(tx, kept.claim).await?;
                }
                let is_ours = insert(tx, claim, &key, fingerprint, now).await?;
                // Else another daemon was faster in this very moment.
                Ok(if is_ours { Found::Free } else { Found::Full })
            }
        }
    })
    .await
}

async fn insert(
    tx: &mut Conn,
    claim: Claim,
    key: &Key,
    fingerprint: [u8; 32],
    now: Micros,
) -> Result<bool, DbError> {
    let inserted = tx
        .execute(
            "INSERT INTO idempotency_keys (claim, caller, route, path, key, fingerprint, state, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, 'claimed', $7) ON CONFLICT DO NOTHING",
            args![claim.0, key.caller, key.route, key.path, key.key, fingerprint, now],
        )
        .await?;
    Ok(inserted == 1)
}

async fn remove(tx: &mut Conn, claim: Id) -> Result<(), DbError> {
    let sql = "DELETE FROM idempotency_keys WHERE claim = $1";
    tx.execute(sql, args![claim]).await.map(drop)
}

/// Forgets the oldest answers. Whether there were some: what is claimed stays.
async fn make_room(tx: &mut Conn) -> Result<bool, DbError> {
    let gone = tx
        .execute(
            "DELETE FROM idempotency_keys WHERE claim IN \
             (SELECT claim FROM idempotency_keys WHERE state = 'done' ORDER BY created_at LIMIT $1)",
            args![ROOM],
        )
        .await?;
    Ok(gone > 0)
}

/// Stores what came of a claimed request. Doing it twice does no harm.
pub(crate) async fn settle(db: &Db, claim: Claim, settlement: Settlement) -> Result<(), DbError> {
    let (status, headers, body) = match settlement {
        Settlement::Released => {
            let sql = "DELETE FROM idempotency_keys WHERE claim = $1 AND state = 'claimed'";
            return db.execute(sql, args![claim.0]).await.map(drop);
        }
        Settlement::Withheld => (None, None, None),
        Settlement::Done(answer) => {
            let headers = serde_json::to_string(&answer.headers).map_err(DbError::failed)?;
            (Some(answer.status), Some(headers), Some(answer.body))
        }
    };
    db.execute(
        "UPDATE idempotency_keys SET state = 'done', status = $1, headers = $2, body = $3 \
         WHERE claim = $4 AND state = 'claimed'",
        args![status, headers, body, claim.0],
    )
    .await
    .map(drop)
}

/// Deletes keys from before a moment, at most so many, and tells how many went.
pub(crate) async fn forget(db: &Db, before: Micros, rows: u16) -> Result<u64, DbError> {
    db.execute(
        "DELETE FROM idempotency_keys WHERE claim IN \
         (SELECT claim FROM idempotency_keys WHERE created_at <= $1 ORDER BY created_at LIMIT $2)",
        args![before, rows],
    )
    .await
}

/// How many keys there are.
pub(crate) async fn count(db: &Db) -> Result<i64, DbError> {
    let (count,): (i64,) = db
        .fetch_one("SELECT count(*) FROM idempotency_keys", args![])
        .await?;
    Ok(count)
}

impl FromRow for KeptRequest {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            route: row.get("route")?,
            path: row.get("path")?,
            key: row.get("key")?,
            status: row.get("status")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// The requests of a caller, the latest first.
pub(crate) async fn requests_of(db: &Db, caller: &str) -> Result<Vec<KeptRequest>, DbError> {
    db.fetch_all(
        "SELECT route, path, key, status, created_at FROM idempotency_keys WHERE caller = $1 ORDER BY created_at DESC LIMIT $2",
        args![caller, MAX_TOLD],
    )
    .await
}

/// Forgets the requests of a caller.
pub(crate) async fn remove_of(tx: &mut Conn, caller: &str) -> Result<(), DbError> {
    let sql = "DELETE FROM idempotency_keys WHERE caller = $1";
    tx.execute(sql, args![caller]).await.map(drop)
}
