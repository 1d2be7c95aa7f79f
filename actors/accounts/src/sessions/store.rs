//! Every statement about sessions. Only hashes of refresh tokens are ever in one.

use ground::audit::{self, Actor, Entry, Outcome, Source};
use ground::db::{Conn, FromRow, Row};
use ground::{Db, DbError, Id, Micros, PageRequest, Secret, args};

use super::error::SessionError;
use super::keys::{MAX_PUBLISHED, PublishedKey};
use super::refresh::{self, GRACE, Shown, Verdict};
use super::types::{EndReason, EndSession, Method, SessionIdentity, SessionInfo, SignIn};
use crate::token::TokenHash;
use crate::types::Role;

/// Live sessions of one user at most; the oldest makes room.
pub(crate) const MAX_LIVE: i64 = 100;
/// Used refresh tokens of one session that are remembered; an older one is unknown rather than used before.
const MAX_GENERATIONS: i64 = 4096;
/// Rows that one chore reads or writes at most.
const CHORE_ROWS: u32 = 1000;
/// Ends by other processes that are read at once at most.
const MAX_ENDS: u32 = 10_000;
/// Characters of a client's name for itself that are kept.
const MAX_AGENT: usize = 200;

/// A session as it is looked up.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) identity: SessionIdentity,
    pub(crate) last_used_at: Micros,
    /// Whether it can be used.
    pub(crate) is_live: bool,
    pub(crate) idle_expires_at: Micros,
}

impl FromRow for Found {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let ended_at: Option<Micros> = row.get("ended_at")?;
        let disabled_at: Option<Micros> = row.get("disabled_at")?;
        Ok(Self {
            identity: SessionIdentity {
                session: row.get("id")?,
                user: row.get("user_id")?,
                email: row.get::<String>("email")?.into(),
                role: row.parse("role")?,
                tier: row.parse("tier")?,
                method: row.parse("method")?,
                second_factor: row.get("second_factor")?,
                auth_time: row.get("created_at")?,
                expires_at: row.get("expires_at")?,
            },
            last_used_at: row.get("last_used_at")?,
            is_live: ended_at.is_none() && disabled_at.is_none(),
            idle_expires_at: row.get("idle_expires_at")?,
        })
    }
}

impl FromRow for SessionInfo {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get("id")?,
            method: row.parse("method")?,
            second_factor: row.get("second_factor")?,
            created_at: row.get("created_at")?,
            last_used_at: row.get("last_used_at")?,
            idle_expires_at: row.get("idle_expires_at")?,
            expires_at: row.get("expires_at")?,
            address: row.get("address")?,
            user_agent: row.get("user_agent")?,
        })
    }
}

impl FromRow for PublishedKey {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            kid: row.get("kid")?,
            public: row.get("public_key")?,
            retires_at: row.get("retires_at")?,
        })
    }
}

/// The session with this id, whatever has become of it.
pub(crate) async fn session(db: &Db, id: Id) -> Result<Option<Found>, DbError> {
    db.fetch_optional(
        "SELECT s.id, s.user_id, s.method, s.second_factor, s.created_at, s.last_used_at, s.idle_expires_at, s.expires_at, \
         s.ended_at, u.email, u.role, u.tier, u.disabled_at \
         FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1",
        args![id],
    )
    .await
}

/// The live sessions of a user, one page and one more.
pub(crate) async fn sessions_of_user(
    db: &Db,
    user: Id,
    now: Micros,
    page: &PageRequest,
) -> Result<Vec<SessionInfo>, DbError> {
    db.fetch_all(
        "SELECT id, method, second_factor, created_at, last_used_at, idle_expires_at, expires_at, address, user_agent \
         FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND idle_expires_at > $2 AND expires_at > $2 \
         AND ($3 IS NULL OR id > $3) ORDER BY id LIMIT $4",
        args![user, now, page.after(), page.rows()],
    )
    .await
}

