//! Every statement about tokens. Only the hash of a token is ever in one.

use ground::audit::{By, append};
use ground::db::{FromRow, Row};
use ground::{Db, DbError, Id, Micros, PageRequest, args};

use crate::error::AccountsError;
use crate::token::TokenHash;
use crate::types::TokenInfo;

/// Revocations of other processes that are read at most at once.
const MAX_REVOCATIONS: u32 = 10_000;

impl FromRow for TokenInfo {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            scopes: row.parse("scopes")?,
            owner: row.get("owner")?,
            role: row.parse("role")?,
            created_at: row.get("created_at")?,
            last_used_at: row.get("last_used_at")?,
            expires_at: row.get("expires_at")?,
            revoked_at: row.get("revoked_at")?,
        })
    }
}

/// A token that was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RevokedToken {
    pub(crate) id: Id,
    pub(crate) hash: TokenHash,
}

impl FromRow for RevokedToken {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get("id")?,
            hash: TokenHash::from_bytes(row.get("secret_hash")?),
        })
    }
}

/// The token whose text has this hash, whatever has become of it.
pub(crate) async fn token_with_hash(
    db: &Db,
    hash: &TokenHash,
) -> Result<Option<TokenInfo>, DbError> {
    db.fetch_optional(
        "SELECT id, name, scopes, owner, role, created_at, last_used_at, expires_at, revoked_at \
         FROM tokens WHERE secret_hash = $1",
        args![hash.as_bytes()],
    )
    .await
}

/// The tokens of one page, ended ones included, and one more; of one owner, or of all.
pub(crate) async fn tokens_of_page(
    db: &Db,
    page: &PageRequest,
    owner: Option<Id>,
) -> Result<Vec<TokenInfo>, DbError> {
    db.fetch_all(
        "SELECT id, name, scopes, owner, role, created_at, last_used_at, expires_at, revoked_at \
         FROM tokens WHERE ($1 IS NULL OR id > $1) AND ($3 IS NULL OR owner = $3) ORDER BY id LIMIT $2",
        args![page.after(), page.rows(), owner.map(|owner| owner.to_string())],
    )
    .await
}

/// Whether there is a token that works.
pub(crate) async fn has_valid_token(db: &Db, now: Micros) -> Result<bool, DbError> {
    let found: Option<(Id,)> = db
        .fetch_optional(
            "SELECT id FROM tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1) LIMIT 1",
            args![now],
        )
        .await?;
    Ok(found.is_some())
}

/// Adds a token. When `limit` tokens are kept already, those that ended make room, the oldest first; two processes that add at
/// the same moment may pass the limit by one.
pub(crate) async fn add(
    db: &Db,
    token: &TokenInfo,
    hash: &TokenHash,
    limit: u32,
    by: &By,
) -> Result<(), AccountsError> {
    let (token, hash) = (token.clone(), *hash);
    let entry = by
        .entry("token.create")
        .on(token.id)
        .with("scopes", token.scopes.to_json());
    db.write(async move |tx| {
        let (kept,): (i64,) = tx.fetch_one("SELECT count(*) FROM tokens", args![]).await?;
        let surplus = kept + 1 - i64::from(limit);
        if surplus > 0 {
            let removed = tx
                .execute(
                    "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens \
                     WHERE revoked_at IS NOT NULL OR expires_at <= $1 ORDER BY id LIMIT $2)",
                    args![token.created_at, surplus],
                )
                .await?;
            if i64::try_from(removed).unwrap_or(i64::MAX) < surplus {
                return Err(AccountsError::TooMany { limit });
            }
        }
        tx.execute(
            "INSERT INTO tokens (id, name, secret_hash, scopes, owner, role, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            args![
                token.id,
                token.name,
                hash.as_bytes(),
                token.scopes.to_json(),
                token.owner,
                token.role.word(),
                token.created_at,
                token.expires_at
            ],
        )
        .await?;
        Ok(append(tx, &entry).await?)
    })
    .await
}

/// Revokes a token and tells its hash; `None` when there is none with this id (of this owner, where one is named). One that was
/// revoked before keeps its time.
pub(crate) async fn revoke(
    db: &Db,
    id: Id,
    owner: Option<Id>,
    now: Micros,
    by: &By,
) -> Result<Option<RevokedToken>, DbError> {
    let entry = by.entry("token.revoke").on(id);
    let owner = owner.map(|owner| owner.to_string());
    db.write(async move |tx| {
        let revoked = tx
            .execute(
                "UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL AND ($3 IS NULL OR owner = $3)",
                args![now, id, owner],
            )
            .await?;
        if revoked > 0 {
            append(tx, &entry).await?;
        }
        tx.fetch_optional(
            "SELECT id, secret_hash FROM tokens WHERE id = $1 AND ($2 IS NULL OR owner = $2)",
            args![id, owner],
        )
        .await
    })
    .await
}

/// The tokens revoked since a moment, by whatever process; the latest, when there are very many.
pub(crate) async fn revoked_since(db: &Db, moment: Micros) -> Result<Vec<RevokedToken>, DbError> {
    db.fetch_all(
        "SELECT id, secret_hash FROM tokens WHERE revoked_at >= $1 ORDER BY revoked_at DESC LIMIT $2",
        args![moment, MAX_REVOCATIONS],
    )
    .await
}

/// Notes when tokens were last used. Never sets a time back.
pub(crate) async fn note_uses(db: &Db, uses: Vec<(Id, Micros)>) -> Result<(), DbError> {
    db.write(async move |tx| {
        for (id, at) in &uses {
            tx.execute(
                "UPDATE tokens SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)",
                args![at, id],
            )
            .await?;
        }
        Ok(())
    })
    .await
}
