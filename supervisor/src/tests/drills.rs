//! Faults that drills inject into actors, and what they would reach.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::lab::*;
use crate::*;

const MANAGER: &str = "/base/manager";

async fn inject(system: &System, injection: Injection) {
    assert_eq!(system.inject(MANAGER, injection).await, Ok(true));
}

async fn is_serving(address: &Address<LabMsg>) -> bool {
    address.ask(|reply| LabMsg::Echo(7, reply)).await == Ok(7)
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_set_aside_and_ends_by_an_order() {
    let (system, address, seed) = base_alone(Policy::default()).await;
    inject(&system, Injection::CrashLoop(Duration::from_mins(10))).await;
    eventually("quarantined", || {
        state(&system, MANAGER) == Some(State::Quarantined)
    })
    .await;
    let cause = system
        .status(Some(MANAGER), Some(0))
        .and_then(|node| node.cause);
    assert_eq!(
        cause.map(|cause| cause.code).as_deref(),
        Some("actor.panicked")
    );
    system.act(MANAGER, Action::Start).unwrap();
    eventually("running", || {
        state(&system, MANAGER) == Some(State::Running)
    })
    .await;
    let starts = seed.starts.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(is_serving(&address).await);
    assert_eq!(seed.starts.load(Ordering::SeqCst), starts);
    let node = system.status(Some(MANAGER), Some(0)).unwrap();
    assert_eq!(node.restarts.in_window, 0, "forgiven");
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_ends_by_its_time() {
    let (system, address, _) = base_alone(Policy::default()).await;
    inject(&system, Injection::CrashLoop(Duration::from_millis(100))).await;
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert!(is_serving(&address).await);
    let node = system.status(Some(MANAGER), Some(0)).unwrap();
    assert!(node.restarts.count >= 1 && node.restarts.count <= 5);
}

#[tokio::test(start_paused = true)]
async fn a_hang_ends_by_its_time_or_by_the_handlers_limit() {
    let policy = Policy::default().handler_limit(Duration::from_secs(3));
    let (system, address, _) = base_alone(policy).await;
    for (span, restarts) in [(2, 0), (60, 1)] {
        inject(&system, Injection::Hang(Duration::from_secs(span))).await;
        eventually("told", || level(&system, MANAGER) == Some(Level::Degraded)).await;
        eventually("well", || level(&system, MANAGER) == Some(Level::Normal)).await;
        assert!(is_serving(&address).await);
        let node = system.status(Some(MANAGER), Some(0)).unwrap();
        assert_eq!(node.restarts.count, restarts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_keeps_callers_out_until_it_ends() {
    let (system, address, _) = base_alone(Policy::default()).await;
    inject(&system, Injection::Flood(Duration::from_secs(1))).await;
    let began = tokio::time::Instant::now();
    let (mut busy, mut served) = (0, 0);
    while began.elapsed() < Duration::from_millis(900) {
        match address.ask(|reply| LabMsg::Echo(1, reply)).await {
            Ok(_) => served += 1,
            Err(AskError::Busy { .. }) => busy += 1,
            Err(other) => panic!("{other}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(busy > 10 * served, "{busy} busy, {served} served");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(is_serving(&address).await);
    assert_eq!(
        system
            .status(Some(MANAGER), Some(0))
            .unwrap()
            .restarts
            .count,
        0
    );
}

#[test]
fn a_block_takes_its_time_and_no_more() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (system, address, _) = base_alone(Policy::default()).await;
        let began = tokio::time::Instant::now();
        inject(&system, Injection::Block(Duration::from_millis(200))).await;
        assert!(is_serving(&address).await);
        assert!(began.elapsed() >= Duration::from_millis(200));
    });
}

#[tokio::test(start_paused = true)]
async fn the_blast_radius_follows_what_parents_take_and_who_needs_whom() {
    let mut builder = SystemBuilder::new();
    let policies = [Policy::default(), Policy::default().bears(Level::Degraded)];
    builder.add::<Base>(builder.address::<Base>(), policies[0], LabSeed::default());
    builder.add::<Upper>(builder.address::<Upper>(), policies[1], LabSeed::default());
    builder.add::<Aside>(builder.address::<Aside>(), policies[0], LabSeed::default());
    let system = builder.start().await.unwrap();
    system.ready().await;
    let reached = |path: &str, level: Level| {
        let mut reached = system.blast_radius(path, level);
        reached.sort();
        reached
    };
    let named = |domains: &[(&str, Level)]| -> Vec<(String, Level)> {
        let domains = domains.iter();
        domains
            .map(|(domain, level)| ((*domain).to_owned(), *level))
            .collect()
    };
    let all = [
        ("aside", Level::Degraded),
        ("base", Level::Offline),
        ("upper", Level::Offline),
    ];
    assert_eq!(reached(MANAGER, Level::Offline), named(&all));
    let slow = ["aside", "base", "upper"].map(|domain| (domain, Level::Degraded));
    assert_eq!(reached(MANAGER, Level::Degraded), named(&slow));
    let capped = [("upper", Level::Degraded)];
    assert_eq!(reached("/upper/manager", Level::Offline), named(&capped));
    for (path, level) in [
        (MANAGER, Level::Normal),
        ("/", Level::Offline),
        ("/nobody/at", Level::Offline),
    ] {
        assert_eq!(reached(path, level), Vec::new(), "{path}");
    }
}
