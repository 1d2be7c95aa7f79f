//! The secrets of one attempt to sign in: 256 random bits each, and what is told of them instead.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ground::Secret;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

/// What a secret is looked up by.
pub(crate) type Digest = [u8; 32];

/// A new secret: 43 characters that carry 256 bits, as PKCE (RFC 7636) wants its verifier.
///
/// # Errors
/// When the system gives no randomness.
pub(crate) fn fresh() -> Result<Secret, <SysRng as TryRng>::Error> {
    let mut random = [0; 32];
    SysRng.try_fill_bytes(&mut random)?;
    let secret = Secret::new(URL_SAFE_NO_PAD.encode(random));
    random.zeroize();
    Ok(secret)
}

/// The SHA-256 of a secret.
pub(crate) fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

/// Whether two digests are one, in the same time wherever they differ.
pub(crate) fn is_same(one: &Digest, other: &Digest) -> bool {
    one.ct_eq(other).into()
}

/// The challenge for a PKCE verifier, by the method `S256`.
pub(crate) fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(digest(verifier.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        let verifier = Secret::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(challenge(&verifier), expected);
    }

    #[test]
    fn no_two_secrets_are_the_same() {
        let (one, other) = (fresh().expect("random"), fresh().expect("random"));
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), 43);
        assert!(is_same(&digest("a"), &digest("a")) && !is_same(&digest("a"), &digest("b")));
    }
}
