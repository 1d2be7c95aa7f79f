//! The statements that put a mail into the queue.

use super::{MAX_WAITING, Mail};
use crate::db::{BUSY_RETRY, Conn, DbError};
use crate::ids::Id;
use crate::{args, clock};

/// Puts a mail into the queue, in the transaction of what it belongs to. Once that is committed, the queue's owner is woken.
///
/// # Errors
/// `Busy` when as many mails as may be are waiting, and any other [`DbError`]; then the whole transaction must fail.
pub async fn enqueue(tx: &mut Conn, mail: &Mail) -> Result<(), DbError> {
    let (waiting,): (i64,) = tx
        .fetch_one(
            "SELECT count(*) FROM mail_queue WHERE state = 'waiting'",
            args![],
        )
        .await?;
    if waiting >= MAX_WAITING {
        return Err(DbError::Busy {
            retry_after: BUSY_RETRY,
        });
    }
    let now = clock::now();
    tx.execute(
        "INSERT INTO mail_queue (id, to_address, subject, body, kind, state, attempts, next_at, not_after, created_at, user_id) \
         VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, $7, $6, $8)",
        args![
            Id::generate(),
            mail.to(),
            mail.subject(),
            mail.text().expose(),
            mail.kind(),
            now,
            mail.not_after(),
            mail.user()
        ],
    )
    .await?;
    tx.ring();
    Ok(())
}
