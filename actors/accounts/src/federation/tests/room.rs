//! One desk with an issuer in front of it, and what stands in for its neighbours.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use ground::audit::Source;
use ground::{Db, Id, Secret, args, clock};
use kit::issuer::{CLIENT_ID, CLIENT_SECRET, Issuer, Person, REDIRECT_URI, Return};
use supervisor::{Dependency, DependencyPolicy, Fault};

use crate::factors::By;
use crate::federation::config::{IssuerConfig, IssuerKind, Newcomers};
use crate::federation::desk::Desk;
use crate::federation::error::FederationError;
use crate::federation::issuer::Issuers;
use crate::federation::seams::{BeginsSessions, Neighbours, OwnUsers};
use crate::federation::types::{Begin, Begun, Finish, Finished};
use crate::people::{Refused, SecondFactor};
use crate::sessions::{SessionError, SignIn, TokenPair};
use ground::lock;

/// What the issuer is called in the configuration.
pub(super) const NAME: &str = "fake";

/// A second factor that everybody named here has, and the one code that is right.
#[derive(Debug, Default)]
pub(super) struct Factors {
    pub(super) of: Mutex<Vec<Id>>,
}

pub(super) const RIGHT_CODE: &str = "123456";

impl SecondFactor for Factors {
    fn check<'a>(
        &'a self,
        user: Id,
        shown: Option<&'a Secret>,
        _source: &'a Source,
    ) -> BoxFuture<'a, Result<bool, Refused>> {
        let has_one = lock(&self.of).contains(&user);
        let is_right = shown.is_some_and(|code| code.expose() == RIGHT_CODE);
        let refused = || -> Refused { Arc::new(SessionError::Ended) };
        let verdict = match (has_one, is_right) {
            (false, _) => Ok(false),
            (true, true) => Ok(true),
            (true, false) => Err(refused()),
        };
        Box::pin(async move { verdict })
    }
}

/// Sessions that are only counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) all: Mutex<Vec<SignIn>>,
}

impl BeginsSessions for Counted {
    fn begin(&self, sign_in: SignIn) -> BoxFuture<'_, Result<TokenPair, Refused>> {
        lock(&self.all).push(sign_in);
        Box::pin(async {
            Ok(TokenPair {
                access_token: Secret::from("access"),
                refresh_token: Secret::from("refresh"),
                expires_in: Duration::from_mins(15),
                session: Id::generate(),
            })
        })
    }
}

/// The desk, its issuer and its neighbours.
pub(super) struct Room {
    pub(super) db: Db,
    pub(super) issuer: Issuer,
    pub(super) desk: Desk,
    pub(super) factors: Arc<Factors>,
    pub(super) sessions: Arc<Counted>,
}

impl Room {
    /// One with an issuer of OpenID Connect that takes newcomers.
    pub(super) async fn new(db: &Db) -> Self {
        Self::with(db, |_| ()).await
    }

    /// The same, with changes of the configuration.
    pub(super) async fn with(db: &Db, change: impl Fn(&mut IssuerConfig)) -> Self {
        let issuer = Issuer::start().await;
        issuer.log_in(Person::new("248289761001", "ada@example.org"));
        let mut config = IssuerConfig {
            issuer: Some(issuer.url()),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(Secret::from(CLIENT_SECRET)),
            redirect_uri: Some(REDIRECT_URI.to_owned()),
            registration: Newcomers::Open,
            ..IssuerConfig::default()
        };
        change(&mut config);
        if config.kind == IssuerKind::Github {
            config.api_url = Some(format!("{}/api", issuer.url()));
        }
        let groups = BTreeMap::from([(NAME.to_owned(), config)]);
        let made = Issuers::new(&groups, |path, tune| {
            let quick = DependencyPolicy {
                timeout: Duration::from_millis(1_500),
                attempts: 1,
                ..tune(DependencyPolicy::default())
            };
            Dependency::new(path, quick)
        });
        let (factors, sessions) = (Arc::<Factors>::default(), Arc::<Counted>::default());
        let neighbours = Neighbours {
            users: Arc::new(OwnUsers),
            factors: Arc::clone(&factors) as Arc<dyn SecondFactor>,
            sessions: Arc::clone(&sessions) as Arc<dyn BeginsSessions>,
        };
        Self {
            db: db.clone(),
            desk: Desk::new(db.clone(), made, neighbours),
            issuer,
            factors,
            sessions,
        }
    }

