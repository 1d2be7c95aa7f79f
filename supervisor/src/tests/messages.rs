//! What becomes of messages: deadlines of handlers, survival, priority, withdrawal, and who waits for whom.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::lab::*;
use crate::*;

/// An owned ask whose answer can be looked at later.
struct Asked<T> {
    answer: Arc<std::sync::Mutex<Option<T>>>,
    task: task::OwnedTask,
}

impl<T: Send + 'static> Asked<T> {
    fn new(ask: impl Future<Output = T> + Send + 'static) -> Self {
        let answer = Arc::new(std::sync::Mutex::new(None));
        let told = Arc::clone(&answer);
        let task = task::spawn(async move {
            let value = ask.await;
            *told.lock().unwrap() = Some(value);
        });
        Self { answer, task }
    }

    async fn answer(mut self) -> T {
        self.task.finished().await;
        self.answer.lock().unwrap().take().expect("it ended")
    }
}

/// A handler that waits until it is let go.
async fn occupied(address: &Address<LabMsg>) -> (Arc<Notify>, Asked<Result<(), AskError>>) {
    let gate = Arc::new(Notify::new());
    let (asked, its_gate) = (address.clone(), Arc::clone(&gate));
    let asked = Asked::new(async move { asked.ask(|reply| LabMsg::Wait(its_gate, reply)).await });
    let cell = Arc::clone(address.cell());
    eventually("it is in hand", move || cell.in_hand().is_some()).await;
    (gate, asked)
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_killed_at_its_limit_and_started_again() {
    let policy = Policy::default().handler_limit(Duration::from_secs(2));
    let (system, address, _seed) = base_alone(policy).await;
    let began = Instant::now();
    let hung = address.ask(LabMsg::Hang).await;
    assert!(matches!(hung, Err(AskError::Died { .. })), "{hung:?}");
    eventually("up again", || address.is_up()).await;
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(2) && took <= Duration::from_millis(2_200),
        "{took:?}"
    );
    assert_eq!(address.ask(LabMsg::Incarnation).await, Ok(2));
    let reason = reason(&system, "/base/manager");
    assert!(
        reason.contains("made no progress with Hang for 2000 ms"),
        "{reason}"
    );
    let events = system.events(None, Some("/base/manager"), 100);
    let ended = events
        .iter()
        .find_map(|event| event.end.clone())
        .expect("an end");
    assert_eq!(ended.kind, EndedBy::Kill);
    assert_eq!(ended.message_type.as_deref(), Some("Hang"));
    assert_eq!((ended.mailbox_depth, ended.incarnation), (1, 1));
    let outcome = events
        .iter()
        .rev()
        .find_map(|event| event.action.clone())
        .unwrap();
    assert!(outcome.starts_with("serves again after"), "{outcome}");
}

#[tokio::test(start_paused = true)]
async fn the_status_says_that_an_actor_is_stuck_long_before_its_limit() {
    let policy = Policy::default().handler_limit(Duration::from_mins(1));
    let (system, address, _seed) = base_alone(policy).await;
    let (gate, asked) = occupied(&address).await;
    let began = Instant::now();
    eventually("stuck", || {
        level(&system, "/base/manager") == Some(Level::Degraded)
    })
    .await;
    assert!(
        began.elapsed() <= Duration::from_millis(600),
        "{:?}",
        began.elapsed()
    );
    let cause = system
        .status(Some("/base"), Some(0))
        .unwrap()
        .cause
        .unwrap();
    assert_eq!(
        (cause.path.as_str(), cause.code.as_str()),
        ("/base/manager", "actor.stuck")
    );
    assert!(
        cause.message.contains("has handled Wait"),
        "{}",
        cause.message
    );
    gate.notify_one();
    assert_eq!(asked.answer().await, Ok(()));
    eventually("well again", || system.level() == Level::Normal).await;
}

