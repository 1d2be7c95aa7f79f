//! How long somebody who guessed wrong has to wait. The rules are pure, the present is an argument; the memory is bounded.
//!
//! Two counters stand before each attempt: that of the address it comes from and that of the account it is for. Their delays grow
//! with each failure, and an attempt that comes too early is turned away before anything is hashed.
//!
//! The trap of counting by account: whoever fails on purpose, from many addresses, locks its owner out. So an address from which the
//! owner signed in lately is *familiar*: what others do wrong does not count against it, only what it does wrong itself.
//!
//! Attempts under way count as well, or many at once would all pass before the first has failed. The memory lives beside the actor:
//! a restart forgives nobody. It holds hashes of names, never names, and forgets those that were quiet for longest.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use ground::lock;

/// Failures of an account without any delay.
const FREE_FOR_ACCOUNT: u32 = 3;
/// Failures from an address without any delay; more, since several people may share one.
const FREE_FOR_ADDRESS: u32 = 10;
/// The first delay; each further failure doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay.
const MAX_DELAY: Duration = Duration::from_mins(1);
/// After so long without a failure the counter begins anew.
const FORGET_AFTER: Duration = Duration::from_mins(15);
/// Attempts under way at once, for one account and from one address, while nothing has failed.
const AT_ONCE_FOR_ACCOUNT: u32 = 8;
const AT_ONCE_FOR_ADDRESS: u32 = 64;
/// Counters of one kind that are kept at most.
const CAPACITY: usize = 10_000;

/// A network from which attempts come: an IPv4 address, or the /64 of an IPv6 one, all of which one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl Network {
    /// The network of an address; the local socket has none.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let prefix = v6.to_bits() & !u128::from(u64::MAX);
                Self(IpAddr::V6(prefix.into()))
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }

    /// As it is stored.
    pub(crate) fn text(self) -> String {
        self.0.to_string()
    }
}

/// An account as the counters know it, whether it exists or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Account([u8; 32]);

impl Account {
    /// By the key of its address, or whatever was given as one.
    pub(crate) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

/// What one counter counts.
#[derive(Debug, Clone, Copy)]
struct Counter {
    failures: u32,
    under_way: u32,
    failed_at: Instant,
}

/// What a kind of counter allows.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    free: u32,
    at_once: u32,
}

const FOR_ACCOUNT: Allowance = Allowance {
    free: FREE_FOR_ACCOUNT,
    at_once: AT_ONCE_FOR_ACCOUNT,
};
const FOR_ADDRESS: Allowance = Allowance {
    free: FREE_FOR_ADDRESS,
    at_once: AT_ONCE_FOR_ADDRESS,
};

/// The delay after so many failures.
fn delay_after(failures: u32, allowance: Allowance) -> Duration {
    match failures.checked_sub(allowance.free) {
        None | Some(0) => Duration::ZERO,
        Some(over) => {
            let doubled = 1_u32.checked_shl(over - 1).unwrap_or(u32::MAX);
            FIRST_DELAY.saturating_mul(doubled).min(MAX_DELAY)
        }
    }
}

impl Counter {
    fn new(now: Instant) -> Self {
        Self {
            failures: 0,
            under_way: 0,
            failed_at: now,
        }
    }

    /// How long an attempt has to wait; nothing when it may be made.
    fn wait(&self, allowance: Allowance, now: Instant) -> Option<Duration> {
        let quiet = now.saturating_duration_since(self.failed_at);
        let failures = if quiet >= FORGET_AFTER {
            0
        } else {
            self.failures
        };
        let left = delay_after(failures, allowance).saturating_sub(quiet);
        if !left.is_zero() {
            return Some(left);
        }
        // Each failure takes one of the places, down to one attempt at a time.
        let places = allowance.at_once.saturating_sub(failures).max(1);
        (self.under_way >= places).then_some(FIRST_DELAY)
    }

