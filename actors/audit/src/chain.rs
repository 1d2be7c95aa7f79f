//! Whether the chain holds: pure decisions over entries in their order.

use std::fmt;
use std::str::FromStr;

use ground::audit::{GENESIS, Record};
use serde::Serialize;

/// A place in the chain: the number of an entry, and the hash of the chain up to it. Its text is `<seq>.<hash in hex>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The entry's number; 0 is the place before the first.
    pub seq: i64,
    /// The hash of the chain up to it.
    pub hash: [u8; 32],
}

/// The text names no place in a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the chain that a verification has told")]
pub struct MarkError;

impl Mark {
    /// Before the first entry.
    pub const BEGINNING: Self = Self {
        seq: 0,
        hash: GENESIS,
    };

    /// The hash as 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        let digits = self.hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits
            .filter_map(|digit| char::from_digit(u32::from(digit), 16))
            .collect()
    }

    /// The place with this number and this hash, as [`Self::hex`] writes it.
    ///
    /// # Errors
    /// [`MarkError`] when the text is not 64 hexadecimal digits.
    pub fn of_hex(seq: i64, hex: &str) -> Result<Self, MarkError> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let digits: Option<Vec<u32>> = hex.as_bytes().iter().map(digit).collect();
        let bytes = digits.ok_or(MarkError)?;
        let bytes: Vec<u8> = bytes
            .chunks(2)
            .filter_map(|pair| match pair {
                [high, low] => u8::try_from(high << 4 | low).ok(),
                _ => None,
            })
            .collect();
        let is_whole = hex.len() == 64;
        let hash = <[u8; 32]>::try_from(bytes).map_err(|_| MarkError)?;
        is_whole.then_some(Self { seq, hash }).ok_or(MarkError)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seq, self.hex())
    }
}

impl FromStr for Mark {
    type Err = MarkError;

    fn from_str(text: &str) -> Result<Self, MarkError> {
        let (seq, hex) = text.split_once('.').ok_or(MarkError)?;
        let seq: i64 = seq.parse().map_err(|_| MarkError)?;
        if seq < 0 {
            return Err(MarkError);
        }
        Self::of_hex(seq, hex)
    }
}

/// What is wrong at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The entry is not there.
    Missing,
    /// The entry, its hash, or one before it was altered.
    Altered,
    /// The entry does not belong there.
    Surplus,
    /// What says where the chain ends does not fit the last entry.
    Head,
    /// What says where the kept chain begins does not fit what was recorded when older entries were removed.
    Anchor,
}

/// The first place where the chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Break {
    /// The number of the entry.
    pub seq: i64,
    /// What is wrong there.
    pub what: What,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.what {
            What::Missing => write!(f, "entry {seq} is missing"),
            What::Altered => write!(f, "entry {seq} does not fit its hash"),
            What::Surplus => write!(f, "entry {seq} does not belong there"),
            What::Head => write!(f, "the end of the chain is not where entry {seq} is"),
            What::Anchor => write!(f, "the chain was not cut after entry {seq}"),
        }
    }
}

/// An entry as it is stored, with the hash stored beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) record: Record,
    pub(crate) hash: [u8; 32],
}

/// A walk along the chain: everything up to its place holds.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    at: Mark,
    checked: u64,
}

impl Walk {
    /// A walk from a place that is believed.
    pub(crate) const fn from(at: Mark) -> Self {
        Self { at, checked: 0 }
    }

    /// How far it has come.
    pub(crate) const fn at(&self) -> Mark {
        self.at
    }

    /// How many entries it has passed.
    pub(crate) const fn checked(&self) -> u64 {
        self.checked
    }

