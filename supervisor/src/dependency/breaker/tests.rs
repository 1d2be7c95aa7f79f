//! The breaker against a plain model that keeps every call and counts them anew each time.

use proptest::prelude::*;

use super::*;

const POLICY: DependencyPolicy = DependencyPolicy {
    window_calls: 8,
    window: Duration::from_secs(10),
    min_calls: 4,
    half_open_calls: 2,
    failure_rate_percent: 50,
    slow_rate_percent: 75,
    slow_call: Duration::from_secs(1),
    slow_opens: true,
    open: crate::spec::Backoff {
        first: Duration::from_secs(1),
        max: Duration::from_secs(20),
    },
    timeout: Duration::from_secs(5),
    call_limit: Duration::from_secs(5),
    attempts: 1,
    retry: crate::spec::Backoff {
        first: Duration::from_secs(1),
        max: Duration::from_secs(1),
    },
    retry_budget_percent: 0,
    max_in_flight: 1,
    probe_every: None,
    bears: crate::level::Level::Critical,
};

const FAST: Duration = Duration::ZERO;

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A breaker that four failures in a row have opened at `now`.
fn opened(now: Duration) -> Breaker {
    let mut breaker = Breaker::new(POLICY);
    for _ in 0..4 {
        let ticket = breaker.admit(now).unwrap();
        breaker.record(ticket, Outcome::FAULT, FAST, now, 0);
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    breaker
}

#[test]
fn it_opens_tries_and_closes() {
    let mut breaker = opened(secs(1));
    let refused = breaker.admit(secs(1)).unwrap_err();
    assert!(refused <= secs(1) && refused >= secs(1) * 3 / 4);
    let first = breaker.admit(secs(2)).unwrap();
    let second = breaker.admit(secs(2)).unwrap();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(breaker.admit(secs(2)).is_err(), "two trials at most");
    breaker.release(second);
    let second = breaker.admit(secs(2)).unwrap();
    breaker.record(first, Outcome::SUCCESS, FAST, secs(2), 0);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    breaker.record(second, Outcome::SUCCESS, FAST, secs(2), 0);
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(breaker.rates(secs(2)), Rates::default());
}

#[test]
fn a_failed_trial_doubles_the_span_up_to_the_longest() {
    let mut breaker = opened(secs(1));
    let mut now = secs(1);
    let mut spans = Vec::new();
    for _ in 0..8 {
        now = breaker.until().unwrap();
        let ticket = breaker.admit(now).unwrap();
        breaker.record(ticket, Outcome::FAULT, FAST, now, u64::MAX);
        spans.push(breaker.until().unwrap().saturating_sub(now));
    }
    assert!(spans.is_sorted() && spans[0] < secs(3) && spans[0] > secs(1));
    assert!(spans[7] <= secs(20) && spans[7] >= secs(15));
    // A healthy span later it begins anew.
    breaker.reset(now);
    now += secs(11);
    breaker.trip(None, now, 0);
    assert!(breaker.until().unwrap() <= now + secs(1));
}

#[test]
fn it_leaves_a_dependency_alone_for_as_long_as_that_asks() {
    let mut breaker = Breaker::new(POLICY);
    breaker.trip(Some(secs(90)), secs(1), 0);
    assert_eq!(breaker.until(), Some(secs(91)));
    let mut breaker = Breaker::new(POLICY);
    breaker.trip(Some(secs(1_000_000)), secs(1), 0);
    assert_eq!(breaker.until(), Some(secs(1) + LONGEST_WAIT));
}

#[test]
fn slow_calls_open_it_only_where_the_policy_says_so() {
    for slow_opens in [false, true] {
        let mut breaker = Breaker::new(DependencyPolicy {
            slow_opens,
            ..POLICY
        });
        for _ in 0..4 {
            let ticket = breaker.admit(secs(1)).unwrap();
            breaker.record(ticket, Outcome::SUCCESS, secs(1), secs(1), 0);
        }
        let is_open = breaker.state() == BreakerState::Open;
        assert_eq!(
            (is_open, breaker.is_slow(secs(1))),
            (slow_opens, !slow_opens)
        );
        // What is slow is forgotten with the window.
        assert!(!breaker.is_slow(secs(12)));
    }
}

#[test]
fn an_operator_holds_it_and_lets_go() {
    let mut breaker = Breaker::new(POLICY);
    breaker.force(Forced::Open, secs(5));
    breaker.reset(secs(1));
    assert_eq!(breaker.admit(secs(1)), Err(secs(4)));
    let trial = breaker.admit(secs(5)).unwrap();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    breaker.record(trial, Outcome::FAULT, FAST, secs(5), 0);
    assert_eq!(breaker.state(), BreakerState::Open);
    breaker.force(Forced::Closed, secs(9));
    breaker.trip(None, secs(6), 0);
    assert!(breaker.admit(secs(8)).is_ok());
    assert!(breaker.admit(secs(9)).is_ok());
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Admit,
    /// Ends the n-th call under way: failed, how long it took.
    End(usize, bool, u64, Option<u64>),
    Drop(usize),
    Trip(Option<u64>),
    Reset,
    Force(bool, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..4_000).prop_map(Step::Wait),
        8 => Just(Step::Admit),
        8 => (0_usize..8, any::<bool>(), 0_u64..1_500, prop::option::weighted(0.1, 0_u64..40_000))
            .prop_map(|(call, failed, took, wait)| Step::End(call, failed, took, wait)),
        1 => (0_usize..8).prop_map(Step::Drop),
        1 => prop::option::of(0_u64..40_000).prop_map(Step::Trip),
        1 => Just(Step::Reset),
        1 => (any::<bool>(), 0_u64..5_000).prop_map(|(open, span)| Step::Force(open, span)),
    ];
    prop::collection::vec(step, 0..200)
}

