//! Who is told when a token ends: live WebSockets and event streams, each of which asked once and then moves bytes.
//!
//! One channel a token and not one for all: with a common one every stream wakes for every revocation, and a slow one
//! misses some. A stream is opened a moment after its token was verified, and the token can be revoked in between, so the
//! latest revocations are kept for those who ask late.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ground::{Id, Micros, clock};
use tokio::sync::watch;

use ground::lock;

/// How many revocations are kept for those who ask late.
const LATEST: usize = 1024;
/// The wall clock can be set while a stream waits for an expiry: it is looked at this often.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(15);

/// How a token ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was revoked.
    Revoked,
    /// Its time ran out.
    Expired,
}

#[derive(Debug, Default)]
struct Inner {
    watched: HashMap<Id, watch::Sender<bool>>,
    latest: VecDeque<Id>,
}

/// The tokens that somebody watches, and the revocations that came last.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    inner: Mutex<Inner>,
}

impl Revocations {
    /// A token was revoked. Saying it again does no harm.
    pub(crate) fn announce(&self, id: Id) {
        let mut inner = lock(&self.inner);
        if !inner.latest.contains(&id) {
            inner.latest.truncate(LATEST - 1);
            inner.latest.push_front(id);
        }
        if let Some(watched) = inner.watched.get(&id) {
            watched.send_replace(true);
        }
    }

    /// Whether anybody watches a token.
    pub(crate) fn has_watchers(&self) -> bool {
        !lock(&self.inner).watched.is_empty()
    }

    /// Watches a token until it ends; `expires_at` is its own end, if it has one.
    pub(crate) fn watch(self: &Arc<Self>, id: Id, expires_at: Option<Micros>) -> TokenWatch {
        let mut inner = lock(&self.inner);
        let is_revoked = inner.latest.contains(&id);
        let sender = inner.watched.entry(id).or_default();
        let revoked = sender.subscribe();
        if is_revoked {
            sender.send_replace(true);
        }
        drop(inner);
        TokenWatch {
            id,
            expires_at,
            revoked: Some(revoked),
            home: Arc::clone(self),
        }
    }

    /// A watch has ended; the last one takes the channel with it.
    fn release(&self, id: Id, revoked: watch::Receiver<bool>) {
        let mut inner = lock(&self.inner);
        drop(revoked);
        if inner.watched.get(&id).is_some_and(watch::Sender::is_closed) {
            inner.watched.remove(&id);
        }
    }
}

/// Waits for the end of one token. Dropping it ends the watch.
pub struct TokenWatch {
    id: Id,
    expires_at: Option<Micros>,
    /// Taken only when the watch ends.
    revoked: Option<watch::Receiver<bool>>,
    home: Arc<Revocations>,
}

impl TokenWatch {
    /// Waits until the token is revoked or expires. A revocation by this process is seen at once, one by another within
    /// `accounts.recheck_after`. Cancel-safe; asked again it answers the same.
    pub async fn ended(&mut self) -> Ending {
        let expires_at = self.expires_at;
        let Some(revoked) = &mut self.revoked else {
            return Ending::Revoked;
        };
        tokio::select! {
            biased;
            // The sender stays as long as there is a receiver.
            _ = revoked.wait_for(|revoked| *revoked) => Ending::Revoked,
            () = expiry(expires_at) => Ending::Expired,
        }
    }
}

impl fmt::Debug for TokenWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenWatch")
            .field("id", &self.id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Drop for TokenWatch {
    fn drop(&mut self) {
        if let Some(revoked) = self.revoked.take() {
            self.home.release(self.id, revoked);
        }
    }
}

/// Waits until the wall clock has passed `end`; for ever without one.
async fn expiry(end: Option<Micros>) {
    let Some(end) = end else {
        return std::future::pending().await;
    };
    loop {
        let left = end.since(clock::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_AT_CLOCK)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> Id {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        Id::from_bytes(bytes)
    }

    async fn within<F: Future>(future: F) -> Option<F::Output> {
        tokio::time::timeout(Duration::from_secs(10), future)
            .await
            .ok()
    }

    #[tokio::test]
    async fn all_who_watch_a_token_hear_of_its_end_and_no_others() {
        let revocations = Arc::new(Revocations::default());
        let mut one = revocations.watch(id(1), None);
        let mut two = revocations.watch(id(1), None);
        let mut other = revocations.watch(id(2), None);
        revocations.announce(id(1));
        assert_eq!(within(one.ended()).await, Some(Ending::Revoked));
        assert_eq!(within(one.ended()).await, Some(Ending::Revoked));
        assert_eq!(within(two.ended()).await, Some(Ending::Revoked));
        let waiting = tokio::time::timeout(Duration::ZERO, other.ended()).await;
        assert!(waiting.is_err());
    }

    #[tokio::test]
    async fn who_asks_late_hears_of_it_too() {
        let revocations = Arc::new(Revocations::default());
        revocations.announce(id(1));
        let mut late = revocations.watch(id(1), None);
        assert_eq!(within(late.ended()).await, Some(Ending::Revoked));
    }

    #[tokio::test]
    async fn an_expired_token_ends_by_itself() {
        let revocations = Arc::new(Revocations::default());
        let soon = clock::now() + Duration::from_millis(20);
        let mut watch = revocations.watch(id(1), Some(soon));
        assert_eq!(within(watch.ended()).await, Some(Ending::Expired));
        assert!(clock::now() >= soon);
    }

    #[test]
    fn nothing_is_left_behind_and_what_is_kept_is_bounded() {
        let revocations = Arc::new(Revocations::default());
        let first = revocations.watch(id(1), None);
        let second = revocations.watch(id(1), None);
        drop(first);
        assert!(revocations.has_watchers());
        drop(second);
        assert!(!revocations.has_watchers());
        (0..5000).for_each(|number| revocations.announce(id(number)));
        (0..5000).for_each(|_| revocations.announce(id(4999)));
        let inner = lock(&revocations.inner);
        assert_eq!(inner.latest.len(), LATEST);
        assert!(inner.latest.contains(&id(4999 - 1000)));
        assert!(inner.watched.is_empty());
    }
}
