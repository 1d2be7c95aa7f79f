//! Exporting and erasing people together with what other domains keep of them.

use futures::future::ready;
use ground::DbError;
use ground::db::Conn;
use serde_json::{Value, json};

use super::*;
use crate::ports::{Person, PersonalData};

/// A domain that keeps a row of everybody, and does what it is told to.
#[derive(Debug, Default)]
struct Neighbour {
    /// What it was asked, in order.
    asked: Mutex<Vec<&'static str>>,
    fails_to_close: Mutex<bool>,
    fails_to_erase: Mutex<bool>,
}

impl Neighbour {
    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut lock(&self.asked))
    }
}

impl PersonalData for Neighbour {
    fn name(&self) -> &'static str {
        "neighbour"
    }

    fn export<'a>(&'a self, person: &'a Person) -> BoxFuture<'a, Result<Value, DbError>> {
        Box::pin(ready(Ok(json!([person.email]))))
    }

    fn close<'a>(&'a self, _person: &'a Person) -> BoxFuture<'a, Result<(), Refused>> {
        lock(&self.asked).push("close");
        let closed = if *lock(&self.fails_to_close) {
            Err(Arc::new(NoCode) as Refused)
        } else {
            Ok(())
        };
        Box::pin(ready(closed))
    }

    fn erase<'a>(
        &'a self,
        tx: &'a mut Conn,
        person: &'a Person,
    ) -> BoxFuture<'a, Result<(), DbError>> {
        Box::pin(async move {
            lock(&self.asked).push("erase");
            let sql = "DELETE FROM terminals WHERE owner = $1";
            tx.execute(sql, args![person.id]).await?;
            if *lock(&self.fails_to_erase) {
                return Err(DbError::failed(NoCode));
            }
            Ok(())
        })
    }
}

async fn has_terminal(db: &Db, owner: Id) -> bool {
    let sql = "SELECT id FROM terminals WHERE owner = $1";
    let found: Option<(Id,)> = db.fetch_optional(sql, args![owner]).await.expect("reads");
    found.is_some()
}

async fn give_terminal(db: &Db, owner: Id) {
    db.execute(
        "INSERT INTO terminals (id, name, shell, cwd, cols, rows, state, created_at, owner) \
         VALUES ($1, 'x', 'x', 'x', 80, 24, 'lost', 0, $2)",
        args![Id::generate(), owner],
    )
    .await
    .expect("written");
}

/// A room with a neighbour, and somebody who has something there.
async fn room(db: &Db) -> (Room, Arc<Neighbour>, User) {
    let neighbour = Arc::<Neighbour>::default();
    let mut room = Room::new(db);
    let data: Vec<Arc<dyn PersonalData>> = vec![neighbour.clone()];
    room.desk = room.desk.with_personal_data(data.into());
    room.somebody("owner@example.com", Role::Owner).await;
    let ada = room.somebody("ada@example.com", Role::Member).await;
    give_terminal(db, ada.id).await;
    (room, neighbour, ada)
}

#[tokio::test]
async fn neighbours_are_closed_then_erased_then_closed_again() {
    ::store::testing::on_both(async |db| {
        let (room, neighbour, ada) = room(&db).await;
        let told = room.desk.export(by(&ada), ada.id).await.expect("told");
        assert_eq!(told["neighbour"], json!(["ada@example.com"]));
        room.desk.erase(local(), ada.id).await.expect("erased");
        // The transaction may run twice.
        let mut asked = neighbour.asked();
        asked.dedup();
        assert_eq!(asked, ["close", "erase", "close"]);
        assert!(!has_terminal(&db, ada.id).await);
        assert_eq!(room.desk.find(ada.id).await.expect("reads"), None);
    })
    .await;
}

#[tokio::test]
async fn what_one_cannot_end_keeps_all_until_it_can() {
    ::store::testing::on_both(async |db| {
        let (room, neighbour, ada) = room(&db).await;
        *lock(&neighbour.fails_to_close) = true;
        let refused = room.desk.erase(local(), ada.id).await;
        assert_eq!(refused.expect_err("refused").code(), "test.no_code");
        assert_eq!(neighbour.asked(), ["close"]);
        let kept = room.desk.find(ada.id).await.expect("reads").expect("kept");
        assert!(kept.disabled_at.is_some(), "and kept out");
        assert!(has_terminal(&db, ada.id).await);
        *lock(&neighbour.fails_to_close) = false;
        room.desk.erase(local(), ada.id).await.expect("erased");
        assert!(!has_terminal(&db, ada.id).await);
    })
    .await;
}

#[tokio::test]
async fn rows_go_all_or_none() {
    ::store::testing::on_both(async |db| {
        let (room, neighbour, ada) = room(&db).await;
        *lock(&neighbour.fails_to_erase) = true;
        let failed = room.desk.erase(local(), ada.id).await;
        assert_eq!(failed.expect_err("failed").code(), "accounts.internal");
        assert!(has_terminal(&db, ada.id).await, "nothing went");
        assert!(room.desk.find(ada.id).await.expect("reads").is_some());
        let told = room.audit().await;
        assert!(told.iter().all(|(action, ..)| action != "user.erase"));
        *lock(&neighbour.fails_to_erase) = false;
        room.desk.erase(local(), ada.id).await.expect("erased");
        assert!(!has_terminal(&db, ada.id).await);
        let gone = room.desk.erase(local(), ada.id).await;
        assert!(matches!(gone, Err(PeopleError::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn what_was_guessed_at_an_account_is_told_and_forgotten() {
    ::store::testing::on_both(async |db| {
        let (room, _, ada) = room(&db).await;
        for _ in 0..2 {
            let refused = room.sign_in("ada@example.com", "a guess", 7).await;
            refused.expect_err("wrong");
        }
        let told = room.desk.export(by(&ada), ada.id).await.expect("told");
        assert_eq!(told["failed_sign_ins"]["count"], 2);
        room.desk.erase(local(), ada.id).await.expect("erased");
        let again = room.somebody("ada@example.com", Role::Member).await;
        let told = room.desk.export(by(&again), again.id).await.expect("told");
        assert_eq!(told["failed_sign_ins"]["count"], 0);
    })
    .await;
}
