//! One issuer: its place in the tree, what it announced, its keys, and the way from a code to who somebody is.
//!
//! Made at wiring time, like its dependency: a restart of the domain forgets neither the breaker nor the keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ground::{Secret, clock};
use serde_json::{Map, Value};
use supervisor::{CallError, ChildSpec, Dependency, DependencyPolicy, Level};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::config::{IssuerConfig, IssuerKind, checked};
use super::discovery::{self, ClientAuth, MAX_DOCUMENT, Metadata};
use super::error::{FederationError, IssuerError, TokenError};
use super::flows::Flow;
use super::http::{Answer, Http};
use super::id_token::{self, Expected};
use super::secrets::challenge;
use super::types::{IssuerInfo, Proof};
use super::{github, urls};
use crate::jose::jwk::KeySet;
use crate::jose::jws::{self, JwsError};
use crate::jose::strict;

/// For how long what an issuer announced is believed.
const FRESH_FOR: Duration = Duration::from_hours(1);
/// A token that names a key that is not known makes the keys be fetched anew, at most this often.
const REFETCH_AFTER: Duration = Duration::from_mins(1);
/// Bytes of a set of keys at most.
const MAX_KEYS: usize = 256 * 1024;
/// Bytes of any other answer at most.
const MAX_ANSWER: usize = 64 * 1024;
/// Characters of an issuer's own error code that are told on.
const MAX_CODE: usize = 60;

/// All issuers of a configuration, by name. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Issuers(Arc<BTreeMap<String, Arc<Issuer>>>);

/// What was fetched, and when.
#[derive(Debug, Clone)]
struct Fetched<T> {
    value: Arc<T>,
    at: Instant,
}

impl<T> Fetched<T> {
    fn now(value: T) -> Self {
        Self {
            value: Arc::new(value),
            at: Instant::now(),
        }
    }

    fn fresh(&self) -> Option<Arc<T>> {
        (self.at.elapsed() < FRESH_FOR).then(|| Arc::clone(&self.value))
    }
}

/// The keys, and when they were last fetched for a token's sake.
#[derive(Debug, Default)]
struct Keys {
    fetched: Option<Fetched<KeySet>>,
    refetched_at: Option<Instant>,
}

/// What an issuer gave for a code.
struct Tokens {
    id_token: Option<Secret>,
    access_token: Option<Secret>,
}

/// An issuer.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) name: String,
    pub(crate) config: IssuerConfig,
    pub(crate) dependency: Dependency,
    redirect_uri: String,
    http: Http,
    // Held while one caller fetches for all; the calls inside are bounded.
    metadata: Mutex<Option<Fetched<Metadata>>>,
    keys: Mutex<Keys>,
}

impl Issuers {
    /// The issuers of a configuration. `dependency` makes the dependency at a path, with what is known better than its defaults.
    pub fn new(
        groups: &BTreeMap<String, IssuerConfig>,
        dependency: impl Fn(&str, fn(DependencyPolicy) -> DependencyPolicy) -> Dependency,
    ) -> Self {
        let made = groups.iter().filter_map(|(name, config)| {
            let own = dependency(&format!("/accounts/issuer_{name}"), tuned);
            let issuer = Issuer::new(name, config.clone(), own)?;
            Some((name.clone(), Arc::new(issuer)))
        });
        Self(Arc::new(made.collect()))
    }

    /// The issuer of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.0.values()
    }

    /// Each as a node of the tree.
    pub(crate) fn nodes(&self) -> Vec<ChildSpec> {
        let node = |issuer: &Arc<Issuer>| {
            let probed = Arc::clone(issuer);
            let probe = move || {
                let issuer = Arc::clone(&probed);
                async move { issuer.probe().await }
            };
            ChildSpec::dependency(format!("issuer_{}", issuer.name), &issuer.dependency, probe)
        };
        self.all().map(node).collect()
    }
}

/// Nobody is locked out by an issuer that is away: who has a password uses that.
fn tuned(base: DependencyPolicy) -> DependencyPolicy {
    DependencyPolicy {
        bears: Level::Degraded,
        half_open_calls: 1,
        ..base
    }
}

impl Issuer {
    /// Nothing when the configuration was not checked.
    fn new(name: &str, config: IssuerConfig, dependency: Dependency) -> Option<Self> {
        let redirect_uri = config.redirect_uri.clone()?;
        let mut configured = vec![checked(config.address())?];
        if config.kind == IssuerKind::Github {
            configured.push(checked(config.api())?);
        }
        Some(Self {
            name: name.to_owned(),
            dependency,
            redirect_uri,
            http: Http::new(configured),
            metadata: Mutex::default(),
            keys: Mutex::default(),
            config,
        })
    }

    /// What people choose by.
    pub(crate) fn info(&self) -> IssuerInfo {
        let title = self.config.title.as_ref().unwrap_or(&self.name);
        IssuerInfo {
            name: self.name.clone(),
            title: title.clone(),
            kind: self.config.kind.as_str(),
        }
    }

