//! Every statement about passkeys. A change and its audit entry are one transaction.

use ground::audit::{self, Entry};
use ground::db::{Conn, FromRow, Row};
use ground::{Db, DbError, Id, Micros, args};

use super::ceremony::{Known, Made, Person, Stored, Used};
use super::error::PasskeyError;
use super::types::PasskeyInfo;

/// Passkeys of one user at most.
pub(crate) const MAX_PASSKEYS: u32 = 20;

/// A passkey with whose it is, as it is looked up for a sign-in.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) id: Id,
    pub(crate) stored: Stored,
    pub(crate) is_disabled: bool,
}

impl FromRow for Found {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let disabled_at: Option<Micros> = row.get("disabled_at")?;
        Ok(Self {
            id: row.get("id")?,
            stored: Stored {
                user: row.get("user_id")?,
                passkey: row.get("passkey")?,
                state: row.get("state")?,
            },
            is_disabled: disabled_at.is_some(),
        })
    }
}

impl FromRow for Known {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let transports: i64 = row.get("transports")?;
        Ok(Self {
            credential_id: row.get("credential_id")?,
            transports: u8::try_from(transports).map_err(DbError::failed)?,
        })
    }
}

impl FromRow for PasskeyInfo {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            created_at: row.get("created_at")?,
            last_used_at: row.get("last_used_at")?,
        })
    }
}

/// Who somebody is, for their authenticator to show.
pub(crate) async fn person(db: &Db, user: Id) -> Result<Option<Person>, DbError> {
    let found: Option<(String, Option<String>)> = db
        .fetch_optional("SELECT email, name FROM users WHERE id = $1", args![user])
        .await?;
    Ok(found.map(|(email, name)| Person {
        id: user,
        email,
        name,
    }))
}

/// The passkeys of a user, as authenticators know them.
pub(crate) async fn known_of(db: &Db, user: Id) -> Result<Vec<Known>, DbError> {
    db.fetch_all(
        "SELECT credential_id, transports FROM passkeys WHERE user_id = $1 ORDER BY id LIMIT $2",
        args![user, MAX_PASSKEYS],
    )
    .await
}

/// The passkeys of a user, in order of their making.
pub(crate) async fn passkeys_of(db: &Db, user: Id) -> Result<Vec<PasskeyInfo>, DbError> {
    db.fetch_all(
        "SELECT id, name, created_at, last_used_at FROM passkeys WHERE user_id = $1 ORDER BY id LIMIT $2",
        args![user, MAX_PASSKEYS],
    )
    .await
}

/// The passkey that an authenticator calls so.
pub(crate) async fn with_credential_id(db: &Db, id: &[u8]) -> Result<Option<Found>, DbError> {
    db.fetch_optional(
        "SELECT p.id AS id, p.user_id AS user_id, p.passkey AS passkey, p.state AS state, u.disabled_at AS disabled_at \
         FROM passkeys p JOIN users u ON u.id = p.user_id WHERE p.credential_id = $1",
        args![id],
    )
    .await
}

/// Makes a passkey a user's.
///
/// # Errors
/// `NoUser`, `TooMany`, `NotMade` when there is one that is called so, and what keeps it from being stored.
pub(crate) async fn add(
    db: &Db,
    user: Id,
    info: &PasskeyInfo,
    made: Made,
    entry: Entry,
) -> Result<(), PasskeyError> {
    let info = info.clone();
    db.write(async move |tx| {
        if !hold(tx, user).await? {
            return Err(PasskeyError::NoUser);
        }
        if count(tx, user).await? >= i64::from(MAX_PASSKEYS) {
            return Err(PasskeyError::TooMany {
                limit: MAX_PASSKEYS,
            });
        }
        let inserted = insert(tx, user, &info, &made).await;
        inserted.map_err(|error| {
            if error.is_conflict_on("passkeys_credential_id_key") {
                PasskeyError::NotMade("taken")
            } else {
                error.into()
            }
        })?;
        Ok(audit::append(tx, &entry).await?)
    })
    .await
}

