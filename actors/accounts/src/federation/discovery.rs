//! What an issuer announces of itself (OpenID Connect Discovery), read with suspicion. No I/O.
//!
//! Whoever answers in the place of an issuer could send codes and secrets elsewhere, so the document must name the very issuer that
//! was configured, and addresses that may be spoken to. What it does not announce is not assumed.

use serde_json::{Map, Value};
use url::Url;

use super::urls;
use crate::jose::jwk::{Algorithm, Bits};

/// Bytes of the document at most.
pub(crate) const MAX_DOCUMENT: usize = 64 * 1024;

/// The signatures that are believed on an ID token, if the issuer announces them. None with a shared secret: whoever can check such
/// a one can make it.
const BELIEVED: [(&str, Algorithm); 10] = [
    ("EdDSA", Algorithm::EdDsa),
    ("ES256", Algorithm::Es256),
    ("ES384", Algorithm::Es384),
    ("ES512", Algorithm::Es512),
    ("PS256", Algorithm::Ps(Bits::B256)),
    ("PS384", Algorithm::Ps(Bits::B384)),
    ("PS512", Algorithm::Ps(Bits::B512)),
    ("RS256", Algorithm::Rs(Bits::B256)),
    ("RS384", Algorithm::Rs(Bits::B384)),
    ("RS512", Algorithm::Rs(Bits::B512)),
];

/// How this daemon says who it is at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// In the `Authorization` header.
    Basic,
    /// In the body.
    Post,
}

/// What an issuer announces, as far as it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Where people are sent.
    pub(crate) authorization: Url,
    /// Where codes are turned into tokens.
    pub(crate) token: Url,
    /// Where its keys are.
    pub(crate) keys: Url,
    /// Whether its answers name it (RFC 9207).
    pub(crate) names_itself: bool,
    /// How it wants to be told who asks.
    pub(crate) client_auth: ClientAuth,
    /// What it signs ID tokens with, of what is believed.
    pub(crate) algorithms: Vec<Algorithm>,
}

/// Why a document is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiscoveryError {
    /// It is somebody else's.
    #[error("its discovery document is that of another issuer")]
    Issuer,
    /// An address is missing, or may not be spoken to.
    #[error("its discovery document has no acceptable {0}")]
    Endpoint(&'static str),
    /// It signs with nothing that is believed.
    #[error("it announces no signature that is believed here")]
    Algorithms,
    /// It does not take a client's secret in a way known here.
    #[error("it takes a client's secret in no way that is known here")]
    ClientAuth,
}

/// Reads the document of `issuer`.
///
/// # Errors
/// [`DiscoveryError`], the first that applies.
pub(crate) fn read(
    document: &Map<String, Value>,
    issuer: &str,
) -> Result<Metadata, DiscoveryError> {
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(DiscoveryError::Issuer);
    }
    let own = urls::read_base(issuer).map_err(|_| DiscoveryError::Issuer)?;
    let endpoint = |name: &'static str| {
        let text = document.get(name).and_then(Value::as_str);
        text.and_then(|text| urls::read_announced(text, &own).ok())
            .ok_or(DiscoveryError::Endpoint(name))
    };
    let names_itself = document.get("authorization_response_iss_parameter_supported");
    Ok(Metadata {
        authorization: endpoint("authorization_endpoint")?,
        token: endpoint("token_endpoint")?,
        keys: endpoint("jwks_uri")?,
        names_itself: names_itself == Some(&Value::Bool(true)),
        client_auth: client_auth(document)?,
        algorithms: algorithms(document)?,
    })
}

fn algorithms(document: &Map<String, Value>) -> Result<Vec<Algorithm>, DiscoveryError> {
    let announced = words(document, "id_token_signing_alg_values_supported");
    let announced = announced.ok_or(DiscoveryError::Algorithms)?;
    let believed = BELIEVED
        .into_iter()
        .filter(|(name, _)| announced.contains(name));
    let believed: Vec<Algorithm> = believed.map(|(_, algorithm)| algorithm).collect();
    if believed.is_empty() {
        return Err(DiscoveryError::Algorithms);
    }
    Ok(believed)
}

