//! The check of a signed token in compact form (RFC 7515), against the advice of RFC 8725 point by point.
//!
//! Refused whatever the signature says: other than three parts; anything but unpadded base64url; a header over its size, with a repeated
//! key, with a key of its own (`jwk`, `jku`, `x5u`, `x5c`), with extensions that must be understood (`crit`, `b64`) or with compression
//! (`zip`); an algorithm that the caller did not allow or that the named key does not have.

use serde_json::{Map, Value};

use super::jwk::{Algorithm, KeySet, MAX_KID};
use super::strict;

/// Bytes of a whole token at most.
pub(crate) const MAX_TOKEN: usize = 16 * 1024;
/// Bytes of its header at most, decoded.
const MAX_HEADER: usize = 2 * 1024;
/// What a header must not hold: keys of its own, and what would change the meaning of the rest.
const REFUSED: [&str; 8] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"];

/// Why a token is not believed. Says nothing of the token itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwsError {
    /// It has no such form.
    #[error("not a signed token in compact form")]
    Form,
    /// Its header says what it must not say.
    #[error("the header of the token is not acceptable")]
    Header,
    /// Its algorithm is not one of those that are allowed.
    #[error("the algorithm of the token is not allowed")]
    Algorithm,
    /// The key that it names is not there, or is not for this algorithm.
    #[error("no key of ours has the name that the token gives")]
    Key,
    /// The signature is not the key's.
    #[error("the signature of the token is wrong")]
    Signature,
}

/// A token whose signature is right.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signed {
    /// The value of `typ`.
    pub(crate) typ: Option<String>,
    /// What was signed.
    pub(crate) payload: Vec<u8>,
}

/// A header, as far as it counts.
struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
}

/// Checks a token with the key that it names.
///
/// # Errors
/// [`JwsError`], the first that is met.
pub(crate) fn verify(
    keys: &KeySet,
    allowed: &[Algorithm],
    compact: &str,
) -> Result<Signed, JwsError> {
    if compact.len() > MAX_TOKEN {
        return Err(JwsError::Form);
    }
    let (signed, signature) = compact.rsplit_once('.').ok_or(JwsError::Form)?;
    let (header, payload) = signed.split_once('.').ok_or(JwsError::Form)?;
    // A fourth part would be in the payload, which has no points.
    let payload = strict::decode(payload).ok_or(JwsError::Form)?;
    let signature = strict::decode(signature).ok_or(JwsError::Form)?;
    let header = strict::decode(header).ok_or(JwsError::Form)?;
    let header = read_header(&header, allowed)?;
    let key = keys
        .find(header.kid.as_deref())
        .filter(|key| key.may_check(header.algorithm))
        .ok_or(JwsError::Key)?;
    if !key.checks(header.algorithm, signed.as_bytes(), &signature) {
        return Err(JwsError::Signature);
    }
    let typ = header.typ;
    Ok(Signed { typ, payload })
}

fn read_header(bytes: &[u8], allowed: &[Algorithm]) -> Result<Header, JwsError> {
    if bytes.len() > MAX_HEADER {
        return Err(JwsError::Header);
    }
    let header = strict::object(bytes).ok_or(JwsError::Header)?;
    if REFUSED.iter().any(|name| header.contains_key(*name)) {
        return Err(JwsError::Header);
    }
    let algorithm = text(&header, "alg")?
        .as_deref()
        .and_then(Algorithm::named)
        .filter(|algorithm| allowed.contains(algorithm))
        .ok_or(JwsError::Algorithm)?;
    Ok(Header {
        algorithm,
        kid: text(&header, "kid")?,
        typ: text(&header, "typ")?,
    })
}

/// A short text of the header, if it is there.
fn text(header: &Map<String, Value>, name: &str) -> Result<Option<String>, JwsError> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_KID => Ok(Some(text.clone())),
        Some(_) => Err(JwsError::Header),
    }
}
