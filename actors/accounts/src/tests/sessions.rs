//! Sessions as their users meet them: begun, refreshed, ended, over restarts and with other daemons on the same database.

use std::time::Duration;

use ground::audit::{Actor, Source};
use ground::{Db, Id, Micros, PageRequest, Secret, args, clock};
use supervisor::{Fault, Level};
use tokio::time::timeout;

use super::house::{House, Pulled, eventually, quick};
use crate::*;

pub(super) async fn user(db: &Db, role: &str) -> Id {
    let id = Id::generate();
    db.execute(
        "INSERT INTO users (id, email, email_key, role, tier, created_at, updated_at, version) \
         VALUES ($1, $2, $2, $3, 'standard', $4, $4, 1)",
        args![id, format!("{id}@example.org"), role, clock::now()],
    )
    .await
    .expect("a user");
    id
}

fn sign_in(user: Id) -> SignIn {
    SignIn {
        user,
        method: Method::Password,
        second_factor: true,
        source: Source {
            address: Some([127, 0, 0, 1].into()),
            user_agent: Some("a\u{1b}[2Jtest".to_owned()),
            request_id: Some("r1".to_owned()),
        },
    }
}

impl House {
    async fn begin(&self, user: Id) -> TokenPair {
        let begun = self.accounts.sessions().begin(sign_in(user)).await;
        begun.expect("a session")
    }

    async fn who(&self, pair: &TokenPair) -> Result<SessionIdentity, SessionError> {
        let sessions = self.accounts.sessions();
        sessions.verify(pair.access_token.expose()).await
    }

    async fn next(&self, refresh_token: &Secret) -> Result<TokenPair, SessionError> {
        let sessions = self.accounts.sessions();
        sessions
            .refresh(refresh_token.clone(), Source::default())
            .await
    }

    async fn end(&self, user: Id, session: Id) -> Result<(), SessionError> {
        let end = EndSession {
            session,
            user,
            is_logout: false,
            actor: Actor::System,
            source: Source::default(),
        };
        self.accounts.sessions().end(end).await
    }

    async fn end_all(&self, user: Id, except: Option<Id>) -> u32 {
        let sessions = self.accounts.sessions();
        let ended = sessions.end_all(user, except, Actor::System, Source::default());
        ended.await.expect("ended")
    }

    async fn live(&self, user: Id) -> Vec<SessionInfo> {
        let page = PageRequest::new(Some(200), None).expect("a page");
        let sessions = self.accounts.sessions().list(user, page).await;
        sessions.expect("a list").items
    }
}

async fn actions(db: &Db) -> Vec<String> {
    let rows: Vec<(String,)> = db
        .fetch_all("SELECT action FROM audit_entries ORDER BY seq", args![])
        .await
        .expect("entries");
    rows.into_iter().map(|(action,)| action).collect()
}

async fn reason(db: &Db, session: Id) -> Option<String> {
    let (reason,): (Option<String>,) = db
        .fetch_one(
            "SELECT end_reason FROM sessions WHERE id = $1",
            args![session],
        )
        .await
        .expect("a session");
    reason
}

fn code<T: std::fmt::Debug>(result: Result<T, SessionError>) -> &'static str {
    result.expect_err("refused").code()
}

