//! An outside issuer of our own: OpenID Connect with everything that a client can check, GitHub's three endpoints, and faults on demand.
//!
//! Why a real server and no mock: what signing in from outside must withstand is what comes over the wire. It checks its client as
//! strictly as a real one would (redirect address, PKCE, client's secret, each code once), so that a client that forgets something
//! fails here and not at somebody's employer.
//!
//! # Layout
//!
//! `keys` makes keys and signs · `state` what the server knows · `oidc` and `github` its endpoints.

mod github;
mod keys;
mod oidc;
mod state;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use state::State;

pub use keys::Algorithm;
pub use state::{CLIENT_ID, CLIENT_SECRET, Fault, Person, REDIRECT_URI};

/// What the endpoints share.
type Shared = Arc<Mutex<State>>;

/// A running issuer. Dropping it ends it.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    shared: Shared,
    tasks: JoinSet<()>,
}

/// What the issuer sends somebody back with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// The whole address, with its query.
    pub location: String,
    /// The code, if it gave one.
    pub code: Option<String>,
    /// The state.
    pub state: String,
    /// Who it says that it is.
    pub iss: Option<String>,
    /// The error instead of a code.
    pub error: Option<String>,
}

impl Issuer {
    /// Starts one on a free port of the loopback interface.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut issuer = Self {
            address,
            shared: Arc::new(Mutex::new(State::new(&format!("http://{address}")))),
            tasks: JoinSet::new(),
        };
        issuer.serve(listener);
        issuer
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(oidc::discovery))
            .route("/keys", get(oidc::keys))
            .route("/authorize", get(oidc::authorize))
            .route("/token", post(oidc::token))
            .route("/login/oauth/authorize", get(oidc::authorize))
            .route("/login/oauth/access_token", post(github::token))
            .route("/api", get(github::root))
            .route("/api/user", get(github::user))
            .route("/api/user/emails", get(github::emails))
            .with_state(Arc::clone(&self.shared));
        self.tasks.spawn(async move {
            // It ends only with the task.
            drop(axum::serve(listener, router).await);
        });
    }

    /// Goes away: connections are refused, until [`Issuer::come_back`].
    pub async fn go_away(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Comes back at the same address.
    ///
    /// # Panics
    ///
    /// When somebody else has taken the port.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await;
        self.serve(listener.expect("its own port is free"));
    }

    /// Its address, as it calls itself.
    #[must_use]
    pub fn url(&self) -> String {
        self.state().url.clone()
    }

    /// A group of the configuration for it, as an issuer of OpenID Connect; `more` are further lines.
    #[must_use]
    pub fn config(&self, name: &str, more: &str) -> String {
        format!(
            "[accounts.issuers.{name}]\nkind = \"oidc\"\nissuer = \"{}\"\nclient_id = \"{CLIENT_ID}\"\n\
             client_secret = \"{CLIENT_SECRET}\"\nredirect_uri = \"{REDIRECT_URI}\"\n{more}\n",
            self.url()
        )
    }

    /// The same as GitHub.
    #[must_use]
    pub fn github_config(&self, name: &str, more: &str) -> String {
        format!(
            "[accounts.issuers.{name}]\nkind = \"github\"\nissuer = \"{0}\"\napi_url = \"{0}/api\"\n\
             client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\nredirect_uri = \"{REDIRECT_URI}\"\n{more}\n",
            self.url()
        )
    }

    /// From now on it is this person who sits in front of the browser, signed in at the issuer's.
    pub fn log_in(&self, person: Person) {
        self.state().person = Some(person);
    }

    /// From now on the person says no.
    pub fn log_out(&self) {
        self.state().person = None;
    }

    /// From now on it has this fault, or none.
    pub fn suffer(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Signs with a new key of this sort from now on; the old key is not published any more.
    pub fn rotate_key(&self, algorithm: Algorithm) {
        self.state().rotate_key(algorithm);
    }

    /// Wants the client's secret in the body instead of the header from now on.
    pub fn want_secret_in_body(&self) {
        self.state().wants_secret_in_body = true;
    }

    /// How often an endpoint was asked.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.state().asked.get(path).copied().unwrap_or(0)
    }

    /// Goes to `url` as the person's browser, as far as the issuer's answer.
    ///
    /// # Panics
    ///
    /// When the issuer does not send the person back: it found fault with its client.
    pub async fn visit(&self, url: &str) -> Return {
        let answer = crate::client::plain().get(url).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("the issuer answers: {error:?}"));
        let status = answer.status();
        let location = answer.headers().get("location").cloned();
        let text = answer.text().await.unwrap_or_default();
        let location = location.unwrap_or_else(|| panic!("{status} instead of a way back: {text}"));
        let location = location.to_str().expect("a readable address").to_owned();
        let url = reqwest::Url::parse(&location).expect("an address");
        let value = |name: &str| {
            let mut pairs = url.query_pairs();
            let found = pairs.find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        Return {
            code: value("code"),
            state: value("state").expect("a state"),
            iss: value("iss"),
            error: value("error"),
            location,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared)
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