async fn insert(tx: &mut Conn, user: Id, info: &PasskeyInfo, made: &Made) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO passkeys (id, user_id, credential_id, passkey, state, sign_count, transports, name, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            info.id,
            user,
            made.credential_id,
            made.passkey,
            made.state,
            made.sign_count,
            made.transports,
            info.name,
            info.created_at
        ],
    )
    .await
    .map(drop)
}

/// Notes a use; `false` when a later one was noted already, by the authenticator's own count.
pub(crate) async fn note_use(db: &Db, id: Id, used: Used, now: Micros) -> Result<bool, DbError> {
    let changed = db
        .execute(
            "UPDATE passkeys SET state = $2, sign_count = $3, last_used_at = $4 \
             WHERE id = $1 AND (sign_count = 0 OR sign_count < $3)",
            args![id, used.state, used.sign_count, now],
        )
        .await?;
    Ok(changed == 1)
}

/// Calls a passkey of a user something else.
///
/// # Errors
/// `NotFound`, and what keeps it from being stored.
pub(crate) async fn rename(
    db: &Db,
    user: Id,
    id: Id,
    name: String,
    entry: Entry,
) -> Result<PasskeyInfo, PasskeyError> {
    db.write(async move |tx| {
        let changed = tx
            .execute(
                "UPDATE passkeys SET name = $3 WHERE id = $1 AND user_id = $2",
                args![id, user, name],
            )
            .await?;
        if changed == 0 {
            return Err(PasskeyError::NotFound);
        }
        audit::append(tx, &entry).await?;
        let info = tx
            .fetch_optional(
                "SELECT id, name, created_at, last_used_at FROM passkeys WHERE id = $1",
                args![id],
            )
            .await?;
        info.ok_or(PasskeyError::NotFound)
    })
    .await
}

/// Takes a passkey from its user, unless it is the last way in.
///
/// # Errors
/// `NotFound`, `LastWayIn`, and what keeps it from being stored.
pub(crate) async fn remove(db: &Db, user: Id, id: Id, entry: Entry) -> Result<(), PasskeyError> {
    db.write(async move |tx| {
        hold(tx, user).await?;
        let removed = tx
            .execute(
                "DELETE FROM passkeys WHERE id = $1 AND user_id = $2",
                args![id, user],
            )
            .await?;
        if removed == 0 {
            return Err(PasskeyError::NotFound);
        }
        if ways_in(tx, user).await? == 0 {
            return Err(PasskeyError::LastWayIn);
        }
        Ok(audit::append(tx, &entry).await?)
    })
    .await
}

/// Has whoever else changes the ways into an account wait for this transaction: else each of two could leave the other's as the last.
/// Tells whether there is such an account.
pub(crate) async fn hold(tx: &mut Conn, user: Id) -> Result<bool, DbError> {
    let held = tx
        .execute(
            "UPDATE users SET version = version WHERE id = $1",
            args![user],
        )
        .await?;
    Ok(held == 1)
}

/// How many ways into an account there are: passkeys, linked identities, a password.
pub(crate) async fn ways_in(tx: &mut Conn, user: Id) -> Result<i64, DbError> {
    let found: Option<(i64, i64, i64)> = tx
        .fetch_optional(
            "SELECT (SELECT count(*) FROM passkeys p WHERE p.user_id = u.id) AS passkeys, \
             (SELECT count(*) FROM identities i WHERE i.user_id = u.id) AS identities, \
             (SELECT count(*) FROM users o WHERE o.id = u.id AND o.password_hash IS NOT NULL) AS passwords \
             FROM users u WHERE u.id = $1",
            args![user],
        )
        .await?;
    Ok(found.map_or(0, |(passkeys, identities, passwords)| {
        passkeys + identities + passwords
    }))
}

async fn count(tx: &mut Conn, user: Id) -> Result<i64, DbError> {
    let found: Option<(i64,)> = tx
        .fetch_optional(
            "SELECT count(*) FROM passkeys WHERE user_id = $1",
            args![user],
        )
        .await?;
    Ok(found.map_or(0, |(count,)| count))
}

/// Writes an entry of something that changed nothing.
pub(crate) async fn note(db: &Db, entry: Entry) -> Result<(), DbError> {
    db.write(async move |tx| audit::append(tx, &entry).await)
        .await
}
