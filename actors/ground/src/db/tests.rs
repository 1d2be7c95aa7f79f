//! The handle without a store: that it refuses when it is empty, that its futures can cross threads, and how reads and
//! writes behave over a plain SQLite connection. The full behaviour, on both engines, is tested in the store.

use std::pin::Pin;

use super::*;
use crate::args;
use crate::ids::Id;

/// Handlers and owned tasks move between threads and outlive their caller: what a domain awaits must bear that.
fn crosses_threads<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Pin<Box<dyn Future<Output = T> + Send>> {
    Box::pin(future)
}

async fn rename(db: &Db, id: Id, name: &str) -> Result<bool, DbError> {
    let name = name.to_owned();
    db.write(async move |tx| {
        let changed = tx
            .execute("UPDATE things SET name = $1 WHERE id = $2", args![name, id])
            .await?;
        Ok(changed == 1)
    })
    .await
}

async fn two_reads(db: &Db, id: &Id, name: &str) -> Result<(i64, Option<(String,)>), DbError> {
    let mut now = db.snapshot().await?;
    let (count,) = now
        .fetch_one("SELECT count(*) FROM things WHERE name = $1", args![name])
        .await?;
    let found = now
        .fetch_optional("SELECT name FROM things WHERE id = $1", args![id])
        .await?;
    now.end().await;
    Ok((count, found))
}

async fn one_read(db: &Db, name: &str) -> Result<Vec<(Id,)>, DbError> {
    db.fetch_all(
        "SELECT id FROM things WHERE name = $1 LIMIT 10",
        args![name],
    )
    .await
}

#[tokio::test]
async fn an_empty_handle_answers_at_once() {
    let db = Db::vacant();
    assert_eq!(db.engine(), None);
    db.vacate(Duration::from_secs(3));
    let retry_after = Duration::from_secs(3);
    let is_unavailable = |error: DbError| error.retry_after() == Some(retry_after);
    assert!(
        db.execute("SELECT 1", args![])
            .await
            .is_err_and(is_unavailable)
    );
    let own = db.clone();
    let writing = crosses_threads(async move { rename(&own, Id::generate(), "x").await });
    assert!(writing.await.is_err_and(is_unavailable));
    let own = db.clone();
    let reading = crosses_threads(async move {
        let name = String::from("x");
        assert!(one_read(&own, &name).await.is_err());
        two_reads(&own, &Id::generate(), &name).await
    });
    assert!(reading.await.is_err_and(is_unavailable));
}
