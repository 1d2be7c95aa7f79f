//! The slow work of the keeper: all that waits for the database.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ground::{Db, Id, clock};
use tokio::time::Instant;

use crate::config::Config;
use crate::error::IdempotencyError;
use crate::ports::Ports;
use crate::store::{self, Found};
use crate::types::{Answer, Claim, Claimed, KEPT_FOR, Key, MAX_ANSWER_BYTES, Settlement};
use ground::lock;

/// Settlements that wait at most; beyond it the oldest is given up, whose key is then of unknown outcome.
const MOST_LEFT: usize = 1024;
/// How often what is too old is looked for, and how much goes at once.
const FORGET_EVERY: Duration = Duration::from_mins(1);
const FORGOTTEN_AT_ONCE: u16 = 500;

/// What the tasks of one incarnation share.
#[derive(Debug)]
pub(crate) struct Desk {
    db: Db,
    max_keys: i64,
    /// Rows, as far as known: counted now and then, and with each claim of this daemon.
    rows: AtomicI64,
    left: Mutex<VecDeque<(Claim, Settlement)>>,
    forgot_at: Mutex<Option<Instant>>,
}

impl Desk {
    pub(crate) fn new(config: &Config, ports: Ports) -> Self {
        Self {
            db: ports.db,
            max_keys: config.max_keys.into(),
            rows: AtomicI64::new(0),
            left: Mutex::default(),
            forgot_at: Mutex::default(),
        }
    }

    /// Claims a key, or tells what came of the request that did.
    pub(crate) async fn claim(
        &self,
        key: Key,
        fingerprint: [u8; 32],
    ) -> Result<Claimed, IdempotencyError> {
        let (claim, now) = (Claim(Id::generate()), clock::now());
        let is_full = self.rows.load(Ordering::Relaxed) >= self.max_keys;
        let found = store::claim(&self.db, claim, key, fingerprint, now, is_full).await;
        match found {
            Ok(Found::Free) => {
                self.rows.fetch_add(1, Ordering::Relaxed);
                Ok(Claimed::Fresh(claim))
            }
            Ok(Found::Full) => Err(IdempotencyError::Busy {
                retry_after: ground::db::BUSY_RETRY,
            }),
            Ok(Found::Taken {
                fingerprint: other, ..
            }) if other != fingerprint => Ok(Claimed::Reused),
            Ok(Found::Taken {
                answer: Some(answer),
                ..
            }) => Ok(Claimed::Done(answer)),
            Ok(Found::Taken { is_done: true, .. }) => Err(IdempotencyError::Withheld),
            Ok(Found::Taken { .. }) => Err(IdempotencyError::Unknown),
            Err(error) => {
                // It may have been claimed all the same, for a request that will not be run.
                self.leave(claim, Settlement::Released);
                Err(error.into())
            }
        }
    }

    /// Stores what came of a request, or sees to it that it is stored later.
    pub(crate) async fn settle(
        &self,
        claim: Claim,
        settlement: Settlement,
    ) -> Result<(), IdempotencyError> {
        let settlement = bounded(settlement);
        let settled = store::settle(&self.db, claim, settlement.clone()).await;
        if let Err(error) = &settled {
            tracing::debug!(%error, "what came of a request with a key was not stored yet");
            self.leave(claim, settlement);
        }
        Ok(settled?)
    }

    fn leave(&self, claim: Claim, settlement: Settlement) {
        let mut left = lock(&self.left);
        if left.len() >= MOST_LEFT {
            tracing::warn!("what came of a request with a key will not be stored");
            left.pop_front();
        }
        left.push_back((claim, settlement));
    }

    /// Tries again what could not be settled, until one fails.
    pub(crate) async fn settle_left(&self) {
        if self.db.backend().is_err() {
            return;
        }
        loop {
            let first = lock(&self.left).pop_front();
            let Some((claim, settlement)) = first else {
                return;
            };
            let settled = store::settle(&self.db, claim, settlement.clone()).await;
            if let Err(error) = settled {
                tracing::debug!(%error, "what came of a request with a key was not stored yet");
                lock(&self.left).push_front((claim, settlement));
                return;
            }
        }
    }

    /// Forgets keys that are too old, and counts those that are left, once in a while.
    pub(crate) async fn forget(&self) {
        let is_due = lock(&self.forgot_at).is_none_or(|at| at.elapsed() >= FORGET_EVERY);
        if !is_due || self.db.backend().is_err() {
            return;
        }
        match self.forget_now().await {
            Ok(()) => *lock(&self.forgot_at) = Some(Instant::now()),
            Err(error) => tracing::debug!(%error, "old keys were not forgotten"),
        }
    }

    async fn forget_now(&self) -> Result<(), IdempotencyError> {
        let before = clock::now() - KEPT_FOR;
        while store::forget(&self.db, before, FORGOTTEN_AT_ONCE).await?
            == u64::from(FORGOTTEN_AT_ONCE)
        {}
        let rows = store::count(&self.db).await?;
        self.rows.store(rows, Ordering::Relaxed);
        Ok(())
    }

    /// How many settlements wait.
    pub(crate) fn left(&self) -> usize {
        lock(&self.left).len()
    }

    /// How many keys are kept, as far as known.
    pub(crate) fn kept(&self) -> i64 {
        self.rows.load(Ordering::Relaxed)
    }
}

/// An answer that is too large is not stored.
fn bounded(settlement: Settlement) -> Settlement {
    let is_small = |answer: &Answer| {
        let headers = answer.headers.iter();
        let heads: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        answer.body.len() + heads <= MAX_ANSWER_BYTES
    };
    match settlement {
        Settlement::Done(answer) if !is_small(&answer) => Settlement::Withheld,
        other => other,
    }
}
