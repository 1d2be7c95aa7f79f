//! Keys on real databases, under their real supervisor: over restarts, over a loss of the database, in bounds.

mod house;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::store::testing::on_both;
use ground::{Db, args, clock};
use supervisor::{Action, Fault};
use tokio::task::JoinSet;

use self::house::{House, Pulled, eventually};
use crate::store::Found;
use crate::*;

const BODY: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

fn key(name: &str) -> Key {
    Key {
        caller: "token:1".to_owned(),
        route: "POST /things".to_owned(),
        path: "/things".to_owned(),
        key: name.to_owned(),
    }
}

fn answer(text: &str) -> Answer {
    Answer {
        status: 201,
        headers: vec![("location".to_owned(), "/things/1".to_owned())],
        body: text.as_bytes().to_vec(),
    }
}

async fn fresh(house: &House, name: &str) -> Claim {
    match house.keys.claim(key(name), BODY).await {
        Ok(Claimed::Fresh(claim)) => claim,
        other => panic!("{name} is not free: {other:?}"),
    }
}

async fn code(house: &House, name: &str) -> &'static str {
    let claimed = house.keys.claim(key(name), BODY).await;
    claimed.expect_err("no claim").code()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_gives_the_same_answer_over_restarts() {
    on_both(async |db: Db| {
        let house = House::new(&db, Config::default()).await;
        let claim = fresh(&house, "a").await;
        assert_eq!(code(&house, "a").await, "idempotency.unknown_outcome");
        let settled = Settlement::Done(answer("one"));
        house.keys.settle(claim, settled).await.expect("stored");
        let unfinished = fresh(&house, "b").await;
        house.stop().await;

        let house = House::new(&db, Config::default()).await;
        let again = house.keys.claim(key("a"), BODY).await.expect("an answer");
        assert_eq!(again, Claimed::Done(answer("one")));
        let other = house.keys.claim(key("a"), OTHER).await.expect("an answer");
        assert_eq!(other, Claimed::Reused);
        // Nobody knows what came of it, until the one that has the claim says so.
        assert_eq!(code(&house, "b").await, "idempotency.unknown_outcome");
        house
            .keys
            .settle(unfinished, Settlement::Released)
            .await
            .expect("stored");
        fresh(&house, "b").await;
        house.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_stored_is_not() {
    on_both(async |db: Db| {
        let house = House::new(&db, Config::default()).await;
        let secret = fresh(&house, "secret").await;
        house
            .keys
            .settle(secret, Settlement::Withheld)
            .await
            .expect("stored");
        let large = fresh(&house, "large").await;
        let text = "x".repeat(MAX_ANSWER_BYTES);
        let settled = Settlement::Done(answer(&text));
        house.keys.settle(large, settled).await.expect("stored");
        for name in ["secret", "large"] {
            assert_eq!(code(&house, name).await, "idempotency.answer_withheld");
        }
        let sql = "SELECT count(*) FROM idempotency_keys WHERE body IS NOT NULL";
        let (bodies,): (i64,) = db.fetch_one(sql, args![]).await.expect("reads");
        assert_eq!(bodies, 0);
        house.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_runs() {
    on_both(async |db: Db| {
        let house = House::new(&db, Config::default()).await;
        let runs = Arc::new(AtomicU32::new(0));
        let mut all = JoinSet::new();
        for _ in 0..50 {
            let (keys, runs) = (house.keys.clone(), Arc::clone(&runs));
            all.spawn(async move {
                if let Ok(Claimed::Fresh(_)) = keys.claim(key("a"), BODY).await {
                    runs.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        all.join_all().await;
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        house.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_nothing_is_claimed_and_what_was_done_is_stored_later() {
    on_both(async |db: Db| {
        let house = House::new(&db, Config::default()).await;
        let claim = fresh(&house, "a").await;
        let pulled = Pulled::out_of(&db);
        assert_eq!(code(&house, "b").await, "idempotency.store_lost");
        let settled = Settlement::Done(answer("one"));
        assert!(house.keys.settle(claim, settled).await.is_err());
        pulled.back_into(&db).await;
        eventually("the answer is stored", async || {
            let claimed = house.keys.claim(key("a"), BODY).await;
            claimed.is_ok_and(|claimed| claimed == Claimed::Done(answer("one")))
        })
        .await;
        fresh(&house, "b").await;
        house
            .system
            .act("/idempotency/keeper", Action::Restart)
            .expect("it obeys");
        eventually("the answer is told", async || {
            let claimed = house.keys.claim(key("a"), BODY).await;
            claimed.is_ok_and(|claimed| claimed == Claimed::Done(answer("one")))
        })
        .await;
        house.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_bounded_in_number_and_time() {
    on_both(async |db: Db| {
        let (now, full) = (clock::now(), true);
        let claim = async |name: &str, at, is_full| {
            let claim = Claim(ground::Id::generate());
            let found = crate::store::claim(&db, claim, key(name), BODY, at, is_full).await;
            (claim, found.expect("written"))
        };
        // As many as may be, none of them done: nothing makes room.
        let (first, found) = claim("0", now, false).await;
        assert_eq!(found, Found::Free);
        assert_eq!(claim("1", now, full).await.1, Found::Full);
        assert_eq!(
            crate::store::count(&db).await.expect("counted"),
            1,
            "nothing is left of it"
        );
        let settled = Settlement::Done(answer("x"));
        crate::store::settle(&db, first, settled)
            .await
            .expect("written");
        assert_eq!(claim("1", now, full).await.1, Found::Free);
        assert_eq!(
            crate::store::count(&db).await.expect("counted"),
            1,
            "the oldest made room"
        );
        // A day later the key is free, whatever became of it.
        let later = now + KEPT_FOR + Duration::from_secs(1);
        assert_eq!(claim("1", later, false).await.1, Found::Free);
        let gone = crate::store::forget(&db, later, 10).await.expect("deleted");
        assert_eq!(gone, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_settled_once() {
    on_both(async |db: Db| {
        let house = House::new(&db, Config::default()).await;
        let claim = fresh(&house, "a").await;
        let settled = Settlement::Done(answer("one"));
        house.keys.settle(claim, settled).await.expect("stored");
        for late in [Settlement::Released, Settlement::Withheld] {
            house.keys.settle(claim, late).await.expect("no error");
        }
        let again = house.keys.claim(key("a"), BODY).await.expect("an answer");
        assert_eq!(again, Claimed::Done(answer("one")));
        house.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_one_caller_are_told_and_forgotten() {
    on_both(async |db: Db| {
        let house = House::new(&db, Config::default()).await;
        let claim = fresh(&house, "mine").await;
        let other = Key {
            caller: "user:2".to_owned(),
            ..key("theirs")
        };
        house.keys.claim(other, BODY).await.expect("claimed");
        let told = personal::requests_of(&db, "token:1").await.expect("reads");
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].key.as_str(), told[0].status), ("mine", None));
        db.write(async move |tx| personal::remove_of(tx, "token:1").await)
            .await
            .expect("removed");
        // What is done meanwhile finds nothing to settle.
        let settled = Settlement::Done(answer("late"));
        house.keys.settle(claim, settled).await.expect("no harm");
        let told = personal::requests_of(&db, "token:1").await.expect("reads");
        assert_eq!(told, []);
        let told = personal::requests_of(&db, "user:2").await.expect("reads");
        assert_eq!(told.len(), 1);
        house.stop().await;
    })
    .await;
}
