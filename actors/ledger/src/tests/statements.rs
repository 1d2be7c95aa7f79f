//! Every statement on both databases.

use ground::{Db, Micros};
use serde_json::json;
use store::testing::on_both;

use super::house::ids;
use super::{event, failed};
use crate::bounds::Bounds;
use crate::entries::rows_after;
use crate::{Moment, Order, Query, Record, store as statements};

async fn records(db: &Db, query: &Query) -> Vec<Record> {
    let mut snapshot = db.snapshot().await.expect("a snapshot");
    let bounds = Bounds::of(query);
    let found = statements::records(&mut snapshot, &bounds).await;
    snapshot.end().await;
    found.expect("reads")
}

async fn filled(db: &Db) {
    let events = [
        event(11, "/a"),
        failed(12, "/a/b", "“it” broke\n\u{0}"),
        event(13, "/ab"),
        event(17, "/"),
    ];
    let rows = rows_after(10, 10, &events);
    assert_eq!(rows.len(), 5, "a gap before the last");
    assert_eq!(statements::append(db, &rows).await.expect("written"), 5);
    assert_eq!(
        statements::append(db, &rows).await.expect("written"),
        0,
        "twice does no harm"
    );
    let later = rows_after(30, 30, &[event(31, "/a")]);
    assert_eq!(statements::append(db, &later).await.expect("written"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_back_as_they_were() {
    on_both(async |db: Db| {
        filled(&db).await;
        let told = records(&db, &Query::default()).await;
        assert_eq!(ids(&told), [11, 12, 13, 16, 17, 31]);
        let failure = failed(12, "/a/b", "“it” broke\n\u{0}");
        assert_eq!(
            told[1].event,
            serde_json::to_value(failure).expect("JSON"),
            "with every character"
        );
        assert_eq!(told[3].event["change"], "gap");
        assert_eq!(told[3].event["lost"], 3);
        let runs: Vec<u64> = told.iter().map(|record| record.run).collect();
        assert_eq!(runs, [10, 10, 10, 10, 10, 30]);
        let shown = serde_json::to_value(&told[5]).expect("JSON");
        assert_eq!(
            (&shown["id"], &shown["run"]),
            (&json!(31), &json!(30)),
            "{shown}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_are_kept_in_either_order() {
    on_both(async |db: Db| {
        filled(&db).await;
        let at = |id| Moment::At(Micros(event(id, "/").at.0 / 1000 * 1000));
        for (since, until, wanted) in [
            (None, None, vec![11, 12, 13, 16, 17, 31]),
            (Some(Moment::Id(12)), None, vec![13, 16, 17, 31]),
            (None, Some(Moment::Id(16)), vec![11, 12, 13, 16]),
            (Some(at(13)), Some(at(17)), vec![13, 16, 17]),
            (Some(Moment::Id(31)), None, vec![]),
        ] {
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let query = Query {
                    since,
                    until,
                    order,
                    ..Query::default()
                };
                let mut wanted = wanted.clone();
                if order == Order::NewestFirst {
                    wanted.reverse();
                }
                assert_eq!(ids(&records(&db, &query).await), wanted, "{query:?}");
            }
        }
        let below = Query {
            path: Some("/a".to_owned()),
            ..Query::default()
        };
        assert_eq!(
            ids(&records(&db, &below).await),
            [11, 12, 16, 31],
            "the node, what is below it, and every gap"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_knows_where_it_ends() {
    on_both(async |db: Db| {
        let newest = async |run| statements::newest_of_run(&db, run).await.expect("reads");
        assert_eq!(newest(10).await, 10, "nothing is stored");
        filled(&db).await;
        assert_eq!((newest(10).await, newest(30).await), (17, 31));
        assert_eq!(newest(5).await, 5, "a clock that was set back");
        let mut snapshot = db.snapshot().await.expect("a snapshot");
        let all = statements::newest_id(&mut snapshot).await.expect("reads");
        snapshot.end().await;
        assert_eq!(all, 31);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_go_first() {
    on_both(async |db: Db| {
        filled(&db).await;
        let left = async || ids(&records(&db, &Query::default()).await);
        assert_eq!(statements::drop_oldest(&db, 2).await.expect("deleted"), 2);
        assert_eq!(left().await, [13, 16, 17, 31]);
        let before = Micros(event(31, "/").at.0);
        let expire = async |rows| statements::drop_expired(&db, before, rows).await;
        assert_eq!(expire(1).await.expect("deleted"), 1);
        assert_eq!(left().await, [16, 17, 31]);
        assert_eq!(expire(500).await.expect("deleted"), 2);
        assert_eq!(left().await, [31]);
        assert_eq!(statements::count(&db).await.expect("counted"), 1);
    })
    .await;
}
