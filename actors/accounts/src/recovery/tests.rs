//! The desk against a real database of each engine, with a double of second factors.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use ground::audit::Source;
use ground::{Db, Id, Micros, Secret, args};
use supervisor::{Fault, FaultKind};

use super::*;
use crate::config::Config;
use crate::people::{self, NewUser, Requester};
use crate::people::{Refused, SecondFactor};
use crate::ports::Shared;
use crate::types::{Role, Tier};
use ground::lock;

const PASSWORD: &str = "quartz lantern ferry";
const NEW_PASSWORD: &str = "another plum harbour";

/// Why a second factor does not let in.
#[derive(Debug, thiserror::Error)]
#[error("a code is wrong or missing")]
struct NoCode;

impl Fault for NoCode {
    fn kind(&self) -> FaultKind {
        FaultKind::Unauthenticated
    }

    fn code(&self) -> &'static str {
        "test.no_code"
    }

    fn outside(&self) -> String {
        "no code".to_owned()
    }
}

/// A second factor of everybody whose right code is `123456`, once it is switched on.
#[derive(Debug, Default)]
struct FakeFactors {
    is_on: Mutex<bool>,
}

impl SecondFactor for FakeFactors {
    fn check<'a>(
        &'a self,
        _user: Id,
        shown: Option<&'a Secret>,
        _source: &'a Source,
    ) -> BoxFuture<'a, Result<bool, Refused>> {
        let is_on = *lock(&self.is_on);
        Box::pin(async move {
            match shown.map(Secret::expose) {
                _ if !is_on => Ok(false),
                Some("123456") => Ok(true),
                _ => Err(Arc::new(NoCode) as Refused),
            }
        })
    }
}

/// A desk with all around it, and Ann.
struct Room {
    db: Db,
    desk: Desk,
    shared: Shared,
    people: people::Desk,
    factors: Arc<FakeFactors>,
    ann: Id,
}

impl Room {
    async fn new(db: &Db) -> Self {
        let (shared, factors) = (Shared::new(), Arc::<FakeFactors>::default());
        let desk = Desk::new(db.clone(), shared.clone(), factors.clone(), None);
        let sessions = Arc::new(shared.sessions.clone());
        let people = people::Desk::new(
            db.clone(),
            shared.clone(),
            Config::default(),
            sessions,
            factors.clone(),
        );
        let mut room = Self {
            db: db.clone(),
            desk,
            shared,
            people,
            factors,
            ann: Id::generate(),
        };
        room.ann = room.somebody("Ann@Example.org").await;
        room
    }

    async fn somebody(&self, email: &str) -> Id {
        let new = NewUser {
            email: email.to_owned(),
            password: Some(Secret::from(PASSWORD)),
            name: None,
            role: Role::Member,
            tier: Tier::Standard,
        };
        let made = self.people.create(Requester::local(0, source()), new).await;
        made.expect("made").0.id
    }

    /// The mails that wait, oldest first: to whom, what for, and their texts.
    async fn mails(&self) -> Vec<(String, String, String)> {
        let sql = "SELECT to_address, kind, body FROM mail_queue ORDER BY id";
        self.db.fetch_all(sql, args![]).await.expect("readable")
    }

    /// The token of the newest mail of a kind.
    async fn token(&self, kind: &str) -> Secret {
        let mails = self.mails().await;
        let found = mails.iter().rev().find(|(_, mailed, _)| mailed == kind);
        let (_, _, text) = found.unwrap_or_else(|| panic!("no {kind} among {mails:?}"));
        let token = text
            .lines()
            .find(|line| line.starts_with("ms"))
            .expect("a token");
        Secret::from(token)
    }

    async fn forgotten(&self) -> Secret {
        self.desk
            .forgot("ann@example.org", source())
            .await
            .expect("accepted");
        self.token("password.reset").await
    }

    async fn reset(&self, token: &Secret, code: Option<&str>) -> Result<(), RecoveryError> {
        let reset = Reset {
            token: token.clone(),
            password: Secret::from(NEW_PASSWORD),
            code: code.map(Secret::from),
            ends_sessions: true,
        };
        self.desk.reset(reset, source()).await
    }

    async fn fits(&self, password: &str) -> bool {
        let known = people::known(&self.db, self.ann).await.expect("readable");
        let kept = known.expect("there").kept;
        let verdict = self
            .shared
            .people
            .hasher
            .verify(Secret::from(password), kept)
            .await;
        matches!(verdict, Ok(people::Verdict::Right { .. }))
    }

    /// How many entries of this action have this result.
    async fn entries(&self, action: &str, outcome: &str) -> i64 {
        let sql = "SELECT count(*) FROM audit_entries WHERE action = $1 AND outcome = $2";
        let (count,): (i64,) = self
            .db
            .fetch_one(sql, args![action, outcome])
            .await
            .expect("readable");
        count
    }

