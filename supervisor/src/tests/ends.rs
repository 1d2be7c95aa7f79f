//! The five ends are told apart, and each is recorded with what was in hand.

use super::lab::*;
use crate::*;

#[tokio::test(start_paused = true)]
async fn a_panic_is_recorded_with_message_and_place() {
    let (system, address, seed) = base_alone(Policy::default()).await;
    let mut events = system.subscribe(None);
    address.tell(LabMsg::Panic).unwrap();
    let event = loop {
        let event = events.next().await.unwrap();
        if event.state == State::Restarting {
            break event;
        }
    };
    let cause = event.cause.unwrap();
    assert_eq!(event.path, "/base/manager");
    assert_eq!(cause.code, "actor.panicked");
    assert!(cause.message.contains("told to"), "{}", cause.message);
    assert!(cause.message.contains("lab.rs"), "{}", cause.message);
    assert!(cause.message.contains("Panic"), "{}", cause.message);
    assert_eq!(event.action.as_deref(), Some("restart at once"));
    eventually("it serves again", || address.is_up()).await;
    assert_eq!(address.ask(|reply| LabMsg::Echo(7, reply)).await, Ok(7));
    assert_eq!(address.ask(LabMsg::Incarnation).await, Ok(2));
    assert_eq!(seed.stops.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_the_incarnation_and_is_recorded() {
    let (system, address, _seed) = base_alone(Policy::default()).await;
    address.tell(LabMsg::Fail).unwrap();
    eventually("restarted", || {
        reason(&system, "/base/manager").contains("told to fail")
    })
    .await;
    assert!(reason(&system, "/base/manager").starts_with("failed while it handled Fail"));
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_recorded_with_the_message_in_hand() {
    let (system, address, _seed) = base_alone(Policy::default()).await;
    let hung = tokio::time::timeout(
        std::time::Duration::from_millis(5),
        address.ask(LabMsg::Hang),
    )
    .await;
    assert!(hung.is_err());
    assert_eq!(
        system.inject("/base/manager", Injection::Kill).await,
        Ok(true)
    );
    eventually("killed", || !reason(&system, "/base/manager").is_empty()).await;
    assert_eq!(
        reason(&system, "/base/manager"),
        "was killed by a drill while it handled Hang"
    );
    eventually("serves", || address.is_up()).await;
    assert_eq!(address.ask(|reply| LabMsg::Echo(1, reply)).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_is_no_kill() {
    let record = crate::end::Record::default();
    let end = record.conclude(None, None);
    assert_eq!(end.code, "actor.cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_recorded_and_retried() {
    let seed = LabSeed::default();
    seed.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut builder = SystemBuilder::new();
    let address = builder.address::<Base>();
    builder.add::<Base>(address.clone(), Policy::default(), seed.clone());
    let system = builder.start().await.unwrap();
    system.ready().await;
    assert_eq!(reason(&system, "/base/manager"), "does not work now");
    let node = system.status(Some("/base"), None).unwrap();
    assert_eq!(node.level, Level::Offline);
    assert_eq!(node.cause.unwrap().code, "lab.broken");
    let refused = address.ask(|reply| LabMsg::Echo(1, reply)).await;
    assert!(matches!(refused, Err(AskError::Down { .. })), "{refused:?}");
    seed.broken
        .store(false, std::sync::atomic::Ordering::SeqCst);
    eventually("it came up", || {
        level(&system, "/base") == Some(Level::Normal)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_never_ends_is_killed_at_its_limit() {
    let seed = LabSeed::default();
    seed.slow.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut builder = SystemBuilder::new();
    let address = builder.address::<Base>();
    builder.add::<Base>(address, Policy::default(), seed.clone());
    let system = builder.start().await.unwrap();
    eventually("it is starting", || {
        state(&system, "/base") == Some(State::Starting)
    })
    .await;
    system.ready().await;
    assert!(reason(&system, "/base/manager").contains("start limit"));
    seed.slow.store(false, std::sync::atomic::Ordering::SeqCst);
    eventually("it came up", || {
        level(&system, "/base") == Some(Level::Normal)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_quarantined_at_once_and_probed() {
    let seed = LabSeed::default();
    seed.permanent
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let mut builder = SystemBuilder::new();
    let address = builder.address::<Base>();
    builder.add::<Base>(address, Policy::default(), seed.clone());
    let system = builder.start().await.unwrap();
    system.ready().await;
    assert_eq!(state(&system, "/base/manager"), Some(State::Quarantined));
    eventually("probed", || {
        seed.starts.load(std::sync::atomic::Ordering::SeqCst) >= 3
    })
    .await;
    seed.permanent
        .store(false, std::sync::atomic::Ordering::SeqCst);
    eventually("closed again", || {
        state(&system, "/base/manager") == Some(State::Running)
    })
    .await;
    assert_eq!(system.level(), Level::Normal);
}
