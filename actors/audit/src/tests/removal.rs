//! What is too old goes, and the rest can still be proven.

use std::time::Duration;

use ::store::testing::on_both;
use ground::{Db, Micros};

use super::house::{House, eventually};
use super::{filled, tamper};
use crate::reading::verify;
use crate::*;

async fn prune(db: &Db, now: Micros, minutes: u64, rows: u16) -> usize {
    let before = now - Duration::from_mins(minutes);
    crate::store::prune(db, before, now, rows)
        .await
        .expect("removed")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_leaves_a_proof() {
    on_both(async |db: Db| {
        let now = filled(&db, 20).await;
        assert_eq!(prune(&db, now, 1_000, 5).await, 0);
        // Ten are older than 95 minutes: five now, five then, and no more.
        for (gone, oldest) in [(5, 6), (5, 11), (0, 11)] {
            assert_eq!(prune(&db, now, 95, 5).await, gone);
            let found = verify(&db, Span::All).await.expect("reads");
            assert!(found.ok, "{found:?}");
            let query = Query {
                limit: 200,
                ..Query::default()
            };
            let left = crate::reading::list(&db, &query)
                .await
                .expect("reads")
                .items;
            assert_eq!(left.last().expect("some").seq, oldest);
        }
        let newest = verify(&db, Span::Newest(3)).await.expect("reads");
        assert_eq!((newest.ok, newest.checked), (true, 3));
        // A verification that had come to a place which is gone by now.
        let gone = Mark {
            seq: 2,
            hash: [1; 32],
        };
        assert!(verify(&db, Span::After(gone)).await.expect("reads").ok);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_alters_the_cut_is_found_out() {
    for (sql, seq, what) in [
        (
            "UPDATE audit_anchor SET seq = 4 WHERE id = 1",
            5,
            What::Missing,
        ),
        (
            "UPDATE audit_anchor SET seq = 6 WHERE id = 1",
            6,
            What::Surplus,
        ),
        ("DELETE FROM audit_anchor WHERE id = 1", 1, What::Missing),
        ("DELETE FROM audit_entries WHERE seq = 6", 6, What::Missing),
    ] {
        on_both(async |db: Db| {
            let now = filled(&db, 10).await;
            assert_eq!(prune(&db, now, 45, 100).await, 5);
            tamper(&db, sql).await;
            let found = verify(&db, Span::All).await.expect("reads");
            assert_eq!(found.broken, Some(Break { seq, what }), "{sql}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_domain_removes_by_itself_what_is_too_old() {
    on_both(async |db: Db| {
        let mut old = super::entry("/old");
        old.at = ground::clock::now() - Duration::from_hours(49);
        crate::store::append(&db, vec![old, super::entry("/new")], false)
            .await
            .expect("stored");
        let house = House::new(&db, Config { keep_days: 0 }).await;
        house.stop().await;
        let house = House::new(&db, Config { keep_days: 2 }).await;
        eventually("it is gone", async || {
            let page = house.audit.list(&Query::default()).await.expect("reads");
            let actions: Vec<_> = page.items.iter().map(|kept| kept.action.as_str()).collect();
            actions == ["audit.prune", "node.restart"]
        })
        .await;
        assert!(house.audit.verify(Span::All).await.expect("reads").ok);
        house.stop().await;
    })
    .await;
}
