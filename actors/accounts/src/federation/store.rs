//! Every statement about identities. A change and its audit entry are one transaction.

use ground::audit::{self, Actor, Entry, Source};
use ground::db::{Conn, FromRow, Row};
use ground::{Db, DbError, Id, Micros, args};

use super::decide::{Known, Linking};
use super::error::FederationError;
use super::seams::{Neighbours, Newcomer};
use super::types::IdentityInfo;
use crate::factors::By;
use crate::passkeys;

/// Identities of one user that are listed at most; there is one an issuer.
const MAX_IDENTITIES: u32 = 100;

/// An identity that is to be somebody's.
#[derive(Debug, Clone)]
pub(crate) struct NewIdentity {
    /// The issuer's address.
    pub(crate) issuer: String,
    /// The issuer's word for the person.
    pub(crate) subject: String,
    /// The issuer's name in the configuration.
    pub(crate) provider: String,
    /// The address that the issuer gave.
    pub(crate) email: Option<String>,
    /// Whose it will be.
    pub(crate) user: Id,
    /// When.
    pub(crate) at: Micros,
    /// From where it was asked.
    pub(crate) source: Source,
}

impl FromRow for Known {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let disabled_at: Option<Micros> = row.get("disabled_at")?;
        Ok(Self {
            user: row.get("user_id")?,
            is_disabled: disabled_at.is_some(),
        })
    }
}

impl FromRow for Linking {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let disabled_at: Option<Micros> = row.get("disabled_at")?;
        let others: i64 = row.get("others")?;
        Ok(Self {
            is_disabled: disabled_at.is_some(),
            has_other: others > 0,
        })
    }
}

impl FromRow for IdentityInfo {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            issuer: row.get("provider")?,
            issuer_url: row.get("issuer")?,
            email: row.get("email")?,
            created_at: row.get("created_at")?,
            last_used_at: row.get("last_used_at")?,
        })
    }
}

/// Whose identity this is.
pub(crate) async fn known(db: &Db, issuer: &str, subject: &str) -> Result<Option<Known>, DbError> {
    db.fetch_optional(
        "SELECT i.user_id AS user_id, u.disabled_at AS disabled_at FROM identities i JOIN users u ON u.id = i.user_id \
         WHERE i.issuer = $1 AND i.subject = $2",
        args![issuer, subject],
    )
    .await
}

/// What there is to know of a user who wants an identity of this issuer.
pub(crate) async fn linking(db: &Db, user: Id, issuer: &str) -> Result<Option<Linking>, DbError> {
    db.fetch_optional(
        "SELECT u.disabled_at AS disabled_at, \
         (SELECT count(*) FROM identities i WHERE i.user_id = u.id AND i.issuer = $2) AS others FROM users u WHERE u.id = $1",
        args![user, issuer],
    )
    .await
}

/// Whether the address with this key is a user's.
pub(crate) async fn is_email_taken(db: &Db, key: &str) -> Result<bool, DbError> {
    let found: Option<(Id,)> = db
        .fetch_optional("SELECT id FROM users WHERE email_key = $1", args![key])
        .await?;
    Ok(found.is_some())
}

/// The identities of a user, in the order of their issuers.
pub(crate) async fn identities_of(db: &Db, user: Id) -> Result<Vec<IdentityInfo>, DbError> {
    db.fetch_all(
        "SELECT issuer, provider, email, created_at, last_used_at FROM identities WHERE user_id = $1 \
         ORDER BY provider, issuer LIMIT $2",
        args![user, MAX_IDENTITIES],
    )
    .await
}

/// Notes that somebody came in by an identity, and what its issuer is called at present.
pub(crate) async fn note_use(
    db: &Db,
    issuer: &str,
    subject: &str,
    provider: &str,
    at: Micros,
) -> Result<(), DbError> {
    db.execute(
        "UPDATE identities SET last_used_at = $3, provider = $4 WHERE issuer = $1 AND subject = $2",
        args![issuer, subject, at, provider],
    )
    .await
    .map(drop)
}

/// Makes an identity a user's.
pub(crate) async fn link(db: &Db, new: &NewIdentity, actor: Actor) -> Result<(), DbError> {
    let (new, actor) = (new.clone(), actor);
    db.write(async move |tx| {
        insert(tx, &new, None).await?;
        audit::append(tx, &entry(&new, actor.clone())).await
    })
    .await
}

/// Makes a user with an identity.
pub(crate) async fn register(
    db: &Db,
    neighbours: &Neighbours,
    newcomer: &Newcomer,
    new: &NewIdentity,
) -> Result<(), DbError> {
    let (users, newcomer, new) = (neighbours.users.clone(), newcomer.clone(), new.clone());
    db.write(async move |tx| {
        if !users.make(tx, &newcomer).await? {
            return Err(DbError::Conflict {
                constraint: "users_email_key_key".to_owned(),
            });
        }
        insert(tx, &new, Some(new.at)).await?;
        let actor = Actor::User {
            id: new.user,
            credential: None,
        };
        audit::append(tx, &entry(&new, actor).with("is_new_user", true)).await
    })
    .await
}

async fn insert(tx: &mut Conn, new: &NewIdentity, used_at: Option<Micros>) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO identities (issuer, subject, user_id, provider, email, created_at, last_used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            new.issuer,
            new.subject,
            new.user,
            new.provider,
            new.email,
            new.at,
            used_at
        ],
    )
    .await
    .map(drop)
}

fn entry(new: &NewIdentity, actor: Actor) -> Entry {
    Entry::new(actor, "identity.link", new.source.clone())
        .on(new.user)
        .with("issuer", new.issuer.as_str())
}

/// Takes an identity from its user, unless it is the last way in.
///
/// # Errors
/// `NotLinked`, `LastWayIn`, and what keeps it from being stored.
pub(crate) async fn unlink(db: &Db, by: &By, provider: &str) -> Result<(), FederationError> {
    let (by, provider) = (by.clone(), provider.to_owned());
    db.write(async move |tx| {
        passkeys::hold(tx, by.user).await?;
        let removed = tx
            .execute(
                "DELETE FROM identities WHERE user_id = $1 AND provider = $2",
                args![by.user, provider],
            )
            .await?;
        if removed == 0 {
            return Err(FederationError::NotLinked);
        }
        if passkeys::ways_in(tx, by.user).await? == 0 {
            return Err(FederationError::LastWayIn);
        }
        let entry = Entry::new(by.actor(), "identity.unlink", by.source.clone())
            .on(by.user)
            .with("issuer", provider.as_str());
        audit::append(tx, &entry).await?;
        Ok(())
    })
    .await
}

/// Writes an entry of something that changed nothing.
pub(crate) async fn note(db: &Db, entry: Entry) -> Result<(), DbError> {
    db.write(async move |tx| audit::append(tx, &entry).await)
        .await
}
