//! Writing: what is acknowledged is there, commits are shared, and one failing write sinks no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::join_all;
use ground::db::{Conn, Engine};
use ground::{Db, DbError, Id, Micros, args};

use tokio::sync::Notify;

use crate::config::StoreConfig;
use crate::testing::{Open, on_both, stages};

const INSERT: &str = "INSERT INTO terminals (id, name, shell, cwd, cols, rows, state, created_at) \
                      VALUES ($1, $2, '/bin/sh', '/', $3, 24, 'running', $4)";

/// A row of some table that exists, with a number that a check may refuse.
async fn insert(db: &Db, id: Id, name: &str, cols: i64) -> Result<u64, DbError> {
    db.execute(INSERT, args![id, name, cols, Micros(1)]).await
}

async fn count(db: &Db) -> i64 {
    db.fetch_one::<(i64,)>("SELECT count(*) FROM terminals", args![])
        .await
        .expect("counts")
        .0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_row_is_seen_by_others() {
    for stage in stages().await {
        let open = stage.open().await;
        let id = Id::generate();
        assert_eq!(insert(&open.db, id, "seen", 80).await.ok(), Some(1));
        let other = crate::connect::connect(
            &stage.location,
            crate::connect::Role::Read,
            &StoreConfig::default(),
        )
        .await;
        let mut other = other.expect("a connection of its own");
        let found = other
            .fetch_optional::<(String,)>("SELECT name FROM terminals WHERE id = $1", args![id])
            .await;
        assert_eq!(found.expect("reads"), Some(("seen".to_owned(),)));
        other.close().await;
        open.close().await;
        let again = stage.open().await;
        assert_eq!(count(&again.db).await, 1, "after opening it again");
        again.close().await;
    }
}

type Nulls = (
    Option<i64>,
    Option<String>,
    Option<Vec<u8>>,
    Option<Id>,
    Option<bool>,
    Option<f64>,
);

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_value_comes_back_the_same() {
    on_both(async |db| {
        let text = "ü 'quoted' \u{1f642}".to_owned();
        let bytes: Vec<u8> = (0..=255).collect();
        let id = Id::generate();
        let row = db
            .write(async move |tx: &mut Conn| {
                let sql = tx.engine().pick(
                    "SELECT $1 AS a, $2 AS b, $3 AS c, $4 AS d, $5 AS e, $6 AS f",
                    "SELECT $1::bigint, $2::text, $3::bytea, $4::uuid, $5::bool, $6::float8",
                );
                let args = args![i64::MIN, text, bytes, id, true, 0.1_f64];
                let full: (i64, String, Vec<u8>, Id, bool, f64) = tx.fetch_one(sql, args).await?;
                let nulls = args![
                    None::<i64>,
                    None::<String>,
                    None::<Vec<u8>>,
                    None::<Id>,
                    None::<bool>,
                    None::<f64>
                ];
                let empty: Nulls = tx.fetch_one(sql, nulls).await?;
                Ok::<_, DbError>((full, empty))
            })
            .await
            .expect("reads");
        assert_eq!(
            row.0,
            (
                i64::MIN,
                "ü 'quoted' \u{1f642}".to_owned(),
                (0..=255).collect(),
                id,
                true,
                0.1
            )
        );
        assert_eq!(row.1, (None, None, None, None, None, None));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_write_in_a_batch_sinks_no_other() {
    on_both(async |db| {
        let first = Id::generate();
        insert(&db, first, "first", 80).await.expect("writes");
        let writes = (0..40).map(|n| {
            let db = db.clone();
            async move {
                match n % 4 {
                    0 => insert(&db, first, "taken", 80).await,
                    1 => insert(&db, Id::generate(), "too wide", 100_000).await,
                    _ => insert(&db, Id::generate(), "fine", 80).await,
                }
            }
        });
        for (n, result) in gathered(&db, join_all(writes))
            .await
            .into_iter()
            .enumerate()
        {
            match n % 4 {
                0 => assert!(
                    result.is_err_and(|error| error.is_conflict_on("terminals_pkey")),
                    "{n}"
                ),
                1 => assert!(
                    result.is_err_and(|error| error.is_conflict_on("terminals_cols_check")),
                    "{n}"
                ),
                _ => assert_eq!(result.ok(), Some(1), "{n}"),
            }
        }
        assert_eq!(count(&db).await, 21);
    })
    .await;
}

/// Keeps the writer busy for a moment: what `others` write meanwhile is in one batch.
async fn gathered<T>(db: &Db, others: impl Future<Output = T>) -> T {
    let began = Arc::new(Notify::new());
    let told = Arc::clone(&began);
    let holding = db.write(async move |_: &mut Conn| {
        told.notify_one();
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok::<_, DbError>(())
    });
    let gathering = async {
        began.notified().await;
        others.await
    };
    let (held, gathered) = tokio::join!(holding, gathering);
    held.expect("writes");
    gathered
}

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("refused")]
    Refused,
    #[error(transparent)]
    Db(#[from] DbError),
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_returns_an_error_leaves_nothing() {
    on_both(async |db| {
        let refused = db
            .write(async |tx: &mut Conn| {
                tx.execute(INSERT, args![Id::generate(), "undone", 80, Micros(1)])
                    .await?;
                Err::<(), _>(Refusal::Refused)
            })
            .await;
        assert!(matches!(refused, Err(Refusal::Refused)));
        assert_eq!(count(&db).await, 0);
        // In company, too.
        let undone = db.write(async |tx: &mut Conn| {
            tx.execute(INSERT, args![Id::generate(), "undone", 80, Micros(1)])
                .await?;
            Err::<(), _>(Refusal::Refused)
        });
        let both = async { tokio::join!(undone, insert(&db, Id::generate(), "kept", 80)) };
        let (undone, kept) = gathered(&db, both).await;
        assert!(matches!(undone, Err(Refusal::Refused)));
        assert_eq!((kept.ok(), count(&db).await), (Some(1), 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn going_on_after_a_failed_statement_is_undone_on_both_engines() {
    on_both(async |db| {
        let id = Id::generate();
        insert(&db, id, "first", 80).await.expect("writes");
        let went_on = db
            .write(async move |tx: &mut Conn| {
                tx.execute(INSERT, args![Id::generate(), "before", 80, Micros(1)])
                    .await?;
                drop(tx.execute(INSERT, args![id, "taken", 80, Micros(1)]).await);
                Ok::<_, DbError>(())
            })
            .await;
        assert!(matches!(went_on, Err(DbError::Failed(_))), "{went_on:?}");
        assert_eq!(count(&db).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_write_is_undone_and_harms_nobody() {
    on_both(async |db| {
        let panicking = db.write(async |tx: &mut Conn| {
            tx.execute(INSERT, args![Id::generate(), "undone", 80, Micros(1)])
                .await?;
            assert!(tx.engine().name().is_empty(), "a panic on purpose");
            Ok::<_, DbError>(())
        });
        let both = async { tokio::join!(panicking, insert(&db, Id::generate(), "kept", 80)) };
        let (panicked, kept) = gathered(&db, both).await;
        assert!(matches!(panicked, Err(DbError::Failed(_))));
        assert_eq!((kept.ok(), count(&db).await), (Some(1), 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_hangs_is_given_up_and_the_others_happen() {
    for stage in stages().await {
        let config = StoreConfig {
            write_limit: Duration::from_millis(300),
            ..StoreConfig::default()
        };
        let open = stage.open_with(&config).await;
        let hanging = open.db.write(async |_: &mut Conn| {
            std::future::pending::<()>().await;
            Ok::<_, DbError>(())
        });
        assert!(
            matches!(hanging.await, Err(DbError::Deadline)),
            "{}",
            stage.engine()
        );
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while insert(&open.db, Id::generate(), "after", 80).await.is_err() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{}: the writer never came back",
                stage.engine()
            );
        }
        open.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_nobody_waits_for_is_dropped_before_its_batch() {
    on_both(async |db| {
        let ran = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&ran);
        let abandoned = db.write(async move |_: &mut Conn| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, DbError>(())
        });
        let given_up = async {
            let short = tokio::time::timeout(Duration::from_millis(20), abandoned).await;
            assert!(short.is_err());
        };
        gathered(&db, given_up).await;
        insert(&db, Id::generate(), "after", 80)
            .await
            .expect("writes");
        assert_eq!(ran.load(Ordering::Relaxed), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_busy_at_once() {
    for stage in stages().await {
        let config = StoreConfig {
            write_queue: 16,
            ..StoreConfig::default()
        };
        let open = stage.open_with(&config).await;
        let writes = (0..200).map(|_| insert(&open.db, Id::generate(), "many", 80));
        let results = gathered(&open.db, join_all(writes)).await;
        let busy = results
            .iter()
            .filter(|result| matches!(result, Err(DbError::Busy { .. })))
            .count();
        let done = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(busy + done, 200, "{}", stage.engine());
        assert!(
            busy > 0 && done >= 16,
            "{}: {busy} busy, {done} done",
            stage.engine()
        );
        assert_eq!(count(&open.db).await, i64::try_from(done).expect("small"));
        open.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_takes_too_long_is_interrupted() {
    for stage in stages().await {
        let config = StoreConfig {
            read_limit: Duration::from_millis(200),
            read_connections: 1,
            ..StoreConfig::default()
        };
        let open = stage.open_with(&config).await;
        let endless = stage.engine().pick(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
            "SELECT count(*) FROM generate_series(1, 1000000000000)",
        );
        let read = open.db.fetch_one::<(i64,)>(endless, args![]).await;
        assert!(
            matches!(read, Err(DbError::Deadline)),
            "{}: {read:?}",
            stage.engine()
        );
        assert_eq!(
            count(&open.db).await,
            0,
            "the only connection is free again"
        );
        open.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_sees_one_moment() {
    on_both(async |db| {
        let mut now = db.snapshot().await.expect("begins");
        let counted = "SELECT count(*) FROM terminals";
        assert_eq!(
            now.fetch_one::<(i64,)>(counted, args![])
                .await
                .expect("reads"),
            (0,)
        );
        insert(&db, Id::generate(), "later", 80)
            .await
            .expect("writes");
        assert_eq!(
            now.fetch_one::<(i64,)>(counted, args![])
                .await
                .expect("reads"),
            (0,)
        );
        now.end().await;
        assert_eq!(count(&db).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_cannot_write() {
    on_both(async |db| {
        let written = db
            .fetch_all::<(Id,)>("DELETE FROM terminals RETURNING id", args![])
            .await;
        assert!(written.is_err());
    })
    .await;
}

/// Reads while a writer works: neither waits for the other, and nothing is refused.
#[tokio::test(flavor = "multi_thread")]
async fn many_readers_and_writers_at_once() {
    on_both(async |db| {
        let work = (0..50).map(|n| {
            let db = db.clone();
            async move {
                insert(&db, Id::generate(), &format!("t{n}"), 80)
                    .await
                    .expect("writes");
                count(&db).await
            }
        });
        let counts = join_all(work).await;
        assert!(counts.iter().all(|seen| (1..=50).contains(seen)));
        assert_eq!(count(&db).await, 50);
    })
    .await;
}

/// Small figures: commits are shared when writes come together.
#[tokio::test(flavor = "multi_thread")]
async fn commits_are_shared() {
    for stage in stages().await {
        let open: Open = stage.open().await;
        let writes = join_all((0..200).map(|_| insert(&open.db, Id::generate(), "x", 80)));
        let results = gathered(&open.db, writes).await;
        assert!(results.iter().all(Result::is_ok));
        let (writes, batches) = open.figures();
        assert_eq!(writes, 201);
        assert_eq!(batches, 2, "{}", stage.engine());
        assert_eq!(
            stage.engine() == Engine::Sqlite,
            stage.location.file().is_some()
        );
        open.close().await;
    }
}

/// What only the commit checks: one write that it refuses sinks no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_refused_sinks_only_its_write() {
    on_both(async |db| {
        let tables = "CREATE TABLE parent (id bigint PRIMARY KEY);
            CREATE TABLE child (p bigint REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);";
        let made = db.write(async move |tx: &mut Conn| tx.script(tables).await);
        made.await.expect("tables");
        let writes = (0..6_i64).map(|n| {
            let db = db.clone();
            async move {
                db.write(async move |tx: &mut Conn| {
                    tx.execute("INSERT INTO child VALUES ($1)", args![n])
                        .await?;
                    if n % 3 != 0 {
                        tx.execute("INSERT INTO parent VALUES ($1)", args![n])
                            .await?;
                    }
                    Ok::<_, DbError>(())
                })
                .await
            }
        });
        for (n, result) in gathered(&db, join_all(writes))
            .await
            .into_iter()
            .enumerate()
        {
            match n % 3 {
                0 => assert!(
                    matches!(result, Err(DbError::Conflict { .. })),
                    "{n}: {result:?}"
                ),
                _ => assert!(result.is_ok(), "{n}: {result:?}"),
            }
        }
        let left = "SELECT count(*) FROM child";
        assert_eq!(
            db.fetch_one::<(i64,)>(left, args![]).await.expect("counts"),
            (4,)
        );
    })
    .await;
}
