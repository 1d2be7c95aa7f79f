//! Refresh tokens: made, read, followed by the next, and judged. No I/O; randomness and the present are arguments.
//!
//! A refresh token works once. Two tabs that refresh at the same moment look like a thief, so for a few seconds the used token is
//! answered again, with the *same* next one. To know it again without keeping it, the next token is made of the old one's text and of
//! a nonce that is stored beside the old one's hash: whoever has the database alone, or an old token alone, has neither.
//!
//! After that time the use of an old token means that two parties have one token, and nobody can tell which of them is the thief: the
//! whole family ends. So a live family has exactly one token that was not used.

use std::time::Duration;

use ground::{Id, Micros, Secret};
use ring::hmac;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::types::EndReason;
use crate::jose::strict;
use crate::token::TokenHash;

/// What every refresh token begins with.
pub(crate) const PREFIX: &str = "msr_";
/// For how long a used token is answered again.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// Says for what the next token is made, so that the same MAC can mean nothing else.
const CONTEXT: &[u8] = b"mainstay refresh token 1";

/// The token of these random bytes, which are wiped.
pub(crate) fn make(random: &mut [u8; 32]) -> Secret {
    let mut digits = strict::encode(&random);
    random.zeroize();
    let mut text = String::with_capacity(PREFIX.len() + digits.len());
    text.push_str(PREFIX);
    text.push_str(&digits);
    digits.zeroize();
    Secret::from(text)
}

/// The hash of what a client shows; nothing for what cannot be a refresh token.
pub(crate) fn read(text: &str) -> Option<TokenHash> {
    let mut bytes: [u8; 32] = strict::decode_exactly(text.strip_prefix(PREFIX)?)?;
    bytes.zeroize();
    Some(TokenHash::from_bytes(
        Sha256::digest(text.as_bytes()).into(),
    ))
}

/// The token that follows `text` in the family of `session`.
pub(crate) fn successor(text: &str, session: Id, nonce: &[u8; 32]) -> Secret {
    let key = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
    let mut mac = hmac::Context::with_key(&key);
    mac.update(CONTEXT);
    mac.update(session.as_bytes());
    mac.update(nonce);
    let mut next = [0; 32];
    next.copy_from_slice(mac.sign().as_ref());
    make(&mut next)
}

/// The name of the access token that goes with a refresh token: derived, so that the same pair has the same name.
pub(crate) fn access_id(refresh: &TokenHash) -> Id {
    let digest = Sha256::digest([&b"access token"[..], refresh.as_bytes()].concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // The marks of a version 8 UUID: made in a way of one's own.
    bytes[6] = (bytes[6] & 0x0F) | 0x80;
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    Id::from_bytes(bytes)
}

/// What is known of a token that was shown, and of its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// When it was used before.
    pub(crate) used_at: Option<Micros>,
    /// Whether what its successor is made of is still there.
    pub(crate) has_nonce: bool,
    /// Whether the family has ended, or its user may not sign in.
    pub(crate) is_over: bool,
    /// When the family ends without use.
    pub(crate) idle_expires_at: Micros,
    /// When the family ends.
    pub(crate) expires_at: Micros,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the family's one unused token: use it and make the next one.
    Rotate,
    /// It was used a moment ago: tell the same next one again.
    Repeat,
    /// The family ends now, for this reason.
    End(EndReason),
    /// Nothing.
    Refuse,
}