    fn holder(&self) -> Holder {
        Holder {
            user: self.ann,
            credential: None,
            source: source(),
        }
    }

    async fn email(&self) -> (String, bool) {
        let user = people::user(&self.db, self.ann)
            .await
            .expect("readable")
            .expect("there");
        (user.email, user.email_verified_at.is_some())
    }

    async fn change(&self, email: &str, password: &str) -> Result<(), RecoveryError> {
        let new = NewEmail {
            email: email.to_owned(),
            password: Secret::from(password),
        };
        self.desk.change(self.holder(), new).await
    }
}

/// A session of somebody.
async fn begun(db: &Db, user: Id) {
    let now = Micros::now();
    let sql = "INSERT INTO sessions (id, user_id, method, second_factor, created_at, last_used_at, idle_expires_at, expires_at) \
               VALUES ($1, $2, 'password', $3, $4, $4, $5, $5)";
    let (id, end) = (Id::generate(), now + Duration::from_hours(1));
    let added = db.execute(sql, args![id, user, false, now, end]).await;
    assert_eq!(added.expect("writes"), 1);
}

fn source() -> Source {
    Source::default()
}

#[tokio::test]
async fn a_mailed_token_sets_a_new_password_once_and_tells_of_it() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        let token = room.forgotten().await;
        room.reset(&token, None).await.expect("set");
        assert!(room.fits(NEW_PASSWORD).await && !room.fits(PASSWORD).await);
        let again = room.reset(&token, None).await;
        assert!(matches!(again, Err(RecoveryError::BadToken)), "{again:?}");
        let mails = room.mails().await;
        let kinds: Vec<&str> = mails.iter().map(|(_, kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["password.reset", "password.changed"]);
        assert!(
            mails.iter().all(|(to, ..)| to == "Ann@Example.org"),
            "{mails:?}"
        );
        assert_eq!(room.entries("password.reset", "done").await, 1);
    })
    .await;
}

#[tokio::test]
async fn of_many_who_use_a_token_at_once_one_succeeds() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        let token = room.forgotten().await;
        let all = (0..6).map(|_| room.reset(&token, None));
        let done = futures::future::join_all(all).await;
        assert_eq!(done.iter().filter(|one| one.is_ok()).count(), 1, "{done:?}");
        assert_eq!(room.entries("password.reset", "done").await, 1);
    })
    .await;
}

#[tokio::test]
async fn who_has_a_second_factor_is_not_let_past_it_by_a_mail() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        *lock(&room.factors.is_on) = true;
        let token = room.forgotten().await;
        for code in [None, Some("000000")] {
            let refused = room.reset(&token, code).await;
            assert!(
                matches!(refused, Err(RecoveryError::Elsewhere(_))),
                "{refused:?}"
            );
        }
        assert!(room.fits(PASSWORD).await);
        room.reset(&token, Some("123456")).await.expect("set");
    })
    .await;
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_in_its_own_transaction() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        for _ in 0..3 {
            begun(&db, room.ann).await;
        }
        let token = room.forgotten().await;
        room.reset(&token, None).await.expect("set");
        let sql = "SELECT count(*) FROM sessions WHERE ended_at IS NULL";
        let (live,): (i64,) = db.fetch_one(sql, args![]).await.expect("readable");
        assert_eq!(live, 0);
        assert_eq!(room.entries("session.end_all", "done").await, 1);
    })
    .await;
}

#[tokio::test]
async fn who_asks_hears_nothing_and_gets_at_most_three_mails_an_hour() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        for _ in 0..5 {
            room.desk
                .forgot("ann@example.org", source())
                .await
                .expect("accepted");
        }
        room.desk
            .forgot("nobody@example.org", source())
            .await
            .expect("accepted");
        assert_eq!(room.mails().await.len(), 3);
        assert_eq!(room.entries("password.forgot", "done").await, 3);
        assert_eq!(room.entries("password.forgot", "refused").await, 3);
        let odd = room.desk.forgot("no address", source()).await;
        assert!(matches!(odd, Err(RecoveryError::Invalid(_))), "{odd:?}");
    })
    .await;
}

#[tokio::test]
async fn only_the_newest_token_works() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        let first = room.forgotten().await;
        let second = room.forgotten().await;
        let old = room.reset(&first, None).await;
        assert!(matches!(old, Err(RecoveryError::BadToken)), "{old:?}");
        let weak = Reset {
            token: second.clone(),
            password: Secret::from("password"),
            code: None,
            ends_sessions: true,
        };
        let weak = room.desk.reset(weak, source()).await;
        assert!(matches!(weak, Err(RecoveryError::Invalid(_))), "{weak:?}");
        let sql = "UPDATE recovery_tokens SET expires_at = created_at";
        db.execute(sql, args![]).await.expect("writes");
        let late = room.reset(&second, None).await;
        assert!(matches!(late, Err(RecoveryError::BadToken)), "{late:?}");
        assert!(room.fits(PASSWORD).await);
    })
    .await;
}

