//! The slot step by step, against a plain queue. What threads do to it at once is in `tests/loom`.
//!
//! Not beside the slot, because the model checker takes in that file as it is.

use std::collections::VecDeque as Model;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use crate::slot::{Lane, Next, Refused, Slot};

fn next(slot: &Slot<u32, u8>, owner: u64) -> Option<Next<u32>> {
    let mut cx = Context::from_waker(Waker::noop());
    match slot.poll_next(owner, &mut cx) {
        Poll::Ready(next) => Some(next),
        Poll::Pending => None,
    }
}

#[test]
fn control_goes_first_and_into_a_full_mailbox() {
    let slot = Slot::new(1, 0);
    drop(slot.claim(1, |_| false));
    assert_eq!(slot.push(Lane::Work, 1), Err((Refused::Shut(0), 1)));
    assert!(slot.open(1));
    slot.push(Lane::Work, 1).unwrap();
    assert_eq!(slot.push(Lane::Work, 2), Err((Refused::Full(1), 2)));
    slot.push(Lane::Control, 3).unwrap();
    assert_eq!(next(&slot, 1), Some(Next::Serve(3)));
    assert_eq!(next(&slot, 1), Some(Next::Serve(1)));
    // What is in hand still takes its place.
    assert_eq!(slot.push(Lane::Work, 2), Err((Refused::Full(1), 2)));
    assert_eq!(next(&slot, 1), None);
    slot.push(Lane::Work, 2).unwrap();
}

#[test]
fn what_is_kept_is_served_by_the_next_owner() {
    let slot = Slot::new(8, 0);
    drop(slot.claim(1, |_| false));
    assert!(slot.open(1));
    for item in 0..4 {
        slot.push(Lane::Work, item).unwrap();
    }
    assert_eq!(slot.push_own(Some(1), 10), None);
    assert_eq!(slot.push_own(Some(2), 11), Some(11));
    assert_eq!(next(&slot, 1), Some(Next::Serve(0)));
    slot.shut_own(1, 7);
    let dropped = slot.end(Some(1), |item| item % 2 == 1);
    assert_eq!(dropped, vec![2, 10]);
    drop(slot.claim(2, |_| true));
    assert_eq!(slot.push(Lane::Work, 9), Err((Refused::Shut(7), 9)));
    assert!(slot.open(2));
    assert_eq!(next(&slot, 1), Some(Next::Replaced));
    assert_eq!(next(&slot, 2), Some(Next::Serve(1)));
    assert_eq!(next(&slot, 2), Some(Next::Serve(3)));
    assert_eq!(slot.taken(), 1);
    assert_eq!(next(&slot, 2), None);
    assert_eq!(slot.taken(), 0);
}

#[test]
fn a_slot_that_was_asked_to_end_does_not_open_again() {
    let slot: Slot<u32, u8> = Slot::new(8, 0);
    drop(slot.claim(1, |_| false));
    slot.stop(3);
    assert!(!slot.open(1));
    assert_eq!(next(&slot, 1), Some(Next::Stop));
    drop(slot.claim(2, |_| false));
    assert!(slot.open(2));
    slot.drain(4);
    assert_eq!(next(&slot, 2), Some(Next::Drained));
}

#[derive(Debug, Clone)]
enum Step {
    Push(u32),
    Withdraw(usize),
    Next,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u32>().prop_map(Step::Push),
        1 => (0_usize..8).prop_map(Step::Withdraw),
        3 => Just(Step::Next),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Against a plain queue: nothing is lost, nothing is served twice, and the places taken are what is there.
    #[test]
    fn nothing_is_lost_and_places_are_exact(steps in prop::collection::vec(step(), 1..200)) {
        let slot: Slot<u32, u8> = Slot::new(5, 0);
        let mut owner = 1;
        drop(slot.claim(owner, |_| true));
        prop_assert!(slot.open(owner));
        let mut model: Model<(u64, u32)> = Model::new();
        let mut in_hand = 0;
        for step in steps {
            match step {
                Step::Push(item) => match slot.push(Lane::Work, item) {
                    Ok(ticket) => model.push_back((ticket, item)),
                    Err((refused, back)) => {
                        prop_assert_eq!(refused, Refused::Full(5));
                        prop_assert_eq!(back, item);
                        prop_assert_eq!(model.len() + in_hand, 5);
                    }
                },
                Step::Withdraw(at) => {
                    if let Some((ticket, item)) = model.remove(at) {
                        prop_assert_eq!(slot.withdraw(ticket), Some(item));
                        prop_assert_eq!(slot.withdraw(ticket), None);
                    }
                }
                Step::Next => {
                    let expected = model.pop_front().map(|(_, item)| Next::Serve(item));
                    in_hand = usize::from(expected.is_some());
                    prop_assert_eq!(next(&slot, owner), expected);
                }
                Step::Restart => {
                    // Even numbers survive.
                    slot.shut_own(owner, 1);
                    let dropped = slot.end(Some(owner), |item| item % 2 == 0);
                    let lost: Vec<u32> = model.iter().map(|(_, i)| *i).filter(|i| i % 2 == 1).collect();
                    prop_assert_eq!(dropped, lost);
                    model.retain(|(_, item)| item % 2 == 0);
                    in_hand = 0;
                    owner += 1;
                    drop(slot.claim(owner, |_| true));
                    prop_assert!(slot.open(owner));
                }
            }
            prop_assert_eq!(slot.taken() as usize, model.len() + in_hand);
        }
    }
}