    /// Where to send somebody.
    ///
    /// # Errors
    /// When the issuer does not tell.
    pub(crate) async fn authorization_url(
        &self,
        state: &Secret,
        flow: &Flow,
    ) -> Result<Url, FederationError> {
        let is_github = self.config.kind == IssuerKind::Github;
        let mut url = if is_github {
            below(self.config.address(), "/login/oauth/authorize")?
        } else {
            self.metadata().await?.authorization.clone()
        };
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &self.config.scope())
            .append_pair("state", state.expose())
            .append_pair("code_challenge", &challenge(&flow.verifier))
            .append_pair("code_challenge_method", "S256");
        if !is_github {
            query.append_pair("nonce", flow.nonce.expose());
        }
        drop(query);
        Ok(url)
    }

    /// Checks who an answer says that it is from (RFC 9207). Needs nothing of an issuer that does not name itself.
    ///
    /// # Errors
    /// `MixedUp`, and what keeps it from being known whether it names itself.
    pub(crate) async fn check_sender(&self, iss: Option<&str>) -> Result<(), FederationError> {
        let is_own = match iss {
            Some(iss) => iss == self.config.address(),
            None if self.config.kind == IssuerKind::Github => true,
            None => !self.metadata().await?.names_itself,
        };
        is_own.then_some(()).ok_or(FederationError::MixedUp)
    }

    /// Turns a code into who somebody is.
    ///
    /// # Errors
    /// `Issuer` and `Untrusted`.
    pub(crate) async fn prove(&self, code: &Secret, flow: &Flow) -> Result<Proof, FederationError> {
        if self.config.kind == IssuerKind::Github {
            return self.prove_by_api(code, flow).await;
        }
        let metadata = self.metadata().await?;
        let tokens = self
            .exchange(&metadata.token, metadata.client_auth, code, flow)
            .await?;
        let Some(id_token) = tokens.id_token else {
            return Err(garbage("it gave no ID token"));
        };
        let claims = self.claims(&metadata, &id_token).await?;
        let expected = Expected {
            issuer: self.config.address(),
            client_id: &self.config.client_id,
            nonce: &flow.nonce,
            access_token: tokens.access_token.as_ref(),
            now: clock::now(),
        };
        let proof = id_token::check(&claims, &expected).map_err(TokenError::from)?;
        Ok(proof)
    }

    /// Asks in the cheapest way that proves it is well.
    ///
    /// # Errors
    /// See [`IssuerError`].
    pub(crate) async fn probe(&self) -> Result<(), IssuerError> {
        if self.config.kind == IssuerKind::Github {
            let url = base(self.config.api())?;
            // Any answer of its own will do: some servers show this to nobody without a token.
            return self.http.get(&url, None, MAX_ANSWER).await.map(drop);
        }
        self.discover().await.map(drop)
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, CallError<IssuerError>> {
        let mut known = self.metadata.lock().await;
        if let Some(fresh) = known.as_ref().and_then(Fetched::fresh) {
            return Ok(fresh);
        }
        let discover = |_| self.discover();
        let fetched = Fetched::now(self.dependency.call("discovery", discover).await?);
        let value = Arc::clone(&fetched.value);
        *known = Some(fetched);
        Ok(value)
    }

    async fn discover(&self) -> Result<Metadata, IssuerError> {
        let address = self.config.address();
        let url = urls::below(address, "/.well-known/openid-configuration");
        let url = url.map_err(|error| IssuerError::Garbage(error.to_string()))?;
        let answer = self.http.get(&url, None, MAX_DOCUMENT).await?;
        let document = answer.expect_ok()?.object()?;
        discovery::read(&document, address).map_err(|error| IssuerError::Garbage(error.to_string()))
    }

    async fn exchange(
        &self,
        url: &Url,
        auth: ClientAuth,
        code: &Secret,
        flow: &Flow,
    ) -> Result<Tokens, CallError<IssuerError>> {
        let nothing = Secret::default();
        let secret = self.config.client_secret.as_ref().unwrap_or(&nothing);
        let client_id = self.config.client_id.as_str();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", flow.verifier.expose()),
        ];
        let basic = match auth {
            ClientAuth::Basic => Some((client_id, secret)),
            ClientAuth::Post => {
                form.extend([("client_id", client_id), ("client_secret", secret.expose())]);
                None
            }
        };
        // Once: a code that was used is dead, whatever became of the answer.
        let exchanging = async {
            let answer = self.http.post(url, &form, basic, MAX_ANSWER).await?;
            read_tokens(&answer)
        };
        self.dependency.call_once(exchanging).await
    }

    /// What the token says, once its signature is right.
    async fn claims(
        &self,
        metadata: &Metadata,
        id_token: &Secret,
    ) -> Result<Map<String, Value>, FederationError> {
        let keys = self.keys(metadata).await?;
        let verify = |keys: &KeySet| jws::verify(keys, &metadata.algorithms, id_token.expose());
        let signed = match verify(&keys) {
            Err(JwsError::Key) => match self.newer_keys(metadata).await? {
                Some(keys) => verify(&keys),
                None => Err(JwsError::Key),
            },
            verdict => verdict,
        };
        let signed = signed.map_err(TokenError::from)?;
        // An access token that is a JWT says so; no ID token does.
        let is_ours = signed
            .typ
            .as_deref()
            .is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        if !is_ours {
            return Err(TokenError::Sort.into());
        }
        let claims = strict::object(&signed.payload);
        Ok(claims.ok_or(TokenError::Signature(JwsError::Form))?)
    }

    async fn keys(&self, metadata: &Metadata) -> Result<Arc<KeySet>, CallError<IssuerError>> {
        let mut known = self.keys.lock().await;
        if let Some(fresh) = known.fetched.as_ref().and_then(Fetched::fresh) {
            return Ok(fresh);
        }
        let fetched = self.fetch_keys(metadata).await?;
        let value = Arc::clone(&fetched.value);
        known.fetched = Some(fetched);
        Ok(value)
    }

    /// Keys that were fetched for the sake of a token that names one that is not known; nothing when that was done just now.
    async fn newer_keys(
        &self,
        metadata: &Metadata,
    ) -> Result<Option<Arc<KeySet>>, CallError<IssuerError>> {
        let mut known = self.keys.lock().await;
        let is_too_soon = |at: Instant| at.elapsed() < REFETCH_AFTER;
        if known.refetched_at.is_some_and(is_too_soon) {
            return Ok(None);
        }
        known.refetched_at = Some(Instant::now());
        let fetched = self.fetch_keys(metadata).await?;
        let value = Arc::clone(&fetched.value);
        known.fetched = Some(fetched);
        Ok(Some(value))
    }

    async fn fetch_keys(
        &self,
        metadata: &Metadata,
    ) -> Result<Fetched<KeySet>, CallError<IssuerError>> {
        let fetch = |_| async {
            let answer = self.http.get(&metadata.keys, None, MAX_KEYS).await?;
            let answer = answer.expect_ok()?;
            let keys = KeySet::read(answer.body());
            keys.ok_or_else(|| IssuerError::Garbage("not a set of keys".to_owned()))
        };
        Ok(Fetched::now(self.dependency.call("keys", fetch).await?))
    }

    async fn prove_by_api(&self, code: &Secret, flow: &Flow) -> Result<Proof, FederationError> {
        let url = below(self.config.address(), "/login/oauth/access_token")?;
        let tokens = self.exchange(&url, ClientAuth::Post, code, flow).await?;
        let Some(token) = tokens.access_token else {
            return Err(garbage("it gave no token"));
        };
        let (user, emails) = (
            below(self.config.api(), "/user")?,
            below(self.config.api(), "/user/emails")?,
        );
        let ask = |url: Url| {
            let token = &token;
            async move {
                let answer = self.http.get(&url, Some(token), MAX_ANSWER).await?;
                answer.expect_ok()
            }
        };
        let user = self.dependency.call("user", |_| ask(user.clone())).await?;
        let emails = self
            .dependency
            .call("emails", |_| ask(emails.clone()))
            .await?;
        let of_call = |error| FederationError::from(CallError::Failed(error));
        let (user, emails) = (
            user.object().map_err(of_call)?,
            emails.list().map_err(of_call)?,
        );
        github::read(&user, &emails).ok_or_else(|| garbage("it named no account"))
    }
}