/// A session to write, with all that is random about it.
#[derive(Debug, Clone)]
pub(crate) struct NewSession {
    pub(crate) id: Id,
    pub(crate) sign_in: SignIn,
    pub(crate) refresh: TokenHash,
    pub(crate) now: Micros,
    pub(crate) idle_expires_at: Micros,
    pub(crate) expires_at: Micros,
}

/// What became of it: the user's role, and the sessions that made room.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    pub(crate) role: Role,
    pub(crate) ended: Vec<Id>,
}

/// Begins a session.
pub(crate) async fn begin(db: &Db, new: NewSession) -> Result<Begun, SessionError> {
    db.write(async move |tx| {
        let user = new.sign_in.user;
        // Two sign-ins of one user wait for one another here.
        let known = tx
            .execute(
                "UPDATE users SET last_sign_in_at = $1 WHERE id = $2 AND disabled_at IS NULL",
                args![new.now, user],
            )
            .await?;
        if known == 0 {
            return Err(SessionError::UserGone(user));
        }
        let (role,): (String,) = tx
            .fetch_one("SELECT role FROM users WHERE id = $1", args![user])
            .await?;
        let ended = make_room(tx, user, new.now).await?;
        insert(tx, &new).await?;
        let actor = Actor::User {
            id: user,
            credential: Some(new.id),
        };
        let entry = Entry::new(actor, "session.begin", new.sign_in.source.clone())
            .on(new.id)
            .with("method", new.sign_in.method.word())
            .with("second_factor", new.sign_in.second_factor);
        audit::append(tx, &entry).await?;
        let role = role.parse().map_err(DbError::failed)?;
        Ok(Begun { role, ended })
    })
    .await
}

async fn insert(tx: &mut Conn, new: &NewSession) -> Result<(), DbError> {
    let source = &new.sign_in.source;
    let agent = source.user_agent.as_deref().map(|agent| {
        let plain = agent.chars().filter(|char| !char.is_control());
        plain.take(MAX_AGENT).collect::<String>()
    });
    tx.execute(
        "INSERT INTO sessions (id, user_id, method, second_factor, created_at, last_used_at, idle_expires_at, expires_at, \
         address, user_agent) VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9)",
        args![
            new.id,
            new.sign_in.user,
            Method::word(new.sign_in.method),
            new.sign_in.second_factor,
            new.now,
            new.idle_expires_at,
            new.expires_at,
            source.address.map(|address| address.to_string()),
            agent
        ],
    )
    .await?;
    tx.execute(
        "INSERT INTO refresh_tokens (hash, session_id, generation, issued_at) VALUES ($1, $2, 1, $3)",
        args![new.refresh.as_bytes(), new.id, new.now],
    )
    .await?;
    Ok(())
}

/// Ends the oldest sessions of a user, so that one more may begin.
async fn make_room(tx: &mut Conn, user: Id, now: Micros) -> Result<Vec<Id>, DbError> {
    let oldest: Vec<(Id,)> = tx
        .fetch_all(
            "SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL ORDER BY id DESC LIMIT $2 OFFSET $3",
            args![user, CHORE_ROWS, MAX_LIVE - 1],
        )
        .await?;
    let mut ended = Vec::with_capacity(oldest.len());
    for (id,) in oldest {
        mark_ended(tx, id, now, EndReason::Replaced).await?;
        ended.push(id);
    }
    Ok(ended)
}

/// Whether it was alive until now.
async fn mark_ended(
    tx: &mut Conn,
    id: Id,
    now: Micros,
    reason: EndReason,
) -> Result<bool, DbError> {
    let ended = tx
        .execute(
            "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE id = $3 AND ended_at IS NULL",
            args![now, reason.word(), id],
        )
        .await?;
    Ok(ended > 0)
}

/// What a refresh is done with; the nonce is used when there is a next token to make.
#[derive(Debug, Clone)]
pub(crate) struct Rotate {
    pub(crate) token: Secret,
    pub(crate) hash: TokenHash,
    pub(crate) nonce: [u8; 32],
    pub(crate) now: Micros,
    pub(crate) idle_limit: std::time::Duration,
    pub(crate) source: Source,
}

