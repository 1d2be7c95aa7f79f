//! Every statement about second factors. Secrets come here sealed, codes as hashes.

use ground::audit::{self, Entry};
use ground::db::{Conn, FromRow, Row};
use ground::{Db, DbError, Id, Micros, args};

use crate::factors::recovery::CodeHash;
use crate::factors::types::{FactorOverview, TotpState};

/// Keys that are told apart at most.
const MAX_KEYS: u32 = 100;

/// An authenticator app as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Factor {
    /// The user.
    pub(crate) user: Id,
    /// The secret.
    pub(crate) sealed: Vec<u8>,
    /// Since when it is asked for.
    pub(crate) confirmed_at: Option<Micros>,
    /// The newest step of which a code was used.
    pub(crate) last_step: i64,
    /// When it was begun: with the user this names the very app, as one that is set up anew is another.
    pub(crate) created_at: Micros,
}

impl FromRow for Factor {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            user: row.get("user_id")?,
            sealed: row.get("secret")?,
            confirmed_at: row.get("confirmed_at")?,
            last_step: row.get("last_step")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// What proves that somebody has the factor, and can prove it only once.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// A code of this step.
    Step {
        /// The step.
        step: i64,
        /// The secret sealed anew, where an older key had sealed it.
        sealed: Option<Vec<u8>>,
    },
    /// A recovery code.
    Recovery(CodeHash),
}

/// What happens together with the use of a proof.
#[derive(Debug, Clone)]
pub(crate) enum Then {
    /// Nothing more.
    Nothing,
    /// The app and all recovery codes go away.
    Remove,
    /// These recovery codes replace all others.
    Renew(Vec<CodeHash>),
}

/// The user's address.
pub(crate) async fn email_of(db: &Db, user: Id) -> Result<Option<String>, DbError> {
    let found: Option<(String,)> = db
        .fetch_optional("SELECT email FROM users WHERE id = $1", args![user])
        .await?;
    Ok(found.map(|(email,)| email))
}

/// The user's app, confirmed or not.
pub(crate) async fn factor_of(db: &Db, user: Id) -> Result<Option<Factor>, DbError> {
    db.fetch_optional(
        "SELECT user_id, secret, confirmed_at, last_step, created_at FROM totp_factors WHERE user_id = $1",
        args![user],
    )
    .await
}

/// What the user has set up.
pub(crate) async fn overview(db: &Db, user: Id) -> Result<FactorOverview, DbError> {
    let (passkeys,): (u32,) = db
        .fetch_one(
            "SELECT count(*) FROM passkeys WHERE user_id = $1",
            args![user],
        )
        .await?;
    let found: Option<(Micros, Option<Micros>, u32)> = db
        .fetch_optional(
            "SELECT created_at, confirmed_at, \
             (SELECT count(*) FROM recovery_codes WHERE user_id = $1 AND used_at IS NULL) \
             FROM totp_factors WHERE user_id = $1",
            args![user],
        )
        .await?;
    Ok(match found {
        None => FactorOverview {
            totp: None,
            recovery_codes_left: 0,
            passkeys,
        },
        Some((created_at, confirmed_at, recovery_codes_left)) => FactorOverview {
            totp: Some(TotpState {
                created_at,
                confirmed_at,
            }),
            recovery_codes_left,
            passkeys,
        },
    })
}

/// How the sealed secrets begin, which tells their keys, and how many begin so.
pub(crate) async fn heads(db: &Db, bytes: u32) -> Result<Vec<(Vec<u8>, i64)>, DbError> {
    db.fetch_all(
        "SELECT substr(secret, 1, CAST($1 AS integer)), count(*) FROM totp_factors GROUP BY 1 LIMIT $2",
        args![bytes, MAX_KEYS],
    )
    .await
}

/// Keeps an app that waits for its first code, in the place of another one that does; `false` when one is confirmed.
pub(crate) async fn enroll(
    db: &Db,
    user: Id,
    sealed: Vec<u8>,
    now: Micros,
    entry: Entry,
) -> Result<bool, DbError> {
    db.write(async move |tx| {
        let changed = tx
            .execute(
                "INSERT INTO totp_factors (user_id, secret, last_step, created_at) VALUES ($1, $2, 0, $3) \
                 ON CONFLICT (user_id) DO UPDATE \
                 SET secret = excluded.secret, last_step = 0, created_at = excluded.created_at \
                 WHERE totp_factors.confirmed_at IS NULL",
                args![user, sealed, now],
            )
            .await?;
        if changed == 0 {
            return Ok(false);
        }
        audit::append(tx, &entry).await?;
        Ok(true)
    })
    .await
}

