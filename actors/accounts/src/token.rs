//! The text of a token: made, read, hashed. No I/O; randomness is an argument.
//!
//! `mst_`, 43 letters and digits that carry 256 random bits, 6 that carry a CRC-32 of all before them. The prefix makes a leaked
//! token recognisable to a scanner; the checksum lets it be told from noise, and a typing error from a wrong token,
//! without asking the database. Letters and digits alone, so that a double click selects it whole. The checksum protects
//! nothing: whoever can compute it still has to guess 256 bits.

use std::fmt;
use std::hash::{Hash, Hasher};

use ground::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// What every token begins with.
pub const TOKEN_PREFIX: &str = "mst_";
/// How many characters a token has.
pub const TOKEN_CHARS: usize = TOKEN_PREFIX.len() + RANDOM_CHARS + CHECK_CHARS;

/// 62 to the power of 43 is just above 2 to the power of 256.
const RANDOM_CHARS: usize = 43;
/// 62 to the power of 6 is above 2 to the power of 32.
const CHECK_CHARS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What is wrong with a text that should be a token. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is something else.
    #[error("a token begins with {TOKEN_PREFIX}")]
    Prefix,
    /// It was cut off, or something was added.
    #[error("a token has {TOKEN_CHARS} characters")]
    Length,
    /// It holds a character that no token has.
    #[error("a token has only letters and digits after {TOKEN_PREFIX}")]
    Characters,
    /// It was mistyped.
    #[error("the token's checksum is wrong")]
    Checksum,
}

/// The SHA-256 of a token's text: what is stored and looked up.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// A hash that was stored.
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to store and look up.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for TokenHash {
    /// Takes the same time wherever two hashes differ.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

/// The token of these random bytes, which are wiped.
pub(crate) fn make(random: &mut [u8; 32]) -> Secret {
    make_as(TOKEN_PREFIX, random)
}

/// The same in another kind's name; all prefixes have the length of [`TOKEN_PREFIX`].
pub(crate) fn make_as(prefix: &str, random: &mut [u8; 32]) -> Secret {
    // Never grows, so that no copy of a part is left behind.
    let mut text = String::with_capacity(TOKEN_CHARS);
    text.push_str(prefix);
    push_digits::<RANDOM_CHARS>(&mut text, random);
    let mut check = crc32(text.as_bytes()).to_be_bytes();
    push_digits::<CHECK_CHARS>(&mut text, &mut check);
    Secret::from(text)
}

/// Reads what a client presents.
///
/// # Errors
/// [`Malformed`] for what cannot be a token.
pub(crate) fn read(text: &str) -> Result<TokenHash, Malformed> {
    read_as(TOKEN_PREFIX, text)
}

/// The same for another kind of token.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_as(prefix: &str, text: &str) -> Result<TokenHash, Malformed> {
    let digits = text
        .strip_prefix(prefix)
        .ok_or(Malformed::Prefix)?
        .as_bytes();
    if !digits.iter().all(u8::is_ascii_alphanumeric) {
        return Err(Malformed::Characters);
    }
    if digits.len() != RANDOM_CHARS + CHECK_CHARS {
        return Err(Malformed::Length);
    }
    let (checked, check) = text.as_bytes().split_at(TOKEN_CHARS - CHECK_CHARS);
    let mut expected = String::with_capacity(CHECK_CHARS);
    push_digits::<CHECK_CHARS>(&mut expected, &mut crc32(checked).to_be_bytes());
    if !bool::from(expected.as_bytes().ct_eq(check)) {
        return Err(Malformed::Checksum);
    }
    Ok(TokenHash(Sha256::digest(text.as_bytes()).into()))
}

/// Appends a big-endian number in base 62, in `N` digits. Uses the number up: it is all zeros afterwards.
fn push_digits<const N: usize>(text: &mut String, number: &mut [u8]) {
    let mut digits = [0_u8; N];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0_u16;
        for byte in number.iter_mut() {
            let part = rest * 256 + u16::from(*byte);
            // The rest is below 62, so the quotient is below 256.
            *byte = (part / 62).to_le_bytes()[0];
            rest = part % 62;
        }
        *digit = DIGITS[usize::from(rest)];
    }
    number.zeroize();
    text.extend(digits.iter().copied().map(char::from));
    digits.zeroize();
}

