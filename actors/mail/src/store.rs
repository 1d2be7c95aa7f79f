//! Every statement about the queue but the one that fills it, which is [`ground::mail::enqueue`].

use ground::audit::{self, Entry};
use ground::db::{Conn, FromRow, Row};
use ground::{Db, DbError, Id, Micros, PageRequest, Secret, args};

use crate::error::MailError;
use crate::types::{MailState, QueuedMail};

/// Mails of the outbox that are looked for at most.
const MAX_LOOKED_FOR: i64 = 1_000;
/// Ended mails that are kept at most.
const MAX_ENDED: i64 = 10_000;

/// A mail that is ours to send for as long as the lease lasts.
pub(crate) struct Claimed {
    pub(crate) id: Id,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: Secret,
    pub(crate) kind: String,
    /// How often it was claimed, this time included.
    pub(crate) attempts: u32,
    pub(crate) not_after: Micros,
    pub(crate) created_at: Micros,
}

impl FromRow for Claimed {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get("id")?,
            to: row.get("to_address")?,
            subject: row.get("subject")?,
            text: Secret::new(row.get::<String>("body")?),
            kind: row.get("kind")?,
            attempts: row.get("attempts")?,
            not_after: row.get("not_after")?,
            created_at: row.get("created_at")?,
        })
    }
}

impl FromRow for QueuedMail {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let state: MailState = row.parse("state")?;
        let next_at: Micros = row.get("next_at")?;
        Ok(Self {
            id: row.get("id")?,
            to: row.get("to_address")?,
            subject: row.get("subject")?,
            kind: row.get("kind")?,
            state,
            attempts: row.get("attempts")?,
            next_attempt_at: (state == MailState::Waiting).then_some(next_at),
            not_after: row.get("not_after")?,
            last_code: row.get("last_code")?,
            last_error: row.get("last_error")?,
            created_at: row.get("created_at")?,
            ended_at: row.get("ended_at")?,
        })
    }
}

/// A claim: who makes it, when, and until when nobody else sends what it gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) lease: Id,
    pub(crate) now: Micros,
    pub(crate) until: Micros,
}

/// What went wrong the last time.
#[derive(Debug, Clone)]
pub(crate) struct LastError {
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

/// How many mails are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) waiting: i64,
    pub(crate) given_up: i64,
}

/// Claims up to `limit` mails that are due and that nobody is sending, the longest waiting first. The condition stands twice: what
/// another process claimed between the choice and the change is then not changed.
pub(crate) async fn claim(db: &Db, claim: Claim, limit: i64) -> Result<Vec<Claimed>, DbError> {
    db.write(async move |tx| {
        tx.fetch_all(
            "UPDATE mail_queue SET lease = $1, lease_until = $2, attempts = attempts + 1 \
             WHERE state = 'waiting' AND next_at <= $3 AND (lease_until IS NULL OR lease_until <= $3) AND id IN ( \
                 SELECT id FROM mail_queue \
                 WHERE state = 'waiting' AND next_at <= $3 AND not_after > $3 AND (lease_until IS NULL OR lease_until <= $3) \
                 ORDER BY next_at, id LIMIT $4) \
             RETURNING id, to_address, subject, body, kind, attempts, not_after, created_at",
            args![claim.lease, claim.until, claim.now, limit],
        )
        .await
    })
    .await
}

/// Prolongs a lease; nothing happens to one that is another's by now.
pub(crate) async fn renew(db: &Db, id: Id, lease: Id, until: Micros) -> Result<u64, DbError> {
    db.execute(
        "UPDATE mail_queue SET lease_until = $1 WHERE id = $2 AND lease = $3 AND state = 'waiting'",
        args![until, id, lease],
    )
    .await
}

/// Ends a claimed mail and deletes its text. False when the lease is another's by now: then that one tells the end.
pub(crate) async fn end(
    db: &Db,
    id: Id,
    lease: Id,
    state: MailState,
    now: Micros,
    error: Option<LastError>,
) -> Result<bool, DbError> {
    let (code, text) = error.map(|error| (error.code, error.text)).unzip();
    let changed = db
        .execute(
            "UPDATE mail_queue SET state = $1, body = NULL, ended_at = $2, lease = NULL, lease_until = NULL, \
                    last_code = coalesce($3, last_code), last_error = coalesce($4, last_error) \
             WHERE id = $5 AND lease = $6 AND state = 'waiting'",
            args![state.word(), now, code, text, id, lease],
        )
        .await?;
    Ok(changed == 1)
}

/// Gives a claimed mail back, to be tried at `next_at`. `counts` is false when nobody was called.
pub(crate) async fn put_back(
    db: &Db,
    id: Id,
    lease: Id,
    next_at: Micros,
    counts: bool,
    error: Option<LastError>,
) -> Result<bool, DbError> {
    let (code, text) = error.map(|error| (error.code, error.text)).unzip();
    let uncounted = i64::from(!counts);
    let changed = db
        .execute(
            "UPDATE mail_queue SET next_at = $1, attempts = attempts - $2, lease = NULL, lease_until = NULL, \
                    last_code = coalesce($3, last_code), last_error = coalesce($4, last_error) \
             WHERE id = $5 AND lease = $6 AND state = 'waiting'",
            args![next_at, uncounted, code, text, id, lease],
        )
        .await?;
    Ok(changed == 1)
}