/// Confirms the app by the code of a step; `false` when it is another one by now, or confirmed already.
pub(crate) async fn confirm(
    db: &Db,
    factor: &Factor,
    step: i64,
    codes: Vec<CodeHash>,
    entry: Entry,
) -> Result<bool, DbError> {
    let (user, created_at) = (factor.user, factor.created_at);
    db.write(async move |tx| {
        let changed = tx
            .execute(
                "UPDATE totp_factors SET confirmed_at = $1, last_step = $2 \
                 WHERE user_id = $3 AND created_at = $4 AND confirmed_at IS NULL",
                args![entry.at, step, user, created_at],
            )
            .await?;
        if changed == 0 {
            return Ok(false);
        }
        replace_codes(tx, user, &codes).await?;
        audit::append(tx, &entry).await?;
        Ok(true)
    })
    .await
}

/// Uses a proof up and does what goes with it, with its entries; `false`, and nothing, when it was used before or the app is
/// another one by now.
pub(crate) async fn redeem(
    db: &Db,
    factor: &Factor,
    proof: Proof,
    then: Then,
    entries: Vec<Entry>,
    now: Micros,
) -> Result<bool, DbError> {
    let (user, created_at) = (factor.user, factor.created_at);
    db.write(async move |tx| {
        if !spend(tx, (user, created_at), &proof, now).await? {
            return Ok(false);
        }
        match &then {
            Then::Nothing => {}
            Then::Remove => remove_all(tx, user).await?,
            Then::Renew(codes) => replace_codes(tx, user, codes).await?,
        }
        for entry in &entries {
            audit::append(tx, entry).await?;
        }
        Ok(true)
    })
    .await
}

/// Takes the app and the recovery codes away, if there are any.
pub(crate) async fn remove_all(tx: &mut Conn, user: Id) -> Result<(), DbError> {
    replace_codes(tx, user, &[]).await?;
    tx.execute("DELETE FROM totp_factors WHERE user_id = $1", args![user])
        .await?;
    Ok(())
}

/// Keeps an entry of something that changed nothing.
pub(crate) async fn tell(db: &Db, entry: Entry) -> Result<(), DbError> {
    db.write(async move |tx| audit::append(tx, &entry).await)
        .await
}

/// The compare-and-set by which a proof counts once, whoever shows it where at the same moment.
async fn spend(
    tx: &mut Conn,
    (user, created_at): (Id, Micros),
    proof: &Proof,
    now: Micros,
) -> Result<bool, DbError> {
    let changed = match proof {
        Proof::Step { step, sealed } => {
            tx.execute(
                "UPDATE totp_factors SET last_step = $1, secret = COALESCE($2, secret) \
                 WHERE user_id = $3 AND created_at = $4 AND last_step < $1 AND confirmed_at IS NOT NULL",
                args![step, sealed, user, created_at],
            )
            .await?
        }
        Proof::Recovery(hash) => {
            // The app's row first, as everywhere: whoever waits for it holds nothing that its holder wants.
            let is_same = tx
                .execute(
                    "UPDATE totp_factors SET last_step = last_step \
                     WHERE user_id = $1 AND created_at = $2 AND confirmed_at IS NOT NULL",
                    args![user, created_at],
                )
                .await?;
            if is_same == 0 {
                return Ok(false);
            }
            tx.execute(
                "UPDATE recovery_codes SET used_at = $1 WHERE user_id = $2 AND hash = $3 AND used_at IS NULL",
                args![now, user, hash.as_bytes()],
            )
            .await?
        }
    };
    Ok(changed == 1)
}

async fn replace_codes(tx: &mut Conn, user: Id, codes: &[CodeHash]) -> Result<(), DbError> {
    tx.execute("DELETE FROM recovery_codes WHERE user_id = $1", args![user])
        .await?;
    for code in codes {
        tx.execute(
            "INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)",
            args![user, code.as_bytes()],
        )
        .await?;
    }
    Ok(())
}
