//! What is asked for, and what is told.

use ground::audit::Outcome;
use ground::{Id, Micros};
use serde::Serialize;
use serde_json::Value;

use crate::chain::{Break, Link, Mark};

/// Which entries are wanted, newest first. The default is the newest fifty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Those of this user.
    pub user: Option<Id>,
    /// Those whose action begins like this: `token.`, `user.role`.
    pub action: Option<String>,
    /// Those with this result.
    pub outcome: Option<Outcome>,
    /// Those about this object.
    pub object: Option<String>,
    /// Those from this moment on.
    pub since: Option<Micros>,
    /// Those up to this moment, included.
    pub until: Option<Micros>,
    /// The number of the last entry of the page before.
    pub cursor: Option<i64>,
    /// How many at most, 1..=200; what is outside is taken for the nearest.
    pub limit: u32,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            user: None,
            action: None,
            outcome: None,
            object: None,
            since: None,
            until: None,
            cursor: None,
            limit: ground::paging::DEFAULT_LIMIT,
        }
    }
}

/// Which stretch of the chain is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// From the oldest kept entry on.
    All,
    /// The newest so many; the entry before them is believed.
    Newest(u32),
    /// What comes after a place that was verified before.
    After(Mark),
}

/// What a verification came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether all that was looked at holds.
    pub ok: bool,
    /// How many entries were looked at.
    pub checked: u64,
    /// The number of the last entry that holds; 0 when there is none.
    pub last_seq: i64,
    /// The first place that does not hold; null when all does.
    pub broken: Option<Break>,
    /// What to send as `cursor` to go on; null when the end of the chain, or a broken place, was reached.
    pub next_cursor: Option<String>,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptActor {
    /// `anonymous`, `system`, `local`, `token` or `user`.
    pub kind: String,
    /// The user.
    pub user: Option<Id>,
    /// The session or token.
    pub credential: Option<Id>,
    /// The user id of a local process.
    pub uid: Option<i64>,
}

/// An entry as it is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    /// Its number, from 1, without holes.
    pub seq: i64,
    /// Its id.
    pub id: Id,
    /// When.
    pub at: Micros,
    /// Who.
    pub actor: KeptActor,
    /// What, as `<noun>.<verb>`.
    pub action: String,
    /// What it was done to.
    pub object: Option<String>,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
    /// The client's address.
    pub address: Option<String>,
    /// What the client said it was.
    pub user_agent: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// What else is known.
    pub detail: Value,
    /// The hash of the chain up to it, in hexadecimal.
    pub hash: String,
}

impl From<Link> for Kept {
    fn from(link: Link) -> Self {
        let mark = Mark {
            seq: link.record.seq,
            hash: link.hash,
        };
        let record = link.record;
        // Somebody may have put something else there: then it is told as it is.
        let detail = serde_json::from_str(&record.detail);
        Self {
            seq: record.seq,
            id: record.id,
            at: record.at,
            actor: KeptActor {
                kind: record.actor_kind,
                user: record.actor_user,
                credential: record.actor_credential,
                uid: record.actor_uid,
            },
            action: record.action,
            object: record.object,
            outcome: record.outcome,
            address: record.address,
            user_agent: record.user_agent,
            request_id: record.request_id,
            detail: detail.unwrap_or(Value::String(record.detail)),
            hash: mark.hex(),
        }
    }
}
