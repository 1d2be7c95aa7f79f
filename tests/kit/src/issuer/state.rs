//! What the issuer knows: who is signed in there, which codes are out, and which fault it has.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::keys::{Algorithm, Key, encode, random_text, unsigned};

/// What the client is called.
pub const CLIENT_ID: &str = "mainstay-test";
/// What the client shows. With characters that a form encodes.
pub const CLIENT_SECRET: &str = "s3cret+with/odd=signs";
/// Where people are sent back to. Nobody listens there: a test takes the address and goes on itself.
pub const REDIRECT_URI: &str = "http://127.0.0.1:4110/api/v1/auth/issuers/fake/callback";

/// Somebody who is signed in at the issuer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The issuer's word for the person; for GitHub it must be a number.
    pub subject: String,
    /// The address.
    pub email: String,
    /// Whether the issuer verified it.
    pub is_email_verified: bool,
    /// What the person is called.
    pub name: String,
}

impl Person {
    /// Somebody with a verified address.
    #[must_use]
    pub fn new(subject: &str, email: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            email: email.to_owned(),
            is_email_verified: true,
            name: "Ada Lovelace".to_owned(),
        }
    }
}

/// What the issuer does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Another issuer is named in the token.
    WrongIssuer,
    /// The token is meant for somebody else.
    WrongAudience,
    /// The token is for us and others, and was given out to another one.
    WrongParty,
    /// The token belongs to another attempt.
    WrongNonce,
    /// The token belongs to another access token.
    WrongAccessToken,
    /// The token's time is over.
    Expired,
    /// The token is not signed and says so.
    Unsigned,
    /// The token is signed with the public key as a shared secret.
    PublicKeyAsSecret,
    /// The token names a key that is not published.
    UnknownKey,
    /// The token brings its key along.
    EmbeddedKey,
    /// The token is signed with a key that is not the published one of that name.
    WrongSignature,
    /// The token says that it is an access token.
    AccessToken,
    /// The answer names another issuer.
    MixedUp,
    /// The answer names nobody, although the issuer announces that it does.
    Nameless,
    /// The token endpoint never answers.
    Slow,
    /// Everything answers 500.
    Broken,
    /// The token endpoint answers what is no JSON.
    Garbage,
    /// The token endpoint answers more than anybody wants.
    Huge,
    /// Its discovery document is that of another issuer.
    Impostor,
}

/// A code that is out.
#[derive(Debug, Clone)]
struct Code {
    person: Person,
    nonce: Option<String>,
    challenge: String,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) url: String,
    pub(super) person: Option<Person>,
    pub(super) fault: Option<Fault>,
    pub(super) wants_secret_in_body: bool,
    pub(super) asked: HashMap<String, usize>,
    /// The access tokens that are out.
    pub(super) tokens: HashMap<String, Person>,
    key: Key,
    keys_made: u32,
    codes: HashMap<String, Code>,
}

/// Why a token endpoint refuses, as the standard spells it.
pub(super) type OAuthError = &'static str;

/// What is asked of the authorization endpoint, or of the token endpoint.
pub(super) type Pairs = HashMap<String, String>;