/// Judges a token that was shown. A clock that was set back makes no old token good again.
pub(crate) fn judge(now: Micros, shown: &Shown) -> Verdict {
    if shown.is_over {
        return Verdict::Refuse;
    }
    if now >= shown.expires_at {
        return Verdict::End(EndReason::Expired);
    }
    if now >= shown.idle_expires_at {
        return Verdict::End(EndReason::Idle);
    }
    match shown.used_at {
        None => Verdict::Rotate,
        Some(used_at) => {
            let apart = now.since(used_at).max(used_at.since(now));
            if apart <= GRACE && shown.has_nonce {
                Verdict::Repeat
            } else {
                Verdict::End(EndReason::Reuse)
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::sessions) const NOW: Micros = Micros(1_700_000_000_000_000);
    pub(in crate::sessions) const IDLE: Duration = Duration::from_hours(7 * 24);
    pub(in crate::sessions) const WHOLE: Duration = Duration::from_hours(30 * 24);

    #[test]
    fn the_form_is_fixed() {
        let token = make(&mut [0; 32]);
        assert_eq!(
            token.expose(),
            "msr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        );
        assert!(read(token.expose()).is_some());
        for wrong in ["", "msr_", "mst_AAAA", "msr_AAAA", "AAAA"] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
        assert!(read(&format!("{} ", token.expose())).is_none());
    }

    #[test]
    fn the_next_token_depends_on_all_that_it_is_made_of() {
        let (one, two) = (make(&mut [1; 32]), make(&mut [2; 32]));
        let (session, other) = (Id::from_bytes([1; 16]), Id::from_bytes([2; 16]));
        let next = successor(one.expose(), session, &[3; 32]);
        assert_eq!(next, successor(one.expose(), session, &[3; 32]));
        assert_ne!(next, successor(two.expose(), session, &[3; 32]));
        assert_ne!(next, successor(one.expose(), other, &[3; 32]));
        assert_ne!(next, successor(one.expose(), session, &[4; 32]));
        assert!(read(next.expose()).is_some());
    }

    /// A family as the store keeps it, with the rule applied.
    pub(in crate::sessions) struct Family {
        pub(in crate::sessions) tokens: Vec<(Option<Micros>, bool)>,
        pub(in crate::sessions) ended: Option<EndReason>,
        idle_expires_at: Micros,
        expires_at: Micros,
    }

    impl Family {
        pub(in crate::sessions) fn new() -> Self {
            Self {
                tokens: vec![(None, false)],
                ended: None,
                idle_expires_at: NOW + IDLE,
                expires_at: NOW + WHOLE,
            }
        }

        /// Shows token `number`; tells the number of the token that is handed out.
        pub(in crate::sessions) fn show(&mut self, number: usize, now: Micros) -> Option<usize> {
            let (used_at, has_nonce) = self.tokens[number];
            let shown = Shown {
                used_at,
                has_nonce,
                is_over: self.ended.is_some(),
                idle_expires_at: self.idle_expires_at,
                expires_at: self.expires_at,
            };
            match judge(now, &shown) {
                Verdict::Rotate => {
                    for (used_at, has_nonce) in &mut self.tokens {
                        *has_nonce &= used_at.is_some_and(|at| now.since(at) <= GRACE);
                    }
                    self.tokens[number] = (Some(now), true);
                    self.tokens.push((None, false));
                    self.idle_expires_at = (now + IDLE).min(self.expires_at);
                    Some(number + 1)
                }
                Verdict::Repeat => Some(number + 1),
                Verdict::End(reason) => {
                    self.ended = Some(reason);
                    None
                }
                Verdict::Refuse => None,
            }
        }

        fn unused(&self) -> usize {
            let is_unused = |token: &&(Option<Micros>, bool)| token.0.is_none();
            self.tokens.iter().filter(is_unused).count()
        }
    }

    proptest! {
        /// Any interleaving of clients, old tokens and clocks that jump: there is never more than one way on, and what is handed out
        /// is always the one that follows.
        #[test]
        fn one_family_has_one_way_on(
            steps in proptest::collection::vec((0_usize..4, -8_000_000_i64..8_000_000), 1..60),
        ) {
            let mut family = Family::new();
            let mut now = NOW;
            for (back, jump) in steps {
                now = Micros(now.get() + jump);
                let newest = family.tokens.len() - 1;
                let number = newest.saturating_sub(back);
                let was_over = family.ended.is_some();
                let told = family.show(number, now);
                prop_assert_eq!(family.unused(), 1, "one token is unused");
                prop_assert!(!was_over || told.is_none(), "what has ended stays so");
                if let Some(told) = told {
                    prop_assert_eq!(told, number + 1);
                }
                if told.is_none() && !was_over {
                    let (used_at, _) = family.tokens[number];
                    prop_assert!(used_at.is_some(), "the newest token never ends its family early");
                }
            }
        }

        /// Whoever only ever uses the newest token, or the one before within the grace, is never thrown out.
        #[test]
        fn honest_clients_lose_nothing(
            steps in proptest::collection::vec((any::<bool>(), 0_i64..4_000_000), 1..60),
        ) {
            let mut family = Family::new();
            let mut now = NOW;
            let mut rotated_at = NOW - GRACE * 2;
            for (repeats, pause) in steps {
                now = Micros(now.get() + pause);
                let newest = family.tokens.len() - 1;
                let may_repeat = newest > 0 && now.since(rotated_at) <= GRACE;
                if repeats && may_repeat {
                    prop_assert_eq!(family.show(newest - 1, now), Some(newest));
                } else {
                    prop_assert_eq!(family.show(newest, now), Some(newest + 1));
                    rotated_at = now;
                }
            }
            prop_assert_eq!(family.ended, None);
        }

        #[test]
        fn every_family_ends(idle in 0_i64..100, whole in 0_i64..100, now in 0_i64..200) {
            let shown = Shown {
                used_at: None,
                has_nonce: false,
                is_over: false,
                idle_expires_at: Micros(idle),
                expires_at: Micros(whole),
            };
            let goes_on = judge(Micros(now), &shown) == Verdict::Rotate;
            prop_assert_eq!(goes_on, now < idle && now < whole);
        }

        #[test]
        fn no_text_panics(text in "(msr_)?.{0,60}") {
            prop_assert!(read(&text).is_none() || text.starts_with(PREFIX));
        }
    }
}
