//! Keys that check signatures, and which of them may check what.
//!
//! A key knows its own algorithms; a token only names a key. A key that says what it is for (`use`, `key_ops`, `alg`) is used for nothing
//! else, and a set that can be read in two ways (a name twice, secret and public keys mixed) is no set at all.

use p521::ecdsa::signature::Verifier as _;
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Map, Value};

use super::{roca, strict};

/// Keys of a set at most.
const MAX_KEYS: usize = 256;
/// Characters of a key's name at most.
pub(crate) const MAX_KID: usize = 200;
/// The smallest public exponent of RSA that is taken, and the only common one.
const MIN_EXPONENT: u64 = 65_537;

/// What a signature can be made with. There is no `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Algorithm {
    Hs(Bits),
    Rs(Bits),
    Ps(Bits),
    Es256,
    Es384,
    Es512,
    EdDsa,
}

/// The size of an algorithm's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Bits {
    B256,
    B384,
    B512,
}

impl Algorithm {
    /// The algorithm of this name, exactly as it is registered.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs(Bits::B256),
            "HS384" => Self::Hs(Bits::B384),
            "HS512" => Self::Hs(Bits::B512),
            "RS256" => Self::Rs(Bits::B256),
            "RS384" => Self::Rs(Bits::B384),
            "RS512" => Self::Rs(Bits::B512),
            "PS256" => Self::Ps(Bits::B256),
            "PS384" => Self::Ps(Bits::B384),
            "PS512" => Self::Ps(Bits::B512),
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    /// Whether a key labelled with this algorithm may check `other`: the same scheme, with a hash that is not smaller.
    fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::Hs(least), Self::Hs(bits))
            | (Self::Rs(least), Self::Rs(bits))
            | (Self::Ps(least), Self::Ps(bits)) => bits >= least,
            (one, other) => one == other,
        }
    }
}

/// What a key is made of.
#[derive(Debug, Clone)]
enum Material {
    Hmac(Vec<u8>),
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(Vec<u8>),
    Ed25519([u8; 32]),
}

impl Material {
    fn suits(&self, algorithm: Algorithm) -> bool {
        match self {
            // RFC 7518 section 3.2: at least as long as the hash.
            Self::Hmac(secret) => {
                matches!(algorithm, Algorithm::Hs(bits) if secret.len() >= bits.bytes())
            }
            Self::Rsa { .. } => matches!(algorithm, Algorithm::Rs(_) | Algorithm::Ps(_)),
            Self::P256(_) => algorithm == Algorithm::Es256,
            Self::P384(_) => algorithm == Algorithm::Es384,
            Self::P521(_) => algorithm == Algorithm::Es512,
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
        }
    }
}

impl Bits {
    const fn bytes(self) -> usize {
        match self {
            Self::B256 => 32,
            Self::B384 => 48,
            Self::B512 => 64,
        }
    }
}

/// A key that checks signatures.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    kid: Option<String>,
    label: Option<Algorithm>,
    material: Material,
}

impl std::fmt::Debug for VerifyingKey {
    /// The key may be a secret one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// An Ed25519 key of our own.
    pub(crate) fn ed25519(kid: String, public: [u8; 32]) -> Self {
        Self {
            kid: Some(kid),
            label: Some(Algorithm::EdDsa),
            material: Material::Ed25519(public),
        }
    }

    /// What the key is called.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Reads a JSON web key; nothing for one that is broken, weak, not for signatures or of a kind that is not known here.
    pub(crate) fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if (1..=MAX_KID).contains(&kid.len()) => Some(kid.clone()),
            Some(_) => return None,
        };
        let is_for_signatures = match jwk.get("use") {
            None => true,
            Some(wanted) => wanted == "sig",
        };
        let may_verify = match jwk.get("key_ops") {
            None => true,
            Some(Value::Array(all)) => all.iter().any(|operation| operation == "verify"),
            Some(_) => false,
        };
        let label = match jwk.get("alg") {
            None => None,
            // Keys of P-521 are found with the curve's number in the label, as in the examples of RFC 7520. They have one algorithm.
            Some(Value::String(name)) if name == "ES521" => Some(Algorithm::Es512),
            Some(Value::String(name)) => Some(Algorithm::named(name)?),
            Some(_) => return None,
        };
        let material = material(jwk)?;
        let is_apt = label.is_none_or(|label| material.suits(label));
        (is_for_signatures && may_verify && is_apt).then_some(Self {
            kid,
            label,
            material,
        })
    }

    /// Whether the key may check a signature of this algorithm.
    pub(crate) fn may_check(&self, algorithm: Algorithm) -> bool {
        self.material.suits(algorithm) && self.label.is_none_or(|label| label.covers(algorithm))
    }

    /// Whether `signature` is this key's for `message`.
    pub(crate) fn checks(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.may_check(algorithm) {
            return false;
        }
        match (&self.material, algorithm) {
            (Material::Hmac(secret), Algorithm::Hs(bits)) => {
                let key = hmac::Key::new(hash_of(bits), secret);
                hmac::verify(&key, message, signature).is_ok()
            }
            (Material::Rsa { modulus, exponent }, Algorithm::Rs(bits)) => {
                rsa(modulus, exponent, pkcs1(bits), message, signature)
            }
            (Material::Rsa { modulus, exponent }, Algorithm::Ps(bits)) => {
                rsa(modulus, exponent, pss(bits), message, signature)
            }
            (Material::P256(point), _) => {
                curve(&ECDSA_P256_SHA256_FIXED, point, message, signature)
            }
            (Material::P384(point), _) => {
                curve(&ECDSA_P384_SHA384_FIXED, point, message, signature)
            }
            (Material::P521(point), _) => p521(point, message, signature),
            (Material::Ed25519(point), _) => curve(&ED25519, point, message, signature),
            _ => false,
        }
    }

    const fn is_secret(&self) -> bool {
        matches!(self.material, Material::Hmac(_))
    }
}

