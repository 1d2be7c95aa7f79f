//! Every statement about mailed tokens, and those about addresses that they lead to. Only the hash of a token is ever in one.

use std::time::Duration;

use ground::db::{Conn, FromRow, Row};
use ground::{Db, DbError, Id, Micros, args};

use super::types::Kind;
use crate::people::{Email, User};
use crate::token::TokenHash;

/// How long tokens are kept after they stopped working: what was mailed in an hour is counted by them.
const KEPT_FOR: Duration = Duration::from_hours(24);

/// A token that was used up just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) user: Id,
    /// The address that it proves; none for a new password.
    pub(crate) new_email: Option<String>,
}

impl FromRow for Taken {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            user: row.get("user_id")?,
            new_email: row.get("new_email")?,
        })
    }
}

/// A token to keep.
#[derive(Debug, Clone)]
pub(crate) struct NewToken {
    pub(crate) hash: TokenHash,
    pub(crate) user: Id,
    pub(crate) kind: Kind,
    pub(crate) new_email: Option<String>,
    pub(crate) now: Micros,
}

/// Whose open token this is.
pub(crate) async fn open(
    db: &Db,
    hash: &TokenHash,
    kind: Kind,
    now: Micros,
) -> Result<Option<Id>, DbError> {
    let found: Option<(Id,)> = db
        .fetch_optional(
            "SELECT user_id FROM recovery_tokens WHERE hash = $1 AND kind = $2 AND used_at IS NULL AND expires_at > $3",
            args![hash.as_bytes(), kind.word(), now],
        )
        .await?;
    Ok(found.map(|(user,)| user))
}

/// Uses a token up; nothing when it does not work, or somebody else was first.
pub(crate) async fn take(
    tx: &mut Conn,
    hash: &TokenHash,
    kind: Kind,
    now: Micros,
) -> Result<Option<Taken>, DbError> {
    tx.fetch_optional(
        "UPDATE recovery_tokens SET used_at = $1 \
         WHERE hash = $2 AND kind = $3 AND used_at IS NULL AND expires_at > $1 RETURNING user_id, new_email",
        args![now, hash.as_bytes(), kind.word()],
    )
    .await
}

/// How many tokens of a kind were made for a user since a moment.
pub(crate) async fn made_since(
    tx: &mut Conn,
    user: Id,
    kind: Kind,
    since: Micros,
) -> Result<i64, DbError> {
    let (count,): (i64,) = tx
        .fetch_one(
            "SELECT count(*) FROM recovery_tokens WHERE user_id = $1 AND kind = $2 AND created_at > $3",
            args![user, kind.word(), since],
        )
        .await?;
    Ok(count)
}

/// Keeps a token. Earlier ones of the kind stop working; those that are long over go.
pub(crate) async fn add(tx: &mut Conn, token: &NewToken) -> Result<(), DbError> {
    close(tx, token.user, token.kind, token.now).await?;
    tx.execute(
        "DELETE FROM recovery_tokens WHERE expires_at < $1",
        args![token.now - KEPT_FOR],
    )
    .await?;
    tx.execute(
        "INSERT INTO recovery_tokens (hash, user_id, kind, new_email, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        args![
            token.hash.as_bytes(),
            token.user,
            token.kind.word(),
            token.new_email,
            token.now,
            token.now + token.kind.lifetime()
        ],
    )
    .await?;
    Ok(())
}

/// No open token of this kind works any more.
pub(crate) async fn close(tx: &mut Conn, user: Id, kind: Kind, now: Micros) -> Result<(), DbError> {
    tx.execute(
        "UPDATE recovery_tokens SET used_at = $1 WHERE user_id = $2 AND kind = $3 AND used_at IS NULL",
        args![now, user, kind.word()],
    )
    .await?;
    Ok(())
}

/// No open token with which an account could be taken over works any more.
pub(crate) async fn close_mailed(tx: &mut Conn, user: Id, now: Micros) -> Result<(), DbError> {
    close(tx, user, Kind::Reset, now).await?;
    close(tx, user, Kind::Change, now).await
}

/// Notes that a user's present address is proven; false when it is another one by now.
pub(crate) async fn prove_email(
    tx: &mut Conn,
    user: &User,
    proven: &Email,
    now: Micros,
) -> Result<bool, DbError> {
    let changed = tx
        .execute(
            "UPDATE users SET email_verified_at = $1, updated_at = $1, version = version + 1 WHERE id = $2 AND email_key = $3",
            args![now, user.id, proven.key],
        )
        .await?;
    Ok(changed == 1)
}

/// Who has an address.
pub(crate) async fn holder(tx: &mut Conn, email: &Email) -> Result<Option<Id>, DbError> {
    let found: Option<(Id,)> = tx
        .fetch_optional(
            "SELECT id FROM users WHERE email_key = $1",
            args![email.key],
        )
        .await?;
    Ok(found.map(|(id,)| id))
}

/// Gives a user another address, which is proven.
pub(crate) async fn set_email(
    tx: &mut Conn,
    user: Id,
    email: &Email,
    now: Micros,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE users SET email = $1, email_key = $2, email_verified_at = $3, updated_at = $3, version = version + 1 WHERE id = $4",
        args![email.text, email.key, now, user],
    )
    .await?;
    Ok(())
}
