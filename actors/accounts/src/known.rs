//! The credentials (tokens, sessions) that were looked up lately, so that a request with one of them costs neither a message nor a statement.
//!
//! Shared by the handle, which reads it on the hot path, and the manager, which fills it. It lives outside of the
//! manager: a restart of the manager, or its quarantine, locks nobody out.
//!
//! What is remembered of a token grows old in three steps: *fresh* (believed as it is; near the end of that time one
//! reader asks for it to be checked again, ahead of need), *stale* (believed only when the database cannot be asked), and
//! *forgotten*. An expiry is looked at on every use.
//!
//! The trap: a lookup reads "valid", a revocation is committed and acknowledged, then the lookup stores its old answer.
//! So every revocation starts a new *epoch*, and what was read in an older one is not taken: see [`Known::remember`].

use std::hash::Hash;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use ground::{Id, Micros};
use tokio::time::Instant;

use crate::token::TokenHash;
use crate::types::Identity;
use ground::lock;

/// The use of a token is noted in the database at most once in this time.
pub(crate) const NOTE_EVERY: Duration = Duration::from_mins(1);
/// After a check that failed, the next one is not tried sooner than this.
const RETRY_CHECK: Duration = Duration::from_secs(1);

/// How much is remembered, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many tokens at most; at least one.
    pub(crate) capacity: usize,
    /// For how long one is fresh.
    pub(crate) recheck_after: Duration,
    /// For how long one is believed when the database cannot be asked, counted from its last check.
    pub(crate) offline_limit: Duration,
}

/// What can be remembered of a credential.
pub(crate) trait Remembered: Clone {
    /// The credential's id.
    fn id(&self) -> Id;
    /// Whether it has stopped working by itself.
    fn is_expired(&self, now: Micros) -> bool;
}

impl Remembered for Identity {
    fn id(&self) -> Id {
        self.token_id
    }

    fn is_expired(&self, now: Micros) -> bool {
        Identity::is_expired(self, now)
    }
}

/// What is remembered of a token, as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look<I = Identity> {
    /// It may be believed.
    Fresh {
        identity: I,
        /// This reader is the one to have it checked again.
        refresh_due: bool,
    },
    /// It may be believed only when it cannot be checked.
    Stale(I),
    /// It has expired.
    Expired,
    /// Nothing.
    Missing,
}

/// A revocation came between the reading of a token and the attempt to remember it: read it again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outdated;

#[derive(Debug)]
struct Entry<I> {
    identity: I,
    /// Milliseconds since the origin, as are the two below.
    refresh_from: AtomicU64,
    fresh_until: AtomicU64,
    believed_until: u64,
    /// When it was last looked at: the one that was not for the longest time makes room.
    seen: AtomicU64,
    /// The last use that was noted in the database, in wall time.
    noted: AtomicI64,
}

/// What writers agree on. Taken before any entry is added, never the other way round.
#[derive(Debug)]
struct Gate {
    epoch: u64,
    limits: Limits,
}

/// The remembered credentials, by what is looked up: tokens by their hash, unless said otherwise.
#[derive(Debug)]
pub(crate) struct Known<K: Eq + Hash = TokenHash, I = Identity> {
    origin: Instant,
    gate: Mutex<Gate>,
    entries: DashMap<K, Entry<I>>,
}