fn material(jwk: &Map<String, Value>) -> Option<Material> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| text(name).and_then(strict::decode);
    match text("kty")? {
        "oct" => bytes("k").map(Material::Hmac),
        "RSA" => {
            let (modulus, exponent) = (bytes("n")?, bytes("e")?);
            is_sound(&modulus, &exponent).then_some(Material::Rsa { modulus, exponent })
        }
        "EC" => match text("crv")? {
            "P-256" => point::<32>(text("x")?, text("y")?).map(Material::P256),
            "P-384" => point::<48>(text("x")?, text("y")?).map(Material::P384),
            "P-521" => point::<66>(text("x")?, text("y")?).map(Material::P521),
            _ => None,
        },
        "OKP" if text("crv")? == "Ed25519" => {
            strict::decode_exactly(text("x")?).map(Material::Ed25519)
        }
        _ => None,
    }
}

/// 2,048 to 8,192 bits, odd, no leading zeros, an exponent that is common, and not of the generator that made weak ones.
fn is_sound(modulus: &[u8], exponent: &[u8]) -> bool {
    let is_plain = modulus.first().is_some_and(|first| *first != 0)
        && modulus.last().is_some_and(|last| last % 2 == 1)
        && (256..=1024).contains(&modulus.len());
    let is_exponent = exponent.len() <= 5 && exponent.first().is_some_and(|first| *first != 0);
    let value = exponent
        .iter()
        .take(5)
        .fold(0_u64, |value, byte| value * 256 + u64::from(*byte));
    is_plain && is_exponent && value >= MIN_EXPONENT && value % 2 == 1 && !roca::is_suspect(modulus)
}

/// An uncompressed point of two coordinates of full length.
fn point<const N: usize>(x: &str, y: &str) -> Option<Vec<u8>> {
    let (x, y) = (
        strict::decode_exactly::<N>(x)?,
        strict::decode_exactly::<N>(y)?,
    );
    Some([&[4][..], &x, &y].concat())
}

fn hash_of(bits: Bits) -> hmac::Algorithm {
    match bits {
        Bits::B256 => hmac::HMAC_SHA256,
        Bits::B384 => hmac::HMAC_SHA384,
        Bits::B512 => hmac::HMAC_SHA512,
    }
}

fn pkcs1(bits: Bits) -> &'static RsaParameters {
    match bits {
        Bits::B256 => &RSA_PKCS1_2048_8192_SHA256,
        Bits::B384 => &RSA_PKCS1_2048_8192_SHA384,
        Bits::B512 => &RSA_PKCS1_2048_8192_SHA512,
    }
}

fn pss(bits: Bits) -> &'static RsaParameters {
    match bits {
        Bits::B256 => &RSA_PSS_2048_8192_SHA256,
        Bits::B384 => &RSA_PSS_2048_8192_SHA384,
        Bits::B512 => &RSA_PSS_2048_8192_SHA512,
    }
}

fn rsa(n: &[u8], e: &[u8], how: &'static RsaParameters, message: &[u8], signature: &[u8]) -> bool {
    let key = RsaPublicKeyComponents { n, e };
    key.verify(how, message, signature).is_ok()
}

fn curve(
    how: &'static dyn VerificationAlgorithm,
    point: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let key = UnparsedPublicKey::new(how, point);
    key.verify(message, signature).is_ok()
}

/// The one curve that the library of the others does not have.
fn p521(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(point);
    let signature = p521::ecdsa::Signature::from_slice(signature);
    let (Ok(key), Ok(signature)) = (key, signature) else {
        return false;
    };
    key.verify(message, &signature).is_ok()
}

/// Keys by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySet(Vec<VerifyingKey>);

impl KeySet {
    /// A set of keys with different names.
    pub(crate) fn new(keys: Vec<VerifyingKey>) -> Self {
        Self(keys)
    }

    /// Reads a JSON web key set. Keys that are no use here are left out; nothing for a set that can be read in two ways.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        let set = strict::object(json)?;
        let Some(Value::Array(all)) = set.get("keys") else {
            return None;
        };
        if all.len() > MAX_KEYS {
            return None;
        }
        let keys: Vec<VerifyingKey> = all
            .iter()
            .filter_map(|jwk| VerifyingKey::read(jwk.as_object()?))
            .collect();
        let secrets = keys.iter().filter(|key| key.is_secret()).count();
        let is_mixed = secrets != 0 && secrets != keys.len();
        // Keys that are no use count, too: which of the two a token means would depend on the reader.
        let named = |jwk: &'_ Value| jwk.get("kid").cloned();
        let is_ambiguous = all.iter().enumerate().any(|(index, jwk)| {
            let kid = named(jwk);
            kid.is_some() && all.iter().skip(index + 1).any(|other| named(other) == kid)
        });
        (!is_mixed && !is_ambiguous).then_some(Self(keys))
    }

    /// The key of exactly this name; without a name the only key there is.
    pub(crate) fn find(&self, kid: Option<&str>) -> Option<&VerifyingKey> {
        match (kid, self.0.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|key| key.kid() == Some(kid)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}
