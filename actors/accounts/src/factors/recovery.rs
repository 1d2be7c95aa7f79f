//! Recovery codes: made, written so that people can copy them by hand, read back, hashed. No I/O.
//!
//! 120 random bits each: too many to guess or to search for a hash, so that a plain SHA-256 is enough to keep and the code is
//! found by it. A slow hash would have to be computed for each of ten codes at every try.

use std::fmt;

use ground::Secret;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

/// How many there are after setting an app up, or making new ones.
pub const RECOVERY_CODES: usize = 10;
/// Random bytes of a code.
pub(crate) const CODE_BYTES: usize = 15;
const _: () = assert!(CODE_BYTES * 8 >= 112, "the least for a plain hash");
/// Characters of a code, five bits each.
const CHARS: usize = CODE_BYTES * 8 / 5;
/// Characters between two hyphens.
const GROUP: usize = 4;
/// Crockford's: no letter that looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What is kept of a code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodeHash([u8; 32]);

impl CodeHash {
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of(chars: &[u8; CHARS]) -> Self {
        Self(Sha256::digest(chars).into())
    }
}

impl fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

/// The code of these bytes, as it is shown, and what is kept of it.
pub(crate) fn make(random: &[u8; CODE_BYTES]) -> (Secret, CodeHash) {
    let mut chars = Zeroizing::new([0; CHARS]);
    for (bytes, chars) in random.chunks_exact(5).zip(chars.chunks_exact_mut(8)) {
        let mut bits = bytes
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for char in chars.iter_mut().rev() {
            // Below 32, so it is in the alphabet.
            *char = ALPHABET[usize::from(bits.to_le_bytes()[0] & 31)];
            bits >>= 5;
        }
        bits.zeroize();
    }
    // Never grows, so that no copy of a part is left behind.
    let mut text = String::with_capacity(CHARS + CHARS / GROUP);
    for (at, char) in chars.iter().enumerate() {
        if at > 0 && at.is_multiple_of(GROUP) {
            text.push('-');
        }
        text.push(char::from(*char));
    }
    (Secret::from(text), CodeHash::of(&chars))
}

/// Reads a code as somebody types it: in any case, with or without hyphens and spaces, with O for 0 and I or L for 1.
pub(crate) fn read(text: &str) -> Option<CodeHash> {
    let mut chars = Zeroizing::new([0; CHARS]);
    let mut places = chars.iter_mut();
    for byte in text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')) {
        let char = match byte.to_ascii_lowercase() {
            b'o' => b'0',
            b'i' | b'l' => b'1',
            other => other,
        };
        if !ALPHABET.contains(&char) {
            return None;
        }
        *places.next()? = char;
    }
    let is_whole = places.next().is_none();
    is_whole.then(|| CodeHash::of(&chars))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_is_fixed() {
        // A change here would make every code worthless that somebody keeps in a drawer.
        let (text, hash) = make(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 255]);
        assert_eq!(text.expose(), "000g-40r4-0m30-e209-185g-r3fz");
        assert_eq!(
            hash.as_bytes()[..],
            Sha256::digest(b"000g40r40m30e209185gr3fz")[..]
        );
        assert_eq!(format!("{hash:?}"), "[hash]");
    }

    #[test]
    fn what_cannot_be_a_code_is_none() {
        let (text, _) = make(&[7; CODE_BYTES]);
        let whole = text.expose();
        for wrong in [
            "",
            "123456",
            whole.get(1..).expect("ASCII"),
            &format!("{whole}0"),
            &whole.replace('-', "u"),
            "ä",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_code_is_read_as_people_type_it(random: [u8; CODE_BYTES], letter in "[oOiIlL]") {
            let (text, hash) = make(&random);
            let text = text.expose();
            let digit = if letter.eq_ignore_ascii_case("o") { "0" } else { "1" };
            for typed in [
                text.to_owned(),
                text.to_uppercase(),
                text.replace('-', ""),
                text.replace('-', " "),
                text.replace(digit, &letter),
            ] {
                prop_assert_eq!(read(&typed), Some(hash));
            }
        }

        #[test]
        fn a_code_carries_all_its_bits(a: [u8; CODE_BYTES], b: [u8; CODE_BYTES]) {
            prop_assert_eq!(make(&a).1 == make(&b).1, a == b);
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _read = read(&text);
        }
    }
}
