//! From memory into the table, through crashes, losses and stops.

use ground::Db;
use store::testing::on_both;
use supervisor::{Injection, Level};

use super::house::{House, Memory, Pulled, RUN, all, eventually, ids};
use crate::{Config, Query};

const PATHS: [&str; 3] = ["/a", "/a/b", "/"];

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_stored_once_through_a_crash() {
    on_both(async |db: Db| {
        let memory = Memory::new(RUN, 4096);
        memory.happen(10, &PATHS);
        let house = House::new(&db, &memory).await;
        house.until_stored(RUN + 10).await;
        house
            .system
            .inject("/ledger/writer", Injection::Panic)
            .await
            .expect("the writer is there");
        memory.happen(700, &PATHS);
        house.until_stored(RUN + 710).await;
        let told = all(&house.ledger, Query::default()).await;
        assert_eq!(ids(&told), (RUN + 1..=RUN + 710).collect::<Vec<_>>());
        house.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_is_told_and_caught_up_with() {
    on_both(async |db: Db| {
        let memory = Memory::new(RUN, 50);
        let house = House::new(&db, &memory).await;
        memory.happen(5, &PATHS);
        house.until_stored(RUN + 5).await;

        let pulled = Pulled::out_of(&db);
        memory.happen(40, &PATHS);
        let node = house.until_level(Level::Degraded).await;
        assert_eq!(
            node.fallback.as_deref(),
            Some("the newest 4,096 events are kept in memory")
        );
        let cause = node.cause.expect("a cause");
        assert_eq!(cause.code, "ledger.store_lost", "{cause:?}");
        pulled.back_into(&db).await;
        memory.happen(1, &PATHS);
        house.until_stored(RUN + 46).await;
        house.until_level(Level::Normal).await;

        // More than memory holds: the gap is counted.
        let pulled = Pulled::out_of(&db);
        memory.happen(120, &PATHS);
        pulled.back_into(&db).await;
        house.until_stored(RUN + 166).await;
        let told = all(&house.ledger, Query::default()).await;
        let kept = (RUN + 1..=RUN + 46).chain(RUN + 116..=RUN + 166);
        assert_eq!(ids(&told), kept.collect::<Vec<_>>());
        let gap = &told[46].event;
        assert_eq!(
            (&gap["change"], &gap["lost"], &gap["id"]),
            (&"gap".into(), &70.into(), &(RUN + 116).into())
        );
        house.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_events_are_written_at_a_stop() {
    on_both(async |db: Db| {
        let memory = Memory::new(RUN, 4096);
        let house = House::new(&db, &memory).await;
        memory.happen(3_000, &PATHS);
        house.stop().await;
        let stored = crate::store::newest_of_run(&db, RUN).await.expect("reads");
        assert_eq!(stored, RUN + 3_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_lost_store() {
    let memory = Memory::new(RUN, 4096);
    memory.happen(3, &PATHS);
    let house = House::new(&Db::vacant(), &memory).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_clock_was_set_back_is_stored_all_the_same() {
    on_both(async |db: Db| {
        for run in [RUN, RUN / 2] {
            let memory = Memory::new(run, 4096);
            memory.happen(5, &PATHS);
            let house = House::new(&db, &memory).await;
            house.until_stored(run + 5).await;
            house.stop().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_does_not_outgrow_its_limits() {
    on_both(async |db: Db| {
        let memory = Memory::new(RUN, 4096);
        let forever = Config {
            keep_rows: 100,
            keep_days: 3_650,
        };
        let house = House::with(&db, &memory, forever).await;
        let count = async || crate::store::count(&house.db).await.expect("counted");
        for _ in 0..4 {
            memory.happen(400, &PATHS);
            eventually("the surplus is gone", async || {
                let newest = crate::store::newest_of_run(&house.db, RUN).await.ok();
                newest == Some(memory_newest(&memory)) && count().await <= 100
            })
            .await;
        }
        assert!(count().await >= 98, "and not more than the surplus");
        house.stop().await;

        let monthly = Config {
            keep_rows: 100,
            keep_days: 30,
        };
        let house = House::with(&db, &memory, monthly).await;
        memory.happen(1, &PATHS);
        eventually("what is too old is gone", async || {
            crate::store::count(&house.db).await.ok() == Some(0)
        })
        .await;
        house.stop().await;
    })
    .await;
}

fn memory_newest(memory: &Memory) -> u64 {
    use crate::Recent as _;
    let newest = memory.select(crate::Order::NewestFirst, 1, &|_| true);
    newest.first().map_or(RUN, |event| event.id)
}
