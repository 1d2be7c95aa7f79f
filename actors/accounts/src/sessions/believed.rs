//! Access tokens whose signature was found right, so that the same token of the next request needs no second look at it.
//!
//! A signature costs more than all the rest of a small request. It is a fact about a token and a set of keys, and nothing else: so the
//! memory belongs to the set and ends with it, and what changes with time (when a token begins and ends, whether its session still
//! lives) is asked anew for every request. Nothing is remembered of a token but its hash and its claims; a wrong one is never
//! remembered, so that nobody without a key can fill it.

use dashmap::DashMap;
use sha2::{Digest, Sha256};

use super::access::Checked;

/// Tokens that are remembered at most: 1 MiB.
const CAPACITY: usize = 8 * 1024;

/// The tokens that one set of keys has signed, as far as they were shown.
#[derive(Debug, Default)]
pub(crate) struct Believed(DashMap<TokenHash, Checked>);

/// The SHA-256 of a whole token: another signature, or other claims, is another token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl Believed {
    /// What a token says, if it was found right.
    pub(crate) fn get(&self, hash: TokenHash) -> Option<Checked> {
        self.0.get(&hash).map(|checked| *checked)
    }

    /// Remembers what a token says whose signature is right.
    pub(crate) fn remember(&self, hash: TokenHash, checked: Checked) {
        if self.0.len() >= CAPACITY {
            self.forget_half();
        }
        self.0.insert(hash, checked);
    }

    /// It has ended, and does not come back.
    pub(crate) fn forget(&self, hash: TokenHash) {
        self.0.remove(&hash);
    }

    /// Whichever: a token that is still used is checked once more. One by one would make every request pay when many are in use.
    fn forget_half(&self) {
        let mut stays = false;
        self.0.retain(|_, _| {
            stays = !stays;
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_working_when_full() {
        let believed = Believed::default();
        let hash = |number: usize| TokenHash::of(&number.to_string());
        for number in 0..CAPACITY * 3 {
            believed.remember(hash(number), Checked::default());
            assert!(believed.0.len() <= CAPACITY);
            assert!(believed.get(hash(number)).is_some());
        }
        assert!(believed.0.len() >= CAPACITY / 2);
        believed.forget(hash(CAPACITY * 3 - 1));
        assert_eq!(believed.get(hash(CAPACITY * 3 - 1)), None);
    }
}
