//! Every statement about people. Those that belong together in one transaction take its connection.

use ground::db::{Conn, FromRow, Row};
use ground::{Db, DbError, Id, Micros, PageRequest, args};

use super::hashing::Kept;
use super::types::{Invite, Standing, User};
use crate::recovery;
use crate::store::RevokedToken;
use crate::token::TokenHash;
use crate::types::Role;

/// Networks that are kept of one user, the latest.
const MAX_NETWORKS: u32 = 20;
/// Owners that are counted at most.
const MAX_OWNERS: u32 = 1000;
/// Tokens of one user that are ended at once.
const MAX_ROWS: u32 = 10_000;

/// The columns of a user, before what follows the table.
macro_rules! users {
    ($rest:literal) => {
        concat!(
            "SELECT id, email, email_verified_at, name, role, tier, password_hash IS NOT NULL AS has_password, disabled_at, \
             created_at, updated_at, last_sign_in_at, version FROM users ",
            $rest
        )
    };
}

impl FromRow for User {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get("id")?,
            email: row.get("email")?,
            email_verified_at: row.get("email_verified_at")?,
            name: row.get("name")?,
            role: row.parse("role")?,
            tier: row.parse("tier")?,
            has_password: row.get("has_password")?,
            disabled_at: row.get("disabled_at")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            last_sign_in_at: row.get("last_sign_in_at")?,
            version: row.get("version")?,
        })
    }
}

/// Somebody, and what is kept of the password.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) user: User,
    pub(crate) kept: Option<Kept>,
}

impl FromRow for Known {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let hash: Option<String> = row.get("password_hash")?;
        Ok(Self {
            user: User::from_row(row)?,
            kept: hash.map(Kept::stored),
        })
    }
}

impl FromRow for Standing {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let disabled_at: Option<Micros> = row.get("disabled_at")?;
        Ok(Self {
            role: row.parse("role")?,
            tier: row.parse("tier")?,
            is_disabled: disabled_at.is_some(),
        })
    }
}

/// An open invitation, and who may stand behind it.
#[derive(Debug)]
pub(crate) struct OpenInvite {
    pub(crate) id: Id,
    pub(crate) role: Role,
    pub(crate) user: Option<Id>,
    pub(crate) created_by: Option<Id>,
}

impl FromRow for OpenInvite {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get("id")?,
            role: row.parse("role")?,
            user: row.get("user_id")?,
            created_by: row.get("created_by")?,
        })
    }
}

/// The user with this id.
pub(crate) async fn user(db: &Db, id: Id) -> Result<Option<User>, DbError> {
    db.fetch_optional(users!("WHERE id = $1"), args![id]).await
}

/// The user whose address has this key.
pub(crate) async fn user_with_key(db: &Db, key: &str) -> Result<Option<User>, DbError> {
    db.fetch_optional(users!("WHERE email_key = $1"), args![key])
        .await
}

/// The users of one page, and one more.
pub(crate) async fn users_of_page(db: &Db, page: &PageRequest) -> Result<Vec<User>, DbError> {
    db.fetch_all(
        users!("WHERE $1 IS NULL OR id > $1 ORDER BY id LIMIT $2"),
        args![page.after(), page.rows()],
    )
    .await
}

/// The user whose address has this key, to sign in.
pub(crate) async fn known_with_key(db: &Db, key: &str) -> Result<Option<Known>, DbError> {
    db.fetch_optional(
        "SELECT id, email, email_verified_at, name, role, tier, password_hash IS NOT NULL AS has_password, disabled_at, created_at, \
         updated_at, last_sign_in_at, version, password_hash FROM users WHERE email_key = $1",
        args![key],
    )
    .await
}

/// The user with this id, to prove the password again.
pub(crate) async fn known(db: &Db, id: Id) -> Result<Option<Known>, DbError> {
    db.fetch_optional(
        "SELECT id, email, email_verified_at, name, role, tier, password_hash IS NOT NULL AS has_password, disabled_at, created_at, \
         updated_at, last_sign_in_at, version, password_hash FROM users WHERE id = $1",
        args![id],
    )
    .await
}

/// What a credential of this user may go by.
pub(crate) async fn standing(db: &Db, id: Id) -> Result<Option<Standing>, DbError> {
    db.fetch_optional(
        "SELECT role, tier, disabled_at FROM users WHERE id = $1",
        args![id],
    )
    .await
}

/// The same in a transaction.
pub(crate) async fn standing_in(tx: &mut Conn, id: Id) -> Result<Option<Standing>, DbError> {
    tx.fetch_optional(
        "SELECT role, tier, disabled_at FROM users WHERE id = $1",
        args![id],
    )
    .await
}

/// Whether there is an owner, kept out or not.
pub(crate) async fn has_owner(tx: &mut Conn) -> Result<bool, DbError> {
    let found: Option<(Id,)> = tx
        .fetch_optional("SELECT id FROM users WHERE role = 'owner' LIMIT 1", args![])
        .await?;
    Ok(found.is_some())
}

