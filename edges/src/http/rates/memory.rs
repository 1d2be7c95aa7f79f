//! The memory of a counter: one number a client, of at most so many clients.
//!
//! A flood of made-up addresses must not grow the daemon. So when the memory is full, the client that owes least is forgotten: it
//! gets at most a few requests more, while those that are over their quota stay known.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Mutex;

use governor::nanos::Nanos;
use governor::state::StateStore;

use super::Client;

/// Parts that are locked one by one.
const SHARDS: usize = 16;
/// Clients that a part knows at most.
const PER_SHARD: usize = 1024;

/// What the counter is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) client: Client,
    /// Whether to look only: nothing is counted then.
    pub(super) is_look: bool,
}

/// When each client will have nothing counted any more.
#[derive(Debug)]
pub(super) struct Memory {
    shards: Vec<Mutex<HashMap<Client, Nanos>>>,
    hasher: RandomState,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl StateStore for Memory {
    type Key = Asked;

    fn measure_and_replace<T, F, E>(&self, asked: &Asked, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let hash = self.hasher.hash_one(&asked.client);
        let place = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        let Some(shard) = self.shards.get(place) else {
            return decide(None).map(|(value, _)| value);
        };
        // What is in there is whole after every statement, also after a panic.
        let mut known = ground::lock(shard);
        let before = known.get(&asked.client).copied();
        let (value, after) = decide(before)?;
        if asked.is_look {
            return Ok(value);
        }
        if before.is_none() && known.len() >= PER_SHARD {
            forget_one(&mut known);
        }
        known.insert(asked.client.clone(), after);
        Ok(value)
    }
}

fn forget_one(known: &mut HashMap<Client, Nanos>) {
    let least = known.iter().min_by_key(|(_, until)| **until);
    if let Some(client) = least.map(|(client, _)| client.clone()) {
        known.remove(&client);
    }
}

#[cfg(test)]
impl Memory {
    /// Clients that are known.
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.lock().expect("unharmed").len())
            .sum()
    }

    /// Clients that can be known at most.
    pub(super) const MOST: usize = SHARDS * PER_SHARD;
}
