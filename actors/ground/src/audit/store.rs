//! The statements that append to the chain.

use super::{Entry, GENESIS, Record};
use crate::args;
use crate::db::{Conn, DbError, FromRow, Row};

/// Where the chain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The number of the newest entry; 0 before the first.
    pub seq: i64,
    /// The hash of the chain up to it.
    pub hash: [u8; 32],
}

impl FromRow for Seen {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            seq: row.get("seq")?,
            hash: row.get("hash")?,
        })
    }
}

/// Where the chain stands now. In a writing transaction it stays there until that ends: PostgreSQL's writers wait for one another
/// here, SQLite has one writer anyway.
///
/// # Errors
/// Any [`DbError`].
pub async fn chain_of(tx: &mut Conn) -> Result<Seen, DbError> {
    tx.execute("UPDATE audit_chain SET seq = seq WHERE id = 1", args![])
        .await?;
    let seen = tx
        .fetch_optional("SELECT seq, hash FROM audit_chain WHERE id = 1", args![])
        .await?;
    Ok(seen.unwrap_or(Seen {
        seq: 0,
        hash: GENESIS,
    }))
}

/// Appends an entry in the transaction of what it tells.
///
/// # Errors
/// Any [`DbError`]; then the whole transaction must fail.
pub async fn append(tx: &mut Conn, entry: &Entry) -> Result<(), DbError> {
    let seen = chain_of(tx).await?;
    let record = Record::of(entry, seen.seq + 1);
    let hash = record.hash(&seen.hash);
    tx.execute(
        "INSERT INTO audit_entries (seq, id, at, actor_kind, actor_user, actor_credential, actor_uid, action, object, address, \
         user_agent, request_id, outcome, detail, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        args![
            record.seq,
            record.id,
            record.at,
            record.actor_kind,
            record.actor_user,
            record.actor_credential,
            record.actor_uid,
            record.action,
            record.object,
            record.address,
            record.user_agent,
            record.request_id,
            record.outcome,
            record.detail,
            &hash[..]
        ],
    )
    .await?;
    tx.execute(
        "UPDATE audit_chain SET seq = $1, hash = $2 WHERE id = 1",
        args![record.seq, &hash[..]],
    )
    .await?;
    Ok(())
}