/// The next token, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    pub(crate) token: Secret,
    pub(crate) hash: TokenHash,
    pub(crate) issued_at: Micros,
    pub(crate) identity: SessionIdentity,
}

/// What became of a refresh. What ends a family is no error here: the end has to be kept.
#[derive(Debug, Clone)]
pub(crate) enum Rotated {
    Next(Box<Next>),
    /// No such token.
    Unknown,
    /// Its session had ended before.
    Over,
    /// Its session ended just now.
    Ended(Id, EndReason),
}

/// What is stored of a token that was shown.
struct Stored {
    generation: i64,
    used_at: Option<Micros>,
    nonce: Option<Vec<u8>>,
    session: Found,
}

impl FromRow for Stored {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            generation: row.get("generation")?,
            used_at: row.get("used_at")?,
            nonce: row.get("nonce")?,
            session: Found::from_row(row)?,
        })
    }
}

/// Uses a refresh token, in one transaction.
pub(crate) async fn rotate(db: &Db, rotate: Rotate) -> Result<Rotated, SessionError> {
    db.write(async move |tx| {
        // Whoever refreshes in this family at the same moment, in whatever process, waits here.
        tx.execute(
            "UPDATE sessions SET last_used_at = last_used_at \
             WHERE id = (SELECT session_id FROM refresh_tokens WHERE hash = $1)",
            args![rotate.hash.as_bytes()],
        )
        .await?;
        let stored: Option<Stored> = tx
            .fetch_optional(
                "SELECT r.generation, r.used_at, r.nonce, s.id, s.user_id, s.method, s.second_factor, s.created_at, \
                 s.last_used_at, s.idle_expires_at, s.expires_at, s.ended_at, u.email, u.role, u.tier, u.disabled_at \
                 FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id JOIN users u ON u.id = s.user_id \
                 WHERE r.hash = $1",
                args![rotate.hash.as_bytes()],
            )
            .await?;
        let Some(stored) = stored else {
            return Ok(Rotated::Unknown);
        };
        let nonce: Option<[u8; 32]> = stored.nonce.as_deref().and_then(|nonce| nonce.try_into().ok());
        let shown = Shown {
            used_at: stored.used_at,
            has_nonce: nonce.is_some(),
            is_over: !stored.session.is_live,
            idle_expires_at: stored.session.idle_expires_at,
            expires_at: stored.session.identity.expires_at,
        };
        let id = stored.session.identity.session;
        match (refresh::judge(rotate.now, &shown), nonce) {
            (Verdict::Rotate, _) => use_up(tx, &rotate, stored).await,
            (Verdict::Repeat, Some(nonce)) => repeat(tx, &rotate, stored, &nonce).await,
            (Verdict::Refuse, _) | (Verdict::Repeat, None) => Ok(Rotated::Over),
            (Verdict::End(reason), _) => {
                mark_ended(tx, id, rotate.now, reason).await?;
                if reason == EndReason::Reuse {
                    tell_of_reuse(tx, &rotate, &stored.session.identity).await?;
                }
                Ok(Rotated::Ended(id, reason))
            }
        }
    })
    .await
}

