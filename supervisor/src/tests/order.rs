//! Start order, waiting, and the reverse on the way down.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::lab::*;
use crate::*;

/// base, upper (needs base hard), aside (needs base softly), all with the same log.
async fn three(seed: &LabSeed, upper: &LabSeed) -> (System, Address<LabMsg>, Address<LabMsg>) {
    let mut builder = SystemBuilder::new();
    let upper_address = builder.address::<Upper>();
    let base_address = builder.address::<Base>();
    let aside_address = builder.address::<Aside>();
    let policy = Policy::default();
    builder.add::<Upper>(upper_address.clone(), policy, upper.clone());
    builder.add::<Aside>(aside_address, policy, seed.clone());
    builder.add::<Base>(base_address.clone(), policy, seed.clone());
    let system = builder.start().await.unwrap();
    (system, base_address, upper_address)
}

fn sharing_log(seed: &LabSeed) -> LabSeed {
    LabSeed {
        log: seed.log.clone(),
        ..LabSeed::default()
    }
}

#[tokio::test(start_paused = true)]
async fn needs_start_first_and_stop_last() {
    let seed = LabSeed::default();
    let (system, _, _) = three(&seed, &sharing_log(&seed)).await;
    system.ready().await;
    assert_eq!(system.level(), Level::Normal);
    let report = system.stop().await;
    assert!(report.killed.is_empty());
    let log = seed.log.lock().unwrap().clone();
    let at = |entry: &str| log.iter().position(|line| line == entry).unwrap();
    assert!(at("start /base/manager") < at("start /upper/manager"));
    assert!(at("stop /upper/manager") < at("stop /base/manager"));
    assert!(at("stop /aside/manager") < at("stop /base/manager"));
    assert_eq!(log.len(), 6, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn who_needs_something_down_waits_and_starts_when_it_recovers() {
    let seed = LabSeed::default();
    seed.broken.store(true, Ordering::SeqCst);
    let upper_seed = LabSeed::default();
    let (system, _, upper) = three(&seed, &upper_seed).await;
    system.ready().await;
    assert_eq!(state(&system, "/upper"), Some(State::Waiting));
    let node = system.status(Some("/upper"), None).unwrap();
    let cause = node.cause.unwrap();
    assert_eq!(
        (cause.path.as_str(), cause.code.as_str()),
        ("/base/manager", "lab.broken")
    );
    assert_eq!(node.level, Level::Offline);
    assert!(!upper.is_up());
    seed.broken.store(false, Ordering::SeqCst);
    eventually("upper came up", || upper.is_up()).await;
    eventually("all is well", || system.level() == Level::Normal).await;
    assert_eq!(upper_seed.starts.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_need_that_fails_later_stops_nobody() {
    let seed = LabSeed::default();
    let upper_seed = LabSeed::default();
    let (system, base, upper) = three(&seed, &upper_seed).await;
    system.ready().await;
    base.tell(LabMsg::Panic).unwrap();
    eventually("restarted", || seed.starts.load(Ordering::SeqCst) == 3).await;
    assert_eq!(upper.ask(LabMsg::Incarnation).await, Ok(1));
    assert_eq!(upper_seed.starts.load(Ordering::SeqCst), 1);
    eventually("normal", || system.level() == Level::Normal).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_killed_at_the_stop_limit_and_named() {
    let (system, address, seed) = base_alone(Policy::default()).await;
    let hung = address
        .ask_within(Duration::from_millis(1), LabMsg::Hang)
        .await;
    assert!(hung.is_err());
    let began = tokio::time::Instant::now();
    let report = system.stop().await;
    assert_eq!(report.killed, vec!["/base/manager".to_owned()]);
    assert!(began.elapsed() < Duration::from_secs(7));
    assert_eq!(seed.stops.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_served_before_the_stop() {
    let (system, address, _seed) = base_alone(Policy::default()).await;
    let asks: Vec<_> = (0..5)
        .map(|value| address.ask(move |reply| LabMsg::Echo(value, reply)))
        .collect();
    let mut asks = Box::pin(futures::future::join_all(asks));
    assert!(futures::poll!(&mut asks).is_pending());
    system.act("/base/manager", Action::Stop).unwrap();
    for (value, answer) in (0..5).zip(asks.await) {
        assert_eq!(answer, Ok(value));
    }
}

#[tokio::test]
async fn a_cycle_and_an_unknown_need_are_refused_before_any_start() {
    let mut builder = SystemBuilder::new();
    let address = builder.address::<Loop>();
    builder.add::<Loop>(address, Policy::default(), LabSeed::default());
    let error = builder.start().await.unwrap_err();
    assert_eq!(error, BuildError::Cycle(vec!["loop", "loop"]));

    let mut builder = SystemBuilder::new();
    let address = builder.address::<Upper>();
    builder.add::<Upper>(address, Policy::default(), LabSeed::default());
    let error = builder.start().await.unwrap_err();
    let unknown = BuildError::UnknownNeed {
        domain: "upper",
        need: "base",
    };
    assert_eq!(error, unknown);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_domain_lowers_nothing() {
    let mut builder = SystemBuilder::new();
    builder.disable::<Base>("set base.enabled = true");
    let address = builder.address::<Aside>();
    builder.add::<Aside>(address, Policy::default(), LabSeed::default());
    let system = builder.start().await.unwrap();
    system.ready().await;
    assert_eq!(state(&system, "/base"), Some(State::Disabled));
    assert_eq!(system.level(), Level::Normal);
    assert!(matches!(
        system.act("/base", Action::Start),
        Err(ActError::Disabled(_))
    ));
}
