//! The whole router without a socket: permissions, problems, the tree, the documents.
//!
//! The tree is real but empty and the domains' addresses are vacant, so every call of a domain is answered as it is while
//! that domain is down: what happens then is part of the promise. What the domains do is tested with them and end to end.

mod armour;
mod documents;
mod factors;
mod passkeys;
mod permissions;
mod problems;
mod tree;

use std::time::Duration;

use accounts::{Accounts, Identity, Method as SignInMethod, Role, Scope, SessionIdentity, Tier};
use audit::Audit;
use axum::Router;
use axum::body::Body;
use futures::future::BoxFuture;
use ground::Id;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use idempotency::Idempotency;
use ledger::Ledger;
use mail::Outgoing;
use ptys::Ptys;
use serde_json::Value;
use supervisor::{Domain, SystemBuilder};
use tokio::time::Instant;
use tower::ServiceExt;

use super::caller::{Caller, Gate};
use super::codes;
use super::limits::Limits;
use super::listen::{Connection, Drain, Peer};
use super::problem::Problem;
use super::state::{About, AppState, Parts};
use crate::wire::{Handles, TreeHistory};

/// The session behind `session.owner`, `session.viewer` and the like; that behind `stale.owner` began an hour ago, that behind
/// `proven.owner` with a second factor.
fn session(token: &str) -> Option<Caller> {
    let (sort, role) = token.split_once('.')?;
    let began = match sort {
        "session" | "proven" => ground::clock::now(),
        "stale" => ground::clock::now() - Duration::from_hours(1),
        _ => return None,
    };
    let role = role.parse().ok()?;
    Some(Caller::Session(SessionIdentity {
        session: Id::from_bytes([8; 16]),
        user: Id::from_bytes([9; 16]),
        email: "somebody@example.org".into(),
        role,
        tier: Tier::Standard,
        method: SignInMethod::Password,
        second_factor: sort == "proven",
        auth_time: began,
        expires_at: ground::clock::now() + Duration::from_hours(1),
    }))
}

/// Knows the tokens `mst_all`, `mst_read`, `mst_operator` and `mst_terminals`, `mst_user` of a user, and the sessions above; none of
/// them ends.
struct Doorman;

impl Gate for Doorman {
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Caller, Problem>> {
        let scopes: Option<Vec<Scope>> = match token {
            "mst_all" | "mst_user" => Some(vec![]),
            "mst_read" => Some(vec![Scope::Read]),
            "mst_operator" => Some(vec![Scope::Operator]),
            "mst_terminals" => Some(vec![Scope::Terminals]),
            _ => None,
        };
        let identity = scopes.map(|scopes| Identity {
            token_id: Id::from_bytes([7; 16]),
            name: "test".into(),
            owner: (token == "mst_user").then(|| Id::from_bytes([9; 16]).to_string().into()),
            role: Role::Owner,
            tier: Tier::Standard,
            scopes: scopes.into_iter().collect(),
            expires_at: None,
        });
        Box::pin(async move {
            let caller = identity.map(Caller::Token).or_else(|| session(token));
            caller.ok_or_else(|| accounts::AccountsError::Unknown.into())
        })
    }

    fn ended(&self, _caller: &Caller) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// An edge over an empty tree.
pub(super) async fn edge(limits: Limits) -> AppState {
    let builder = SystemBuilder::new();
    let accounts = Accounts::handle(builder.address::<Accounts>());
    let audit = Audit::handle(builder.address::<Audit>());
    let idempotency = Idempotency::handle(builder.address::<Idempotency>());
    let ledger = Ledger::handle(builder.address::<Ledger>());
    let history = TreeHistory::default();
    drop(ledger.ports(ground::Db::vacant(), std::sync::Arc::new(history.clone())));
    let mail = Outgoing::handle(builder.address::<Outgoing>());
    let ptys = Ptys::handle(builder.address::<Ptys>());
    let system = builder.start().await.expect("an empty tree");
    history.begin(system.clone());
    system.ready().await;
    let drills = crate::drills::Drills::new(true, system.clone());
    let handles = Handles {
        system,
        accounts,
        audit,
        idempotency,
        ledger,
        mail,
        ptys,
        drills,
    };
    let about = About {
        name: "mainstay",
        version: "0.0.0",
        commit: None,
        built_at: None,
        domains: vec!["ptys".to_owned()],
    };
    let parts = Parts {
        handles,
        limits,
        drain: Drain::new(),
        about,
        started: Instant::now(),
        is_loopback_only: true,
        tls: None,
    };
    AppState::with_gate(parts, std::sync::Arc::new(Doorman))
}

/// The application over an empty tree.
async fn app() -> Router {
    let mut limits = Limits::default();
    // A test that asks every route once is no stranger who asks too much.
    limits.rates.enabled = false;
    super::router(&edge(limits).await)
}

/// A request to be.
pub(in crate::http) struct Ask {
    request: http::request::Builder,
    peer: Peer,
    body: Body,
}

/// A request of the local operator.
pub(in crate::http) fn ask(method: Method, path: &str) -> Ask {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("x-request-id", "test");
    Ask {
        request,
        peer: Peer::Local { uid: 0, pid: None },
        body: Body::empty(),
    }
}

pub(in crate::http) fn get(path: &str) -> Ask {
    ask(Method::GET, path)
}

impl Ask {
    /// From the network instead.
    pub(in crate::http) fn over_tcp(mut self) -> Self {
        self.peer = Peer::Tcp(([127, 0, 0, 1], 50_000).into());
        self
    }

    /// From the network with a token.
    pub(in crate::http) fn bearing(self, token: &str) -> Self {
        self.over_tcp()
            .with("authorization", &format!("Bearer {token}"))
    }

    pub(in crate::http) fn with(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(in crate::http) fn json(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self.with("content-type", "application/json")
    }

    async fn sent(self, app: &Router) -> Response<Body> {
        let request = self
            .request
            .extension(Connection::for_tests(self.peer))
            .body(self.body)
            .expect("a request");
        app.clone().oneshot(request).await.expect("infallible")
    }

    /// The answer without its body, which may be a stream that never ends.
    async fn of_head(self, app: &Router) -> Answer {
        let (parts, _body) = self.sent(app).await.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::new(),
        }
    }

    pub(in crate::http) async fn of(self, app: &Router) -> Answer {
        let (parts, body) = self.sent(app).await.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(in crate::http) struct Answer {
    pub(in crate::http) status: StatusCode,
    headers: http::HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(in crate::http) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(in crate::http) fn code(&self) -> String {
        assert_eq!(
            self.header(header::CONTENT_TYPE.as_str()),
            Some("application/problem+json"),
            "{self:?}"
        );
        self.json()["code"].as_str().expect("a code").to_owned()
    }
}

/// A wait that no test should need to its end.
const SOON: Duration = Duration::from_secs(20);
