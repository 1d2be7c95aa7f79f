//! What must hold whatever the order of things: each test is a few threads on one slot, run in all orders that differ.
//!
//! An order is left out only if it needs more than [`PREEMPTIONS`] switches away from a thread that could go on.

use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::slot::{CONTROL_PLACES, Lane, Next, Refused, Slot};

const PREEMPTIONS: usize = 3;

/// Items are numbers, reasons are numbers too.
type Shared = Arc<Slot<u32, u8>>;
/// How a push ended.
type Pushed = Result<u64, (Refused<u8>, u32)>;

fn in_every_order(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
}

/// A slot that is open for the incarnation 1.
fn open(limit: u32) -> Shared {
    let slot = Slot::new(limit, 0);
    assert!(slot.claim(1, |_| true).is_empty());
    assert!(slot.open(1));
    Arc::new(slot)
}

fn pushing(slot: &Shared, lane: Lane, item: u32) -> thread::JoinHandle<Pushed> {
    let slot = Arc::clone(slot);
    thread::spawn(move || slot.push(lane, item))
}

/// What survives a restart here.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the slot lends what it asks about"
)]
fn is_even(item: &u32) -> bool {
    item.is_multiple_of(2)
}

/// A sleeper's bell. A wake that is lost is a deadlock, which the checker reports.
#[derive(Default)]
struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        *self.has_rung.lock().unwrap() = true;
        self.rings.notify_one();
    }
}

/// What `owner` does next, without waiting for it.
fn glance(slot: &Slot<u32, u8>, owner: u64) -> Option<Next<u32>> {
    match slot.poll_next(owner, &mut Context::from_waker(Waker::noop())) {
        Poll::Ready(next) => Some(next),
        Poll::Pending => None,
    }
}

/// As the runtime does it: sleeps until it is woken, however long that takes.
fn next(slot: &Slot<u32, u8>, owner: u64) -> Next<u32> {
    let bell = std::sync::Arc::new(Bell::default());
    let waker = Waker::from(std::sync::Arc::clone(&bell));
    loop {
        if let Poll::Ready(next) = slot.poll_next(owner, &mut Context::from_waker(&waker)) {
            return next;
        }
        let mut has_rung = bell.has_rung.lock().unwrap();
        while !std::mem::take(&mut *has_rung) {
            has_rung = bell.rings.wait(has_rung).unwrap();
        }
    }
}

/// Everything that is there for `owner` now.
fn serve_rest(slot: &Slot<u32, u8>, owner: u64) -> Vec<u32> {
    let mut served = Vec::new();
    while let Some(Next::Serve(item)) = glance(slot, owner) {
        served.push(item);
    }
    served
}

#[test]
fn of_two_callers_for_one_place_one_gets_it() {
    in_every_order(|| {
        let slot = open(1);
        let other = pushing(&slot, Lane::Work, 1);
        let own = slot.push(Lane::Work, 2);
        let ended = [other.join().unwrap(), own];
        let admitted = ended.iter().filter(|pushed| pushed.is_ok()).count();
        assert_eq!(admitted, 1, "{ended:?}");
        for refused in ended.iter().filter_map(|pushed| pushed.as_ref().err()) {
            assert_eq!(refused.0, Refused::Full(1));
        }
        assert_eq!(slot.taken(), 1);
        assert_eq!(serve_rest(&slot, 1).len(), 1);
        assert_eq!(slot.taken(), 0);
    });
}

#[test]
fn of_two_callers_for_the_last_control_place_one_gets_it() {
    in_every_order(|| {
        let slot = open(1);
        for _ in 1..CONTROL_PLACES {
            slot.push(Lane::Control, 0).unwrap();
        }
        let other = pushing(&slot, Lane::Control, 1);
        let own = slot.push(Lane::Control, 2);
        assert_ne!(other.join().unwrap().is_ok(), own.is_ok());
        // They took none of the places for work.
        assert_eq!(slot.taken(), 0);
        slot.push(Lane::Work, 3).unwrap();
        let served = serve_rest(&slot, 1);
        assert_eq!(
            (served.len(), served.last()),
            (CONTROL_PLACES + 1, Some(&3))
        );
    });
}

#[test]
fn places_stay_exact_while_the_owner_serves() {
    in_every_order(|| {
        let slot = open(1);
        let callers = [pushing(&slot, Lane::Work, 1), pushing(&slot, Lane::Work, 2)];
        let mut served = serve_rest(&slot, 1);
        let ended = callers.map(|caller| caller.join().unwrap());
        for pushed in &ended {
            // Only ever full of the one; never of none, and never of two.
            assert!(
                pushed.is_ok()
                    || pushed
                        .as_ref()
                        .is_err_and(|(why, _)| *why == Refused::Full(1)),
                "{pushed:?}"
            );
        }
        served.extend(serve_rest(&slot, 1));
        let admitted = ended.iter().filter(|pushed| pushed.is_ok()).count();
        assert_eq!(served.len(), admitted, "{ended:?}");
        assert!(admitted >= 1);
        assert_eq!(slot.taken(), 0);
    });
}

/// How often an item ended in one of these ways.
fn count(item: u32, among: &[&[u32]]) -> usize {
    let all = among.iter().flat_map(|items| items.iter());
    all.filter(|other| **other == item).count()
}