    /// Goes on to the next entry.
    pub(crate) fn step(&mut self, link: &Link) -> Result<(), Break> {
        let (seq, due) = (link.record.seq, self.at.seq.saturating_add(1));
        let broken = |seq, what| Err(Break { seq, what });
        if seq < due {
            return broken(seq, What::Surplus);
        }
        if seq > due {
            return broken(due, What::Missing);
        }
        let hash = link.record.hash(&self.at.hash);
        if hash != link.hash {
            return broken(seq, What::Altered);
        }
        self.at = Mark { seq, hash };
        self.checked += 1;
        Ok(())
    }

    /// There is no next entry: is this where the chain says that it ends?
    pub(crate) fn end(&self, head: Option<Mark>) -> Result<(), Break> {
        let at = self.at;
        let broken = |seq, what| Err(Break { seq, what });
        match head {
            Some(head) if head.seq > at.seq => broken(at.seq + 1, What::Missing),
            Some(head) if head == at => Ok(()),
            _ => broken(at.seq, What::Head),
        }
    }
}

/// Whether the chain begins where the entry about the last removal says that it was cut.
pub(crate) fn is_anchored(anchor: Option<Mark>, told: Option<Mark>) -> Result<(), Break> {
    if anchor == told {
        return Ok(());
    }
    let seq = anchor.or(told).map_or(0, |mark| mark.seq);
    Err(Break {
        seq,
        what: What::Anchor,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use ground::audit::{Actor, Entry, Outcome, Source};
    use proptest::prelude::*;

    use super::*;

    /// All that a database holds of a chain.
    #[derive(Debug, Clone, PartialEq)]
    struct Chain {
        anchor: Option<Mark>,
        links: Vec<Link>,
        head: Option<Mark>,
    }

    fn chain(length: usize, pruned: usize) -> Chain {
        let mut at = Mark::BEGINNING;
        let (mut links, mut anchor) = (Vec::new(), None);
        for number in 0..length {
            let entry = Entry::new(Actor::Local { uid: 7 }, "node.restart", Source::default())
                .on(format!("/{number}"))
                .with("n", number);
            let record = Record::of(&entry, at.seq + 1);
            let hash = record.hash(&at.hash);
            at = Mark {
                seq: record.seq,
                hash,
            };
            if number < pruned {
                anchor = Some(at);
            } else {
                links.push(Link { record, hash });
            }
        }
        Chain {
            anchor,
            links,
            head: Some(at),
        }
    }

    /// As `reading` does it: rows in the order of their number.
    fn verify(chain: &Chain, told: Option<Mark>) -> Result<(), Break> {
        let mut links = chain.links.clone();
        links.sort_by_key(|link| link.record.seq);
        let mut walk = Walk::from(chain.anchor.unwrap_or(Mark::BEGINNING));
        links.iter().try_for_each(|link| walk.step(link))?;
        walk.end(chain.head)?;
        is_anchored(chain.anchor, told)
    }

    fn alter(record: &mut Record, field: usize) {
        match field % 13 {
            0 => record.at.0 ^= 1,
            1 => record.actor_kind.push('x'),
            2 => record.actor_user = Some(record.id),
            3 => record.actor_credential = Some(record.id),
            4 => record.actor_uid = None,
            5 => record.action.push('x'),
            6 => record.object = None,
            7 => record.address = Some("::1".to_owned()),
            8 => record.user_agent = Some(String::new()),
            9 => record.request_id = Some("r".to_owned()),
            10 => Outcome::Failed.word().clone_into(&mut record.outcome),
            11 => record.detail.push(' '),
            _ => record.id = ground::Id::generate(),
        }
    }

    /// One change of what is stored; tells whether it changed anything.
    fn tamper(chain: &mut Chain, how: usize, place: usize, other: usize) {
        let length = chain.links.len();
        let (place, other) = (place % length, other % length);
        match how % 8 {
            0 => alter(&mut chain.links[place].record, other),
            1 => chain.links[place].hash[other % 32] ^= 1,
            2 => drop(chain.links.remove(place)),
            3 => {
                // Two entries change places: what they say, under each other's number.
                let seqs = (chain.links[place].record.seq, chain.links[other].record.seq);
                chain.links.swap(place, other);
                chain.links[place].record.seq = seqs.0;
                chain.links[other].record.seq = seqs.1;
            }
            4 => {
                // One is put in, and those behind it move up.
                let mut put_in = chain.links[place].clone();
                put_in.record.id = ground::Id::generate();
                for link in &mut chain.links[place..] {
                    link.record.seq += 1;
                }
                chain.links.insert(place, put_in);
            }
            5 => {
                // One is put in before or behind all others, with a hash that follows from its neighbour.
                let mut put_in = chain.links[length - 1].clone();
                put_in.record.seq = if place == 0 { 0 } else { put_in.record.seq + 1 };
                put_in.hash = put_in.record.hash(&put_in.hash);
                chain.links.push(put_in);
            }
            6 => {
                chain.head = match (chain.head, place) {
                    (_, 0) => None,
                    (head, 1) => head.map(|head| Mark {
                        seq: head.seq - 1,
                        ..head
                    }),
                    (head, 2) => head.map(|head| Mark {
                        seq: head.seq + 1,
                        ..head
                    }),
                    (head, _) => head.map(|mut head| {
                        head.hash[other % 32] ^= 1;
                        head
                    }),
                }
            }
            _ => {
                chain.anchor = match (chain.anchor, place % 2) {
                    (None, _) => Some(Mark::BEGINNING),
                    (Some(_), 0) => None,
                    (Some(anchor), _) => Some(Mark {
                        seq: anchor.seq + 1,
                        ..anchor
                    }),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_chain_that_nobody_touched_holds(length in 0_usize..40, pruned in 0_usize..40) {
            let chain = chain(length, pruned.min(length));
            prop_assert_eq!(verify(&chain, chain.anchor), Ok(()));
        }

        /// Whatever single thing is done to it: altered, taken out, put in, exchanged, cut off, its ends moved.
        #[test]
        fn any_single_change_is_found(
            length in 2_usize..24, pruned in 0_usize..12, how in 0_usize..8, place in 0_usize..64, other in 0_usize..64,
        ) {
            let before = chain(length, pruned.min(length - 1));
            let mut after = before.clone();
            tamper(&mut after, how, place, other);
            prop_assume!(after != before);
            prop_assert!(verify(&after, before.anchor).is_err(), "{:?}", how % 8);
        }

        /// The oldest are removed and the cut is moved along, but the chain itself tells of another one.
        #[test]
        fn a_cut_that_was_not_recorded_is_found(length in 2_usize..24, cut in 1_usize..24) {
            let mut chain = chain(length, 0);
            let gone = chain.links.drain(..cut.min(length - 1)).next_back().expect("one at least");
            chain.anchor = Some(Mark { seq: gone.record.seq, hash: gone.hash });
            let found = verify(&chain, None).expect_err("nobody told of it");
            prop_assert_eq!(found.what, What::Anchor);
        }

        #[test]
        fn the_first_broken_place_is_told(length in 3_usize..30, place in 0_usize..30) {
            let mut chain = chain(length, 0);
            let place = place % length;
            chain.links[place].record.action.push('!');
            let seq = i64::try_from(place).expect("small") + 1;
            prop_assert_eq!(verify(&chain, None), Err(Break { seq, what: What::Altered }));
            chain.links.remove(place);
            prop_assert_eq!(verify(&chain, None), Err(Break { seq, what: What::Missing }));
        }

        #[test]
        fn marks_are_text_and_back(seq in 0_i64..i64::MAX, hash in any::<[u8; 32]>()) {
            let mark = Mark { seq, hash };
            prop_assert_eq!(mark.to_string().parse(), Ok(mark));
        }

        #[test]
        fn no_text_panics(text in "[0-9]{0,3}\\.?.{0,70}") {
            prop_assert!(text.parse::<Mark>().map_or(true, |mark| mark.seq >= 0));
        }
    }
}
