//! Attempts to sign in that are under way: begun here, now at the issuer's, expected back. No I/O; the present is an argument.
//!
//! In memory alone, and that is meant: an attempt lasts minutes, holds what must not be stored in the open (the PKCE verifier, the
//! nonce), and whoever loses one to a restart of the daemon presses a button again. In the database each would be a write that
//! anybody can cause.
//!
//! Bounded three ways: by time, by number, and by number from one place, so that who begins thousands pushes out only their own.
//! An attempt is found by the hash of its state, and given out only to who shows the other secret, which the browser that began it
//! keeps: a state that somebody else made cannot be finished in a foreign browser, nor the other way round.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use ground::{Id, Secret};
use tokio::time::Instant;

use super::secrets::{Digest, is_same};
use super::types::Proof;

/// For how long an attempt is expected back.
pub(crate) const LIFETIME: Duration = Duration::from_mins(10);
/// Attempts under way at most; the oldest make room.
pub(crate) const MAX_FLOWS: usize = 4_096;
/// Attempts from one place at most; its own oldest make room.
pub(crate) const MAX_FROM_ONE_PLACE: usize = 64;
/// How often the second factor may be shown for one attempt.
const MAX_TRIES: u8 = 5;

/// What an attempt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To sign in, or up.
    SignIn,
    /// To tell that this user is who the issuer says.
    Link(Id),
}

/// An attempt that is under way.
#[derive(Debug)]
pub(crate) struct Flow {
    /// The configured name of the issuer.
    pub(crate) issuer: String,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// Comes back in the ID token.
    pub(crate) nonce: Secret,
    /// Proves to the issuer that who fetches the token began the attempt.
    pub(crate) verifier: Secret,
    /// Where the person wanted to go.
    pub(crate) return_to: Option<String>,
    /// Who the issuer said it is: the code works once, and the second factor may be asked for after it.
    pub(crate) proof: Option<Proof>,
    tries_left: u8,
}

impl Flow {
    /// An attempt that begins now.
    pub(crate) fn new(
        issuer: String,
        purpose: Purpose,
        (nonce, verifier): (Secret, Secret),
        return_to: Option<String>,
    ) -> Self {
        Self {
            issuer,
            purpose,
            nonce,
            verifier,
            return_to,
            proof: None,
            tries_left: MAX_TRIES,
        }
    }
}

/// The two hashes that an attempt is found by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    /// Of the state, which goes to the issuer and back.
    pub(crate) state: Digest,
    /// Of the secret that stays with who began.
    pub(crate) secret: Digest,
}

/// A flow that was taken out, with what is needed to put it back.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) flow: Flow,
    keys: Keys,
    place: Place,
    begun_at: Instant,
}

#[derive(Debug)]
struct Kept {
    flow: Flow,
    secret: Digest,
    place: Place,
    begun_at: Instant,
}

/// Where requests come from, as far as it is told apart: an address, of IPv6 the network that one customer has.
type Place = Option<IpAddr>;

fn place_of(address: Option<IpAddr>) -> Place {
    Some(match address?.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
    })
}

/// All attempts that are under way.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    kept: HashMap<Digest, Kept>,
    /// By age; each that is kept is in it once.
    order: VecDeque<Digest>,
}

impl Flows {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Keeps an attempt that begins `now` at `address`.
    pub(crate) fn begin(&mut self, keys: Keys, flow: Flow, address: Option<IpAddr>, now: Instant) {
        let place = place_of(address);
        self.drop_old(now);
        self.make_room(place);
        let kept = Kept {
            flow,
            secret: keys.secret,
            place,
            begun_at: now,
        };
        if self.kept.insert(keys.state, kept).is_none() {
            self.order.push_back(keys.state);
        }
    }

    /// Takes the attempt out, if both secrets are shown and it is one at `issuer`; it works once.
    pub(crate) fn take(&mut self, keys: Keys, issuer: &str, now: Instant) -> Option<Taken> {
        self.drop_old(now);
        let kept = self.kept.get(&keys.state)?;
        if !is_same(&kept.secret, &keys.secret) || kept.flow.issuer != issuer {
            return None;
        }
        let kept = self.remove(&keys.state)?;
        Some(Taken {
            flow: kept.flow,
            keys,
            place: kept.place,
            begun_at: kept.begun_at,
        })
    }

    /// Puts a proven attempt back, for another try with the second factor. Its time goes on, and its tries run out.
    pub(crate) fn put_back(&mut self, mut taken: Taken, now: Instant) {
        taken.flow.tries_left = taken.flow.tries_left.saturating_sub(1);
        let is_over = now.saturating_duration_since(taken.begun_at) >= LIFETIME;
        if is_over || taken.flow.tries_left == 0 || self.kept.contains_key(&taken.keys.state) {
            return;
        }
        self.make_room(taken.place);
        // Kept in order of age: the place of an older one is in front.
        let older = |state: &Digest| {
            let kept = self.kept.get(state);
            kept.is_some_and(|kept| kept.begun_at <= taken.begun_at)
        };
        let at = self.order.partition_point(older);
        self.order.insert(at, taken.keys.state);
        let kept = Kept {
            flow: taken.flow,
            secret: taken.keys.secret,
            place: taken.place,
            begun_at: taken.begun_at,
        };
        self.kept.insert(taken.keys.state, kept);
    }

    fn drop_old(&mut self, now: Instant) {
        let is_old = |kept: &Kept| now.saturating_duration_since(kept.begun_at) >= LIFETIME;
        while let Some(first) = self.order.front().copied()
            && self.kept.get(&first).is_none_or(is_old)
        {
            self.order.pop_front();
            self.kept.remove(&first);
        }
    }