    fn fail(&mut self, now: Instant) {
        if now.saturating_duration_since(self.failed_at) >= FORGET_AFTER {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
    }

    fn is_idle(&self, now: Instant) -> bool {
        let quiet = now.saturating_duration_since(self.failed_at);
        self.under_way == 0 && (self.failures == 0 || quiet >= FORGET_AFTER)
    }
}

/// Counters of one kind.
#[derive(Debug)]
struct Counters<K> {
    allowance: Allowance,
    kept: HashMap<K, Counter>,
}

impl<K: Copy + Eq + Hash> Counters<K> {
    fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            kept: HashMap::new(),
        }
    }

    fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        let counter = self.kept.get(key)?;
        counter.wait(self.allowance, now)
    }

    fn begin(&mut self, key: K, now: Instant) {
        self.make_room(&key, now);
        let counter = self.kept.entry(key).or_insert_with(|| Counter::new(now));
        counter.under_way = counter.under_way.saturating_add(1);
    }

    fn end(&mut self, key: &K, outcome: Outcome, now: Instant) {
        let Some(counter) = self.kept.get_mut(key) else {
            return;
        };
        counter.under_way = counter.under_way.saturating_sub(1);
        match outcome {
            Outcome::Failed => counter.fail(now),
            Outcome::Right => counter.failures = 0,
            Outcome::Open => {}
        }
        if counter.is_idle(now) {
            self.kept.remove(key);
        }
    }

    /// Forgets the quiet ones, then those whose last failure is longest ago: an eighth at a time, so that a flood pays for it.
    fn make_room(&mut self, key: &K, now: Instant) {
        if self.kept.len() < CAPACITY || self.kept.contains_key(key) {
            return;
        }
        self.kept.retain(|_, counter| !counter.is_idle(now));
        if self.kept.len() < CAPACITY {
            return;
        }
        let mut ages: Vec<Instant> = self
            .kept
            .values()
            .map(|counter| counter.failed_at)
            .collect();
        let (_, limit, _) = ages.select_nth_unstable(CAPACITY / 8);
        let limit = *limit;
        self.kept.retain(|_, counter| counter.failed_at > limit);
        while self.kept.len() >= CAPACITY {
            let Some(any) = self.kept.keys().next().copied() else {
                return;
            };
            self.kept.remove(&any);
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The password was wrong.
    Failed,
    /// It was right.
    Right,
    /// Nobody knows: it was not looked at.
    Open,
}

#[derive(Debug)]
struct Inner {
    addresses: Counters<Network>,
    accounts: Counters<Account>,
    /// Of familiar addresses.
    familiar: Counters<(Account, Network)>,
}

/// The memory of failures. Shared by all incarnations of the actor.
#[derive(Debug)]
pub(crate) struct Guesses {
    inner: Mutex<Inner>,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                addresses: Counters::new(FOR_ADDRESS),
                accounts: Counters::new(FOR_ACCOUNT),
                familiar: Counters::new(FOR_ACCOUNT),
            }),
        }
    }
}

/// Who tries, and for which account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guess {
    pub(crate) account: Account,
    /// Nothing for the local socket.
    pub(crate) network: Option<Network>,
    /// Whether the account's owner signed in from there lately.
    pub(crate) is_familiar: bool,
}

impl Guesses {
    /// Whether familiarity decides about this attempt, so that it has to be looked up.
    pub(crate) fn asks_for_familiarity(&self, account: &Account, now: Instant) -> bool {
        lock(&self.inner).accounts.wait(account, now).is_some()
    }

    /// How many failures count against an account at present, and how long its next attempt has to wait.
    pub(crate) fn counted(&self, account: &Account, now: Instant) -> (u32, Duration) {
        let inner = lock(&self.inner);
        let wait = inner.accounts.wait(account, now).unwrap_or_default();
        let counter = inner.accounts.kept.get(account);
        let failures = counter.filter(|counter| !counter.is_idle(now));
        (failures.map_or(0, |counter| counter.failures), wait)
    }

    /// Forgets what was guessed at an account, from wherever.
    pub(crate) fn forget(&self, account: &Account) {
        let mut inner = lock(&self.inner);
        inner.accounts.kept.remove(account);
        inner.familiar.kept.retain(|(of, _), _| of != account);
    }