/// What the plain model thinks the state is.
#[derive(Debug, Clone, PartialEq)]
enum Plain {
    Closed,
    Open { until: Duration },
    HalfOpen { out: Vec<u64>, good: u32 },
}

/// Keeps every call since it closed, and looks through all of them whenever it is asked.
struct Model {
    plain: Plain,
    calls: Vec<(Duration, bool, bool)>,
    /// Which life of a state a call belongs to.
    life: u64,
    held: Option<(Forced, Duration)>,
}

impl Model {
    fn turn(&mut self, plain: Plain) {
        if plain == Plain::Closed {
            self.calls.clear();
        }
        self.plain = plain;
        self.life += 1;
    }

    fn pass(&mut self, now: Duration) {
        if let Some((held, until)) = self.held
            && until <= now
        {
            self.held = None;
            self.turn(match held {
                Forced::Open => Plain::Open { until },
                Forced::Closed => Plain::Closed,
            });
        }
    }

    fn recent(&self, now: Duration) -> Vec<(bool, bool)> {
        let last = self
            .calls
            .len()
            .saturating_sub(POLICY.window_calls as usize);
        let recent = self.calls[last..].iter();
        recent
            .filter(|(at, ..)| *at + POLICY.window >= now)
            .map(|(_, failed, slow)| (*failed, *slow))
            .collect()
    }