/// The token is used from now on, and another one follows it.
async fn use_up(tx: &mut Conn, rotate: &Rotate, stored: Stored) -> Result<Rotated, SessionError> {
    let identity = stored.session.identity;
    let id = identity.session;
    let next = next_of(rotate, identity, &rotate.nonce, rotate.now)?;
    tx.execute(
        "UPDATE refresh_tokens SET nonce = NULL WHERE session_id = $1 AND used_at < $2",
        args![id, rotate.now - GRACE],
    )
    .await?;
    tx.execute(
        "UPDATE refresh_tokens SET used_at = $1, nonce = $2 WHERE hash = $3",
        args![rotate.now, rotate.nonce, rotate.hash.as_bytes()],
    )
    .await?;
    tx.execute(
        "INSERT INTO refresh_tokens (hash, session_id, generation, parent_hash, issued_at) VALUES ($1, $2, $3, $4, $5)",
        args![
            next.hash.as_bytes(),
            id,
            stored.generation + 1,
            rotate.hash.as_bytes(),
            rotate.now
        ],
    )
    .await?;
    tx.execute(
        "DELETE FROM refresh_tokens WHERE session_id = $1 AND generation < $2",
        args![id, stored.generation + 1 - MAX_GENERATIONS],
    )
    .await?;
    let idle_expires_at = (rotate.now + rotate.idle_limit).min(next.identity.expires_at);
    tx.execute(
        "UPDATE sessions SET last_used_at = $1, idle_expires_at = $2 WHERE id = $3",
        args![rotate.now, idle_expires_at, id],
    )
    .await?;
    Ok(Rotated::Next(Box::new(next)))
}

/// The same next token again, as long as it is there.
async fn repeat(
    tx: &mut Conn,
    rotate: &Rotate,
    stored: Stored,
    nonce: &[u8; 32],
) -> Result<Rotated, SessionError> {
    let mut next = next_of(rotate, stored.session.identity, nonce, rotate.now)?;
    let issued: Option<(Micros,)> = tx
        .fetch_optional(
            "SELECT issued_at FROM refresh_tokens WHERE hash = $1",
            args![next.hash.as_bytes()],
        )
        .await?;
    let Some((issued_at,)) = issued else {
        return Ok(Rotated::Over);
    };
    next.issued_at = issued_at;
    Ok(Rotated::Next(Box::new(next)))
}

fn next_of(
    rotate: &Rotate,
    identity: SessionIdentity,
    nonce: &[u8; 32],
    issued_at: Micros,
) -> Result<Next, SessionError> {
    let token = refresh::successor(rotate.token.expose(), identity.session, nonce);
    let hash = refresh::read(token.expose()).ok_or(SessionError::BadRefreshToken)?;
    Ok(Next {
        token,
        hash,
        issued_at,
        identity,
    })
}

async fn tell_of_reuse(
    tx: &mut Conn,
    rotate: &Rotate,
    identity: &SessionIdentity,
) -> Result<(), DbError> {
    // Whoever showed it may be anybody: the entry names the session, and no actor.
    let entry = Entry::new(Actor::Anonymous, "session.reuse", rotate.source.clone())
        .on(identity.session)
        .with("user", identity.user.to_string())
        .with_outcome(Outcome::Refused);
    audit::append(tx, &entry).await
}

/// Ends a session of a user, whether it was alive or not.
pub(crate) async fn end(db: &Db, end: EndSession, now: Micros) -> Result<(), SessionError> {
    db.write(async move |tx| {
        let found: Option<(Id,)> = tx
            .fetch_optional(
                "SELECT id FROM sessions WHERE id = $1 AND user_id = $2",
                args![end.session, end.user],
            )
            .await?;
        if found.is_none() {
            return Err(SessionError::NotFound(end.session));
        }
        let reason = if end.is_logout {
            EndReason::Logout
        } else {
            EndReason::Revoked
        };
        if mark_ended(tx, end.session, now, reason).await? {
            let entry = Entry::new(end.actor.clone(), "session.end", end.source.clone())
                .on(end.session)
                .with("user", end.user.to_string())
                .with("reason", reason.word());
            audit::append(tx, &entry).await?;
        }
        Ok(())
    })
    .await
}

/// Ends all sessions of a user but one, and tells which.
pub(crate) async fn end_all(
    db: &Db,
    user: Id,
    except: Option<Id>,
    now: Micros,
    by: (Actor, Source),
) -> Result<Vec<Id>, SessionError> {
    db.write(async move |tx| {
        let ended = end_all_in(tx, user, except, now, by.clone()).await;
        ended.map_err(SessionError::from)
    })
    .await
}

