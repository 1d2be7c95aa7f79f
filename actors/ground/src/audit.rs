//! What somebody did, for those who have to know later: who, what, from where, when, with what result.
//!
//! Every domain writes entries, so their shape and the one statement that appends them live here; reading, verifying and pruning is
//! the audit domain's. An entry that tells of a change is appended **in the transaction of that change**: neither is ever there
//! without the other. The entries of a database are one chain: each holds the hash of the one before, so that nothing can be taken
//! out, put in or altered without the hashes telling.
//!
//! No secrets: nothing that could be used to sign in belongs into an entry, not even hashed.

mod store;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::clock::Micros;
use crate::ids::Id;

pub use store::{Seen, append, chain_of};

/// Characters of one text of an entry at most; longer ones are cut.
pub const MAX_TEXT: usize = 500;
/// The hash that the first entry continues.
pub const GENESIS: [u8; 32] = [0; 32];

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Nobody who is known: a failed sign-in, for example.
    Anonymous,
    /// The daemon by itself.
    System,
    /// A process of the daemon's own user or of root, over the local socket.
    Local {
        /// Its user id.
        uid: u32,
    },
    /// The bearer of a token that belongs to no user: the local operator's.
    Token {
        /// The token.
        id: Id,
    },
    /// A user.
    User {
        /// The user.
        id: Id,
        /// The session or token with which it was done, if any.
        credential: Option<Id>,
    },
}

impl Actor {
    /// The word for its kind, in the database.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::System => "system",
            Self::Local { .. } => "local",
            Self::Token { .. } => "token",
            Self::User { .. } => "user",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It happened.
    Done,
    /// It was refused: not allowed, or wrong credentials.
    Refused,
    /// It failed by a fault.
    Failed,
}

impl Outcome {
    /// The word for it, in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// From where a request came: what a handler hands down so that entries can tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The client's address as the edge sees it behind its trusted proxies; `None` for the local socket and the daemon itself.
    pub address: Option<std::net::IpAddr>,
    /// What the client says it is; cut to [`MAX_TEXT`].
    pub user_agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
}

/// Who does something, and from where: what a request hands down with what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub source: Source,
}

impl By {
    /// The daemon by itself.
    pub fn system() -> Self {
        Self {
            actor: Actor::System,
            source: Source::default(),
        }
    }

    /// An entry of what is done now.
    pub fn entry(&self, action: &'static str) -> Entry {
        Entry::new(self.actor.clone(), action, self.source.clone())
    }
}

/// One entry, before it has a place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its id. It is the entry's from the beginning, so that one whose write ended in doubt can be looked for before it is written again.
    pub id: Id,
    /// When.
    pub at: Micros,
    /// Who.
    pub actor: Actor,
    /// What, as `<noun>.<verb>`: `session.begin`, `token.create`, `user.role`.
    pub action: &'static str,
    /// What it was done to: a user, a token, a node. Control characters are escaped.
    pub object: Option<String>,
    /// From where.
    pub source: Source,
    /// With what result.
    pub outcome: Outcome,
    /// What else is worth knowing, flat: old and new role, why it was refused. No secrets.
    pub detail: Map<String, Value>,
}

impl Entry {
    /// An entry of something that happened now.
    pub fn new(actor: Actor, action: &'static str, source: Source) -> Self {
        Self {
            id: Id::generate(),
            at: crate::clock::now(),
            actor,
            action,
            object: None,
            source,
            outcome: Outcome::Done,
            detail: Map::new(),
        }
    }

    /// Sets what it was done to.
    #[must_use]
    pub fn on(mut self, object: impl fmt::Display) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// Sets the result.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(key.to_owned(), value.into());
        self
    }
}

/// What stands in the database of an entry, and what its hash is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in the chain, from 1, without holes.
    pub seq: i64,
    /// Its id.
    pub id: Id,
    /// When.
    pub at: Micros,
    /// The word for the kind of the actor.
    pub actor_kind: String,
    /// The user, or null.
    pub actor_user: Option<Id>,
    /// The actor's session or token, or null.
    pub actor_credential: Option<Id>,
    /// The user id of a local actor, or null.
    pub actor_uid: Option<i64>,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub object: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// What the client said it was.
    pub user_agent: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// The word for the result.
    pub outcome: String,
    /// The details as JSON text, exactly as stored.
    pub detail: String,
}