#[tokio::test]
async fn an_address_is_proven_by_the_token_that_was_mailed_to_it() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        room.desk.resend(room.holder()).await.expect("accepted");
        let token = room.token("email.verify").await;
        let crossed = room.reset(&token, None).await;
        assert!(
            matches!(crossed, Err(RecoveryError::BadToken)),
            "{crossed:?}"
        );
        room.desk.verify(&token, source()).await.expect("proven");
        assert_eq!(room.email().await, ("Ann@Example.org".to_owned(), true));
        let again = room.desk.resend(room.holder()).await;
        assert!(
            matches!(again, Err(RecoveryError::AlreadyVerified)),
            "{again:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_new_address_is_the_accounts_once_it_is_proven() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        let wrong = room.change("new@example.org", "not the password").await;
        assert!(matches!(wrong, Err(RecoveryError::Invalid(_))), "{wrong:?}");
        assert!(room.mails().await.is_empty());
        let reset = room.forgotten().await;
        room.change("new@example.org", PASSWORD)
            .await
            .expect("accepted");
        assert_eq!(
            room.email().await.0,
            "Ann@Example.org",
            "nothing has changed yet"
        );
        let token = room.token("email.change").await;
        room.desk.verify(&token, source()).await.expect("proven");
        assert_eq!(room.email().await, ("new@example.org".to_owned(), true));
        let to: Vec<(String, String)> = room
            .mails()
            .await
            .into_iter()
            .map(|(to, kind, _)| (kind, to))
            .collect();
        for (kind, wanted) in [
            ("email.change", "new@example.org"),
            ("email.change_asked", "Ann@Example.org"),
            ("email.changed", "Ann@Example.org"),
        ] {
            assert!(
                to.contains(&(kind.to_owned(), wanted.to_owned())),
                "{kind}: {to:?}"
            );
        }
        let old = room.reset(&reset, None).await;
        assert!(
            matches!(old, Err(RecoveryError::BadToken)),
            "mailed to the old address: {old:?}"
        );
    })
    .await;
}

/// Who reads of a change that they did not ask for is told to change the password: that must end the change.
#[tokio::test]
async fn a_new_password_is_the_end_of_what_was_mailed_before() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        let theft = room.change("thief@example.org", PASSWORD).await;
        theft.expect("who knows the password may");
        let theft = room.token("email.change").await;
        let reset = room.forgotten().await;
        let change = people::PasswordChange {
            current: Secret::from(PASSWORD),
            new: Secret::from(NEW_PASSWORD),
            ends_others: false,
        };
        let ann = Requester {
            user: Some(room.ann),
            ..Requester::local(0, source())
        };
        let changed = room.people.change_password(ann, change).await;
        changed.expect("changed");
        let late = room.desk.verify(&theft, source()).await;
        assert!(matches!(late, Err(RecoveryError::BadToken)), "{late:?}");
        let late = room.reset(&reset, None).await;
        assert!(matches!(late, Err(RecoveryError::BadToken)), "{late:?}");
        assert_eq!(room.email().await.0, "Ann@Example.org");
        assert!(room.fits(NEW_PASSWORD).await);
    })
    .await;
}

#[tokio::test]
async fn who_wants_an_address_that_is_taken_hears_nothing_of_that() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db).await;
        room.somebody("bob@example.org").await;
        room.change("bob@example.org", PASSWORD)
            .await
            .expect("accepted");
        let mails = room.mails().await;
        assert!(
            mails.iter().all(|(to, ..)| to == "Ann@Example.org"),
            "{mails:?}"
        );
        // One that is refused between the mail and its use is refused, and stays with whoever has it.
        room.change("free@example.org", PASSWORD)
            .await
            .expect("accepted");
        let token = room.token("email.change").await;
        room.somebody("free@example.org").await;
        let refused = room.desk.verify(&token, source()).await;
        assert!(
            matches!(refused, Err(RecoveryError::EmailTaken)),
            "{refused:?}"
        );
        room.change("third@example.org", PASSWORD)
            .await
            .expect("accepted");
        let fourth = room.change("bob@example.org", PASSWORD).await;
        assert!(
            matches!(fourth, Err(RecoveryError::TooManyMails)),
            "refused ones count: {fourth:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_unknown_address_is_answered_at_the_same_moment() {
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let shared = Shared::new();
    let desk = Desk::new(Db::vacant(), shared, Arc::<FakeFactors>::default(), None);
    // Without a database both fail alike, and not sooner than both succeed.
    let failed = desk.forgot("ann@example.org", source()).await;
    assert!(failed.is_err());
    assert!(started.elapsed() >= Duration::from_millis(250));
}
