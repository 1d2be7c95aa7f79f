//! Challenges that wait for an answer. No I/O; the present is an argument.
//!
//! In memory alone: a challenge lasts minutes, and whoever loses one to a restart of the daemon presses a button again. In the database
//! each would be a write that anybody can cause. The handle holds them, so that a restart of the actor loses none.
//!
//! Bounded three ways: by time, by number, and by number from one place, so that who begins thousands pushes out only their own. One is
//! found by the hash of its id, and works once.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// For how long a challenge waits for its answer; what browsers are told, too.
pub(crate) const LIFETIME: Duration = Duration::from_mins(5);

/// What a challenge is looked up by: the SHA-256 of its id.
pub(crate) type Digest = [u8; 32];

/// How many there may be; the oldest make room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// At all.
    pub(crate) all: usize,
    /// From one place, whose own oldest makes room.
    pub(crate) of_one: usize,
}

#[derive(Debug)]
struct Kept<P, T> {
    place: P,
    what: T,
    begun_at: Instant,
}

/// Challenges of one sort, from places of the sort `P`.
#[derive(Debug)]
pub(crate) struct Challenges<P, T> {
    kept: HashMap<Digest, Kept<P, T>>,
    /// By age; each that is kept is in it once.
    order: VecDeque<Digest>,
    room: Room,
}

impl<P: Eq, T> Challenges<P, T> {
    /// None yet.
    pub(crate) fn new(room: Room) -> Self {
        Self {
            kept: HashMap::new(),
            order: VecDeque::new(),
            room,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Keeps one that begins `now` at `place`.
    pub(crate) fn begin(&mut self, id: Digest, place: P, what: T, now: Instant) {
        self.drop_old(now);
        self.make_room(&place);
        let kept = Kept {
            place,
            what,
            begun_at: now,
        };
        if self.kept.insert(id, kept).is_none() {
            self.order.push_back(id);
        }
    }

    /// Takes one out, if it was begun at a place that may have it; it works once.
    pub(crate) fn take(
        &mut self,
        id: &Digest,
        may_have: impl FnOnce(&P) -> bool,
        now: Instant,
    ) -> Option<T> {
        self.drop_old(now);
        let kept = self.kept.get(id)?;
        if !may_have(&kept.place) {
            return None;
        }
        self.remove(id).map(|kept| kept.what)
    }

    fn drop_old(&mut self, now: Instant) {
        while let Some(first) = self.order.front().copied()
            && self
                .kept
                .get(&first)
                .is_none_or(|kept| now.saturating_duration_since(kept.begun_at) >= LIFETIME)
        {
            self.order.pop_front();
            self.kept.remove(&first);
        }
    }

    /// Makes room for one more from `place`.
    fn make_room(&mut self, place: &P) {
        let is_own = |id: &&Digest| self.kept.get(*id).is_some_and(|kept| kept.place == *place);
        let mut own = self.order.iter().filter(is_own);
        let first_own = own.next().copied();
        let count = own.count() + usize::from(first_own.is_some());
        if count >= self.room.of_one
            && let Some(first) = first_own
        {
            self.remove(&first);
        }
        while self.order.len() >= self.room.all
            && let Some(first) = self.order.front().copied()
        {
            self.remove(&first);
        }
    }

    fn remove(&mut self, id: &Digest) -> Option<Kept<P, T>> {
        self.order.retain(|other| other != id);
        self.kept.remove(id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: Room = Room { all: 6, of_one: 3 };

    fn id(number: u8) -> Digest {
        [number; 32]
    }

    fn none() -> Challenges<u8, u8> {
        Challenges::new(ROOM)
    }

    #[test]
    fn one_works_once_in_its_time_and_where_it_was_begun() {
        let (mut all, now) = (none(), Instant::now());
        all.begin(id(1), 7, 1, now);
        assert_eq!(all.take(&id(1), |place| *place == 8, now), None);
        assert_eq!(all.take(&id(2), |_| true, now), None);
        assert_eq!(all.take(&id(1), |place| *place == 7, now), Some(1));
        assert_eq!(all.take(&id(1), |_| true, now), None, "used");
        all.begin(id(3), 7, 3, now);
        assert_eq!(all.take(&id(3), |_| true, now + LIFETIME), None, "late");
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn who_begins_many_pushes_out_only_their_own() {
        let (mut all, now) = (none(), Instant::now());
        all.begin(id(0), 1, 0, now);
        for number in 1..200 {
            all.begin(id(number), 2, number, now);
        }
        assert_eq!(all.len(), ROOM.of_one + 1);
        assert_eq!(all.take(&id(0), |_| true, now), Some(0));
        assert_eq!(all.take(&id(199), |_| true, now), Some(199));
        assert_eq!(all.take(&id(1), |_| true, now), None);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Begin(u8, u8),
        Take(u8, u8),
        Wait(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u8..16, 0_u8..4).prop_map(|(number, place)| Step::Begin(number, place)),
            (0_u8..16, 0_u8..4).prop_map(|(number, place)| Step::Take(number, place)),
            (0_u64..200).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Against a plain list of (number, place, begun at), oldest first.
        #[test]
        fn it_is_there_as_long_as_it_should_be(steps in proptest::collection::vec(any_step(), 0..120)) {
            let (mut all, mut now) = (none(), Instant::now());
            let mut model: Vec<(u8, u8, Instant)> = Vec::new();
            for step in steps {
                model.retain(|(_, _, begun)| now.duration_since(*begun) < LIFETIME);
                match step {
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Begin(number, place) if model.iter().all(|(other, ..)| *other != number) => {
                        all.begin(id(number), place, number, now);
                        let own: Vec<u8> = model.iter().filter(|(_, other, _)| *other == place).map(|(number, ..)| *number).collect();
                        if own.len() >= ROOM.of_one {
                            model.retain(|(number, ..)| *number != own[0]);
                        }
                        if model.len() >= ROOM.all {
                            model.remove(0);
                        }
                        model.push((number, place, now));
                    }
                    Step::Begin(..) => {}
                    Step::Take(number, place) => {
                        let taken = all.take(&id(number), |other| *other == place, now);
                        let at = model.iter().position(|(other, from, _)| *other == number && *from == place);
                        prop_assert_eq!(taken, at.map(|at| model.remove(at).0));
                    }
                }
                prop_assert!(all.len() <= ROOM.all);
                prop_assert_eq!(all.order.len(), all.kept.len());
            }
        }
    }
}
