//! The user's words: what a token is asked for, what is told about one, and who its bearer is.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ground::{Id, Micros};
use serde::Serialize;

use crate::scopes::Scopes;

/// What somebody may do at most, from most to least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything. The local operator has this role.
    Owner,
    /// Everything but what concerns owners.
    Admin,
    /// Everything of one's own.
    Member,
    /// To look.
    Viewer,
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role")]
pub struct RoleError;

impl Role {
    /// The word for it, on the wire and in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(word: &str) -> Result<Self, RoleError> {
        [Self::Owner, Self::Admin, Self::Member, Self::Viewer]
            .into_iter()
            .find(|role| role.word() == word)
            .ok_or(RoleError)
    }
}

/// How much somebody may ask of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// As everybody.
    Standard,
    /// More.
    Premium,
}

/// A word that names no tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such tier")]
pub struct TierError;

impl Tier {
    /// The word for it, on the wire and in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Premium => "premium",
        }
    }
}

impl FromStr for Tier {
    type Err = TierError;

    fn from_str(word: &str) -> Result<Self, TierError> {
        [Self::Standard, Self::Premium]
            .into_iter()
            .find(|tier| tier.word() == word)
            .ok_or(TierError)
    }
}

/// A token to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewToken {
    /// What to call it in the list: 1 to [`MAX_NAME`](crate::MAX_NAME) characters;
    /// [`DEFAULT_NAME`](crate::DEFAULT_NAME) when left out.
    pub name: Option<String>,
    /// What to limit it to, as words; none gives all the rights of its owner.
    pub scopes: Vec<String>,
    /// How long it is valid, from [`MIN_LIFETIME`](crate::MIN_LIFETIME) to
    /// [`MAX_LIFETIME`](crate::MAX_LIFETIME) or the configured limit. Left out: that limit, else until it is revoked.
    pub expires_in: Option<Duration>,
    /// Whose it is to be; `None`: the local operator's.
    pub owner: Option<Id>,
}

/// What is told about a token. Never the token itself: nobody has it but its bearer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenInfo {
    /// Its id, which is no secret.
    pub id: Id,
    /// What it is called.
    pub name: String,
    /// What it is limited to; empty: all the rights of its owner.
    pub scopes: Scopes,
    /// Whose it is; null: the local operator's.
    pub owner: Option<String>,
    /// What its bearer may do at most.
    pub role: Role,
    /// When it was created.
    pub created_at: Micros,
    /// When it was last used, to the minute; null before its first use.
    pub last_used_at: Option<Micros>,
    /// When it stops working; null: not by itself.
    pub expires_at: Option<Micros>,
    /// When it was revoked; null: it was not.
    pub revoked_at: Option<Micros>,
}

/// Who bears a token. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The token's id.
    pub token_id: Id,
    /// What the token is called.
    pub name: Arc<str>,
    /// Whose it is; null: the local operator's.
    pub owner: Option<Arc<str>>,
    /// What the bearer may do at most.
    pub role: Role,
    /// How much its owner may ask for, at present.
    pub tier: Tier,
    /// What the token is limited to; empty: all the rights of its owner.
    pub scopes: Scopes,
    /// When the token stops working; null: not by itself.
    pub expires_at: Option<Micros>,
}

impl Identity {
    /// Whether the token has stopped working by itself.
    pub fn is_expired(&self, now: Micros) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

impl Identity {
    /// The user whose token it is; `None`: the local operator's.
    pub fn user(&self) -> Option<Id> {
        self.owner.as_deref().and_then(|owner| owner.parse().ok())
    }
}

impl Identity {
    /// Who bears this token, whose owner has this tier.
    pub(crate) fn of(token: &TokenInfo, tier: Tier) -> Self {
        Self {
            tier,
            token_id: token.id,
            name: token.name.as_str().into(),
            owner: token.owner.as_deref().map(Arc::from),
            role: token.role,
            scopes: token.scopes,
            expires_at: token.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_one_word_each() {
        for role in [Role::Owner, Role::Admin, Role::Member, Role::Viewer] {
            assert_eq!(role.word().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).expect("text"), role.word());
        }
        assert_eq!("root".parse::<Role>(), Err(RoleError));
    }
}
