//! A code counts once, whoever shows it at the same moment, to whichever daemon.

use ground::audit::{Actor, Entry};
use ground::db::Engine;
use ground::{Db, clock};
use tokio::task::JoinSet;

use super::bench::{App, sealer, source, user};
use crate::factors::recovery;
use crate::factors::store::{self, Factor, Proof, Then};
use crate::factors::{FactorError, totp};
use crate::tests::house::House;

/// Redeems one proof fifty times at once, half of them in another process as far as the database can tell.
async fn fifty(here: &Db, there: &Db, factor: &Factor, proof: &Proof) -> usize {
    let mut attempts = JoinSet::new();
    for number in 0..50 {
        let db = if number % 2 == 0 { here } else { there }.clone();
        let (factor, proof) = (factor.clone(), proof.clone());
        attempts.spawn(async move {
            let entry = Entry::new(Actor::System, "factor.recovery_used", source());
            loop {
                let entries = vec![entry.clone()];
                let (proof, then) = (proof.clone(), Then::Nothing);
                let redeemed =
                    store::redeem(&db, &factor, proof, then, entries, clock::now()).await;
                match redeemed {
                    // Another transaction was in the way: nothing happened.
                    Err(ground::DbError::Busy { .. }) => tokio::task::yield_now().await,
                    other => return other.expect("an answer"),
                }
            }
        });
    }
    let mut won = 0;
    while let Some(attempt) = attempts.join_next().await {
        won += usize::from(attempt.expect("no panic"));
    }
    won
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_at_once_one_wins() {
    for stage in ::store::testing::stages().await {
        let here = stage.open().await;
        // An embedded database is one process's alone.
        let there = match stage.engine() {
            Engine::Sqlite => None,
            Engine::Postgres => Some(stage.open().await),
        };
        let other = there.as_ref().map_or(&here.db, |there| &there.db);
        let house = House::sealing(&here.db, sealer(1)).await;
        let app = App::of(house.accounts.factors(), user(&here.db).await).await;
        let factor = store::factor_of(&here.db, app.user).await;
        let factor = factor.expect("readable").expect("set up");
        for ahead in 1..=4 {
            let step = totp::step_of(clock::now()) + ahead;
            let proof = Proof::Step { step, sealed: None };
            assert_eq!(fifty(&here.db, other, &factor, &proof).await, 1);
        }
        for code in app.recovery.iter().take(4) {
            let hash = recovery::read(code.expose()).expect("own code");
            let proof = Proof::Recovery(hash);
            assert_eq!(fifty(&here.db, other, &factor, &proof).await, 1);
        }
        // Each with its entry, and none without.
        let (entries,): (i64,) = here
            .db
            .fetch_one(
                "SELECT count(*) FROM audit_entries WHERE actor_kind = 'system'",
                ground::args![],
            )
            .await
            .expect("readable");
        assert_eq!(entries, 8);
        house.stop().await;
        if let Some(there) = there {
            there.close().await;
        }
        here.close().await;
    }
}

/// The same from outside.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_sign_ins_with_one_code_one_passes() {
    ::store::testing::on_both(async |db| {
        let (here, there) = (
            House::sealing(&db, sealer(1)).await,
            House::sealing(&db, sealer(1)).await,
        );
        let app = App::of(here.accounts.factors(), user(&db).await).await;
        let code = app.next_code();
        let mut sign_ins = JoinSet::new();
        for number in 0..50 {
            let house = if number % 2 == 0 { &here } else { &there };
            let (factors, code) = (house.accounts.factors().clone(), code.clone());
            let user = app.user;
            sign_ins.spawn(async move { factors.check(user, Some(&code), &source()).await });
        }
        let mut passed = 0;
        while let Some(sign_in) = sign_ins.join_next().await {
            match sign_in.expect("no panic") {
                Ok(is_strong) => passed += usize::from(is_strong),
                Err(FactorError::Wrong | FactorError::Limited { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(passed, 1);
        here.stop().await;
        there.stop().await;
    })
    .await;
}
