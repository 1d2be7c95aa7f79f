//! The slot behind an address: who owns it, whether it is open, and the bounded queue of what was admitted.
//!
//! ractor's queue has no bound and dies with its actor. This one belongs to the address: it is bounded, it refuses at once, it
//! outlives incarnations, it serves control before work, and what nobody waits for any more is taken out of it again.
//! One short lock guards all of it, so there is no moment between "open" and "admitted" in which a message could be lost.
//!
//! Nothing here knows of actors, clocks or runtimes: the model checker in `tests/loom` runs this very file.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard};

/// In which way an entry is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// A request: takes a place of the limit, served in order.
    Work,
    /// A control request: served before work, with a few places of its own so that a full mailbox still admits it.
    Control,
    /// From the owner itself: takes no place.
    Own,
}

/// Why an entry was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused<D> {
    /// Nobody is there, for this reason.
    Shut(D),
    /// All places are taken; so many.
    Full(u32),
}

/// What the owner gets next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<T> {
    /// Serve this.
    Serve(T),
    /// Drained: nothing is left, and nothing new is admitted.
    Drained,
    /// Stop now, whatever is left.
    Stop,
    /// The slot belongs to another incarnation.
    Replaced,
}

/// How the owner was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Drain,
    Stop,
}

struct Entry<T> {
    ticket: u64,
    lane: Lane,
    item: T,
}

struct State<T, D> {
    /// The incarnation that may open and shut the slot; 0 before the first.
    owner: u64,
    shut: Option<D>,
    ending: Option<Ending>,
    control: VecDeque<Entry<T>>,
    work: VecDeque<Entry<T>>,
    /// Places taken by entries in `work`, and by what the owner has in hand.
    taken: u32,
    in_hand: Option<Lane>,
    tickets: u64,
    waker: Option<Waker>,
}

/// Control requests that are admitted beside a full mailbox.
pub(crate) const CONTROL_PLACES: usize = 16;

pub(crate) struct Slot<T, D> {
    limit: u32,
    state: Mutex<State<T, D>>,
}

