//! Lists, verification and export on both databases.

use std::time::Duration;

use ::store::testing::on_both;
use ground::audit::{Actor, Entry, Outcome, Source};
use ground::{Db, Id};

use super::{entry, filled, tamper};
use crate::reading::{Export, list, verify};
use crate::*;

async fn seqs(db: &Db, query: &Query) -> Vec<i64> {
    let page = list(db, query).await.expect("reads");
    page.items.iter().map(|kept| kept.seq).collect()
}

async fn whole(db: &Db) -> Verification {
    verify(db, Span::All).await.expect("reads")
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_listed_by_what_is_asked_for() {
    on_both(async |db: Db| {
        let now = filled(&db, 6).await;
        let user = Id::generate();
        let actor = Actor::User {
            id: user,
            credential: None,
        };
        let source = Source {
            address: "192.0.2.7".parse().ok(),
            user_agent: Some("curl\n".to_owned()),
            request_id: Some("r-1".to_owned()),
        };
        let by_user = Entry::new(actor, "user.role", source)
            .on("u")
            .with("to", "admin");
        crate::store::append(&db, vec![by_user], false)
            .await
            .expect("stored");

        let all = Query::default();
        assert_eq!(seqs(&db, &all).await, [7, 6, 5, 4, 3, 2, 1]);
        let of = |change: &dyn Fn(&mut Query)| {
            let mut query = Query::default();
            change(&mut query);
            query
        };
        for (query, wanted) in [
            (of(&|q| q.user = Some(user)), vec![7]),
            (of(&|q| q.user = Some(Id::generate())), vec![]),
            (of(&|q| q.action = Some("token.".to_owned())), vec![6, 4, 2]),
            (
                of(&|q| q.action = Some("token.create".to_owned())),
                vec![6, 4, 2],
            ),
            (of(&|q| q.action = Some("oken".to_owned())), vec![]),
            (of(&|q| q.outcome = Some(Outcome::Done)), vec![7, 5, 3, 1]),
            (of(&|q| q.object = Some("/2".to_owned())), vec![3]),
            (
                of(&|q| q.since = Some(now - Duration::from_mins(15))),
                vec![7, 6, 5],
            ),
            (
                of(&|q| q.until = Some(now - Duration::from_mins(45))),
                vec![1],
            ),
        ] {
            assert_eq!(seqs(&db, &query).await, wanted, "{query:?}");
        }
        let told = list(&db, &all).await.expect("reads").items.remove(0);
        assert_eq!(told.actor.user, Some(user));
        assert_eq!(told.address.as_deref(), Some("192.0.2.7"));
        assert_eq!(told.user_agent.as_deref(), Some("curl\\u{a}"));
        assert_eq!(told.detail["to"], "admin");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another() {
    on_both(async |db: Db| {
        filled(&db, 7).await;
        let mut query = Query {
            limit: 3,
            ..Query::default()
        };
        let mut pages = Vec::new();
        loop {
            let page = list(&db, &query).await.expect("reads");
            pages.push(page.items.iter().map(|kept| kept.seq).collect::<Vec<_>>());
            let Some(cursor) = page.next_cursor else {
                break;
            };
            query.cursor = cursor.parse().ok();
        }
        assert_eq!(pages, [vec![7, 6, 5], vec![4, 3, 2], vec![1]]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_chain_is_proven() {
    on_both(async |db: Db| {
        let empty = whole(&db).await;
        assert!(empty.ok && empty.checked == 0, "{empty:?}");
        // More than are read at once.
        filled(&db, 600).await;
        let all = whole(&db).await;
        assert_eq!((all.ok, all.checked, all.last_seq), (true, 600, 600));
        assert_eq!(all.next_cursor, None);
        let newest = verify(&db, Span::Newest(10)).await.expect("reads");
        assert_eq!((newest.ok, newest.checked), (true, 10));
        let more = verify(&db, Span::Newest(10_000)).await.expect("reads");
        assert_eq!((more.ok, more.checked), (true, 600));

        let half = list(
            &db,
            &Query {
                cursor: Some(301),
                limit: 1,
                ..Query::default()
            },
        )
        .await;
        let half = half.expect("reads").items.remove(0);
        let mark = Mark::of_hex(half.seq, &half.hash).expect("a mark");
        let rest = verify(&db, Span::After(mark)).await.expect("reads");
        assert_eq!((rest.ok, rest.checked), (true, 300));
        let wrong = Mark {
            hash: [9; 32],
            ..mark
        };
        let rest = verify(&db, Span::After(wrong)).await.expect("reads");
        assert_eq!(
            rest.broken,
            Some(Break {
                seq: 301,
                what: What::Altered
            })
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_alters_the_database_is_found_out() {
    for (sql, seq, what) in [
        (
            "UPDATE audit_entries SET outcome = 'done' WHERE seq = 4",
            4,
            What::Altered,
        ),
        (
            "UPDATE audit_entries SET actor_uid = 8 WHERE seq = 1",
            1,
            What::Altered,
        ),
        (
            "UPDATE audit_entries SET detail = '{\"a\":1}' WHERE seq = 6",
            6,
            What::Altered,
        ),
        ("DELETE FROM audit_entries WHERE seq = 3", 3, What::Missing),
        ("DELETE FROM audit_entries WHERE seq = 1", 1, What::Missing),
        ("DELETE FROM audit_entries WHERE seq = 6", 6, What::Missing),
        (
            "UPDATE audit_entries SET seq = -5 WHERE seq = 6",
            -5,
            What::Surplus,
        ),
        (
            "UPDATE audit_entries SET seq = 9 WHERE seq = 6",
            6,
            What::Missing,
        ),
        ("UPDATE audit_chain SET seq = 5 WHERE id = 1", 6, What::Head),
        (
            "UPDATE audit_chain SET seq = 7 WHERE id = 1",
            7,
            What::Missing,
        ),
        ("DELETE FROM audit_chain WHERE id = 1", 6, What::Head),
    ] {
        on_both(async |db: Db| {
            filled(&db, 6).await;
            tamper(&db, sql).await;
            let found = whole(&db).await;
            assert_eq!(found.broken, Some(Break { seq, what }), "{sql}");
            assert!(!found.ok && found.next_cursor.is_none(), "{found:?}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_what_there_was_at_its_beginning() {
    on_both(async |db: Db| {
        filled(&db, 300).await;
        let mut export = Export::begin(db.clone()).await.expect("reads");
        crate::store::append(&db, vec![entry("/later")], false)
            .await
            .expect("stored");
        let (mut told, mut parts) = (Vec::new(), 0);
        while let Some(part) = export.next().await.expect("reads") {
            told.extend(part.into_iter().map(|kept| kept.seq));
            parts += 1;
        }
        assert_eq!(told, (1..=300).collect::<Vec<_>>());
        assert_eq!(parts, 2, "some at a time");
    })
    .await;
}