/// The CRC-32 of zip, PNG and Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(random: [u8; 32]) -> String {
        make(&mut { random }).expose().to_owned()
    }

    fn part(text: &str, range: impl std::slice::SliceIndex<str, Output = str>) -> &str {
        text.get(range).expect("ASCII")
    }

    /// The number behind digits, as bytes: the inverse of `push_digits`, written another way.
    fn value(digits: &str) -> Vec<u8> {
        let mut number = vec![0_u8; 33];
        for digit in digits.bytes() {
            let mut carry = DIGITS.iter().position(|d| *d == digit).expect("a digit");
            for byte in number.iter_mut().rev() {
                carry += usize::from(*byte) * 62;
                *byte = u8::try_from(carry % 256).expect("a byte");
                carry /= 256;
            }
            assert_eq!(carry, 0);
        }
        number
    }

    #[test]
    fn the_checksum_is_the_well_known_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn the_form_is_fixed() {
        // A change here would refuse every token that was ever given out.
        let zero = token([0; 32]);
        assert_eq!(
            zero.get(..47),
            Some("mst_0000000000000000000000000000000000000000000")
        );
        assert_eq!(zero.len(), TOKEN_CHARS);
        assert_eq!(
            value(part(&zero, 47..))[29..],
            crc32(&zero.as_bytes()[..47]).to_be_bytes()
        );
        let hash = read(&zero).expect("own token");
        assert_eq!(hash.as_bytes()[..], Sha256::digest(zero.as_bytes())[..]);
    }

    #[test]
    fn what_is_wrong_is_told_without_the_text() {
        let good = token([7; 32]);
        let spaced = format!("{good} ");
        let cut = part(&good, 0..TOKEN_CHARS - 1);
        let dotted = good.replace(|c: char| c.is_ascii_digit(), ".");
        for (text, wrong) in [
            ("", Malformed::Prefix),
            ("Bearer", Malformed::Prefix),
            ("ghp_abc", Malformed::Prefix),
            ("MST_abc", Malformed::Prefix),
            ("mst_", Malformed::Length),
            (cut, Malformed::Length),
            (spaced.as_str(), Malformed::Characters),
            (dotted.as_str(), Malformed::Characters),
            ("mst_ä", Malformed::Characters),
        ] {
            assert_eq!(read(text), Err(wrong), "{text}");
            assert!(!wrong.to_string().contains("abc"));
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let hash = read(&token([9; 32])).expect("own token");
        assert_eq!(format!("{hash:?}"), "[hash]");
    }

    proptest! {
        #[test]
        fn a_token_carries_all_its_bits(random: [u8; 32]) {
            let text = token(random);
            prop_assert_eq!(text.len(), TOKEN_CHARS);
            prop_assert_eq!(&value(part(&text, 4..47))[1..], &random[..]);
            prop_assert!(read(&text).is_ok());
        }

        #[test]
        fn what_it_was_made_of_is_wiped(random: [u8; 32]) {
            let mut used = random;
            make(&mut used);
            prop_assert_eq!(used, [0; 32]);
        }

        #[test]
        fn different_bits_are_different_hashes(a: [u8; 32], b: [u8; 32]) {
            let same = read(&token(a)) == read(&token(b));
            prop_assert_eq!(same, a == b);
        }

        /// Any one wrong character and any two swapped neighbours: a CRC finds every burst of up to 32 bits.
        #[test]
        fn typing_errors_are_found(random: [u8; 32], at in 4_usize..TOKEN_CHARS, digit in 0_usize..62) {
            let text = token(random);
            let mut mistyped = text.clone().into_bytes();
            mistyped[at] = DIGITS[digit];
            let mistyped = String::from_utf8(mistyped).expect("ASCII");
            prop_assert_eq!(read(&mistyped).is_ok(), mistyped == text);
            let mut swapped = text.clone().into_bytes();
            swapped.swap(at, (at + 1).min(TOKEN_CHARS - 1));
            let swapped = String::from_utf8(swapped).expect("ASCII");
            prop_assert_eq!(read(&swapped).is_ok(), swapped == text);
        }

        #[test]
        fn no_text_panics(text in "(mst_)?.{0,60}") {
            prop_assert!(read(&text).is_err());
        }

        #[test]
        fn hashes_are_equal_when_their_bytes_are(a: [u8; 32], b: [u8; 32]) {
            prop_assert_eq!(TokenHash(a) == TokenHash(b), a == b);
            prop_assert_eq!(TokenHash(a), TokenHash(a));
        }
    }
}
