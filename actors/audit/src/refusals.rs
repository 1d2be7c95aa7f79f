//! Wrong tokens, counted: a flood of them must not become a flood of entries.
//!
//! The first of an address is told at once. Further ones within the minute are counted and told together when it is over, as the
//! first of a next minute. Addresses are bounded in number; what comes from further ones is counted as one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ground::Micros;
use ground::audit::{Actor, Entry, Outcome, Source};

/// Entries of one address are at least this far apart.
pub(crate) const WINDOW: Duration = Duration::from_mins(1);
/// Addresses that are told apart at most.
pub(crate) const MOST: usize = 4096;

/// Who was refused. IPv6 hands whole networks to one client, so their first 64 bits count.
type Key = Option<IpAddr>;

#[derive(Debug)]
struct Window {
    since: Micros,
    /// Counted since the last entry.
    count: u64,
    code: &'static str,
    source: Source,
}

/// What was refused lately.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    windows: HashMap<Key, Window>,
}

impl Refusals {
    /// One more. The entry to store at once, if it is the first of its minute.
    pub(crate) fn note(
        &mut self,
        source: &Source,
        code: &'static str,
        now: Micros,
    ) -> Option<Entry> {
        let mut key = source.address.map(network);
        if self.windows.len() >= MOST && !self.windows.contains_key(&key) {
            key = None;
        }
        let window = self.windows.entry(key).or_insert_with(|| Window {
            since: now - WINDOW,
            count: 0,
            code,
            source: source.clone(),
        });
        window.count += 1;
        window.code = code;
        window.source = source.clone();
        let is_over = is_over(window.since, now);
        is_over.then(|| window.tell(key, now))
    }

    /// The entries of the minutes that are over; forgets addresses of which nothing came in one. With `all` the open ones count as
    /// over, too.
    pub(crate) fn due(&mut self, now: Micros, all: bool) -> Vec<Entry> {
        let mut told = Vec::new();
        self.windows.retain(|key, window| {
            if !all && !is_over(window.since, now) {
                return true;
            }
            let has_more = window.count > 0;
            if has_more {
                told.push(window.tell(*key, now));
            }
            has_more
        });
        told
    }
}

impl Window {
    fn tell(&mut self, key: Key, now: Micros) -> Entry {
        let mut source = self.source.clone();
        if key.is_none() {
            source.address = None;
        }
        let entry = Entry::new(Actor::Anonymous, "token.refuse", source)
            .with_outcome(Outcome::Refused)
            .with("code", self.code)
            .with("count", self.count);
        self.count = 0;
        self.since = now;
        entry
    }
}

/// Whether a minute is over. A clock that was set back ends it, so that nobody is silent for as long as it was set back.
fn is_over(since: Micros, now: Micros) -> bool {
    now < since || now.since(since) >= WINDOW
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => {
            let first = v6.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(first))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn from(address: &str) -> Source {
        Source {
            address: Some(address.parse().expect("an address")),
            ..Source::default()
        }
    }

    fn count(entry: &Entry) -> u64 {
        entry.detail["count"].as_u64().expect("a number")
    }

    #[test]
    fn a_flood_is_two_entries() {
        let (mut refusals, start) = (Refusals::default(), Micros(1_700_000_000_000_000));
        let one = from("192.0.2.1");
        let first = refusals.note(&one, "accounts.unknown_token", start);
        assert_eq!(first.as_ref().map(count), Some(1));
        for _ in 0..10_000 {
            assert_eq!(refusals.note(&one, "accounts.unknown_token", start), None);
        }
        assert!(refusals.due(start, false).is_empty());
        let later = refusals.due(start + WINDOW, false);
        assert_eq!(later.iter().map(count).collect::<Vec<_>>(), [10_000]);
        assert!(refusals.due(start + WINDOW * 2, false).is_empty());
        assert!(refusals.windows.is_empty(), "and is forgotten");
    }

    #[test]
    fn a_network_is_one_client() {
        let (mut refusals, now) = (Refusals::default(), Micros(0));
        assert!(refusals.note(&from("2001:db8::1"), "x", now).is_some());
        assert!(refusals.note(&from("2001:db8::ffff:2"), "x", now).is_none());
        assert!(refusals.note(&from("2001:db8:0:1::1"), "x", now).is_some());
        assert!(refusals.note(&from("192.0.2.1"), "x", now).is_some());
        assert!(
            refusals.note(&from("::ffff:192.0.2.1"), "x", now).is_none(),
            "the same client by its other name"
        );
    }

    #[test]
    fn addresses_are_bounded() {
        let (mut refusals, now) = (Refusals::default(), Micros(0));
        let many = u32::try_from(MOST).expect("small") + 500;
        let told = (0..many)
            .filter_map(|number| {
                let address = Some(IpAddr::V4(number.into()));
                let source = Source {
                    address,
                    ..Source::default()
                };
                refusals.note(&source, "x", now)
            })
            .count();
        assert_eq!(told, MOST + 1, "one for all the others");
        assert_eq!(refusals.windows.len(), MOST + 1);
        let rest: u64 = refusals.due(now, true).iter().map(count).sum();
        assert_eq!(rest, 499);
    }

    proptest! {
        /// None is lost, and no address is told of twice in a minute.
        #[test]
        fn all_are_counted_and_few_are_told(steps in proptest::collection::vec((0_u32..4, 0_u64..40_000, any::<bool>()), 0..200)) {
            let (mut refusals, mut now) = (Refusals::default(), Micros(1_700_000_000_000_000));
            let (mut noted, mut told) = (0_u64, 0_u64);
            let mut last: BTreeMap<Option<IpAddr>, Micros> = BTreeMap::new();
            for (address, wait_ms, looks) in steps {
                now = now + Duration::from_millis(wait_ms);
                let source = Source { address: Some(IpAddr::V4(address.into())), ..Source::default() };
                let mut entries: Vec<Entry> = refusals.note(&source, "x", now).into_iter().collect();
                noted += 1;
                if looks {
                    entries.extend(refusals.due(now, false));
                }
                for entry in entries {
                    told += count(&entry);
                    let before = last.insert(entry.source.address, now);
                    prop_assert!(before.is_none_or(|before| now.since(before) >= WINDOW));
                }
            }
            told += refusals.due(now, true).iter().map(count).sum::<u64>();
            prop_assert_eq!(noted, told);
        }
    }
}