#[tokio::test(start_paused = true)]
async fn work_that_shows_progress_or_is_protected_is_not_killed() {
    let policy = Policy::default().handler_limit(Duration::from_secs(1));
    let (_system, address, _seed) = base_alone(policy).await;
    let limit = Duration::from_mins(5);
    let toil = |reply| LabMsg::Toil(20, Duration::from_millis(900), reply);
    assert_eq!(address.ask_within(limit, toil).await, Ok(()));
    let long = |reply| LabMsg::Long(Duration::from_mins(2), reply);
    assert_eq!(address.ask_within(limit, long).await, Ok(()));
    assert_eq!(address.ask(LabMsg::Incarnation).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn what_survives_is_served_by_the_next_incarnation_and_the_rest_is_told_at_once() {
    let (_system, address, _seed) = base_alone(Policy::default()).await;
    let (gate, occupied) = occupied(&address).await;
    address.tell(LabMsg::Panic).unwrap();
    let other = address.clone();
    let kept = Asked::new(async move { other.ask(|reply| LabMsg::Keep(5, reply)).await });
    let other = address.clone();
    let lost = Asked::new(async move { other.ask(|reply| LabMsg::Echo(5, reply)).await });
    eventually("all wait", || address.cell().mailbox().depth == 4).await;
    gate.notify_one();
    assert_eq!(occupied.answer().await, Ok(()));
    assert_eq!(kept.answer().await, Ok((5, 2)));
    let lost = lost.answer().await;
    assert!(matches!(lost, Err(AskError::Down { .. })), "{lost:?}");
    assert_eq!(address.cell().mailbox().depth, 0);
}

#[tokio::test(start_paused = true)]
async fn what_survives_is_dismissed_when_there_is_no_next_incarnation() {
    let (system, address, _seed) = base_alone(Policy::default()).await;
    let (_gate, _occupied) = occupied(&address).await;
    let other = address.clone();
    let kept = Asked::new(async move {
        let long = Duration::from_hours(1);
        other.ask_within(long, |reply| LabMsg::Keep(5, reply)).await
    });
    eventually("it waits", || address.cell().mailbox().depth == 2).await;
    system.act("/base/manager", Action::Stop).unwrap();
    let kept = kept.answer().await;
    assert!(matches!(kept, Err(AskError::Down { .. })), "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn control_is_served_first_and_admitted_by_a_full_mailbox() {
    let (_system, address, _seed) = base_alone(Policy::default()).await;
    let (gate, _occupied) = occupied(&address).await;
    let mut waiting = Vec::new();
    for value in 0..7 {
        let other = address.clone();
        waiting.push(Asked::new(async move {
            other.ask(|reply| LabMsg::Echo(value, reply)).await
        }));
    }
    eventually("full", || address.cell().mailbox().depth == 8).await;
    let refused = address.ask(|reply| LabMsg::Echo(1, reply)).await;
    assert!(matches!(refused, Err(AskError::Busy { .. })), "{refused:?}");
    let other = address.clone();
    let urgent = Asked::new(async move { other.ask(LabMsg::Urgent).await });
    tokio::task::yield_now().await;
    gate.notify_one();
    assert_eq!(urgent.answer().await, Ok(()));
    for (value, asked) in (0..).zip(waiting) {
        assert_eq!(asked.answer().await, Ok(value));
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_leaves_the_mailbox_at_once() {
    let (_system, address, seed) = base_alone(Policy::default()).await;
    let (gate, occupied) = occupied(&address).await;
    let other = address.clone();
    let gone = Asked::new(async move { other.ask(|reply| LabMsg::Echo(1, reply)).await });
    eventually("it waits", || address.cell().mailbox().depth == 2).await;
    drop(gone);
    eventually("it left", || address.cell().mailbox().depth == 1).await;
    let late = address
        .ask_within(Duration::from_millis(20), |reply| LabMsg::Echo(1, reply))
        .await;
    assert!(matches!(late, Err(AskError::Deadline { .. })), "{late:?}");
    assert_eq!(address.cell().mailbox().depth, 1);
    gate.notify_one();
    assert_eq!(occupied.answer().await, Ok(()));
    assert_eq!(seed.starts.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_killed_domain_leaves_no_caller_waiting() {
    let (system, address, _seed) = base_alone(Policy::default()).await;
    let (_gate, occupied) = occupied(&address).await;
    let other = address.clone();
    let waiting = Asked::new(async move { other.ask(|reply| LabMsg::Echo(1, reply)).await });
    eventually("it waits", || address.cell().mailbox().depth == 2).await;
    assert_eq!(system.inject("/base", Injection::Kill).await, Ok(true));
    let occupied = occupied.answer().await;
    assert!(
        matches!(occupied, Err(AskError::Died { .. })),
        "{occupied:?}"
    );
    let waiting = waiting.answer().await;
    assert!(matches!(waiting, Err(AskError::Down { .. })), "{waiting:?}");
    eventually("up again", || address.is_up()).await;
    assert_eq!(address.ask(|reply| LabMsg::Echo(1, reply)).await, Ok(1));
}