    /// Begins an attempt.
    ///
    /// # Errors
    /// How long to wait before the next one.
    pub(crate) fn begin(self: &Arc<Self>, guess: Guess, now: Instant) -> Result<Attempt, Duration> {
        let mut inner = lock(&self.inner);
        let of_address = guess
            .network
            .and_then(|network| inner.addresses.wait(&network, now));
        let of_account = match guess.both() {
            Some(both) => inner.familiar.wait(&both, now),
            None => inner.accounts.wait(&guess.account, now),
        };
        if let Some(wait) = of_address.max(of_account) {
            return Err(wait);
        }
        if let Some(network) = guess.network {
            inner.addresses.begin(network, now);
        }
        match guess.both() {
            Some(both) => inner.familiar.begin(both, now),
            None => inner.accounts.begin(guess.account, now),
        }
        Ok(Attempt {
            guesses: Arc::clone(self),
            guess,
            outcome: Outcome::Open,
        })
    }

    fn end(&self, guess: &Guess, outcome: Outcome, now: Instant) {
        let mut inner = lock(&self.inner);
        if let Some(network) = guess.network {
            // A right password of one's own must not wipe out what was guessed at others from here.
            let of_address = match outcome {
                Outcome::Right => Outcome::Open,
                outcome => outcome,
            };
            inner.addresses.end(&network, of_address, now);
        }
        match guess.both() {
            Some(both) => inner.familiar.end(&both, outcome, now),
            None => inner.accounts.end(&guess.account, outcome, now),
        }
    }
}

impl Guess {
    /// The counter of a familiar address.
    fn both(&self) -> Option<(Account, Network)> {
        let network = self.network.filter(|_| self.is_familiar)?;
        Some((self.account, network))
    }
}

/// An attempt under way. One that is dropped without a verdict counts as neither right nor wrong.
#[derive(Debug)]
pub(crate) struct Attempt {
    guesses: Arc<Guesses>,
    guess: Guess,
    outcome: Outcome,
}

impl Attempt {
    /// The password was wrong.
    pub(crate) fn failed(mut self) {
        self.outcome = Outcome::Failed;
    }