/// Gives up what nobody wants any more, and tells how many mails that were. One that is being sent is left to its sender.
pub(crate) async fn expire(db: &Db, now: Micros, code: &'static str) -> Result<u64, DbError> {
    db.execute(
        "UPDATE mail_queue SET state = 'given_up', body = NULL, ended_at = $1, lease = NULL, lease_until = NULL, last_code = $2, \
                last_error = coalesce(last_error, 'it could not be sent in time') \
         WHERE state = 'waiting' AND not_after <= $1 AND (lease_until IS NULL OR lease_until <= $1)",
        args![now, code],
    )
    .await
}

/// Makes due what waits since the server was away, which is back.
pub(crate) async fn hurry(db: &Db, now: Micros, deferred: &'static str) -> Result<u64, DbError> {
    db.execute(
        "UPDATE mail_queue SET next_at = $1 \
         WHERE state = 'waiting' AND next_at > $1 AND lease IS NULL AND last_code <> $2",
        args![now, deferred],
    )
    .await
}

/// When there is something to do next: an attempt, or a lease that runs out. Nothing while nothing waits.
pub(crate) async fn next_due(db: &Db) -> Result<Option<Micros>, DbError> {
    let (next,): (Option<Micros>,) = db
        .fetch_one(
            "SELECT min(CASE WHEN lease_until > next_at THEN lease_until ELSE next_at END) \
             FROM mail_queue WHERE state = 'waiting'",
            args![],
        )
        .await?;
    Ok(next)
}

/// How many mails wait, and how many were given up.
pub(crate) async fn counts(db: &Db) -> Result<Counts, DbError> {
    let rows: Vec<(String, i64)> = db
        .fetch_all(
            "SELECT state, count(*) FROM mail_queue GROUP BY state LIMIT 10",
            args![],
        )
        .await?;
    let of = |state: MailState| {
        let found = rows.iter().find(|(word, _)| word == state.word());
        found.map_or(0, |(_, count)| *count)
    };
    Ok(Counts {
        waiting: of(MailState::Waiting),
        given_up: of(MailState::GivenUp),
    })
}

/// The mails of the outbox that somebody still wants; the newest, when there are very many.
pub(crate) async fn wanted_of_outbox(db: &Db, now: Micros) -> Result<Vec<Id>, DbError> {
    let rows: Vec<(Id,)> = db
        .fetch_all(
            "SELECT id FROM mail_queue WHERE state = 'outbox' AND not_after > $1 ORDER BY id DESC LIMIT $2",
            args![now, MAX_LOOKED_FOR],
        )
        .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Forgets mails that ended before a moment, and the oldest of very many.
pub(crate) async fn forget(db: &Db, before: Micros) -> Result<u64, DbError> {
    db.execute(
        "DELETE FROM mail_queue WHERE state <> 'waiting' AND (ended_at < $1 OR id IN ( \
             SELECT id FROM mail_queue WHERE state <> 'waiting' ORDER BY id DESC LIMIT 100000 OFFSET $2))",
        args![before, MAX_ENDED],
    )
    .await
}

/// The mails of one page, and one more.
pub(crate) async fn mails_of_page(db: &Db, page: &PageRequest) -> Result<Vec<QueuedMail>, DbError> {
    db.fetch_all(
        "SELECT id, to_address, subject, kind, state, attempts, next_at, not_after, last_code, last_error, created_at, ended_at \
         FROM mail_queue WHERE $1 IS NULL OR id > $1 ORDER BY id LIMIT $2",
        args![page.after(), page.rows()],
    )
    .await
}

/// Makes a waiting mail due, with the entry that tells who wanted it.
pub(crate) async fn make_due(db: &Db, id: Id, now: Micros, entry: Entry) -> Result<(), MailError> {
    db.write(async move |tx| {
        let changed = tx
            .execute(
                "UPDATE mail_queue SET next_at = $1 WHERE id = $2 AND state = 'waiting'",
                args![now, id],
            )
            .await?;
        if changed == 1 {
            audit::append(tx, &entry).await?;
            return Ok(());
        }
        let found: Option<(String,)> = tx
            .fetch_optional("SELECT state FROM mail_queue WHERE id = $1", args![id])
            .await?;
        let state = found.and_then(|(state,)| state.parse().ok());
        Err(state.map_or(MailError::NotFound(id), MailError::Ended))
    })
    .await
}

/// The mails of a user, the newest first; where nobody noted whose a mail is, those to this address.
pub(crate) async fn mails_of_user(
    db: &Db,
    user: Id,
    address: &str,
) -> Result<Vec<QueuedMail>, DbError> {
    db.fetch_all(
        "SELECT id, to_address, subject, kind, state, attempts, next_at, not_after, last_code, last_error, created_at, ended_at \
         FROM mail_queue WHERE user_id = $1 OR (user_id IS NULL AND to_address = $2) ORDER BY id DESC LIMIT $3",
        args![user, address, MAX_ENDED],
    )
    .await
}

/// Removes the mails of a user, in whatever state.
pub(crate) async fn remove_of_user(tx: &mut Conn, user: Id, address: &str) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM mail_queue WHERE user_id = $1 OR (user_id IS NULL AND to_address = $2)",
        args![user, address],
    )
    .await
    .map(drop)
}

/// Whether a mail is still in the queue, in whatever state.
pub(crate) async fn is_kept(db: &Db, id: Id) -> Result<bool, DbError> {
    let found: Option<(Id,)> = db
        .fetch_optional("SELECT id FROM mail_queue WHERE id = $1", args![id])
        .await?;
    Ok(found.is_some())
}
