//! Table and memory as one list, and what is told when one of them is not enough.

use ground::Db;
use store::testing::on_both;

use super::house::{House, Memory, Pulled, RUN, all, ids};
use crate::{LedgerError, Moment, Order, Query};

const PATHS: [&str; 3] = ["/a", "/a/b", "/c"];

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_paging_tells_the_same() {
    on_both(async |db: Db| {
        // Memory holds the newest 40 of 300, and all of them for comparison.
        let (memory, whole) = (Memory::new(RUN, 40), Memory::new(RUN, 4096));
        let house = House::new(&db, &memory).await;
        for round in 1..=10 {
            memory.happen(30, &PATHS);
            whole.happen(30, &PATHS);
            house.until_stored(RUN + 30 * round).await;
        }
        let plain = crate::LedgerHandle::default();
        drop(plain.ports(Db::vacant(), whole));
        for path in [None, Some("/"), Some("/a"), Some("/a/b"), Some("/none")] {
            for order in [Order::OldestFirst, Order::NewestFirst] {
                for limit in [7, 200] {
                    let query = Query {
                        since: Some(Moment::Id(RUN)),
                        path: path.map(str::to_owned),
                        order,
                        limit,
                        ..Query::default()
                    };
                    let told = all(&house.ledger, query.clone()).await;
                    let mut wanted = in_memory(&plain, query.clone()).await;
                    wanted.retain(|record| record.id > RUN);
                    assert_eq!(told, wanted, "{query:?}");
                }
            }
        }
        house.stop().await;
    })
    .await;
}

/// All that memory tells, page by page.
async fn in_memory(ledger: &crate::LedgerHandle, query: Query) -> Vec<crate::Record> {
    let (mut query, mut told) = (query, Vec::new());
    loop {
        let page = ledger.list(query.clone()).await.page;
        told.extend(page.items);
        let Some(cursor) = page.next_cursor else {
            return told;
        };
        query.cursor = Some(cursor.parse().expect("an id"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_answers_while_the_table_cannot() {
    on_both(async |db: Db| {
        let memory = Memory::new(RUN, 40);
        let house = House::new(&db, &memory).await;
        memory.happen(50, &PATHS);
        house.until_stored(RUN + 50).await;
        let pulled = Pulled::out_of(&db);
        let listed = house.ledger.list(Query::default()).await;
        assert_eq!(
            listed.missing.as_ref().map(LedgerError::reason),
            Some("store_unavailable")
        );
        assert_eq!(
            ids(&listed.page.items),
            (RUN + 11..=RUN + 50).collect::<Vec<_>>()
        );
        let newest = Query {
            since: Some(Moment::Id(RUN + 45)),
            ..Query::default()
        };
        let listed = house.ledger.list(newest).await;
        assert!(listed.missing.is_none(), "memory has all of that");
        assert_eq!(listed.page.items.len(), 5);
        pulled.back_into(&db).await;
        house.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_neither_is_told_as_a_gap() {
    on_both(async |db: Db| {
        let memory = Memory::new(RUN, 10);
        // No writer: as when the ledger is left out, or set aside.
        let ledger = crate::LedgerHandle::default();
        drop(ledger.ports(db.clone(), memory.clone()));
        memory.happen(25, &PATHS);
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let query = Query {
                path: Some("/c".to_owned()),
                order,
                ..Query::default()
            };
            let mut told = all(&ledger, query).await;
            told.sort_by_key(|record| record.id);
            assert_eq!(told[0].event["lost"], 15, "{told:?}");
            assert_eq!(ids(&told), [RUN + 15, RUN + 18, RUN + 21, RUN + 24]);
        }
    })
    .await;
}

#[tokio::test]
async fn an_unwired_ledger_says_so() {
    let listed = crate::LedgerHandle::default().list(Query::default()).await;
    assert!(listed.page.items.is_empty());
    assert!(matches!(listed.missing, Some(LedgerError::Unwired)));
}
