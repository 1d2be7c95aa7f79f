//! Recording: on disk when it is answered, kept while the database is away, once.

use ::store::testing::on_both;
use ground::Db;
use ground::audit::Source;
use supervisor::Action;
use tokio::task::JoinSet;

use super::entry;
use super::house::{House, Pulled, eventually};
use crate::*;

async fn objects(house: &House) -> Vec<String> {
    let page = house.audit.list(&Query::default()).await.expect("reads");
    let objects = page.items.into_iter().rev();
    objects.filter_map(|kept| kept.object).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_on_disk() {
    on_both(async |db: Db| {
        let house = House::new(&db, Config::default()).await;
        house.audit.record(entry("/a")).await.expect("stored");
        assert_eq!(objects(&house).await, ["/a"]);
        let mut all = JoinSet::new();
        for _ in 0..100 {
            let audit = house.audit.clone();
            all.spawn(async move { audit.record(entry("/b")).await });
        }
        assert!(all.join_all().await.iter().all(Result::is_ok));
        let verified = house.audit.verify(Span::All).await.expect("reads");
        assert_eq!((verified.ok, verified.checked), (true, 101));
        house.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_entries_wait_and_are_stored_once() {
    on_both(async |db: Db| {
        let house = House::new(&db, Config::default()).await;
        house.audit.record(entry("/before")).await.expect("stored");
        let pulled = Pulled::out_of(&db);
        for object in ["/a", "/b"] {
            let recorded = house.audit.record(entry(object)).await;
            assert_eq!(recorded, Err(RecordError::Waiting));
        }
        assert!(house.audit.list(&Query::default()).await.is_err());
        // A fault of the writer takes nothing along.
        house.act(Action::Restart);
        pulled.back_into(&db).await;
        eventually("they are stored", async || {
            let page = house.audit.list(&Query::default()).await;
            page.is_ok_and(|page| page.items.len() == 3)
        })
        .await;
        house.audit.record(entry("/after")).await.expect("stored");
        assert_eq!(objects(&house).await, ["/before", "/a", "/b", "/after"]);
        house.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_in_doubt_is_not_done_twice() {
    on_both(async |db: Db| {
        let doubted = vec![entry("/a"), entry("/b")];
        for is_doubtful in [false, true, true] {
            let again = doubted.clone();
            crate::store::append(&db, again, is_doubtful)
                .await
                .expect("stored");
        }
        let verified = crate::reading::verify(&db, Span::All).await.expect("reads");
        assert_eq!((verified.ok, verified.checked), (true, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_tokens_is_two_entries() {
    on_both(async |db: Db| {
        let house = House::new(&db, Config::default()).await;
        let source = Source {
            address: "192.0.2.1".parse().ok(),
            ..Source::default()
        };
        for _ in 0..5_000 {
            house.audit.refused(&source, "accounts.unknown_token");
        }
        let audit = house.audit.clone();
        eventually("the first is stored", async || {
            let page = audit.list(&Query::default()).await;
            page.is_ok_and(|page| page.items.len() == 1)
        })
        .await;
        // What was counted is not lost with the daemon.
        house.stop().await;
        let page = audit.list(&Query::default()).await.expect("reads");
        let counts: Vec<_> = page
            .items
            .iter()
            .map(|kept| &kept.detail["count"])
            .collect();
        assert_eq!(counts, [4_999, 1]);
        assert_eq!(page.items[0].address.as_deref(), Some("192.0.2.1"));
        assert_eq!(page.items[0].actor.kind, "anonymous");
    })
    .await;
}
