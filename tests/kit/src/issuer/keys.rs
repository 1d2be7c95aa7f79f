//! Keys of the issuer, and tokens signed with them: rightly, or in the ways that a client must refuse.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};

/// Made for these tests alone: making one takes longer than a test should.
const RSA_KEY: &str = include_str!("rsa_key.txt");

/// What tokens are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA over P-256.
    Es256,
    /// RSA with PKCS #1 padding, as Google signs.
    Rs256,
}

impl Algorithm {
    /// Its registered name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

enum Pair {
    Ed(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// A key with its name.
pub(super) struct Key {
    pub(super) kid: String,
    algorithm: Algorithm,
    pair: Pair,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.kid).finish()
    }
}

impl Key {
    pub(super) fn new(kid: String, algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        let pair = match algorithm {
            Algorithm::EdDsa => {
                let made = Ed25519KeyPair::generate_pkcs8(&random).expect("random bytes");
                Pair::Ed(Ed25519KeyPair::from_pkcs8(made.as_ref()).expect("a key"))
            }
            Algorithm::Es256 => {
                let how = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let made = EcdsaKeyPair::generate_pkcs8(how, &random).expect("random bytes");
                Pair::Ec(EcdsaKeyPair::from_pkcs8(how, made.as_ref(), &random).expect("a key"))
            }
            Algorithm::Rs256 => {
                let text: String = RSA_KEY.split_whitespace().collect();
                let made = STANDARD.decode(text).expect("base64");
                Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(&made).expect("a key")))
            }
        };
        Self {
            kid,
            algorithm,
            pair,
        }
    }

    /// What is published of it.
    pub(super) fn public(&self) -> Value {
        let (kid, alg) = (&self.kid, self.algorithm.name());
        match &self.pair {
            Pair::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": alg, "use": "sig",
                "x": encode(pair.public_key().as_ref()) })
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "alg": alg, "use": "sig",
                    "x": encode(x), "y": encode(y) })
            }
            Pair::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e }: RsaPublicKeyComponents<Vec<u8>> =
                    pair.public().into();
                json!({ "kty": "RSA", "kid": kid, "alg": alg, "use": "sig", "n": encode(n), "e": encode(e) })
            }
        }
    }

    /// A token with these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm.name(), "kid": self.kid, "typ": "JWT" });
        self.sign_with(&header, claims)
    }

    /// A token with any header.
    pub(super) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let signed = parts(header, claims);
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", encode(signature))
    }

    /// One whose shared secret is what everybody may know: the public key.
    pub(super) fn with_public_key_as_secret(&self, claims: &Value) -> String {
        let header = json!({ "alg": "HS256", "kid": self.kid, "typ": "JWT" });
        let signed = parts(&header, claims);
        let secret = match &self.pair {
            Pair::Ed(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => pair.public().as_ref().to_vec(),
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        format!("{signed}.{}", encode(hmac::sign(&key, signed.as_bytes())))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Ec(pair) => {
                let signature = pair.sign(&random, message);
                signature.expect("random bytes").as_ref().to_vec()
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.expect("random bytes");
                signature
            }
        }
    }
}

/// A token that says that it needs no signature.
pub(super) fn unsigned(claims: &Value) -> String {
    format!("{}.", parts(&json!({ "alg": "none" }), claims))
}

fn parts(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// Unpadded base64url.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// 256 random bits as text.
pub(super) fn random_text() -> String {
    let bytes: ring::rand::Random<[u8; 32]> =
        ring::rand::generate(&SystemRandom::new()).expect("random bytes");
    encode(bytes.expose())
}