/// An address of the configuration with a path behind it. It was checked when the configuration was read.
fn below(base: &str, path: &str) -> Result<Url, FederationError> {
    urls::below(base, path).map_err(|error| garbage(&error.to_string()))
}

fn garbage(what: &str) -> FederationError {
    CallError::Failed(IssuerError::Garbage(what.to_owned())).into()
}

fn base(text: &str) -> Result<Url, IssuerError> {
    urls::read_base(text).map_err(|error| IssuerError::Garbage(error.to_string()))
}

/// Reads the answer of a token endpoint (RFC 6749 section 5); GitHub tells its errors with a 200.
fn read_tokens(answer: &Answer) -> Result<Tokens, IssuerError> {
    let body = answer.object()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if let Some(code) = text("error") {
        let shown: String = code.escape_debug().take(MAX_CODE).collect();
        return Err(match code {
            "invalid_grant" | "bad_verification_code" => IssuerError::CodeRefused(shown),
            _ => IssuerError::ClientRefused(shown),
        });
    }
    if !answer.status.is_success() {
        return Err(IssuerError::Garbage(format!(
            "it answered {}",
            answer.status
        )));
    }
    let secret = |name: &str| text(name).filter(|text| !text.is_empty()).map(Secret::from);
    Ok(Tokens {
        id_token: secret("id_token"),
        access_token: secret("access_token"),
    })
}
