//! What each table of this domain keeps of a person, but no secret: one list, in which every table has its place.

use ground::db::{FromRow, Row, Value as Argument};
use ground::{Db, DbError, Id, Micros, args};
use serde_json::{Map, Value};

/// Rows of one sort that are told at most.
const MAX_ROWS: u32 = 10_000;

/// Rows as they are told, by the name that their sort has in an export.
pub(crate) type Told = Vec<(&'static str, Vec<Value>)>;

/// A row that is told column by column.
macro_rules! row {
    ($row:ident: $($column:literal as $type:ty),+ $(,)?) => {
        struct $row(Value);

        impl FromRow for $row {
            fn from_row(row: &Row) -> Result<Self, DbError> {
                let mut object = Map::new();
                $(object.insert($column.to_owned(), told(&row.get::<$type>($column)?)?);)+
                Ok(Self(Value::Object(object)))
            }
        }

        impl From<$row> for Value {
            fn from(row: $row) -> Self {
                row.0
            }
        }
    };
}

fn told(value: &impl serde::Serialize) -> Result<Value, DbError> {
    serde_json::to_value(value).map_err(DbError::failed)
}

row!(PasswordRow: "password_changed_at" as Option<Micros>);
row!(TokenRow: "id" as Id, "name" as String, "scopes" as String, "role" as String, "created_at" as Micros,
    "last_used_at" as Option<Micros>, "expires_at" as Option<Micros>, "revoked_at" as Option<Micros>);
row!(InviteRow: "id" as Id, "role" as String, "created_at" as Micros, "expires_at" as Micros);
row!(NetworkRow: "network" as String, "seen_at" as Micros);
row!(SessionRow: "id" as Id, "method" as String, "second_factor" as bool, "created_at" as Micros, "last_used_at" as Micros,
    "idle_expires_at" as Micros, "expires_at" as Micros, "ended_at" as Option<Micros>, "end_reason" as Option<String>,
    "address" as Option<String>, "user_agent" as Option<String>);
row!(RefreshRow: "session_id" as Id, "generation" as i64, "issued_at" as Micros, "used_at" as Option<Micros>);
row!(TotpRow: "created_at" as Micros, "confirmed_at" as Option<Micros>);
row!(RecoveryCodeRow: "used_at" as Option<Micros>);
row!(PasskeyRow: "id" as Id, "name" as String, "created_at" as Micros, "last_used_at" as Option<Micros>);
row!(IdentityRow: "issuer" as String, "subject" as String, "provider" as String, "email" as Option<String>, "created_at" as Micros,
    "last_used_at" as Option<Micros>);
row!(MailedTokenRow: "kind" as String, "new_email" as Option<String>, "created_at" as Micros, "expires_at" as Micros,
    "used_at" as Option<Micros>);

/// All that this domain keeps of a person besides the account itself.
pub(crate) async fn rows_of(db: &Db, id: Id) -> Result<Told, DbError> {
    let owner = id.to_string();
    let (by_id, by_owner) = (args![id, MAX_ROWS], args![owner, MAX_ROWS]);
    let password = "SELECT password_changed_at FROM users WHERE id = $1 LIMIT $2";
    let tokens = "SELECT id, name, scopes, role, created_at, last_used_at, expires_at, revoked_at FROM tokens \
                  WHERE owner = $1 ORDER BY id LIMIT $2";
    let invites = "SELECT id, role, created_at, expires_at FROM invites WHERE user_id = $1 OR created_by = $1 ORDER BY id LIMIT $2";
    let networks = "SELECT network, seen_at FROM familiar_networks WHERE user_id = $1 ORDER BY seen_at, network LIMIT $2";
    let sessions = "SELECT id, method, second_factor, created_at, last_used_at, idle_expires_at, expires_at, ended_at, end_reason, \
                    address, user_agent FROM sessions WHERE user_id = $1 ORDER BY id LIMIT $2";
    let refreshes = "SELECT r.session_id, r.generation, r.issued_at, r.used_at FROM refresh_tokens r \
                     JOIN sessions s ON s.id = r.session_id WHERE s.user_id = $1 ORDER BY r.session_id, r.generation LIMIT $2";
    let totp = "SELECT created_at, confirmed_at FROM totp_factors WHERE user_id = $1 LIMIT $2";
    let codes =
        "SELECT used_at FROM recovery_codes WHERE user_id = $1 ORDER BY used_at, hash LIMIT $2";
    let passkeys = "SELECT id, name, created_at, last_used_at FROM passkeys WHERE user_id = $1 ORDER BY id LIMIT $2";
    let identities = "SELECT issuer, subject, provider, email, created_at, last_used_at FROM identities \
                      WHERE user_id = $1 ORDER BY issuer, subject LIMIT $2";
    let mailed = "SELECT kind, new_email, created_at, expires_at, used_at FROM recovery_tokens \
                  WHERE user_id = $1 ORDER BY created_at, hash LIMIT $2";
    Ok(vec![
        ("password", rows::<PasswordRow>(db, password, by_id).await?),
        ("tokens", rows::<TokenRow>(db, tokens, by_owner).await?),
        ("invites", rows::<InviteRow>(db, invites, by_id).await?),
        ("networks", rows::<NetworkRow>(db, networks, by_id).await?),
        ("sessions", rows::<SessionRow>(db, sessions, by_id).await?),
        (
            "refresh_tokens",
            rows::<RefreshRow>(db, refreshes, by_id).await?,
        ),
        ("totp", rows::<TotpRow>(db, totp, by_id).await?),
        (
            "recovery_codes",
            rows::<RecoveryCodeRow>(db, codes, by_id).await?,
        ),
        ("passkeys", rows::<PasskeyRow>(db, passkeys, by_id).await?),
        (
            "identities",
            rows::<IdentityRow>(db, identities, by_id).await?,
        ),
        (
            "mailed_tokens",
            rows::<MailedTokenRow>(db, mailed, by_id).await?,
        ),
    ])
}

async fn rows<R: FromRow + Into<Value> + Send + 'static>(
    db: &Db,
    statement: &'static str,
    arguments: &[Argument<'_>],
) -> Result<Vec<Value>, DbError> {
    let rows: Vec<R> = db.fetch_all(statement, arguments).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