/// `client_secret_basic` when nothing is announced, as the standard says.
fn client_auth(document: &Map<String, Value>) -> Result<ClientAuth, DiscoveryError> {
    let Some(ways) = words(document, "token_endpoint_auth_methods_supported") else {
        return Ok(ClientAuth::Basic);
    };
    if ways.contains(&"client_secret_basic") {
        Ok(ClientAuth::Basic)
    } else if ways.contains(&"client_secret_post") {
        Ok(ClientAuth::Post)
    } else {
        Err(DiscoveryError::ClientAuth)
    }
}

fn words<'a>(document: &'a Map<String, Value>, name: &str) -> Option<Vec<&'a str>> {
    let list = document.get(name)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://id.example.org/realm";

    fn document(changes: &Value) -> Map<String, Value> {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example.org/authorize",
            "token_endpoint": "https://tokens.example.org/token",
            "jwks_uri": "https://id.example.org/keys",
            "id_token_signing_alg_values_supported": ["none", "HS256", "RS256", "ES256"],
        });
        let all = document.as_object_mut().expect("an object");
        for (name, value) in changes.as_object().expect("an object") {
            all.insert(name.clone(), value.clone());
        }
        std::mem::take(all)
    }

    #[test]
    fn what_is_announced_is_taken_as_far_as_it_is_believed() {
        let read = read(&document(&json!({})), ISSUER).expect("sound");
        assert_eq!(
            read.algorithms,
            [Algorithm::Es256, Algorithm::Rs(Bits::B256)],
            "neither `none` nor a shared secret"
        );
        assert_eq!(read.client_auth, ClientAuth::Basic);
        assert!(!read.names_itself);
    }

    #[test]
    fn another_issuers_document_is_refused() {
        for other in [
            json!("https://id.example.org/realm/"),
            json!("https://ID.example.org/realm"),
            json!("https://evil.example/realm"),
            json!(null),
            json!([ISSUER]),
        ] {
            let read = read(&document(&json!({ "issuer": other })), ISSUER);
            assert_eq!(read, Err(DiscoveryError::Issuer), "{other}");
        }
    }

    #[test]
    fn addresses_that_may_not_be_spoken_to_are_refused() {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            for wrong in [
                json!("http://id.example.org/x"),
                json!("https://localhost/x"),
                json!("http://127.0.0.1/x"),
                json!("javascript:alert(1)"),
                json!(""),
                json!(7),
                json!(null),
            ] {
                let read = read(&document(&json!({ name: wrong })), ISSUER);
                assert_eq!(read, Err(DiscoveryError::Endpoint(name)), "{wrong}");
            }
        }
    }

    #[test]
    fn an_issuer_that_signs_with_nothing_believed_is_refused() {
        for wrong in [
            json!(["none", "HS256"]),
            json!([]),
            json!(null),
            json!("RS256"),
        ] {
            let changes = json!({ "id_token_signing_alg_values_supported": wrong });
            let read = read(&document(&changes), ISSUER);
            assert_eq!(read, Err(DiscoveryError::Algorithms), "{wrong}");
        }
    }

    #[test]
    fn the_way_to_show_the_secret_is_the_issuers() {
        let way = |ways: Value| {
            let changes = json!({ "token_endpoint_auth_methods_supported": ways });
            read(&document(&changes), ISSUER).map(|read| read.client_auth)
        };
        assert_eq!(way(json!(["client_secret_post"])), Ok(ClientAuth::Post));
        let both = json!(["client_secret_post", "client_secret_basic"]);
        assert_eq!(way(both), Ok(ClientAuth::Basic));
        assert_eq!(
            way(json!(["private_key_jwt"])),
            Err(DiscoveryError::ClientAuth)
        );
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(name in "[a-z_]{0,12}", text in ".{0,40}") {
            for name in [name.as_str(), "token_endpoint", "id_token_signing_alg_values_supported"] {
                if let Ok(read) = read(&document(&json!({ name: text.as_str() })), ISSUER) {
                    prop_assert!(read.token.scheme() == "https");
                }
            }
        }
    }
}