impl<K: Copy + Eq + Hash, I: Remembered> Known<K, I> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            origin: Instant::now(),
            gate: Mutex::new(Gate { epoch: 0, limits }),
            entries: DashMap::new(),
        }
    }

    /// What is known of a token. Counts as a use of it as far as making room is concerned.
    pub(crate) fn look(&self, hash: &K, now: Micros) -> Look<I> {
        let Some(entry) = self.entries.get(hash) else {
            return Look::Missing;
        };
        let at = self.at();
        if entry.identity.is_expired(now) {
            return Look::Expired;
        }
        entry.seen.store(at, Ordering::Relaxed);
        if at < entry.fresh_until.load(Ordering::Acquire) {
            let refresh_due = at >= entry.refresh_from.load(Ordering::Relaxed)
                && entry.refresh_from.swap(u64::MAX, Ordering::Relaxed) <= at;
            return Look::Fresh {
                identity: entry.identity.clone(),
                refresh_due,
            };
        }
        if at < entry.believed_until {
            return Look::Stale(entry.identity.clone());
        }
        Look::Missing
    }

    /// Whether the use of a remembered token should be noted now; the one caller that hears so has to see to it.
    pub(crate) fn is_note_due(&self, hash: &K, now: Micros) -> bool {
        let Some(entry) = self.entries.get(hash) else {
            return false;
        };
        let noted = entry.noted.load(Ordering::Relaxed);
        // A clock that was set back must not stop the notes until it has caught up.
        let apart = now.since(Micros(noted)).max(Micros(noted).since(now));
        apart >= NOTE_EVERY
            && entry
                .noted
                .compare_exchange(noted, now.get(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// The use could not be noted after all: the next one may try.
    pub(crate) fn was_not_noted(&self, hash: &K) {
        if let Some(entry) = self.entries.get(hash) {
            entry.noted.store(i64::MIN, Ordering::Relaxed);
        }
    }

    /// The present epoch: to be read before a token is read, and handed to [`Known::remember`].
    pub(crate) fn epoch(&self) -> u64 {
        lock(&self.gate).epoch
    }

    /// Takes over new limits.
    pub(crate) fn set_limits(&self, limits: Limits) {
        let mut gate = lock(&self.gate);
        gate.limits = limits;
        self.make_room(limits.capacity);
    }

    /// Remembers a token that was read in `epoch` and was valid then.
    ///
    /// # Errors
    /// [`Outdated`] when a token was revoked since: it may be this one.
    pub(crate) fn remember(
        &self,
        epoch: u64,
        hash: K,
        identity: I,
        last_used_at: Option<Micros>,
    ) -> Result<(), Outdated> {
        let gate = lock(&self.gate);
        if gate.epoch != epoch {
            return Err(Outdated);
        }
        let limits = gate.limits;
        let before = self.entries.get(&hash).map(|entry| {
            let noted = entry.noted.load(Ordering::Relaxed);
            (noted, entry.seen.load(Ordering::Relaxed))
        });
        if before.is_none() {
            self.make_room(limits.capacity.saturating_sub(1));
        }
        let at = self.at();
        let (noted, seen) = before.unwrap_or((i64::MIN, at));
        let entry = Entry {
            identity,
            refresh_from: AtomicU64::new(at.saturating_add(ms(limits.recheck_after / 2))),
            fresh_until: AtomicU64::new(at.saturating_add(ms(limits.recheck_after))),
            believed_until: at.saturating_add(ms(limits.offline_limit.max(limits.recheck_after))),
            seen: AtomicU64::new(seen),
            noted: AtomicI64::new(noted.max(last_used_at.map_or(i64::MIN, Micros::get))),
        };
        self.entries.insert(hash, entry);
        Ok(())
    }

    /// A token was revoked: from now on it is not believed, and no answer from before the revocation is taken.
    pub(crate) fn revoke(&self, hash: &K) {
        lock(&self.gate).epoch += 1;
        self.entries.remove(hash);
    }

    /// Nobody knows whether the token with this id was revoked: it is checked at its next use.
    pub(crate) fn doubt(&self, id: Id) {
        self.doubt_all(|identity| identity.id() == id);
    }

    /// The same of every credential that is `meant`.
    pub(crate) fn doubt_all(&self, meant: impl Fn(&I) -> bool) {
        lock(&self.gate).epoch += 1;
        for entry in &self.entries {
            if meant(&entry.identity) {
                entry.fresh_until.store(0, Ordering::Release);
            }
        }
    }

    /// Forgets a token that turned out not to be valid. Tells what was remembered.
    pub(crate) fn forget(&self, hash: &K) -> Option<I> {
        self.entries.remove(hash).map(|(_, entry)| entry.identity)
    }

    /// A stale token could not be checked: it is believed for another moment, so that each request does not wait anew.
    pub(crate) fn postpone(&self, hash: &K) {
        if let Some(entry) = self.entries.get(hash) {
            let soon = self.at().saturating_add(ms(RETRY_CHECK));
            let until = soon.min(entry.believed_until);
            entry.fresh_until.fetch_max(until, Ordering::AcqRel);
            entry.refresh_from.store(u64::MAX, Ordering::Relaxed);
        }
    }

    /// How many tokens are remembered.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Removes those that were not looked at for the longest time until at most `capacity` are left. Only with the gate.
    fn make_room(&self, capacity: usize) {
        while self.entries.len() > capacity {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|entry| entry.seen.load(Ordering::Relaxed))
                .map(|entry| *entry.key());
            let Some(oldest) = oldest else { return };
            self.entries.remove(&oldest);
        }
    }

    /// Milliseconds since the origin.
    fn at(&self) -> u64 {
        ms(self.origin.elapsed())
    }
}

fn ms(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;
    use crate::scopes::Scopes;
    use crate::types::{Role, Tier};

    const LIMITS: Limits = Limits {
        capacity: 4,
        recheck_after: Duration::from_secs(4),
        offline_limit: Duration::from_secs(100),
    };
    const NOW: Micros = Micros(1_700_000_000_000_000);

    fn hash(number: u8) -> TokenHash {
        TokenHash::from_bytes([number; 32])
    }

    fn identity(number: u8) -> Identity {
        Identity {
            token_id: Id::from_bytes([number; 16]),
            name: "t".into(),
            owner: None,
            role: Role::Owner,
            tier: Tier::Standard,
            scopes: Scopes::UNLIMITED,
            expires_at: None,
        }
    }

    fn remember(known: &Known, number: u8) {
        let epoch = known.epoch();
        let taken = known.remember(epoch, hash(number), identity(number), None);
        assert_eq!(taken, Ok(()));
    }

    fn is_fresh(look: &Look) -> bool {
        matches!(look, Look::Fresh { .. })
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_grows_old_in_steps() {
        let known = Known::new(LIMITS);
        assert_eq!(known.look(&hash(1), NOW), Look::Missing);
        remember(&known, 1);
        let fresh = |refresh_due| Look::Fresh {
            identity: identity(1),
            refresh_due,
        };
        assert_eq!(known.look(&hash(1), NOW), fresh(false));
        advance(Duration::from_secs(2)).await;
        assert_eq!(known.look(&hash(1), NOW), fresh(true));
        assert_eq!(
            known.look(&hash(1), NOW),
            fresh(false),
            "one reader is enough"
        );
        advance(Duration::from_secs(2)).await;
        assert_eq!(known.look(&hash(1), NOW), Look::Stale(identity(1)));
        known.postpone(&hash(1));
        assert_eq!(known.look(&hash(1), NOW), fresh(false));
        advance(RETRY_CHECK).await;
        assert_eq!(known.look(&hash(1), NOW), Look::Stale(identity(1)));
        advance(Duration::from_secs(95)).await;
        assert_eq!(known.look(&hash(1), NOW), Look::Missing);
        known.postpone(&hash(1));
        assert_eq!(
            known.look(&hash(1), NOW),
            Look::Missing,
            "no check, no belief"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_expiry_counts_at_once() {
        let known = Known::new(LIMITS);
        let expiring = Identity {
            expires_at: Some(NOW),
            ..identity(1)
        };
        let taken = known.remember(known.epoch(), hash(1), expiring, None);
        assert_eq!(taken, Ok(()));
        assert!(is_fresh(&known.look(&hash(1), Micros(NOW.get() - 1))));
        assert_eq!(known.look(&hash(1), NOW), Look::Expired);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_a_revocation_is_not_taken() {
        let known = Known::new(LIMITS);
        let epoch = known.epoch();
        known.revoke(&hash(1));
        assert_eq!(
            known.remember(epoch, hash(1), identity(1), None),
            Err(Outdated)
        );
        assert_eq!(known.look(&hash(1), NOW), Look::Missing);
        remember(&known, 1);
        known.revoke(&hash(1));
        assert_eq!(known.look(&hash(1), NOW), Look::Missing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_in_doubt_is_checked() {
        let known = Known::new(LIMITS);
        remember(&known, 1);
        remember(&known, 2);
        known.doubt(identity(1).token_id);
        assert_eq!(known.look(&hash(1), NOW), Look::Stale(identity(1)));
        assert!(is_fresh(&known.look(&hash(2), NOW)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_use_is_noted_once_a_minute() {
        let known = Known::new(LIMITS);
        assert!(!known.is_note_due(&hash(1), NOW), "nothing is known of it");
        remember(&known, 1);
        assert!(known.is_note_due(&hash(1), NOW));
        assert!(!known.is_note_due(&hash(1), NOW + Duration::from_secs(59)));
        assert!(known.is_note_due(&hash(1), NOW + NOTE_EVERY));
        remember(&known, 1);
        assert!(
            !known.is_note_due(&hash(1), NOW + NOTE_EVERY),
            "a check forgets no note"
        );
        known.was_not_noted(&hash(1));
        assert!(known.is_note_due(&hash(1), NOW + NOTE_EVERY));
        assert!(known.is_note_due(&hash(1), NOW), "the clock was set back");
    }

    #[tokio::test(start_paused = true)]
    async fn new_limits_make_room() {
        let known = Known::new(LIMITS);
        (0..4).for_each(|number| remember(&known, number));
        known.set_limits(Limits {
            capacity: 1,
            ..LIMITS
        });
        assert_eq!(known.len(), 1);
    }

    proptest! {
        /// Against a plain list: the memory is bounded, and what was looked at last is still there.
        #[test]
        fn the_least_lately_seen_makes_room(steps in proptest::collection::vec((any::<bool>(), 0_u8..8), 0..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(async {
                let known = Known::new(LIMITS);
                let mut model: Vec<u8> = Vec::new();
                for (inserts, number) in steps {
                    advance(Duration::from_millis(1)).await;
                    let is_there = model.contains(&number);
                    if inserts {
                        remember(&known, number);
                    } else {
                        prop_assert_eq!(known.look(&hash(number), NOW) != Look::Missing, is_there);
                    }
                    if !inserts && is_there {
                        model.retain(|other| *other != number);
                        model.push(number);
                    } else if inserts && !is_there {
                        if model.len() == LIMITS.capacity {
                            model.remove(0);
                        }
                        model.push(number);
                    }
                    prop_assert_eq!(known.len(), model.len());
                    prop_assert!(known.len() <= LIMITS.capacity);
                }
                Ok(())
            })?;
        }
    }
}