/// The same in the transaction of what it belongs to. Once that is committed, [`Sessions::have_ended`](super::Sessions::have_ended) is to
/// be told.
pub(crate) async fn end_all_in(
    tx: &mut Conn,
    user: Id,
    except: Option<Id>,
    now: Micros,
    (actor, source): (Actor, Source),
) -> Result<Vec<Id>, DbError> {
    // A sign-in at the same moment is either ended here, or waits until this is done.
    tx.execute(
        "UPDATE users SET version = version WHERE id = $1",
        args![user],
    )
    .await?;
    let live: Vec<(Id,)> = tx
        .fetch_all(
            "SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND ($2 IS NULL OR id <> $2)",
            args![user, except],
        )
        .await?;
    tx.execute(
        "UPDATE sessions SET ended_at = $1, end_reason = $2 \
         WHERE user_id = $3 AND ended_at IS NULL AND ($4 IS NULL OR id <> $4)",
        args![now, EndReason::All.word(), user, except],
    )
    .await?;
    let ended: Vec<Id> = live.into_iter().map(|(id,)| id).collect();
    let entry = Entry::new(actor, "session.end_all", source)
        .on(user)
        .with("ended", ended.len());
    audit::append(tx, &entry).await?;
    Ok(ended)
}

/// The sessions that ended since a moment, by whatever process; the latest, when there are very many.
pub(crate) async fn ended_since(db: &Db, moment: Micros) -> Result<Vec<Id>, DbError> {
    let ended: Vec<(Id,)> = db
        .fetch_all(
            "SELECT id FROM sessions WHERE ended_at >= $1 ORDER BY ended_at DESC LIMIT $2",
            args![moment, MAX_ENDS],
        )
        .await?;
    Ok(ended.into_iter().map(|(id,)| id).collect())
}

/// Ends the sessions whose time is over, and forgets those that ended before `forget_before`.
pub(crate) async fn clean(db: &Db, now: Micros, forget_before: Micros) -> Result<(), DbError> {
    db.write(async move |tx| {
        tx.execute(
            "UPDATE sessions SET ended_at = $1, end_reason = CASE WHEN expires_at <= $1 THEN 'expired' ELSE 'idle' END \
             WHERE id IN (SELECT id FROM sessions WHERE ended_at IS NULL AND (expires_at <= $1 OR idle_expires_at <= $1) \
             LIMIT $2)",
            args![now, CHORE_ROWS],
        )
        .await?;
        tx.execute(
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ended_at < $1 LIMIT $2)",
            args![forget_before, CHORE_ROWS],
        )
        .await?;
        tx.execute(
            "DELETE FROM signing_keys WHERE retires_at < $1",
            args![forget_before],
        )
        .await?;
        Ok(())
    })
    .await
}

/// Notes when sessions were last used. Never sets a time back.
pub(crate) async fn note_uses(db: &Db, uses: Vec<(Id, Micros)>) -> Result<(), DbError> {
    db.write(async move |tx| {
        for (id, at) in &uses {
            tx.execute(
                "UPDATE sessions SET last_used_at = $1 WHERE id = $2 AND last_used_at < $1",
                args![at, id],
            )
            .await?;
        }
        Ok(())
    })
    .await
}

/// Publishes the public half of a key, or prolongs it.
pub(crate) async fn publish(
    db: &Db,
    key: &PublishedKey,
    created_at: Micros,
) -> Result<(), DbError> {
    db.execute(
        "INSERT INTO signing_keys (kid, public_key, created_at, retires_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (kid) DO UPDATE SET retires_at = $4",
        args![key.kid, key.public, created_at, key.retires_at],
    )
    .await?;
    Ok(())
}

/// The keys that have not retired.
pub(crate) async fn published(db: &Db, now: Micros) -> Result<Vec<PublishedKey>, DbError> {
    db.fetch_all(
        "SELECT kid, public_key, retires_at FROM signing_keys WHERE retires_at > $1 ORDER BY retires_at DESC LIMIT $2",
        args![now, MAX_PUBLISHED],
    )
    .await
}
