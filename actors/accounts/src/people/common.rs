//! Passwords that many people have: what was found in leaks again and again. No I/O.
//!
//! Why fingerprints and not words: a list of words in the tree would be read by everybody and by every search, and each look-up would want
//! a table built at the start. Here each password is the first five bytes of the SHA-256 of its lower case, in ascending order, so that the
//! file is searched as it lies. Five bytes among some ten thousand entries take one good password in ninety million for a bad one.
//!
//! `common.bin` was made from the frequency list of leaked passwords that comes with zxcvbn 4.5 (MIT): every one of its 30,000 most
//! common ones that has the eight characters we ask for anyway, most common first, until its end.

use sha2::{Digest as _, Sha256};

/// Bytes of a fingerprint.
const WIDTH: usize = 5;

static TABLE: &[u8] = include_bytes!("common.bin");

/// Whether many people have this password, given in lower case.
pub(crate) fn is_common(lower: &str) -> bool {
    let digest = Sha256::digest(lower.as_bytes());
    let (entries, _) = TABLE.as_chunks::<WIDTH>();
    let found = entries.binary_search_by(|entry| entry.iter().cmp(digest.iter().take(WIDTH)));
    found.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At least the 3,000 most common ones that are long enough, as the standard asks.
    #[test]
    fn the_table_is_large_enough_and_can_be_searched() {
        let (entries, rest) = TABLE.as_chunks::<WIDTH>();
        assert!(rest.is_empty());
        assert!(entries.len() >= 11_000, "{}", entries.len());
        assert!(entries.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn what_was_leaked_again_and_again_is_in_it_and_nothing_else() {
        for leaked in [
            "password", "trustno1", "corvette", "samantha", "1qaz2wsx", "startrek",
        ] {
            assert!(is_common(leaked), "{leaked}");
        }
        for good in [
            "",
            "tzvqmxkw",
            "quartz lantern ferry",
            "correct horse battery staple",
        ] {
            assert!(!is_common(good), "{good}");
        }
        let made = (0..20_000).map(|number| format!("made up {number}"));
        assert_eq!(made.filter(|text| is_common(text)).count(), 0);
    }
}