impl Record {
    /// The record of an entry at its place.
    pub fn of(entry: &Entry, seq: i64) -> Self {
        let (user, credential, uid) = match &entry.actor {
            Actor::User { id, credential } => (Some(*id), *credential, None),
            Actor::Token { id } => (None, Some(*id), None),
            Actor::Local { uid } => (None, None, Some(i64::from(*uid))),
            Actor::Anonymous | Actor::System => (None, None, None),
        };
        Self {
            seq,
            id: entry.id,
            at: entry.at,
            actor_kind: entry.actor.word().to_owned(),
            actor_user: user,
            actor_credential: credential,
            actor_uid: uid,
            action: entry.action.to_owned(),
            object: entry.object.as_deref().map(plain),
            address: entry.source.address.map(|address| address.to_string()),
            user_agent: entry.source.user_agent.as_deref().map(plain),
            request_id: entry.source.request_id.as_deref().map(plain),
            outcome: entry.outcome.word().to_owned(),
            detail: detail_text(&entry.detail),
        }
    }

    /// The hash of the chain up to this record: SHA-256 over the hash before it and every field, each with its length, so that no two
    /// records give the same bytes.
    pub fn hash(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(before);
        let mut field = |bytes: Option<&[u8]>| match bytes {
            None => hash.update([0]),
            Some(bytes) => {
                hash.update([1]);
                hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(bytes);
            }
        };
        field(Some(&self.seq.to_be_bytes()));
        field(Some(self.id.as_bytes()));
        field(Some(&self.at.get().to_be_bytes()));
        field(Some(self.actor_kind.as_bytes()));
        field(self.actor_user.as_ref().map(|id| &id.as_bytes()[..]));
        field(self.actor_credential.as_ref().map(|id| &id.as_bytes()[..]));
        field(
            self.actor_uid
                .map(i64::to_be_bytes)
                .as_ref()
                .map(|uid| &uid[..]),
        );
        field(Some(self.action.as_bytes()));
        for text in [
            &self.object,
            &self.address,
            &self.user_agent,
            &self.request_id,
        ] {
            field(text.as_deref().map(str::as_bytes));
        }
        field(Some(self.outcome.as_bytes()));
        field(Some(self.detail.as_bytes()));
        hash.finalize().into()
    }
}

/// Text of bounded length without control characters: they are escaped, so that no entry can look like two.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len().min(MAX_TEXT));
    for char in text.chars().take(MAX_TEXT) {
        if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') {
            safe.extend(char.escape_unicode());
        } else {
            safe.push(char);
        }
    }
    safe
}

/// The details as text; a text among them that is too long is cut.
fn detail_text(detail: &Map<String, Value>) -> String {
    let cut = |value: &Value| match value {
        Value::String(text) => Value::String(plain(text)),
        other => other.clone(),
    };
    let detail: Map<String, Value> = detail
        .iter()
        .map(|(key, value)| (plain(key), cut(value)))
        .collect();
    Value::Object(detail).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let actor = Actor::Local { uid: 1 };
        Entry::new(actor, "user.role", Source::default())
            .on("u\n1")
            .with("to", "admin")
    }

    #[test]
    fn no_text_of_an_entry_can_look_like_two() {
        let record = Record::of(&entry(), 1);
        assert_eq!(record.object.as_deref(), Some("u\\u{a}1"));
        assert_eq!(record.detail, r#"{"to":"admin"}"#);
    }

    #[test]
    fn every_field_is_in_the_hash() {
        let record = Record::of(&entry(), 1);
        let hash = record.hash(&GENESIS);
        let mut altered = Vec::new();
        let mut alter = |change: &dyn Fn(&mut Record)| {
            let mut other = record.clone();
            change(&mut other);
            altered.push(other.hash(&GENESIS));
        };
        alter(&|r| r.seq = 2);
        alter(&|r| r.id = Id::generate());
        alter(&|r| r.at = Micros(1));
        alter(&|r| r.actor_kind = "user".into());
        alter(&|r| r.actor_user = Some(Id::generate()));
        alter(&|r| r.actor_credential = Some(Id::generate()));
        alter(&|r| r.actor_uid = None);
        alter(&|r| r.action = "user.rol".into());
        alter(&|r| r.object = None);
        alter(&|r| r.address = Some(String::new()));
        alter(&|r| r.user_agent = Some("x".into()));
        alter(&|r| r.request_id = Some("x".into()));
        alter(&|r| r.outcome = "failed".into());
        alter(&|r| r.detail = "{}".into());
        assert!(altered.iter().all(|other| *other != hash));
        assert_ne!(record.hash(&[1; 32]), hash);
    }
}