impl<T, D: Copy> Slot<T, D> {
    /// A slot that is shut for the reason `down`. `limit` is the number of requests admitted and not finished.
    pub(crate) fn new(limit: u32, down: D) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                owner: 0,
                shut: Some(down),
                ending: None,
                control: VecDeque::new(),
                work: VecDeque::new(),
                taken: 0,
                in_hand: None,
                tickets: 0,
                waker: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T, D>> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether requests are admitted.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().shut.is_none()
    }

    /// Why requests are refused, if they are.
    pub(crate) fn shut_for(&self) -> Option<D> {
        self.lock().shut
    }

    /// From now on the slot is `owner`'s, still shut. What an incarnation before left and `keep` does not hold is handed back.
    pub(crate) fn claim(&self, owner: u64, keep: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut state = self.lock();
        state.owner = owner;
        state.ending = None;
        state.waker = None;
        state.finish_in_hand();
        state.sift(keep)
    }

    /// Admits requests, if the slot is still `owner`'s and it was not asked to end meanwhile.
    pub(crate) fn open(&self, owner: u64) -> bool {
        let mut state = self.lock();
        let opens = state.owner == owner && state.ending.is_none();
        if opens {
            state.shut = None;
        }
        opens
    }

    /// Refuses requests from now on; what was admitted stays.
    pub(crate) fn shut(&self, down: D) {
        self.lock().shut = Some(down);
    }

    /// As [`Self::shut`], if the slot is still `owner`'s.
    pub(crate) fn shut_own(&self, owner: u64, down: D) {
        let mut state = self.lock();
        if state.owner == owner {
            state.shut = Some(down);
        }
    }

    /// The incarnation has ended (`None`: whichever it was): hands back what `keep` does not hold for the next one.
    pub(crate) fn end(&self, owner: Option<u64>, keep: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut state = self.lock();
        if owner.is_some_and(|owner| owner != state.owner) {
            return Vec::new();
        }
        state.finish_in_hand();
        state.sift(keep)
    }

    /// Refuses new requests, and lets the owner end when it has served what is there.
    pub(crate) fn drain(&self, down: D) {
        self.ask_to_end(down, Ending::Drain);
    }

    /// Refuses new requests, and lets the owner end after what it has in hand.
    pub(crate) fn stop(&self, down: D) {
        self.ask_to_end(down, Ending::Stop);
    }

    fn ask_to_end(&self, down: D, ending: Ending) {
        let mut state = self.lock();
        state.shut = Some(down);
        state.ending = Some(ending);
        state.wake();
    }

    /// Admits `item`, or hands it back with the reason. The ticket names it for [`Self::withdraw`].
    pub(crate) fn push(&self, lane: Lane, item: T) -> Result<u64, (Refused<D>, T)> {
        let mut state = self.lock();
        if let Some(down) = state.shut {
            return Err((Refused::Shut(down), item));
        }
        match lane {
            Lane::Work if state.taken >= self.limit => {
                return Err((Refused::Full(state.taken), item));
            }
            Lane::Control if state.control.len() >= CONTROL_PLACES => {
                return Err((Refused::Full(state.taken), item));
            }
            Lane::Work => state.taken += 1,
            Lane::Control | Lane::Own => {}
        }
        state.tickets += 1;
        let ticket = state.tickets;
        let entry = Entry { ticket, lane, item };
        if lane == Lane::Control {
            state.control.push_back(entry);
        } else {
            state.work.push_back(entry);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(ticket)
    }

    /// An entry that takes no place, for the incarnation `owner` (whichever it is, with `None`); handed back when that is not the
    /// present one.
    pub(crate) fn push_own(&self, owner: Option<u64>, item: T) -> Option<T> {
        let mut state = self.lock();
        if owner.is_some_and(|owner| owner != state.owner) {
            return Some(item);
        }
        state.tickets += 1;
        let entry = Entry {
            ticket: state.tickets,
            lane: Lane::Own,
            item,
        };
        state.work.push_back(entry);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    /// Takes back what was admitted and not yet handed to the owner.
    pub(crate) fn withdraw(&self, ticket: u64) -> Option<T> {
        let mut state = self.lock();
        let state = &mut *state;
        let entry = take(&mut state.control, ticket).or_else(|| take(&mut state.work, ticket))?;
        state.give_back(entry.lane);
        Some(entry.item)
    }

    /// What `owner` does next; the place of what it had in hand before is free from now on.
    pub(crate) fn poll_next(&self, owner: u64, cx: &mut Context<'_>) -> Poll<Next<T>> {
        let mut state = self.lock();
        if state.owner != owner {
            return Poll::Ready(Next::Replaced);
        }
        state.finish_in_hand();
        if state.ending == Some(Ending::Stop) {
            return Poll::Ready(Next::Stop);
        }
        let next = state.control.pop_front();
        if let Some(entry) = next.or_else(|| state.work.pop_front()) {
            state.in_hand = Some(entry.lane);
            return Poll::Ready(Next::Serve(entry.item));
        }
        if state.ending == Some(Ending::Drain) {
            return Poll::Ready(Next::Drained);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => state.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Requests admitted and not finished.
    pub(crate) fn taken(&self) -> u32 {
        self.lock().taken
    }
}

impl<T, D> State<T, D> {
    fn give_back(&mut self, lane: Lane) {
        if lane == Lane::Work {
            self.taken = self.taken.saturating_sub(1);
        }
    }

    fn finish_in_hand(&mut self) {
        if let Some(lane) = self.in_hand.take() {
            self.give_back(lane);
        }
    }

    /// Takes out what is not to be kept. The owner's own entries never outlive it.
    fn sift(&mut self, mut keep: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut out = Vec::new();
        for queue in [&mut self.control, &mut self.work] {
            if queue.is_empty() {
                continue;
            }
            let mut kept = VecDeque::new();
            for entry in queue.drain(..) {
                if entry.lane != Lane::Own && keep(&entry.item) {
                    kept.push_back(entry);
                    continue;
                }
                if entry.lane == Lane::Work {
                    self.taken = self.taken.saturating_sub(1);
                }
                out.push(entry.item);
            }
            *queue = kept;
        }
        out
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Takes the entry with this ticket out; tickets rise within a queue.
fn take<T>(queue: &mut VecDeque<Entry<T>>, ticket: u64) -> Option<Entry<T>> {
    let at = queue
        .binary_search_by_key(&ticket, |entry| entry.ticket)
        .ok()?;
    queue.remove(at)
}