#[tokio::test]
async fn a_session_begins_goes_on_and_ends() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let user = user(&db, "member").await;
        let pair = house.begin(user).await;
        assert!(pair.expires_in > Duration::from_mins(14));
        let who = house.who(&pair).await.expect("signed in");
        assert_eq!((who.user, who.session), (user, pair.session));
        assert_eq!((who.role, who.method), (Role::Member, Method::Password));
        let next = house.next(&pair.refresh_token).await.expect("a pair");
        assert_eq!(next.session, pair.session);
        assert_ne!(next.refresh_token, pair.refresh_token);
        let again = house.next(&pair.refresh_token).await.expect("the same");
        assert_eq!(again.access_token, next.access_token);
        assert_eq!(again.refresh_token, next.refresh_token);
        assert_eq!(house.who(&next).await.expect("signed in").user, user);
        let told = house.live(user).await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].address.as_deref(), Some("127.0.0.1"));
        assert_eq!(told[0].user_agent.as_deref(), Some("a[2Jtest"));
        let mut stream = house.accounts.sessions().watch(&who);
        house.end(user, pair.session).await.expect("ended");
        let ending = timeout(Duration::from_secs(1), stream.ended()).await;
        assert_eq!(ending, Ok(Ending::Revoked));
        assert_eq!(code(house.who(&next).await), "accounts.session_ended");
        assert_eq!(
            code(house.next(&next.refresh_token).await),
            "accounts.session_ended"
        );
        house.end(user, pair.session).await.expect("again");
        assert_eq!(house.live(user).await, []);
        assert_eq!(actions(&db).await, ["session.begin", "session.end"]);
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_token_that_was_used_before_ends_its_family() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let user = user(&db, "member").await;
        let pair = house.begin(user).await;
        let other = house.begin(user).await;
        let next = house.next(&pair.refresh_token).await.expect("a pair");
        let who = house.who(&next).await.expect("signed in");
        let mut stream = house.accounts.sessions().watch(&who);
        db.execute(
            "UPDATE refresh_tokens SET used_at = used_at - 6000000",
            args![],
        )
        .await
        .expect("six seconds later");
        assert_eq!(
            code(house.next(&pair.refresh_token).await),
            "accounts.refresh_token_reused"
        );
        let ending = timeout(Duration::from_secs(1), stream.ended()).await;
        assert_eq!(ending, Ok(Ending::Revoked));
        assert_eq!(code(house.who(&next).await), "accounts.session_ended");
        assert_eq!(
            code(house.next(&next.refresh_token).await),
            "accounts.session_ended"
        );
        assert!(house.who(&other).await.is_ok(), "another family");
        assert_eq!(reason(&db, pair.session).await.as_deref(), Some("reuse"));
        assert_eq!(
            actions(&db).await.last().map(String::as_str),
            Some("session.reuse")
        );
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let user = user(&db, "member").await;
        let pair = house.begin(user).await;
        let other = house.begin(user).await;
        for wrong in ["", "x", "a.b.c", "msr_", "eyJhbGciOiJub25lIn0.e30."] {
            let sessions = house.accounts.sessions();
            assert_eq!(
                code(sessions.verify(wrong).await),
                "accounts.bad_access_token"
            );
            assert_eq!(
                code(house.next(&wrong.into()).await),
                "accounts.bad_refresh_token"
            );
        }
        // Each for the other, and the payload of one with the signature of the other.
        assert_eq!(
            code(house.next(&pair.access_token).await),
            "accounts.bad_refresh_token"
        );
        let sessions = house.accounts.sessions();
        let swapped = sessions.verify(pair.refresh_token.expose()).await;
        assert_eq!(code(swapped), "accounts.bad_access_token");
        let (head, _) = pair.access_token.expose().rsplit_once('.').expect("parts");
        let (_, tail) = other.access_token.expose().rsplit_once('.').expect("parts");
        let mixed = sessions.verify(&format!("{head}.{tail}")).await;
        assert_eq!(code(mixed), "accounts.bad_access_token");
        let gone = sessions.begin(sign_in(Id::generate())).await;
        assert_eq!(code(gone), "accounts.user_gone");
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn all_sessions_of_a_user_end_but_one() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (user, stranger) = (user(&db, "member").await, user(&db, "admin").await);
        let (kept, gone) = (house.begin(user).await, house.begin(user).await);
        let foreign = house.begin(stranger).await;
        let mut stream = {
            let who = house.who(&gone).await.expect("signed in");
            house.accounts.sessions().watch(&who)
        };
        house.who(&kept).await.expect("signed in");
        assert_eq!(
            code(house.end(user, foreign.session).await),
            "accounts.session_not_found"
        );
        assert_eq!(house.end_all(user, Some(kept.session)).await, 1);
        let ending = timeout(Duration::from_secs(1), stream.ended()).await;
        assert_eq!(ending, Ok(Ending::Revoked));
        assert!(house.who(&gone).await.is_err());
        assert!(house.who(&kept).await.is_ok() && house.who(&foreign).await.is_ok());
        assert_eq!(house.end_all(user, None).await, 1);
        assert!(house.who(&kept).await.is_err());
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn another_daemon_is_believed_and_heard() {
    ::store::testing::on_both(async |db| {
        let (here, there) = (House::new(&db).await, House::new(&db).await);
        let user = user(&db, "owner").await;
        let pair = here.begin(user).await;
        let who = there
            .who(&pair)
            .await
            .expect("signed by a key that was published");
        let mut stream = there.accounts.sessions().watch(&who);
        let next = there.next(&pair.refresh_token).await.expect("a pair");
        let same = here.next(&pair.refresh_token).await.expect("the same");
        assert_eq!(next.refresh_token, same.refresh_token);
        assert!(here.who(&next).await.is_ok() && there.who(&same).await.is_ok());
        here.end(user, pair.session).await.expect("ended");
        let ending = timeout(Duration::from_secs(20), stream.ended()).await;
        assert_eq!(ending, Ok(Ending::Revoked));
        assert_eq!(code(there.who(&next).await), "accounts.session_ended");
        assert_eq!(here.accounts.sessions().public_keys().len(), 2);
        here.stop().await;
        there.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_restart_signs_nobody_out_and_nobody_in() {
    ::store::testing::on_both(async |db| {
        let before = House::new(&db).await;
        let user = user(&db, "member").await;
        let (kept, gone) = (before.begin(user).await, before.begin(user).await);
        before.end(user, gone.session).await.expect("ended");
        before.stop().await;
        let after = House::new(&db).await;
        assert!(after.who(&kept).await.is_ok());
        assert_eq!(code(after.who(&gone).await), "accounts.session_ended");
        let next = after.next(&kept.refresh_token).await.expect("a pair");
        assert!(after.who(&next).await.is_ok());
        let keys = after.accounts.sessions().public_keys();
        assert_eq!(keys.len(), 2, "the old key still checks");
        after.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_disabled_user_is_out_and_a_new_role_counts() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let user = user(&db, "viewer").await;
        let pair = house.begin(user).await;
        assert_eq!(
            house.who(&pair).await.expect("signed in").role,
            Role::Viewer
        );
        db.execute("UPDATE users SET role = 'admin' WHERE id = $1", args![user])
            .await
            .expect("a role");
        house.accounts.sessions().user_changed(user);
        assert_eq!(house.who(&pair).await.expect("signed in").role, Role::Admin);
        db.execute(
            "UPDATE users SET disabled_at = 1 WHERE id = $1",
            args![user],
        )
        .await
        .expect("disabled");
        eventually("it is looked up again", async || {
            house.who(&pair).await.is_err()
        })
        .await;
        assert_eq!(code(house.who(&pair).await), "accounts.session_ended");
        assert_eq!(
            code(house.next(&pair.refresh_token).await),
            "accounts.session_ended"
        );
        let sessions = house.accounts.sessions();
        assert_eq!(
            code(sessions.begin(sign_in(user)).await),
            "accounts.user_gone"
        );
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn sessions_end_by_themselves() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let user = user(&db, "member").await;
        let (idle, old) = (house.begin(user).await, house.begin(user).await);
        let chore = house.begin(user).await;
        for (statement, session) in [
            (
                "UPDATE sessions SET idle_expires_at = 1 WHERE id = $1",
                idle.session,
            ),
            (
                "UPDATE sessions SET expires_at = 1 WHERE id = $1",
                old.session,
            ),
            (
                "UPDATE sessions SET expires_at = 1 WHERE id = $1",
                chore.session,
            ),
        ] {
            db.execute(statement, args![session])
                .await
                .expect("changed");
        }
        assert_eq!(house.live(user).await, []);
        assert!(house.who(&idle).await.is_err() && house.who(&old).await.is_err());
        assert_eq!(
            code(house.next(&idle.refresh_token).await),
            "accounts.session_ended"
        );
        assert_eq!(
            code(house.next(&old.refresh_token).await),
            "accounts.session_ended"
        );
        assert_eq!(reason(&db, idle.session).await.as_deref(), Some("idle"));
        assert_eq!(reason(&db, old.session).await.as_deref(), Some("expired"));
        house.stop().await;
        // The next start looks after what is over, and forgets what has been for long.
        db.execute(
            "UPDATE sessions SET ended_at = 1 WHERE id = $1",
            args![idle.session],
        )
        .await
        .expect("long ago");
        let house = House::new(&db).await;
        eventually("the chore was done", async || {
            let left: (i64,) = db
                .fetch_one("SELECT count(*) FROM sessions", args![])
                .await
                .expect("a count");
            left == (2,) && reason(&db, chore.session).await.as_deref() == Some("expired")
        })
        .await;
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_oldest_of_too_many_ends() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let user = user(&db, "member").await;
        let first = house.begin(user).await;
        house.who(&first).await.expect("signed in");
        let second = house.begin(user).await;
        for _ in 0..99 {
            house.begin(user).await;
        }
        assert_eq!(house.live(user).await.len(), 100);
        assert_eq!(code(house.who(&first).await), "accounts.session_ended");
        assert!(house.who(&second).await.is_ok());
        house.stop().await;
    })
    .await;
}

/// A database of yesterday knows neither the sessions nor the keys of today.
#[tokio::test]
async fn what_a_restored_database_does_not_know_is_refused() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let user = user(&db, "member").await;
        let pair = house.begin(user).await;
        let who = house.who(&pair).await.expect("signed in");
        let mut stream = house.accounts.sessions().watch(&who);
        db.execute("DELETE FROM sessions", args![])
            .await
            .expect("gone");
        db.execute("DELETE FROM signing_keys", args![])
            .await
            .expect("gone");
        eventually("it is refused", async || house.who(&pair).await.is_err()).await;
        assert_eq!(code(house.who(&pair).await), "accounts.session_ended");
        assert_eq!(
            code(house.next(&pair.refresh_token).await),
            "accounts.bad_refresh_token"
        );
        let ending = timeout(Duration::from_secs(20), stream.ended()).await;
        assert_eq!(ending, Ok(Ending::Revoked));
        house.stop().await;
        let house = House::new(&db).await;
        assert_eq!(code(house.who(&pair).await), "accounts.bad_access_token");
        let pair = house.begin(user).await;
        assert!(house.who(&pair).await.is_ok());
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn without_the_database_what_is_remembered_goes_on() {
    ::store::testing::on_both(async |db| {
        let house = House::with(&db, quick()).await;
        let user = user(&db, "member").await;
        let (known, unknown) = (house.begin(user).await, house.begin(user).await);
        house.who(&known).await.expect("signed in");
        let pulled = Pulled::out_of(&db);
        eventually("the loss is told", async || {
            house.level() == Level::Critical
        })
        .await;
        assert_eq!(code(house.who(&unknown).await), "accounts.store_lost");
        assert!(house.who(&known).await.is_ok());
        assert_eq!(
            code(house.next(&known.refresh_token).await),
            "accounts.store_lost"
        );
        pulled.back_into(&db).await;
        eventually("all is well", async || house.level() == Level::Normal).await;
        assert!(house.who(&unknown).await.is_ok());
        assert!(house.next(&known.refresh_token).await.is_ok());
        house.stop().await;
    })
    .await;
}

/// Neither an entry nor a row nor a `Debug` holds anything that could be used.
#[tokio::test]
async fn no_secret_is_kept_or_shown() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let user = user(&db, "member").await;
        let pair = house.begin(user).await;
        let next = house.next(&pair.refresh_token).await.expect("a pair");
        let entries: Vec<(Option<String>, String)> = db
            .fetch_all("SELECT object, detail FROM audit_entries", args![])
            .await
            .expect("entries");
        let shown = format!("{entries:?} {pair:?} {next:?} {:?}", house.accounts);
        for pair in [&pair, &next] {
            for secret in [&pair.access_token, &pair.refresh_token] {
                assert!(!shown.contains(secret.expose()));
            }
        }
        let at: (Option<Micros>,) = db
            .fetch_one(
                "SELECT last_sign_in_at FROM users WHERE id = $1",
                args![user],
            )
            .await
            .expect("a user");
        assert!(at.0.is_some());
        house.stop().await;
    })
    .await;
}