    /// Begins, for nobody or for a user who wants to link.
    pub(super) async fn begin(&self, link_to: Option<Id>) -> Begun {
        let begun = self.desk.begin(Begin {
            issuer: NAME.to_owned(),
            return_to: Some("/there".to_owned()),
            link_to: link_to.map(by),
            source: source(),
        });
        begun.await.expect("an attempt")
    }

    /// Begins, and lets the person agree.
    pub(super) async fn come_back(&self, link_to: Option<Id>) -> Finish {
        let begun = self.begin(link_to).await;
        let back = self.issuer.visit(&begun.authorization_url).await;
        finish(&begun, back)
    }

    /// The whole way.
    pub(super) async fn go(&self, link_to: Option<Id>) -> Result<Finished, FederationError> {
        let finish = self.come_back(link_to).await;
        self.desk.finish(finish).await
    }

    /// The whole way, to the code of its refusal.
    pub(super) async fn refusal(&self, link_to: Option<Id>) -> &'static str {
        let refused = self.go(link_to).await;
        refused.expect_err("refused").code()
    }

    /// Users who signed in, in order.
    pub(super) fn signed_in(&self) -> Vec<Id> {
        let all = lock(&self.sessions.all);
        all.iter().map(|sign_in| sign_in.user).collect()
    }

    /// Actions and details of all audit entries, in order.
    pub(super) async fn entries(&self) -> Vec<(String, String, String)> {
        self.db
            .fetch_all(
                "SELECT action, outcome, detail FROM audit_entries ORDER BY seq",
                args![],
            )
            .await
            .expect("entries")
    }

    /// The reason that the newest entry tells.
    pub(super) async fn reason(&self) -> String {
        let (action, _, detail) = self.entries().await.pop().expect("an entry");
        assert_eq!(action, "identity.refused");
        let detail: serde_json::Value = serde_json::from_str(&detail).expect("JSON");
        detail["reason"].as_str().expect("a reason").to_owned()
    }
}

/// What is sent after somebody came back.
pub(super) fn finish(begun: &Begun, back: Return) -> Finish {
    Finish {
        issuer: NAME.to_owned(),
        flow: begun.flow.clone(),
        state: Secret::new(back.state),
        code: back.code.map(Secret::new),
        error: back.error,
        iss: back.iss,
        totp_code: None,
        source: source(),
    }
}

pub(crate) fn source() -> Source {
    Source {
        address: Some([127, 0, 0, 1].into()),
        ..Source::default()
    }
}

/// A user who signed in just now.
pub(crate) fn by(user: Id) -> By {
    By {
        user,
        credential: None,
        signed_in_at: Some(clock::now()),
        source: source(),
    }
}

/// A user who was there before.
pub(crate) async fn user(db: &Db, email: &str) -> Id {
    let id = Id::generate();
    db.execute(
        "INSERT INTO users (id, email, email_key, role, tier, password_hash, created_at, updated_at, version) \
         VALUES ($1, $2, $2, 'member', 'standard', 'x', 1, 1, 1)",
        args![id, email],
    )
    .await
    .expect("a user");
    id
}

/// Keeps a user out.
pub(crate) async fn disable(db: &Db, user: Id) {
    let disabled = db
        .execute(
            "UPDATE users SET disabled_at = 1 WHERE id = $1",
            args![user],
        )
        .await;
    assert_eq!(disabled.expect("written"), 1);
}
