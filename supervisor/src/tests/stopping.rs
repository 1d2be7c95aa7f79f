//! The graceful stop on real threads and the real clock, with actors that do not want to end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::lab::*;
use super::watching::runtime;
use crate::*;

/// What each actor here gets for its stop.
const LIMIT: Duration = Duration::from_millis(400);
/// What a killed actor gets to let go of its thread.
const AFTER_KILL: Duration = Duration::from_secs(1);
/// How many actors [`Tree`] has.
const ACTORS: u32 = 6;

/// A domain of four actors that start one after the other; the main one is the second.
struct Row;

impl Domain for Row {
    const MANIFEST: Manifest = Manifest {
        name: "row",
        main_actor: "second",
        needs: &[Need::hard("base")],
        ..Base::MANIFEST
    };
    type Config = Policy;
    type Ports = LabSeed;
    type Msg = LabMsg;
    type Handle = Address<LabMsg>;

    fn handle(address: Address<LabMsg>) -> Address<LabMsg> {
        address
    }

    async fn start(
        cx: DomainContext<LabMsg>,
        config: Policy,
        seed: LabSeed,
    ) -> Result<Started, StartError> {
        let children = ["first", "second", "third", "fourth"].map(|name| {
            let address = match name {
                "second" => cx.address().clone(),
                other => Address::vacant(cx.child_path(other), 8),
            };
            ChildSpec::actor::<LabWorker>(name, address, seed.clone(), config)
        });
        Ok(Started::new(Strategy::OneForOne, children.into()))
    }
}

/// `base`, `row` and `aside`, which need it, on a runtime of their own; `second` is in the middle of a row.
struct Tree {
    runtime: tokio::runtime::Runtime,
    system: System,
    second: Address<LabMsg>,
    seed: LabSeed,
}

impl Tree {
    fn new() -> Self {
        let runtime = runtime(2);
        let seed = LabSeed::default();
        let policy = Policy {
            stop_limit: LIMIT,
            ..Policy::default()
        };
        let mut builder = SystemBuilder::new();
        let (base, aside) = (builder.address::<Base>(), builder.address::<Aside>());
        let second = builder.address::<Row>();
        builder.add::<Base>(base, policy, seed.clone());
        builder.add::<Aside>(aside, policy, seed.clone());
        builder.add::<Row>(second.clone(), policy, seed.clone());
        let system = runtime.block_on(async {
            let system = builder.start().await.unwrap();
            system.ready().await;
            system
        });
        assert_eq!(seed.starts.load(Ordering::SeqCst), ACTORS);
        Self {
            runtime,
            system,
            second,
            seed,
        }
    }

    fn until_busy(&self) {
        let cell = self.second.cell();
        eventually_outside("it is in hand", || cell.in_hand().is_some());
    }

    fn stop(&self) -> (StopReport, Duration) {
        let began = Instant::now();
        let report = self.runtime.block_on(self.system.stop());
        (report, began.elapsed())
    }

    /// All but `second` have stopped by themselves, each after those that came later or need it.
    fn the_others_stopped_in_reverse_order(&self) {
        let log = self.seed.log.lock().unwrap().clone();
        let at = |path: &str| {
            let line = format!("stop {path}");
            log.iter().position(|other| *other == line)
        };
        let order = ["/row/fourth", "/row/third", "/row/first", "/base/manager"];
        let places = order.map(|path| at(path).unwrap_or_else(|| panic!("{path} in {log:?}")));
        assert!(places.is_sorted(), "{log:?}");
        let aside = at("/aside/manager").unwrap();
        assert!(aside < places[3], "{log:?}");
        assert_eq!(at("/row/second"), None, "{log:?}");
        assert_eq!(self.seed.stops.load(Ordering::SeqCst), ACTORS - 1);
    }
}

#[test]
fn a_handler_that_hangs_holds_up_a_stop_for_its_limit_and_is_named() {
    let tree = Tree::new();
    let second = tree.second.clone();
    let asked = tree
        .runtime
        .block_on(async { task::spawn(async move { drop(second.ask(LabMsg::Hang).await) }) });
    tree.until_busy();
    let (report, took) = tree.stop();
    assert_eq!(report.killed, ["/row/second"]);
    assert!(took >= LIMIT && took < LIMIT * ACTORS, "{took:?}");
    tree.the_others_stopped_in_reverse_order();
    drop(asked);
}

#[test]
fn a_handler_that_blocks_its_thread_is_left_behind_and_named() {
    let tree = Tree::new();
    let (release, blocks) = std::sync::mpsc::channel();
    tree.second.tell(LabMsg::Block(blocks)).unwrap();
    tree.until_busy();
    let (report, took) = tree.stop();
    // Until here it was blocked. What it does now is no part of the stop, and it does nothing.
    drop(release);
    let cell = tree.second.cell();
    eventually_outside("its thread is free", || cell.in_hand().is_none());
    assert_eq!(report.killed, ["/row/second"]);
    let least = LIMIT + AFTER_KILL;
    assert!(
        took >= least && took < LIMIT * ACTORS + AFTER_KILL,
        "{took:?}"
    );
    tree.the_others_stopped_in_reverse_order();
}

#[test]
fn nothing_of_a_killed_actor_runs_on_when_its_thread_is_free_again() {
    let tree = Tree::new();
    let (release, blocks) = std::sync::mpsc::channel();
    tree.second.tell(LabMsg::Block(blocks)).unwrap();
    tree.until_busy();
    let (second, cell) = (tree.second.clone(), tree.second.cell());
    let (told, answer) = std::sync::mpsc::channel();
    let asked = tree.runtime.block_on(async {
        task::spawn(async move {
            let asked = second.ask(|reply| LabMsg::Echo(1, reply)).await;
            drop(told.send(asked));
        })
    });
    eventually_outside("it waits", || cell.mailbox().depth == 2);
    let kill = tree.system.inject("/row/second", Injection::Kill);
    assert_eq!(tree.runtime.block_on(kill), Ok(true));
    drop(release);
    let answer = answer.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(matches!(answer, Err(AskError::Down { .. })), "{answer:?}");
    eventually_outside("its next incarnation", || tree.second.is_up());
    assert_eq!(tree.seed.stops.load(Ordering::SeqCst), 0);
    assert!(reason(&tree.system, "/row/second").contains("killed by a drill"));
    drop(asked);
}