    /// Makes room for one more from `place`.
    fn make_room(&mut self, place: Place) {
        let mut own = self.order.iter().filter(|state| {
            self.kept
                .get(*state)
                .is_some_and(|kept| kept.place == place)
        });
        let first_own = own.next().copied();
        let count = own.count() + usize::from(first_own.is_some());
        if count >= MAX_FROM_ONE_PLACE
            && let Some(state) = first_own
        {
            self.remove(&state);
        }
        while self.order.len() >= MAX_FLOWS
            && let Some(first) = self.order.front().copied()
        {
            self.remove(&first);
        }
    }

    fn remove(&mut self, state: &Digest) -> Option<Kept> {
        self.order.retain(|other| other != state);
        self.kept.remove(state)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(number: u16) -> Keys {
        let mut state = [0; 32];
        state[..2].copy_from_slice(&number.to_be_bytes());
        let mut secret = state;
        secret[31] = 1;
        Keys { state, secret }
    }

    fn flow() -> Flow {
        let secrets = (Secret::from("nonce"), Secret::from("verifier"));
        Flow::new("google".to_owned(), Purpose::SignIn, secrets, None)
    }

    fn at(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    #[test]
    fn an_attempt_works_once_and_for_who_began_it() {
        let (mut flows, now) = (Flows::default(), Instant::now());
        flows.begin(keys(1), flow(), Some(at(1)), now);
        let stolen = Keys {
            secret: keys(2).secret,
            ..keys(1)
        };
        assert!(flows.take(stolen, "google", now).is_none());
        assert!(flows.take(keys(1), "github", now).is_none(), "mixed up");
        assert!(flows.take(keys(2), "google", now).is_none());
        assert!(flows.take(keys(1), "google", now).is_some());
        assert!(flows.take(keys(1), "google", now).is_none(), "used");
        assert!(flows.order.is_empty());
    }

    #[test]
    fn an_attempt_that_was_put_back_ends_in_its_time_and_after_its_tries() {
        let (mut flows, begun) = (Flows::default(), Instant::now());
        flows.begin(keys(1), flow(), Some(at(1)), begun);
        for _ in 1..MAX_TRIES {
            let taken = flows.take(keys(1), "google", begun).expect("a try is left");
            flows.put_back(taken, begun);
        }
        let taken = flows.take(keys(1), "google", begun).expect("the last try");
        flows.put_back(taken, begun);
        assert!(flows.take(keys(1), "google", begun).is_none());
        flows.begin(keys(2), flow(), Some(at(1)), begun);
        let taken = flows.take(keys(2), "google", begun).expect("there");
        flows.put_back(taken, begun + LIFETIME);
        assert_eq!(flows.len(), 0);
    }

    #[test]
    fn who_begins_many_pushes_out_only_their_own() {
        let (mut flows, now) = (Flows::default(), Instant::now());
        flows.begin(keys(0), flow(), Some(at(1)), now);
        for number in 1..1_000 {
            flows.begin(keys(number), flow(), Some(at(2)), now);
        }
        assert_eq!(flows.len(), MAX_FROM_ONE_PLACE + 1);
        assert!(flows.take(keys(0), "google", now).is_some());
        assert!(flows.take(keys(999), "google", now).is_some());
        assert!(flows.take(keys(1), "google", now).is_none());
    }

    #[test]
    fn one_network_of_ipv6_is_one_place() {
        let of = |text: &str| place_of(text.parse().ok());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Begin(u16, u8),
        Take(u16),
        TakeAndPutBack(u16),
        Wait(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u16..12, 0_u8..3).prop_map(|(number, from)| Step::Begin(number, from)),
            (0_u16..12).prop_map(Step::Take),
            (0_u16..12).prop_map(Step::TakeAndPutBack),
            (0_u64..400).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Against a plain list of (number, begun at, tries left).
        #[test]
        fn an_attempt_is_there_as_long_as_it_should_be(steps in proptest::collection::vec(any_step(), 0..80)) {
            let (mut flows, mut now) = (Flows::default(), Instant::now());
            let mut model: HashMap<u16, (Instant, u8)> = HashMap::new();
            for step in steps {
                model.retain(|_, (begun, _)| now.duration_since(*begun) < LIFETIME);
                match step {
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Begin(number, from) if !model.contains_key(&number) => {
                        flows.begin(keys(number), flow(), Some(at(from)), now);
                        model.insert(number, (now, MAX_TRIES));
                    }
                    Step::Begin(..) => {}
                    Step::Take(number) => {
                        let taken = flows.take(keys(number), "google", now);
                        prop_assert_eq!(taken.is_some(), model.remove(&number).is_some());
                    }
                    Step::TakeAndPutBack(number) => {
                        let taken = flows.take(keys(number), "google", now);
                        prop_assert_eq!(taken.is_some(), model.contains_key(&number));
                        if let Some(taken) = taken {
                            flows.put_back(taken, now);
                            let tries = model.get_mut(&number).map(|(_, tries)| { *tries -= 1; *tries });
                            if tries == Some(0) {
                                model.remove(&number);
                            }
                        }
                    }
                }
                prop_assert_eq!(flows.order.len(), flows.kept.len());
                let ages: Vec<Instant> = flows.order.iter().filter_map(|state| Some(flows.kept.get(state)?.begun_at)).collect();
                prop_assert!(ages.is_sorted());
            }
        }
    }
}
