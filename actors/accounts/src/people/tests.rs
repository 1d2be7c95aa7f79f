//! The desk against a real database of each engine, with doubles of sessions and second factors.

mod coming_in;
mod looking_after;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use ground::audit::{Actor, Source};
use ground::db::Conn;
use ground::{Db, DbError, Id, Secret, args};
use supervisor::{Fault, FaultKind};

use super::ports::{Refused, SecondFactor, Sessions};
use super::*;
use crate::config::Config;
use crate::sessions::{Method, SignIn, TokenPair};
use crate::types::{Role, Tier};
use ground::lock;

/// A password that all rules take.
const PASSWORD: &str = "quartz lantern ferry";

/// Sessions that remember what they were asked.
#[derive(Debug, Default)]
struct FakeSessions {
    begun: Mutex<Vec<SignIn>>,
    ended: Mutex<Vec<(Id, Option<Id>)>>,
    changed: Mutex<Vec<Id>>,
}

impl Sessions for FakeSessions {
    fn begin(&self, sign_in: SignIn) -> BoxFuture<'_, Result<TokenPair, Refused>> {
        lock(&self.begun).push(sign_in);
        let pair = TokenPair {
            access_token: Secret::from("access"),
            refresh_token: Secret::from("refresh"),
            expires_in: Duration::from_mins(15),
            session: Id::generate(),
        };
        Box::pin(async { Ok(pair) })
    }

    fn end_all<'a>(
        &'a self,
        _tx: &'a mut Conn,
        user: Id,
        except: Option<Id>,
        _by: (Actor, Source),
    ) -> BoxFuture<'a, Result<Vec<Id>, DbError>> {
        Box::pin(async move {
            lock(&self.ended).push((user, except));
            Ok(vec![user])
        })
    }

    fn have_ended(&self, sessions: &[Id]) {
        let ended = lock(&self.ended);
        let told = ended.last().is_some_and(|(user, _)| sessions == [*user]);
        assert!(told, "only what ended is told");
    }

    fn user_changed(&self, user: Id) {
        lock(&self.changed).push(user);
    }
}

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

/// A desk with all around it.
struct Room {
    desk: Desk,
    sessions: Arc<FakeSessions>,
    factors: Arc<FakeFactors>,
}

impl Room {
    fn new(db: &Db) -> Self {
        Self::with(db, Config::default())
    }

    fn with(db: &Db, config: Config) -> Self {
        let (sessions, factors) = (
            Arc::<FakeSessions>::default(),
            Arc::<FakeFactors>::default(),
        );
        let shared = crate::ports::Shared::new();
        let desk = Desk::new(
            db.clone(),
            shared,
            config,
            sessions.clone(),
            factors.clone(),
        );
        Self {
            desk,
            sessions,
            factors,
        }
    }

    /// Somebody with [`PASSWORD`].
    async fn somebody(&self, email: &str, role: Role) -> User {
        let new = NewUser {
            email: email.to_owned(),
            password: Some(Secret::from(PASSWORD)),
            name: None,
            role,
            tier: Tier::Standard,
        };
        self.desk.create(local(), new).await.expect("made").0
    }

    async fn sign_in(
        &self,
        email: &str,
        password: &str,
        last: u8,
    ) -> Result<TokenPair, SignInError> {
        let shown = Credentials {
            email: email.to_owned(),
            password: Secret::from(password),
            code: None,
        };
        self.desk.sign_in(shown, from(last)).await
    }

    /// Passwords hashed or checked so far.
    fn hashed(&self) -> u64 {
        self.desk.shared.people.hasher.done()
    }

    /// The actions that the audit holds, with their outcome and the reason of a refusal.
    async fn audit(&self) -> Vec<(String, String, String)> {
        let rows: Vec<(String, String, String)> = self
            .desk
            .db
            .fetch_all(
                "SELECT action, outcome, detail FROM audit_entries ORDER BY seq LIMIT 1000",
                args![],
            )
            .await
            .expect("readable");
        rows
    }
}

fn local() -> Requester {
    Requester::local(0, Source::default())
}

fn by(user: &User) -> Requester {
    Requester {
        actor: Actor::User {
            id: user.id,
            credential: None,
        },
        user: Some(user.id),
        role: user.role,
        session: None,
        source: from(1),
    }
}

fn from(last: u8) -> Source {
    Source {
        address: Some(IpAddr::from([192, 0, 2, last])),
        user_agent: None,
        request_id: None,
    }
}
