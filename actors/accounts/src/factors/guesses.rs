//! Who may guess: at most five wrong codes a user in five minutes. No I/O; the present is an argument.
//!
//! A guess takes its place *before* it is looked at and gives it back when it was right: else fifty guesses at once would all be
//! looked at before the first was counted. Bounded by number: the user whose last guess is longest ago makes room.
//!
//! By the clock of the process, so that no jump of the wall clock gives more guesses. Kept in memory, outside of the actor: it
//! outlives that, and a restart of the daemon gives five more guesses of a million.

use std::collections::HashMap;
use std::time::Duration;

use ground::Id;
use tokio::time::Instant;

/// Wrong codes of a user in [`WINDOW`].
pub(crate) const MAX_WRONG: usize = 5;
/// For how long a wrong code counts.
pub(crate) const WINDOW: Duration = Duration::from_mins(5);
/// Users that are kept.
const CAPACITY: usize = 10_000;

/// A guess that was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guess {
    user: Id,
    number: u64,
}

/// A guess that was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limited {
    /// When the next one is admitted.
    pub(crate) retry_after: Duration,
    /// Whether it is the first since the limit was reached.
    pub(crate) is_first: bool,
}

/// The guesses of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    users: HashMap<Id, Wrong>,
    /// Guesses admitted so far: their names.
    admitted: u64,
}

#[derive(Debug, Default)]
struct Wrong {
    /// When each was made, and its number; in order.
    made: Vec<(Instant, u64)>,
    was_told: bool,
}

impl Wrong {
    fn drop_old(&mut self, now: Instant) {
        self.made
            .retain(|(at, _)| now.saturating_duration_since(*at) < WINDOW);
    }
}

impl Guesses {
    /// Admits a guess, which counts as wrong until it is forgiven.
    ///
    /// # Errors
    /// [`Limited`] when five count already.
    pub(crate) fn admit(&mut self, user: Id, now: Instant) -> Result<Guess, Limited> {
        self.make_room(user, now);
        let wrong = self.users.entry(user).or_default();
        wrong.drop_old(now);
        if let Some((oldest, _)) = wrong.made.first().filter(|_| wrong.made.len() >= MAX_WRONG) {
            let is_first = !std::mem::replace(&mut wrong.was_told, true);
            let retry_after = (*oldest + WINDOW).saturating_duration_since(now);
            return Err(Limited {
                retry_after,
                is_first,
            });
        }
        wrong.was_told = false;
        self.admitted += 1;
        let number = self.admitted;
        wrong.made.push((now, number));
        Ok(Guess { user, number })
    }

    /// The guess was right, or never looked at.
    pub(crate) fn forgive(&mut self, guess: Guess) {
        if let Some(wrong) = self.users.get_mut(&guess.user) {
            wrong.made.retain(|(_, number)| *number != guess.number);
            if wrong.made.is_empty() {
                self.users.remove(&guess.user);
            }
        }
    }

    /// Users of whom something is kept.
    pub(crate) fn len(&self) -> usize {
        self.users.len()
    }

    fn make_room(&mut self, user: Id, now: Instant) {
        if self.users.len() < CAPACITY || self.users.contains_key(&user) {
            return;
        }
        self.users.retain(|_, wrong| {
            wrong.drop_old(now);
            !wrong.made.is_empty()
        });
        if self.users.len() >= CAPACITY {
            let last = |wrong: &Wrong| wrong.made.last().copied();
            let oldest = self.users.iter().min_by_key(|(_, wrong)| last(wrong));
            if let Some(oldest) = oldest.map(|(user, _)| *user) {
                self.users.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(number: u16) -> Id {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        Id::from_bytes(bytes)
    }

    #[test]
    fn the_sixth_waits_for_the_first_to_be_forgotten() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        for second in 0..5 {
            let now = start + Duration::from_secs(second);
            assert!(guesses.admit(user(1), now).is_ok());
        }
        let now = start + Duration::from_mins(1);
        let limited = |is_first| Limited {
            retry_after: Duration::from_mins(4),
            is_first,
        };
        assert_eq!(guesses.admit(user(1), now), Err(limited(true)));
        assert_eq!(guesses.admit(user(1), now), Err(limited(false)));
        assert!(guesses.admit(user(2), now).is_ok(), "each user by itself");
        assert!(guesses.admit(user(1), start + WINDOW).is_ok());
        let again = guesses.admit(user(1), start + WINDOW);
        assert!(again.is_err_and(|limited| limited.is_first), "told anew");
    }

    #[test]
    fn a_right_code_does_not_wash_wrong_ones_away() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..100 {
            let right = guesses.admit(user(1), now).expect("room");
            guesses.forgive(right);
        }
        assert_eq!(guesses.len(), 0);
        for _ in 0..4 {
            assert!(guesses.admit(user(1), now).is_ok());
        }
        let right = guesses.admit(user(1), now).expect("room");
        guesses.forgive(right);
        assert!(guesses.admit(user(1), now).is_ok());
        assert!(guesses.admit(user(1), now).is_err());
    }

    #[test]
    fn the_oldest_makes_room() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        for number in 0..=10_000 {
            let now = start + Duration::from_millis(u64::from(number));
            assert!(guesses.admit(user(number), now).is_ok());
        }
        assert_eq!(guesses.len(), CAPACITY);
        assert!(!guesses.users.contains_key(&user(0)));
        let later = start + WINDOW * 2;
        assert!(guesses.admit(user(20_000), later).is_ok());
        assert_eq!(guesses.len(), 1, "what does not count any more is not kept");
    }

    proptest! {
        /// Against a plain list: never more than five that were not forgiven in any five minutes.
        #[test]
        fn five_in_five_minutes(steps in proptest::collection::vec((0_u16..3, 0_u64..120, any::<bool>()), 0..120)) {
            let (mut guesses, mut now) = (Guesses::default(), Instant::now());
            let mut wrong: Vec<(u16, Instant)> = Vec::new();
            for (number, wait_s, is_right) in steps {
                now += Duration::from_secs(wait_s);
                let counted = wrong.iter().filter(|(who, at)| *who == number && now - *at < WINDOW).count();
                let admitted = guesses.admit(user(number), now);
                prop_assert_eq!(admitted.is_ok(), counted < MAX_WRONG);
                match admitted {
                    Ok(guess) if is_right => guesses.forgive(guess),
                    Ok(_) => wrong.push((number, now)),
                    Err(limited) => prop_assert!(limited.retry_after <= WINDOW && !limited.retry_after.is_zero()),
                }
            }
        }
    }
}