/// The owners who can sign in. Nobody else changes an owner before the transaction ends: of two who each want to end one of two
/// owners, the second sees what the first did.
pub(crate) async fn owners_at_work(tx: &mut Conn) -> Result<Vec<Id>, DbError> {
    let statement = tx.engine().pick(
        "SELECT id FROM users WHERE role = 'owner' AND disabled_at IS NULL ORDER BY id LIMIT $1",
        "SELECT id FROM users WHERE role = 'owner' AND disabled_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE",
    );
    let owners: Vec<(Id,)> = tx.fetch_all(statement, args![MAX_OWNERS]).await?;
    Ok(owners.into_iter().map(|(id,)| id).collect())
}

/// The user with this id, whom nobody else changes before the transaction ends.
pub(crate) async fn user_to_change(tx: &mut Conn, id: Id) -> Result<Option<User>, DbError> {
    let statement = tx
        .engine()
        .pick(users!("WHERE id = $1"), users!("WHERE id = $1 FOR UPDATE"));
    tx.fetch_optional(statement, args![id]).await
}

/// How many users there are.
pub(crate) async fn count(tx: &mut Conn) -> Result<i64, DbError> {
    let (count,): (i64,) = tx.fetch_one("SELECT count(*) FROM users", args![]).await?;
    Ok(count)
}

/// Adds somebody, unless the address is taken; tells whether it was free.
pub(crate) async fn add(
    tx: &mut Conn,
    user: &User,
    key: &str,
    kept: Option<&Kept>,
) -> Result<bool, DbError> {
    let added = tx
        .execute(
            "INSERT INTO users (id, email, email_key, email_verified_at, name, role, tier, password_hash, password_changed_at, \
             created_at, updated_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT (email_key) DO NOTHING",
            args![
                user.id,
                user.email,
                key,
                user.email_verified_at,
                user.name,
                user.role.word(),
                user.tier.word(),
                kept.map(Kept::expose),
                kept.map(|_| user.created_at),
                user.created_at,
                user.updated_at,
                user.version
            ],
        )
        .await?;
    Ok(added == 1)
}

/// Writes what can change of somebody.
pub(crate) async fn update(tx: &mut Conn, user: &User) -> Result<(), DbError> {
    tx.execute(
        "UPDATE users SET name = $1, role = $2, tier = $3, disabled_at = $4, updated_at = $5, version = $6 WHERE id = $7",
        args![
            user.name,
            user.role.word(),
            user.tier.word(),
            user.disabled_at,
            user.updated_at,
            user.version,
            user.id
        ],
    )
    .await?;
    Ok(())
}

/// Sets a password. Mailed tokens stop working with it: whom the new password is to keep out may hold one.
pub(crate) async fn set_password(
    tx: &mut Conn,
    id: Id,
    kept: &Kept,
    now: Micros,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE users SET password_hash = $1, password_changed_at = $2, updated_at = $2, version = version + 1 WHERE id = $3",
        args![kept.expose(), now, id],
    )
    .await?;
    recovery::close_mailed(tx, id, now).await
}

/// Replaces what is kept of a password by a stronger form of the same, unless it changed in between.
pub(crate) async fn strengthen(
    db: &Db,
    id: Id,
    before: &Kept,
    after: &Kept,
) -> Result<(), DbError> {
    db.execute(
        "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3",
        args![after.expose(), id, before.expose()],
    )
    .await?;
    Ok(())
}

