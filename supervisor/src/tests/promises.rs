//! Addresses, budgets, conditions, keyed children.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;

use super::lab::*;
use crate::*;

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_at_once() {
    let (_system, address, _seed) = base_alone(Policy::default()).await;
    let gate = Arc::new(Notify::new());
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let (address, gate) = (address.clone(), Arc::clone(&gate));
        waiting.push(task::spawn(async move {
            let answer = address.ask(|reply| LabMsg::Wait(gate, reply)).await;
            assert_eq!(answer, Ok(()));
        }));
    }
    let full = || async { address.ask(|reply| LabMsg::Echo(1, reply)).await };
    let mut refused = None;
    for _ in 0..100 {
        tokio::task::yield_now().await;
        if let Err(error @ AskError::Busy { .. }) =
            tokio::time::timeout(Duration::from_millis(1), full())
                .await
                .unwrap_or(Ok(0))
        {
            refused = Some(error);
            break;
        }
    }
    let Some(AskError::Busy {
        depth, retry_after, ..
    }) = refused
    else {
        panic!("never full");
    };
    assert_eq!(depth, 8);
    assert!(retry_after >= Duration::from_millis(50));
    for _ in 0..8 {
        gate.notify_one();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for mut task in waiting {
        task.finished().await;
    }
    assert_eq!(full().await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_hung_actor_costs_its_callers_their_deadline_and_no_more() {
    let (_system, address, _seed) = base_alone(Policy::default()).await;
    let asked = address
        .ask_within(Duration::from_millis(20), LabMsg::Hang)
        .await;
    assert!(matches!(asked, Err(AskError::Deadline { .. })), "{asked:?}");
    let ambient = tokio::time::Instant::now() + Duration::from_millis(30);
    let asked = with_deadline(ambient, address.ask(|reply| LabMsg::Echo(1, reply))).await;
    assert!(matches!(asked, Err(AskError::Deadline { .. })), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_before_a_crash_gets_a_typed_error() {
    let (_system, address, _seed) = base_alone(Policy::default()).await;
    address.tell(LabMsg::Panic).unwrap();
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(address.ask(|reply| LabMsg::Echo(1, reply)));
    }
    for answer in futures::future::join_all(answers).await {
        assert!(
            matches!(
                answer,
                Ok(1) | Err(AskError::Died { .. } | AskError::Down { .. })
            ),
            "{answer:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_blown_budget_is_quarantined_and_siblings_see_nothing() {
    let seed = LabSeed::default();
    let other = LabSeed::default();
    let mut builder = SystemBuilder::new();
    let base = builder.address::<Base>();
    let aside = builder.address::<Aside>();
    let policy = Policy::default().budget(2, Duration::from_mins(1));
    builder.add::<Base>(base.clone(), policy, seed.clone());
    builder.add::<Aside>(aside.clone(), policy, other.clone());
    let system = builder.start().await.unwrap();
    system.ready().await;
    for crash in 1..=3 {
        eventually("up", || base.is_up()).await;
        assert_eq!(seed.starts.load(Ordering::SeqCst), crash);
        base.tell(LabMsg::Panic).unwrap();
        eventually("it ended", || {
            let ended = system.status(Some("/base/manager"), None).unwrap();
            ended.restarts.count == u64::from(crash)
        })
        .await;
    }
    eventually("quarantined", || {
        state(&system, "/base/manager") == Some(State::Quarantined)
    })
    .await;
    let node = system.status(Some("/aside"), None).unwrap();
    assert_eq!(node.level, Level::Degraded);
    assert_eq!(node.cause.as_ref().unwrap().path, "/base/manager");
    assert_eq!(node.fallback.as_deref(), Some("the other one"));
    assert_eq!(aside.ask(|reply| LabMsg::Echo(3, reply)).await, Ok(3));
    assert_eq!(other.starts.load(Ordering::SeqCst), 1);
    assert_eq!(system.level(), Level::Offline);
    eventually("half-open, then closed", || system.level() == Level::Normal).await;
    assert_eq!(base.ask(|reply| LabMsg::Echo(3, reply)).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn the_operator_stops_starts_and_restarts() {
    let (system, address, seed) = base_alone(Policy::default()).await;
    let noted = system.act("/base/manager", Action::Stop).unwrap();
    eventually("stopped", || {
        state(&system, "/base/manager") == Some(State::Stopped)
    })
    .await;
    assert_eq!(seed.stops.load(Ordering::SeqCst), 1);
    assert!(!address.is_up());
    let events = system.events(Some(noted - 1), Some("/base"), 10);
    assert_eq!(events[0].change, Change::Operator);
    system.act("/base/manager", Action::Start).unwrap();
    eventually("up", || address.is_up()).await;
    system.act("/base/manager", Action::Restart).unwrap();
    eventually("up again", || {
        seed.starts.load(Ordering::SeqCst) == 3 && address.is_up()
    })
    .await;
    assert_eq!(system.act("/", Action::Stop), Err(ActError::Root));
    let unknown = system.act("/nothing", Action::Stop);
    assert_eq!(unknown, Err(ActError::Unknown("/nothing".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_report_sets_the_level_and_a_restart_clears_it() {
    let (system, address, _seed) = base_alone(Policy::default()).await;
    let condition = Condition::new(Level::Degraded, "lab.slow", "is slow").with_impact("waiting");
    address.tell(LabMsg::Report(condition)).unwrap();
    eventually("degraded", || system.level() == Level::Degraded).await;
    let node = system.status(Some("/base"), None).unwrap();
    assert_eq!(node.impact.as_deref(), Some("waiting"));
    let cause = node.cause.unwrap();
    assert_eq!(cause.code, "lab.slow");
    assert_eq!(cause.chain, vec!["/base/manager", "/base"]);
    address.tell(LabMsg::Panic).unwrap();
    eventually("normal", || system.level() == Level::Normal).await;
}

#[tokio::test(start_paused = true)]
async fn an_offloaded_reply_is_sent_later_and_blocks_nobody() {
    let (_system, address, _seed) = base_alone(Policy::default()).await;
    let slow = address.ask(|reply| LabMsg::Later(Duration::from_secs(3), reply));
    let fast = address.ask(|reply| LabMsg::Echo(2, reply));
    let (slow, fast) = tokio::join!(slow, fast);
    assert_eq!((slow, fast), (Ok(()), Ok(2)));
}

/// A domain of keyed children.
struct Many;

impl Domain for Many {
    const MANIFEST: Manifest = Manifest {
        name: "many",
        main_actor: "manager",
        needs: &[],
        ..Base::MANIFEST
    };
    type Config = Policy;
    type Ports = (LabSeed, Keyed<u32, LabWorker>);
    type Msg = LabMsg;
    type Handle = Address<LabMsg>;

    fn handle(address: Address<LabMsg>) -> Address<LabMsg> {
        address
    }

    async fn start(
        cx: DomainContext<LabMsg>,
        config: Policy,
        (seed, keyed): (LabSeed, Keyed<u32, LabWorker>),
    ) -> Result<Started, StartError> {
        let address = cx.address().clone();
        Ok(Started::new(
            Strategy::OneForOne,
            vec![
                ChildSpec::keyed("children", &keyed, config.bears(Level::Normal)),
                ChildSpec::actor::<LabWorker>("manager", address, seed, config),
            ],
        ))
    }
}

async fn many() -> (System, Keyed<u32, LabWorker>) {
    let keyed = Keyed::new("/many/children", Policy::one_of_many(), 4, 3);
    let mut builder = SystemBuilder::new();
    let address = builder.address::<Many>();
    let ports = (LabSeed::default(), keyed.clone());
    builder.add::<Many>(address, Policy::default(), ports);
    let system = builder.start().await.unwrap();
    system.ready().await;
    (system, keyed)
}

#[tokio::test(start_paused = true)]
async fn keyed_children_come_and_go() {
    let (system, keyed) = many().await;
    let first = keyed.open(1, LabSeed::default()).await.unwrap();
    assert_eq!(first.ask(|reply| LabMsg::Echo(9, reply)).await, Ok(9));
    assert_eq!(keyed.address(&1).unwrap().path(), "/many/children/1");
    assert!(matches!(
        keyed.open(1, LabSeed::default()).await,
        Err(OpenError::Exists { .. })
    ));
    keyed.open(2, LabSeed::default()).await.unwrap();
    keyed.open(3, LabSeed::default()).await.unwrap();
    assert!(matches!(
        keyed.open(4, LabSeed::default()).await,
        Err(OpenError::Full { max: 3, .. })
    ));
    keyed.close(&2);
    eventually("gone", || keyed.len() == 2).await;
    assert!(state(&system, "/many/children/2").is_none());
    first.tell(LabMsg::Finish).unwrap();
    eventually("ended by itself", || keyed.len() == 1).await;
    let third = keyed.address(&3).unwrap();
    third.tell(LabMsg::Panic).unwrap();
    eventually("restarted", || {
        third.is_up() && !reason(&system, "/many/children/3").is_empty()
    })
    .await;
    assert_eq!(third.ask(LabMsg::Incarnation).await, Ok(2));
    assert_eq!(system.level(), Level::Normal);
}

#[tokio::test(start_paused = true)]
async fn a_keyed_child_that_cannot_start_is_told_to_its_opener() {
    let (_system, keyed) = many().await;
    let seed = LabSeed::default();
    seed.broken.store(true, Ordering::SeqCst);
    let opened = keyed.open(1, seed).await;
    assert!(
        matches!(&opened, Err(OpenError::Failed { code, .. }) if code == "lab.broken"),
        "{opened:?}"
    );
    assert_eq!(keyed.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_older_incarnation_cannot_take_the_address_from_its_successor() {
    let (_system, address, _seed) = base_alone(Policy::default()).await;
    let stranger = u64::MAX;
    address.close_own(stranger);
    assert_eq!(address.ask(|reply| LabMsg::Echo(1, reply)).await, Ok(1));
    address.ended::<LabWorker>(Some(stranger));
    address.open(stranger);
    assert_eq!(address.ask(LabMsg::Incarnation).await, Ok(1));
}
