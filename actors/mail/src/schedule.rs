//! When a mail that could not be sent is tried again.

use std::time::Duration;

use ground::Micros;
use supervisor::Backoff;

/// The longest pause after the server itself was away: its breaker keeps it from being called in vain, so there is no reason to
/// wait long once it is back.
const LONGEST_FOR_SERVER: Duration = Duration::from_mins(1);

/// Of what the last attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server did not answer, or not as one.
    Server,
    /// The server answered that this mail is to come later.
    Mail,
}

/// The moment of the next attempt after `attempts` (at least 1) were made, with jitter from `random`. Never past `not_after`,
/// at which a mail that still waits is given up.
pub(crate) fn next_attempt(
    backoff: Backoff,
    trouble: Trouble,
    attempts: u32,
    now: Micros,
    not_after: Micros,
    random: u64,
) -> Micros {
    let pause = backoff.delay(attempts.saturating_sub(1), random);
    let pause = match trouble {
        Trouble::Server => pause.min(LONGEST_FOR_SERVER),
        Trouble::Mail => pause,
    };
    (now + pause).min(not_after).max(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pauses_grow_to_their_limit_and_end_with_the_wish(
            attempts in 1_u32..100, random: u64, now in 0_i64..1 << 50, left in 0_u64..100_000, is_server: bool,
        ) {
            let backoff = Backoff { first: Duration::from_secs(30), max: Duration::from_mins(30) };
            let trouble = if is_server { Trouble::Server } else { Trouble::Mail };
            let now = Micros(now);
            let not_after = now + Duration::from_secs(left);
            let next = next_attempt(backoff, trouble, attempts, now, not_after, random);
            prop_assert!(next >= now && next <= not_after);
            let longest = if is_server { LONGEST_FOR_SERVER } else { backoff.max };
            prop_assert!(next.since(now) <= longest);
            let plain = Duration::from_secs(30).saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(longest);
            prop_assert!(next == not_after || next.since(now) >= plain * 3 / 4, "{:?} of {plain:?}", next.since(now));
        }
    }

    #[test]
    fn a_wish_that_is_over_is_due_at_once() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            max: Duration::from_secs(1),
        };
        let next = next_attempt(backoff, Trouble::Mail, 1, Micros(9), Micros(5), 0);
        assert_eq!(next, Micros(9));
    }
}
