//! The rotation in the database against the plain model, step by step, on both engines.

use std::sync::Arc;

use ground::audit::Source;
use ground::{Db, Id, Micros, Secret, args};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};

use super::SessionError;
use super::refresh::tests::{Family, IDLE, NOW, WHOLE};
use super::refresh::{self, make, read};
use super::store::{self, NewSession, Rotate, Rotated};
use super::types::{Method, SignIn};

/// A user without anything.
async fn user(db: &Db) -> Id {
    let id = Id::generate();
    db.execute(
        "INSERT INTO users (id, email, email_key, role, tier, created_at, updated_at, version) \
         VALUES ($1, $2, $2, 'member', 'standard', $3, $3, 1)",
        args![id, format!("{id}@example.org"), NOW],
    )
    .await
    .expect("a user");
    id
}

/// A session that began at [`NOW`], with its first token.
async fn session(db: &Db) -> (Id, Secret) {
    let token = make(&mut rand::random());
    let new = NewSession {
        id: Id::generate(),
        sign_in: SignIn {
            user: user(db).await,
            method: Method::Password,
            second_factor: false,
            source: Source::default(),
        },
        refresh: read(token.expose()).expect("a token"),
        now: NOW,
        idle_expires_at: NOW + IDLE,
        expires_at: NOW + WHOLE,
    };
    let id = new.id;
    store::begin(db, new).await.expect("begun");
    (id, token)
}

async fn show(db: &Db, token: &Secret, now: Micros) -> Result<Rotated, SessionError> {
    let rotate = Rotate {
        token: token.clone(),
        hash: read(token.expose()).expect("a token"),
        nonce: rand::random(),
        now,
        idle_limit: IDLE,
        source: Source::default(),
    };
    store::rotate(db, rotate).await
}

async fn unused(db: &Db, session: Id) -> i64 {
    let (count,): (i64,) = db
        .fetch_one(
            "SELECT count(*) FROM refresh_tokens WHERE session_id = $1 AND used_at IS NULL",
            args![session],
        )
        .await
        .expect("a count");
    count
}

#[tokio::test]
async fn the_database_does_what_the_model_does() {
    ::store::testing::on_both(async |db| {
        for seed in 0..12 {
            let mut dice = StdRng::seed_from_u64(seed);
            let (id, first) = session(&db).await;
            let (mut family, mut tokens) = (Family::new(), vec![first]);
            let mut now = NOW;
            for step in 0..25 {
                now = Micros(now.get() + dice.random_range(-1_500_000..3_000_000));
                let back = if dice.random_bool(0.7) {
                    0
                } else {
                    dice.random_range(0..3)
                };
                let number = (tokens.len() - 1).saturating_sub(back);
                let expected = family.show(number, now);
                let told = match show(&db, &tokens[number], now).await.expect("an answer") {
                    Rotated::Next(next) => Some(next.token),
                    Rotated::Ended(_, reason) => {
                        assert_eq!(Some(reason), family.ended, "{seed}.{step}");
                        None
                    }
                    Rotated::Over | Rotated::Unknown => None,
                };
                assert_eq!(told.is_some(), expected.is_some(), "{seed}.{step}");
                if let Some(told) = told {
                    let number = expected.expect("a number");
                    if number == tokens.len() {
                        tokens.push(told);
                    } else {
                        assert!(told == tokens[number], "the same token again");
                    }
                }
                assert_eq!(unused(&db, id).await, 1, "{seed}.{step}: one way on");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn fifty_at_once_get_one_and_the_same_token() {
    ::store::testing::on_both(async |db| {
        let (id, token) = session(&db).await;
        let shows = (0..50).map(|_| show(&db, &token, NOW));
        let mut told = Vec::new();
        for answer in futures_all(shows).await {
            match answer.expect("an answer") {
                Rotated::Next(next) => told.push(next.token),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(told.len(), 50);
        assert!(told.iter().all(|token| *token == told[0]));
        assert_eq!(unused(&db, id).await, 1);
    })
    .await;
}

/// All of them, under way at the same time.
async fn futures_all<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|cx| {
        let mut is_done = true;
        for (one, output) in &mut waiting {
            if output.is_none() {
                match one.as_mut().poll(cx) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        if is_done {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    waiting
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}

/// What is kept of a family is bounded, and what is kept opens nothing.
#[tokio::test]
async fn nothing_that_is_stored_can_be_shown() {
    ::store::testing::on_both(async |db| {
        let (id, token) = session(&db).await;
        let Ok(Rotated::Next(next)) = show(&db, &token, NOW).await else {
            panic!("a token");
        };
        let rows: Vec<(Vec<u8>, Option<Vec<u8>>)> = db
            .fetch_all(
                "SELECT hash, nonce FROM refresh_tokens WHERE session_id = $1 ORDER BY generation",
                args![id],
            )
            .await
            .expect("rows");
        let nonce: [u8; 32] = rows[0]
            .1
            .clone()
            .expect("a nonce")
            .try_into()
            .expect("32 bytes");
        assert_eq!(refresh::successor(token.expose(), id, &nonce), next.token);
        for bytes in rows
            .iter()
            .flat_map(|(hash, nonce)| [Some(hash), nonce.as_ref()])
            .flatten()
        {
            let mut bytes: [u8; 32] = bytes.clone().try_into().expect("32 bytes");
            let shown = show(&db, &make(&mut bytes), NOW).await.expect("an answer");
            assert!(matches!(shown, Rotated::Unknown));
        }
        // The next rotation after the grace wipes what is no longer needed.
        let later = NOW + refresh::GRACE * 2;
        assert!(matches!(
            show(&db, &next.token, later).await,
            Ok(Rotated::Next(_))
        ));
        let (kept,): (i64,) = db
            .fetch_one(
                "SELECT count(*) FROM refresh_tokens WHERE session_id = $1 AND nonce IS NOT NULL",
                args![id],
            )
            .await
            .expect("a count");
        assert_eq!(kept, 1);
    })
    .await;
}

/// The process dies after the commit and before the answer: the client asks again and goes on.
#[tokio::test]
async fn an_answer_that_got_lost_is_told_again() {
    ::store::testing::on_both(async |db| {
        let (_, token) = session(&db).await;
        let db = Arc::new(db);
        drop(
            show(&db, &token, NOW)
                .await
                .expect("committed, and never told"),
        );
        let again = show(&db, &token, NOW + refresh::GRACE)
            .await
            .expect("an answer");
        let Rotated::Next(next) = again else {
            panic!("{again:?}");
        };
        let on = show(&db, &next.token, NOW + refresh::GRACE * 2).await;
        assert!(matches!(on, Ok(Rotated::Next(_))));
    })
    .await;
}