impl State {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            person: None,
            fault: None,
            wants_secret_in_body: false,
            asked: HashMap::new(),
            tokens: HashMap::new(),
            key: Key::new("key-0".to_owned(), Algorithm::EdDsa),
            keys_made: 1,
            codes: HashMap::new(),
        }
    }

    pub(super) fn rotate_key(&mut self, algorithm: Algorithm) {
        self.key = Key::new(format!("key-{}", self.keys_made), algorithm);
        self.keys_made += 1;
    }

    /// Counts a request.
    pub(super) fn note(&mut self, path: &str) {
        *self.asked.entry(path.to_owned()).or_default() += 1;
    }

    pub(super) fn discovery(&self) -> Value {
        let url = &self.url;
        let issuer = match self.fault {
            Some(Fault::Impostor) => "http://127.0.0.1:1",
            _ => url.as_str(),
        };
        let auth = if self.wants_secret_in_body {
            "client_secret_post"
        } else {
            "client_secret_basic"
        };
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA", "ES256", "RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": [auth],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    pub(super) fn published(&self) -> Value {
        json!({ "keys": [self.key.public()] })
    }

    /// The address that the person is sent back to, or what is wrong with the request.
    pub(super) fn authorize(&mut self, asked: &Pairs) -> Result<String, String> {
        let value = |name: &str| asked.get(name).map(String::as_str);
        for (name, wanted) in [
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", REDIRECT_URI),
            ("code_challenge_method", "S256"),
        ] {
            if value(name) != Some(wanted) {
                return Err(format!("{name} is {:?}, not {wanted}", value(name)));
            }
        }
        let long = |name: &str| value(name).filter(|text| text.len() >= 43);
        let challenge = long("code_challenge").ok_or("a short code_challenge")?;
        let state = long("state").ok_or("a short state")?;
        let mut query = vec![("state".to_owned(), state.to_owned())];
        match self.person.clone() {
            Some(person) => {
                let code = random_text();
                let kept = Code {
                    person,
                    nonce: long("nonce").map(str::to_owned),
                    challenge: challenge.to_owned(),
                };
                self.codes.insert(code.clone(), kept);
                query.push(("code".to_owned(), code));
            }
            None => query.push(("error".to_owned(), "access_denied".to_owned())),
        }
        match self.fault {
            Some(Fault::Nameless) => {}
            Some(Fault::MixedUp) => query.push(("iss".to_owned(), "http://127.0.0.1:1".to_owned())),
            _ => query.push(("iss".to_owned(), self.url.clone())),
        }
        let back = reqwest::Url::parse_with_params(REDIRECT_URI, query);
        back.map(String::from).map_err(|error| error.to_string())
    }

    /// Uses a code up.
    pub(super) fn redeem(&mut self, form: &Pairs) -> Result<(Person, Option<String>), OAuthError> {
        let value = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if value("grant_type") != "authorization_code" {
            return Err("unsupported_grant_type");
        }
        let code = self.codes.remove(value("code")).ok_or("invalid_grant")?;
        let challenge = encode(digest(&SHA256, value("code_verifier").as_bytes()));
        if value("redirect_uri") != REDIRECT_URI || challenge != code.challenge {
            return Err("invalid_grant");
        }
        Ok((code.person, code.nonce))
    }

    /// An access token for somebody.
    pub(super) fn access_token(&mut self, person: &Person) -> String {
        let token = random_text();
        self.tokens.insert(token.clone(), person.clone());
        token
    }

    /// The ID token, with the fault that the issuer has.
    pub(super) fn id_token(&self, person: &Person, nonce: Option<&str>, access: &str) -> String {
        let now = seconds();
        let hash = digest(&SHA256, access.as_bytes());
        let mut claims = json!({
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": person.subject,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "at_hash": encode(&hash.as_ref()[..16]),
            "email": person.email,
            "email_verified": person.is_email_verified,
            "name": person.name,
        });
        match self.fault {
            Some(Fault::WrongIssuer) => claims["iss"] = json!("http://127.0.0.1:1"),
            Some(Fault::WrongAudience) => claims["aud"] = json!("another-client"),
            Some(Fault::WrongParty) => {
                claims["aud"] = json!([CLIENT_ID, "another-client"]);
                claims["azp"] = json!("another-client");
            }
            Some(Fault::WrongNonce) => claims["nonce"] = json!(random_text()),
            Some(Fault::WrongAccessToken) => claims["at_hash"] = json!(encode([0; 16])),
            Some(Fault::Expired) => claims["exp"] = json!(now - 1),
            _ => {}
        }
        let stranger = || Key::new(self.key.kid.clone(), Algorithm::EdDsa);
        match self.fault {
            Some(Fault::Unsigned) => unsigned(&claims),
            Some(Fault::PublicKeyAsSecret) => self.key.with_public_key_as_secret(&claims),
            Some(Fault::UnknownKey) => {
                Key::new("unheard-of".to_owned(), Algorithm::EdDsa).sign(&claims)
            }
            Some(Fault::EmbeddedKey) => {
                let key = stranger();
                let header = json!({ "alg": "EdDSA", "kid": key.kid, "jwk": key.public() });
                key.sign_with(&header, &claims)
            }
            Some(Fault::WrongSignature) => stranger().sign(&claims),
            Some(Fault::AccessToken) => {
                let header = json!({ "alg": "EdDSA", "kid": self.key.kid, "typ": "at+jwt" });
                self.key.sign_with(&header, &claims)
            }
            _ => self.key.sign(&claims),
        }
    }
}

/// Who asks the token endpoint: exactly the client, in exactly the announced way.
pub(super) fn check_client(
    header: Option<&str>,
    form: &Pairs,
    in_body: bool,
) -> Result<(), OAuthError> {
    let in_form = |name: &str| form.get(name).map(String::as_str);
    let is_right = if in_body {
        header.is_none()
            && in_form("client_id") == Some(CLIENT_ID)
            && in_form("client_secret") == Some(CLIENT_SECRET)
    } else {
        in_form("client_secret").is_none() && header == Some(&basic_header())
    };
    is_right.then_some(()).ok_or("invalid_client")
}

/// RFC 6749 wants both parts encoded as in a form, then joined and put into base64.
fn basic_header() -> String {
    let mut encoded = reqwest::Url::parse("http://x/").expect("an address");
    encoded
        .query_pairs_mut()
        .append_pair(CLIENT_ID, CLIENT_SECRET);
    let pair = encoded.query().unwrap_or_default().replacen('=', ":", 1);
    format!("Basic {}", STANDARD.encode(pair))
}

#[expect(
    clippy::disallowed_methods,
    reason = "an issuer has a clock of its own, and the harness knows none of ours"
)]
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}