    /// It was right.
    pub(crate) fn was_right(mut self) {
        self.outcome = Outcome::Right;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.guesses.end(&self.guess, self.outcome, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(last: u8) -> Network {
        Network::of(IpAddr::from([192, 0, 2, last]))
    }

    fn guess(account: &str, last: u8, is_familiar: bool) -> Guess {
        Guess {
            account: Account::of(account),
            network: Some(network(last)),
            is_familiar,
        }
    }

    /// Fails once, as soon as it may.
    async fn fail(guesses: &Arc<Guesses>, guess: Guess) -> Duration {
        let mut waited = Duration::ZERO;
        loop {
            match guesses.begin(guess, Instant::now()) {
                Ok(attempt) => {
                    attempt.failed();
                    return waited;
                }
                Err(wait) => {
                    tokio::time::advance(wait).await;
                    waited += wait;
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn delays_grow_and_end() {
        let guesses = Arc::new(Guesses::default());
        let mut waits = Vec::new();
        for attempt in 0..14 {
            // Each from another address: only the account counts.
            waits.push(fail(&guesses, guess("ada", attempt, false)).await.as_secs());
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        tokio::time::advance(FORGET_AFTER).await;
        assert_eq!(fail(&guesses, guess("ada", 1, false)).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_delayed_whatever_accounts_it_tries() {
        let guesses = Arc::new(Guesses::default());
        let mut waits = Vec::new();
        for attempt in 0..14 {
            let account = format!("user {attempt}");
            waits.push(fail(&guesses, guess(&account, 7, false)).await.as_secs());
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4]);
        assert_eq!(
            fail(&guesses, guess("user 1", 8, false)).await,
            Duration::ZERO
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_can_lock_an_owner_out_of_a_familiar_address() {
        let guesses = Arc::new(Guesses::default());
        for attempt in 0..20 {
            fail(&guesses, guess("ada", attempt, false)).await;
        }
        let now = Instant::now();
        assert!(guesses.begin(guess("ada", 100, false), now).is_err());
        let own = guesses.begin(guess("ada", 101, true), now).expect("let in");
        own.was_right();
        // Which does not open the door for those who guess.
        assert!(guesses.begin(guess("ada", 100, false), now).is_err());
        // Its own failures count.
        for _ in 0..4 {
            fail(&guesses, guess("ada", 101, true)).await;
        }
        assert!(
            guesses
                .begin(guess("ada", 101, true), Instant::now())
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_are_bounded() {
        let guesses = Arc::new(Guesses::default());
        let now = Instant::now();
        let under_way: Vec<_> = (0..100)
            .filter_map(|last| guesses.begin(guess("ada", last, false), now).ok())
            .collect();
        assert_eq!(under_way.len(), AT_ONCE_FOR_ACCOUNT as usize);
        drop(under_way);
        assert!(guesses.begin(guess("ada", 1, false), now).is_ok());
        assert!(lock(&guesses.inner).accounts.kept.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_password_begins_anew() {
        let guesses = Arc::new(Guesses::default());
        for _ in 0..3 {
            fail(&guesses, guess("ada", 1, false)).await;
        }
        let now = Instant::now();
        guesses
            .begin(guess("ada", 1, false), now)
            .expect("free")
            .was_right();
        assert!(!guesses.asks_for_familiarity(&Account::of("ada"), now));
        assert_eq!(fail(&guesses, guess("ada", 1, false)).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded() {
        let guesses = Arc::new(Guesses::default());
        for number in 0..CAPACITY + 5_000 {
            let guess = Guess {
                account: Account::of(&number.to_string()),
                network: Some(Network::of(IpAddr::from(
                    u32::try_from(number).expect("small").to_be_bytes(),
                ))),
                is_familiar: number % 3 == 0,
            };
            guesses
                .begin(guess, Instant::now())
                .expect("first")
                .failed();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let inner = lock(&guesses.inner);
        assert!(inner.accounts.kept.len() <= CAPACITY);
        assert!(inner.addresses.kept.len() <= CAPACITY);
        assert!(inner.familiar.kept.len() <= CAPACITY);
        let newest = network_of(CAPACITY + 4_999);
        assert!(inner.addresses.kept.contains_key(&newest));
    }

    fn network_of(number: usize) -> Network {
        Network::of(IpAddr::from(
            u32::try_from(number).expect("small").to_be_bytes(),
        ))
    }

    #[test]
    fn one_customer_is_one_network() {
        let of = |text: &str| Network::of(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    proptest! {
        #[test]
        fn delays_never_shrink_and_never_pass_the_limit(failures in 0_u32..10_000) {
            for allowance in [FOR_ACCOUNT, FOR_ADDRESS] {
                let (this, next) = (delay_after(failures, allowance), delay_after(failures + 1, allowance));
                prop_assert!(this <= next && next <= MAX_DELAY);
                prop_assert_eq!(this.is_zero(), failures <= allowance.free);
            }
        }

        /// However attempts and ends are mixed, nothing is left once all have ended well.
        #[test]
        fn every_attempt_is_given_back(steps in proptest::collection::vec((0_u8..4, 0_u8..4, any::<bool>(), 0_u8..3), 0..60)) {
            let guesses = Arc::new(Guesses::default());
            let now = Instant::now();
            let mut open = Vec::new();
            for (account, last, is_familiar, end) in steps {
                match end {
                    0 => open.extend(guesses.begin(guess(&account.to_string(), last, is_familiar), now).ok()),
                    1 => drop(open.pop()),
                    _ => if let Some(attempt) = open.pop() { Attempt::was_right(attempt) },
                }
            }
            drop(open);
            let inner = lock(&guesses.inner);
            prop_assert!(inner.accounts.kept.is_empty() && inner.addresses.kept.is_empty() && inner.familiar.kept.is_empty());
        }
    }
}
