//! What was refused lately, so that a client that repeats a bad token does not reach the database each time.
//!
//! Bounded twice: by number (the oldest makes room: somebody who makes up tokens pushes out made-up ones only) and by
//! time. No I/O; the present is an argument.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::AccountsError;
use crate::token::TokenHash;

/// How many refusals are kept.
const CAPACITY: usize = 1024;
/// For how long one is kept.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// Why a token is refused. All three are for good: a token never becomes valid again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unknown,
    Revoked,
    Expired,
}

impl From<Refusal> for AccountsError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::Unknown,
            Refusal::Revoked => Self::Revoked,
            Refusal::Expired => Self::Expired,
        }
    }
}

/// The refusals of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    kept: HashMap<TokenHash, Refusal>,
    /// In order of age; each kept hash is in it once.
    order: VecDeque<(Instant, TokenHash)>,
}

impl Refusals {
    /// Whether this token was refused lately, and why.
    pub(crate) fn of(&mut self, hash: &TokenHash, now: Instant) -> Option<Refusal> {
        self.drop_old(now);
        self.kept.get(hash).copied()
    }

    /// Keeps a refusal.
    pub(crate) fn keep(&mut self, hash: TokenHash, refusal: Refusal, now: Instant) {
        self.drop_old(now);
        if self.kept.insert(hash, refusal).is_some() {
            return;
        }
        self.order.push_back((now, hash));
        if self.order.len() > CAPACITY {
            self.drop_first();
        }
    }

    fn drop_old(&mut self, now: Instant) {
        let is_old = |kept_at: Instant| now.saturating_duration_since(kept_at) >= KEPT_FOR;
        while self.order.front().is_some_and(|(at, _)| is_old(*at)) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, hash)) = self.order.pop_front() {
            self.kept.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(number: u16) -> TokenHash {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        TokenHash::from_bytes(bytes)
    }

    #[test]
    fn the_oldest_makes_room() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        (0..5000).for_each(|number| refusals.keep(hash(number), Refusal::Unknown, now));
        assert_eq!(refusals.kept.len(), CAPACITY);
        assert_eq!(refusals.order.len(), CAPACITY);
        assert_eq!(refusals.of(&hash(4999), now), Some(Refusal::Unknown));
        assert_eq!(refusals.of(&hash(0), now), None);
    }

    proptest! {
        /// Against a plain list of all that was ever kept.
        #[test]
        fn a_refusal_is_kept_for_its_time(steps in proptest::collection::vec((0_u16..6, 0_u64..4000, any::<bool>()), 0..80)) {
            let (mut refusals, mut now) = (Refusals::default(), Instant::now());
            let mut model: Vec<(TokenHash, Instant)> = Vec::new();
            for (number, wait_ms, keeps) in steps {
                now += Duration::from_millis(wait_ms);
                model.retain(|(_, at)| now.duration_since(*at) < KEPT_FOR);
                let hash = hash(number);
                let is_kept = model.iter().any(|(kept, _)| *kept == hash);
                if keeps {
                    refusals.keep(hash, Refusal::Revoked, now);
                    if !is_kept {
                        model.push((hash, now));
                    }
                } else {
                    prop_assert_eq!(refusals.of(&hash, now), is_kept.then_some(Refusal::Revoked));
                }
                prop_assert_eq!(refusals.kept.len(), model.len());
                prop_assert_eq!(refusals.order.len(), model.len());
            }
        }
    }
}