    fn is_over(&self, now: Duration) -> bool {
        let recent = self.recent(now);
        let (all, failed) = (recent.len(), recent.iter().filter(|call| call.0).count());
        let slow = recent.iter().filter(|call| call.1).count();
        all >= 4 && (failed * 2 >= all || slow * 4 >= all * 3)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn it_does_what_the_plain_model_does(steps in steps(), random: u64) {
        let mut breaker = Breaker::new(POLICY);
        let mut model = Model { plain: Plain::Closed, calls: Vec::new(), life: 0, held: None };
        let mut now = Duration::ZERO;
        // Calls under way: ticket, the life it was given in, the model's id of it.
        let mut out: Vec<(Ticket, u64, u64)> = Vec::new();
        let mut next_id = 0;
        for step in steps {
            match step {
                Step::Wait(ms) => now += Duration::from_millis(ms),
                Step::Admit => {
                    model.pass(now);
                    let held = model.held.map(|(held, _)| held);
                    let allowed = match (held, &model.plain) {
                        (Some(held), _) => held == Forced::Closed,
                        (None, Plain::Closed) => true,
                        (None, Plain::Open { until }) => now >= *until,
                        (None, Plain::HalfOpen { out, good }) => out.len() + (*good as usize) < 2,
                    };
                    let admitted = breaker.admit(now);
                    prop_assert_eq!(admitted.is_ok(), allowed);
                    match admitted {
                        Ok(ticket) => {
                            if held.is_none() {
                                if matches!(model.plain, Plain::Open { .. }) {
                                    model.turn(Plain::HalfOpen { out: Vec::new(), good: 0 });
                                }
                                if let Plain::HalfOpen { out, .. } = &mut model.plain {
                                    out.push(next_id);
                                }
                            }
                            out.push((ticket, model.life, next_id));
                            next_id += 1;
                        }
                        Err(wait) => prop_assert!(wait > Duration::ZERO && wait <= secs(40)),
                    }
                }
                Step::End(call, failed, took, wait) if call < out.len() => {
                    let (ticket, life, id) = out.remove(call);
                    let took = Duration::from_millis(took);
                    let wait = wait.map(Duration::from_millis);
                    breaker.record(ticket, Outcome { is_fault: failed, wait }, took, now, random);
                    model.pass(now);
                    let slow = took >= secs(1);
                    if life == model.life {
                        let mut opens = false;
                        let held = model.held.is_some();
                        match &mut model.plain {
                            Plain::Closed => {
                                model.calls.push((now, failed, slow));
                                opens = !held && model.is_over(now);
                            }
                            Plain::HalfOpen { .. } if failed || slow => opens = true,
                            Plain::HalfOpen { out, good } => {
                                out.retain(|other| *other != id);
                                *good += 1;
                                if *good == 2 {
                                    model.turn(Plain::Closed);
                                }
                            }
                            Plain::Open { .. } => {}
                        }
                        if opens {
                            model.turn(Plain::Open { until: breaker.until().unwrap() });
                        }
                    }
                }
                Step::Drop(call) if call < out.len() => {
                    let (ticket, life, id) = out.remove(call);
                    breaker.release(ticket);
                    if let Plain::HalfOpen { out, .. } = &mut model.plain && life == model.life {
                        out.retain(|other| *other != id);
                    }
                }
                Step::End(..) | Step::Drop(_) => {}
                Step::Trip(wait) => {
                    model.pass(now);
                    breaker.trip(wait.map(Duration::from_millis), now, random);
                    if model.held.is_none() && !matches!(model.plain, Plain::Open { .. }) {
                        model.turn(Plain::Open { until: breaker.until().unwrap() });
                    }
                }
                Step::Reset => {
                    model.pass(now);
                    breaker.reset(now);
                    if model.held.is_none() && model.plain != Plain::Closed {
                        model.turn(Plain::Closed);
                    }
                }
                Step::Force(open, span) => {
                    let forced = if open { Forced::Open } else { Forced::Closed };
                    let until = now + Duration::from_millis(span);
                    breaker.force(forced, until);
                    model.held = Some((forced, until));
                    model.life += 1;
                }
            }
            let shown = match (model.held, &model.plain) {
                (Some((Forced::Open, _)), _) | (None, Plain::Open { .. }) => BreakerState::Open,
                (Some((Forced::Closed, _)), _) | (None, Plain::Closed) => BreakerState::Closed,
                (None, Plain::HalfOpen { .. }) => BreakerState::HalfOpen,
            };
            prop_assert_eq!(breaker.state(), shown);
            if let (None, Plain::Open { until }) = (model.held, &model.plain) {
                prop_assert!(breaker.until() == Some(*until));
                prop_assert!(*until <= now + secs(40), "open for longer than anybody asked");
            }
            if model.plain == Plain::Closed {
                let recent = model.recent(now);
                let rates = breaker.rates(now);
                prop_assert_eq!(rates.calls as usize, recent.len());
                prop_assert_eq!(rates.faults as usize, recent.iter().filter(|call| call.0).count());
                prop_assert_eq!(rates.slow as usize, recent.iter().filter(|call| call.1).count());
            }
        }
    }
}

proptest! {
    /// A call that is only told of counts as one with a ticket, and many well ones at once as one after the other.
    #[test]
    fn what_is_heard_counts_as_what_had_a_ticket(
        calls in prop::collection::vec((0_u64..3_000, any::<bool>(), any::<bool>(), 1_u64..6), 1..60),
    ) {
        let policy = DependencyPolicy { slow_opens: false, failure_rate_percent: 100, ..POLICY };
        let (mut asked, mut told) = (Breaker::new(policy), Breaker::new(policy));
        let mut now = secs(5);
        for (gap, is_fault, is_slow, times) in calls {
            now += Duration::from_millis(gap);
            let took = if is_slow { policy.slow_call } else { FAST };
            let outcome = if is_fault { Outcome::FAULT } else { Outcome::SUCCESS };
            for _ in 0..times {
                let Ok(ticket) = asked.admit(now) else { return Ok(()) };
                asked.record(ticket, outcome, took, now, 0);
            }
            if is_fault || is_slow {
                (0..times).for_each(|_| told.hear(outcome, took, now, 0));
            } else {
                told.hear_well(times, now, 0);
            }
            prop_assert_eq!(asked.state(), told.state());
            if asked.state() != BreakerState::Closed {
                prop_assert_eq!(asked.until(), told.until());
                return Ok(());
            }
            prop_assert_eq!(asked.rates(now), told.rates(now));
        }
    }
}