/// Removes somebody and all that hangs on them by a foreign key.
pub(crate) async fn remove(tx: &mut Conn, id: Id) -> Result<(), DbError> {
    tx.execute("DELETE FROM users WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// The tokens of somebody that were not revoked.
pub(crate) async fn tokens_of(tx: &mut Conn, id: Id) -> Result<Vec<RevokedToken>, DbError> {
    tx.fetch_all(
        "SELECT id, secret_hash FROM tokens WHERE owner = $1 AND revoked_at IS NULL LIMIT $2",
        args![id.to_string(), MAX_ROWS],
    )
    .await
}

/// Revokes all tokens of somebody.
pub(crate) async fn revoke_tokens(tx: &mut Conn, id: Id, now: Micros) -> Result<(), DbError> {
    tx.execute(
        "UPDATE tokens SET revoked_at = $1 WHERE owner = $2 AND revoked_at IS NULL",
        args![now, id.to_string()],
    )
    .await?;
    Ok(())
}

/// Takes what somebody wrote out of the tokens that are kept so that others notice their end.
pub(crate) async fn strip_tokens(tx: &mut Conn, id: Id) -> Result<(), DbError> {
    tx.execute(
        "UPDATE tokens SET name = 'erased' WHERE owner = $1",
        args![id.to_string()],
    )
    .await?;
    Ok(())
}

/// Replaces the setup token.
pub(crate) async fn replace_setup_token(
    tx: &mut Conn,
    hash: &TokenHash,
    now: Micros,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO setup_token (id, secret_hash, created_at) VALUES (1, $1, $2) \
         ON CONFLICT (id) DO UPDATE SET secret_hash = excluded.secret_hash, created_at = excluded.created_at",
        args![hash.as_bytes(), now],
    )
    .await?;
    Ok(())
}

/// Whether this is the setup token, and whether there is an owner already.
pub(crate) async fn is_setup_token(db: &Db, hash: &TokenHash) -> Result<bool, DbError> {
    let found: Option<(i64,)> = db
        .fetch_optional(
            "SELECT id FROM setup_token WHERE secret_hash = $1",
            args![hash.as_bytes()],
        )
        .await?;
    Ok(found.is_some())
}

/// Whether there is an owner, outside of a transaction.
pub(crate) async fn is_set_up(db: &Db) -> Result<bool, DbError> {
    let found: Option<(Id,)> = db
        .fetch_optional("SELECT id FROM users WHERE role = 'owner' LIMIT 1", args![])
        .await?;
    Ok(found.is_some())
}

/// Uses the setup token up; false when it is not this one.
pub(crate) async fn take_setup_token(tx: &mut Conn, hash: &TokenHash) -> Result<bool, DbError> {
    let taken = tx
        .execute(
            "DELETE FROM setup_token WHERE secret_hash = $1",
            args![hash.as_bytes()],
        )
        .await?;
    Ok(taken == 1)
}

/// Adds an invitation. Those that have expired go.
pub(crate) async fn add_invite(
    tx: &mut Conn,
    invite: &Invite,
    hash: &TokenHash,
    created_by: Option<Id>,
    now: Micros,
) -> Result<(), DbError> {
    tx.execute("DELETE FROM invites WHERE expires_at <= $1", args![now])
        .await?;
    tx.execute(
        "INSERT INTO invites (id, secret_hash, role, user_id, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            invite.id,
            hash.as_bytes(),
            invite.role.word(),
            invite.user,
            created_by,
            now,
            invite.expires_at
        ],
    )
    .await?;
    Ok(())
}

/// How many invitations there are.
pub(crate) async fn count_invites(tx: &mut Conn) -> Result<i64, DbError> {
    let (count,): (i64,) = tx
        .fetch_one("SELECT count(*) FROM invites", args![])
        .await?;
    Ok(count)
}

/// The open invitation with this hash.
pub(crate) async fn open_invite(
    db: &Db,
    hash: &TokenHash,
    now: Micros,
) -> Result<Option<OpenInvite>, DbError> {
    db.fetch_optional(
        "SELECT id, role, user_id, created_by FROM invites WHERE secret_hash = $1 AND expires_at > $2",
        args![hash.as_bytes(), now],
    )
    .await
}

/// Uses an invitation up; false when somebody else did.
pub(crate) async fn take_invite(tx: &mut Conn, id: Id, now: Micros) -> Result<bool, DbError> {
    let taken = tx
        .execute(
            "DELETE FROM invites WHERE id = $1 AND expires_at > $2",
            args![id, now],
        )
        .await?;
    Ok(taken == 1)
}

/// Takes back the invitations for somebody, and those that somebody gave out.
pub(crate) async fn remove_invites(tx: &mut Conn, id: Id) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM invites WHERE user_id = $1 OR created_by = $1",
        args![id],
    )
    .await?;
    Ok(())
}

/// Takes back the invitations for somebody.
pub(crate) async fn remove_invites_for(tx: &mut Conn, id: Id) -> Result<(), DbError> {
    tx.execute("DELETE FROM invites WHERE user_id = $1", args![id])
        .await?;
    Ok(())
}

/// Whether the owner of this address signed in from a network since a moment.
pub(crate) async fn is_familiar(
    db: &Db,
    key: &str,
    network: &str,
    since: Micros,
) -> Result<bool, DbError> {
    let found: Option<(Micros,)> = db
        .fetch_optional(
            "SELECT n.seen_at FROM familiar_networks n JOIN users u ON u.id = n.user_id \
             WHERE u.email_key = $1 AND n.network = $2 AND n.seen_at > $3",
            args![key, network, since],
        )
        .await?;
    Ok(found.is_some())
}

/// Notes that somebody signed in from a network; the oldest beyond the bound go.
pub(crate) async fn note_network(
    db: &Db,
    id: Id,
    network: String,
    now: Micros,
) -> Result<(), DbError> {
    db.write(async move |tx| {
        tx.execute(
            "INSERT INTO familiar_networks (user_id, network, seen_at) SELECT id, $2, $3 FROM users WHERE id = $1 \
             ON CONFLICT (user_id, network) DO UPDATE SET seen_at = excluded.seen_at",
            args![id, network, now],
        )
        .await?;
        tx.execute(
            "DELETE FROM familiar_networks WHERE user_id = $1 AND network NOT IN \
             (SELECT network FROM familiar_networks WHERE user_id = $1 ORDER BY seen_at DESC, network LIMIT $2)",
            args![id, MAX_NETWORKS],
        )
        .await?;
        Ok(())
    })
    .await
}