#[test]
fn nothing_is_lost_or_served_twice_over_a_restart() {
    in_every_order(|| {
        let slot = open(4);
        let callers = [
            pushing(&slot, Lane::Work, 1),
            pushing(&slot, Lane::Control, 2),
        ];
        let mut by_old = Vec::new();
        if let Some(Next::Serve(item)) = glance(&slot, 1) {
            by_old.push(item);
        }
        slot.shut_own(1, 7);
        let mut back = slot.end(Some(1), is_even);
        // Between two incarnations nobody is admitted, so there is nothing more to sift.
        assert!(slot.claim(2, is_even).is_empty());
        assert!(back.iter().all(|item| !is_even(item)), "{back:?}");
        assert_eq!(glance(&slot, 1), Some(Next::Replaced));
        assert!(slot.open(2));
        let mut by_new = serve_rest(&slot, 2);
        for (item, caller) in [1, 2].into_iter().zip(callers) {
            if let Err((why, refused)) = caller.join().unwrap() {
                assert_eq!((why, refused), (Refused::Shut(7), item));
                back.push(refused);
            }
        }
        by_new.extend(serve_rest(&slot, 2));
        for item in [1, 2] {
            assert_eq!(
                count(item, &[&by_old, &by_new, &back]),
                1,
                "{item}: {by_old:?} {by_new:?} {back:?}"
            );
        }
        assert_eq!(slot.taken(), 0);
    });
}

#[test]
fn what_came_too_early_for_the_next_owner_is_not_its_unless_kept() {
    in_every_order(|| {
        let slot = open(4);
        let early = slot.push(Lane::Work, 1).is_ok() && slot.push(Lane::Work, 2).is_ok();
        assert!(early);
        let late = pushing(&slot, Lane::Work, 4);
        // Killed: whoever notices first cleans up, the incarnation itself or its supervisor.
        let end = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || {
                slot.shut_own(1, 7);
                slot.end(Some(1), is_even)
            })
        };
        slot.shut(7);
        let mut back = slot.end(None, is_even);
        back.extend(end.join().unwrap());
        assert_eq!(back, [1]);
        let late = late.join().unwrap();
        assert!(slot.claim(2, is_even).is_empty());
        let served = serve_rest(&slot, 2);
        assert_eq!(served, if late.is_ok() { vec![2, 4] } else { vec![2] });
    });
}

#[test]
fn an_end_that_is_asked_for_is_never_missed() {
    in_every_order(|| {
        let slot = Arc::new(Slot::new(4, 0));
        assert!(slot.claim(1, is_even).is_empty());
        let operator = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.stop(3))
        };
        // An owner that opens, or is not allowed to any more, and sleeps until it is told.
        slot.open(1);
        assert_eq!(next(&slot, 1), Next::Stop);
        operator.join().unwrap();
        assert_eq!((slot.is_open(), slot.shut_for()), (false, Some(3)));
        assert_eq!(slot.push(Lane::Work, 1), Err((Refused::Shut(3), 1)));
    });
}

#[test]
fn a_withdrawn_request_is_not_served_and_a_served_one_not_withdrawn() {
    in_every_order(|| {
        let slot = open(1);
        let ticket = slot.push(Lane::Work, 1).unwrap();
        let caller = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.withdraw(ticket))
        };
        let served = glance(&slot, 1);
        let withdrawn = caller.join().unwrap();
        match withdrawn {
            Some(item) => assert_eq!((item, served, slot.taken()), (1, None, 0)),
            None => assert_eq!((served, slot.taken()), (Some(Next::Serve(1)), 1)),
        }
        assert_eq!(glance(&slot, 1), None);
        assert_eq!(slot.taken(), 0);
    });
}

#[test]
fn what_was_admitted_is_served_before_a_drain_ends() {
    in_every_order(|| {
        let slot = open(2);
        let callers = [
            pushing(&slot, Lane::Work, 1),
            pushing(&slot, Lane::Control, 2),
        ];
        let operator = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.drain(4))
        };
        let mut served = Vec::new();
        loop {
            match next(&slot, 1) {
                Next::Serve(item) => served.push(item),
                Next::Drained => break,
                other => panic!("{other:?}"),
            }
        }
        operator.join().unwrap();
        for (item, caller) in [1, 2].into_iter().zip(callers) {
            match caller.join().unwrap() {
                Ok(_) => assert_eq!(count(item, &[&served]), 1),
                Err((why, _)) => {
                    assert_eq!((why, count(item, &[&served])), (Refused::Shut(4), 0));
                }
            }
        }
        assert_eq!((glance(&slot, 1), slot.taken()), (Some(Next::Drained), 0));
    });
}

#[test]
fn a_sleeping_owner_is_woken_by_every_lane() {
    for lane in [Lane::Work, Lane::Control] {
        in_every_order(move || {
            let slot = open(1);
            let caller = pushing(&slot, lane, 1);
            assert_eq!(next(&slot, 1), Next::Serve(1));
            caller.join().unwrap().unwrap();
        });
    }
    in_every_order(|| {
        let slot = open(1);
        let timer = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.push_own(Some(1), 1))
        };
        assert_eq!(next(&slot, 1), Next::Serve(1));
        assert_eq!(timer.join().unwrap(), None);
    });
}

#[test]
fn a_wake_for_a_withdrawn_request_swallows_none_for_the_next() {
    in_every_order(|| {
        let slot = open(1);
        let caller = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || {
                let ticket = slot.push(Lane::Work, 1).unwrap();
                let withdrawn = slot.withdraw(ticket).is_some();
                // Never in vain: a place was given back, or there are places for owners.
                slot.push(Lane::Control, 2).unwrap();
                withdrawn
            })
        };
        let mut served = Vec::new();
        while served.last() != Some(&2) {
            match next(&slot, 1) {
                Next::Serve(item) => served.push(item),
                other => panic!("{other:?}"),
            }
        }
        let withdrawn = caller.join().unwrap();
        assert_eq!(served, if withdrawn { vec![2] } else { vec![1, 2] });
    });
}
