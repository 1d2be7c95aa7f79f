//! One statement for all who ask about the same token at once, and a bound for those who ask about different ones.
//!
//! After a restart every client presents its token in the same second; and whoever makes up tokens must not fill the
//! database's queue with them. The first who asks about a token leads a lookup, the others wait for its result.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use supervisor::Reply;

use crate::error::AccountsError;
use crate::token::TokenHash;
use crate::types::Identity;
use ground::lock;

/// Whom to tell who bears a token.
pub(crate) type VerifyReply = Reply<Result<Identity, AccountsError>>;

/// Lookups under way at most.
const MAX_LOOKUPS: usize = 64;
/// Callers that wait for them at most.
const MAX_WAITING: usize = 4096;

/// What became of a question.
#[derive(Debug)]
pub(crate) enum Joined<K: Copy + Eq + Hash = TokenHash, R = VerifyReply> {
    /// It is the first about its token: whoever asked has to look it up, and land the lookup.
    Leads(Lookup<K, R>),
    /// A lookup that is under way will answer it.
    Follows,
    /// Too much is under way; the reply is handed back.
    Full(Option<R>),
}

#[derive(Debug)]
struct Inner<K, R> {
    waiting: HashMap<K, Vec<R>>,
    count: usize,
}

/// The lookups that are under way: of tokens, unless said otherwise.
#[derive(Debug)]
pub(crate) struct Lookups<K = TokenHash, R = VerifyReply> {
    inner: Mutex<Inner<K, R>>,
}

impl<K, R> Default for Lookups<K, R> {
    fn default() -> Self {
        let inner = Inner {
            waiting: HashMap::new(),
            count: 0,
        };
        Self {
            inner: Mutex::new(inner),
        }
    }
}

impl<K: Copy + Eq + Hash, R> Lookups<K, R> {
    /// Asks about a token; without a reply only so that it is checked again.
    pub(crate) fn join(self: &Arc<Self>, hash: K, reply: Option<R>) -> Joined<K, R> {
        let mut inner = lock(&self.inner);
        let is_under_way = inner.waiting.contains_key(&hash);
        let is_full =
            inner.count >= MAX_WAITING || (!is_under_way && inner.waiting.len() >= MAX_LOOKUPS);
        if is_full {
            return Joined::Full(reply);
        }
        inner.count += usize::from(reply.is_some());
        inner.waiting.entry(hash).or_default().extend(reply);
        if is_under_way {
            return Joined::Follows;
        }
        Joined::Leads(Lookup {
            lookups: Arc::clone(self),
            hash,
            is_under_way: true,
        })
    }

    fn take(&self, hash: &K) -> Vec<R> {
        let mut inner = lock(&self.inner);
        let waiting = inner.waiting.remove(hash).unwrap_or_default();
        inner.count -= waiting.len();
        waiting
    }
}

/// A lookup under way. One that is dropped before it lands (its task ended) drops the replies of all who wait for it, which
/// tells them so.
#[derive(Debug)]
pub(crate) struct Lookup<K: Copy + Eq + Hash = TokenHash, R = VerifyReply> {
    lookups: Arc<Lookups<K, R>>,
    hash: K,
    is_under_way: bool,
}

impl<K: Copy + Eq + Hash, R> Lookup<K, R> {
    /// Which token it is about.
    pub(crate) fn hash(&self) -> K {
        self.hash
    }

    /// Ends it and hands out those who wait; who asks from now on leads another one. Nobody the second time.
    pub(crate) fn land(&mut self) -> Vec<R> {
        if std::mem::replace(&mut self.is_under_way, false) {
            self.lookups.take(&self.hash)
        } else {
            Vec::new()
        }
    }
}

impl<K: Copy + Eq + Hash, R> Drop for Lookup<K, R> {
    fn drop(&mut self) {
        drop(self.land());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: usize) -> TokenHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        TokenHash::from_bytes(bytes)
    }

    #[test]
    fn the_first_leads_and_the_others_follow() {
        let lookups: Arc<Lookups> = Arc::default();
        let Joined::Leads(mut lookup) = lookups.join(hash(1), None) else {
            panic!("nothing is under way");
        };
        assert!(matches!(lookups.join(hash(1), None), Joined::Follows));
        assert!(lookup.land().is_empty());
        let second = lookups.join(hash(1), None);
        assert!(matches!(second, Joined::Leads(_)), "the first has landed");
        drop(lookup);
        let third = lookups.join(hash(1), None);
        assert!(
            matches!(third, Joined::Follows),
            "a landed lookup ends no other"
        );
        drop(second);
        assert!(lock(&lookups.inner).waiting.is_empty());
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        let lookups: Arc<Lookups> = Arc::default();
        let join = |number| lookups.join(hash(number), None);
        let under_way: Vec<Joined> = (0..MAX_LOOKUPS).map(join).collect();
        assert!(matches!(join(MAX_LOOKUPS), Joined::Full(None)));
        assert!(matches!(join(0), Joined::Follows));
        drop(under_way);
        assert!(matches!(join(MAX_LOOKUPS), Joined::Leads(_)));
    }
}
