//! Which passwords are taken. No I/O.
//!
//! Length and not being known decide, nothing else: no rule asks for digits or signs, since such rules make people choose alike. A
//! password counts byte by byte as it was sent: nothing is cut, trimmed, folded or normalised. Two things are refused for what they
//! would do elsewhere: more than [`MAX_BYTES`] (work for an attacker to make us do) and the character NUL (other programs end a text
//! there, so that a long password would be a short one after a move).
//!
//! What is known to attackers is recognised without any network: see [`weak`](super::weak) for what that list is and is not.

use supervisor::Finding;

use super::weak;

/// Characters of a password at least.
pub const MIN_CHARS: usize = 8;
/// Characters that a good password has, as the findings say.
const GOOD_CHARS: usize = 15;
/// Bytes of a password at most: at least 256 characters of any script.
pub const MAX_BYTES: usize = 1024;

/// Checks a new password. `about` is what everybody knows of its owner, such as the address and the name: a password that is little
/// more than that is refused.
///
/// # Errors
/// All findings, at `pointer`.
pub(crate) fn check(pointer: &str, password: &str, about: &[&str]) -> Result<(), Vec<Finding>> {
    let mut findings = Vec::new();
    let mut refuse = |code, message: String| findings.push(Finding::new(pointer, code, message));
    // Counting stops early: a password of a megabyte is not walked through.
    if password.chars().take(MIN_CHARS).count() < MIN_CHARS {
        let message = format!(
            "expected at least {MIN_CHARS} characters; {GOOD_CHARS} or more, such as a few words, are much harder to guess"
        );
        refuse("too_short", message);
    }
    if password.len() > MAX_BYTES {
        refuse("too_long", format!("expected at most {MAX_BYTES} bytes"));
        return Err(findings);
    }
    if password.contains('\0') {
        refuse("nul", "expected no NUL character".to_owned());
    }
    if let Some(reason) = weak::reason(password, about) {
        refuse(
            "weak",
            format!(
                "{reason}; {GOOD_CHARS} or more characters, such as a few words, are a good choice"
            ),
        );
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(findings)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codes(password: &str) -> Vec<String> {
        let found = check("/password", password, &["ada@example.com"]).err();
        let codes = found
            .unwrap_or_default()
            .into_iter()
            .map(|finding| finding.code);
        codes.collect()
    }

    #[test]
    fn length_and_not_being_known_are_all_that_counts() {
        for taken in [
            "correct horse battery staple",
            "tzvqmxkw",
            "        x kj",
            "\u{1f9ca}\u{1f40b}\u{1f9ed}\u{1f9f6}\u{1fa81}\u{1f6f6}\u{1f9f2}\u{1faa4}",
            "plain letters only",
            &"wortfolge ".repeat(100),
        ] {
            assert_eq!(codes(taken), [""; 0], "{taken:?}");
        }
        assert_eq!(codes("x7-Kq9z"), ["too_short"]);
        assert_eq!(codes("\u{1f9ca}\u{1f40b}"), ["too_short"]);
        assert_eq!(codes("long enough\0and more"), ["nul"]);
        assert_eq!(codes(&"z q ".repeat(257)), ["too_long"]);
        assert_eq!(codes(&"x".repeat(1 << 20)), ["too_long"]);
        assert_eq!(codes(""), ["too_short"]);
    }

    #[test]
    fn sixty_four_characters_of_any_script_are_always_allowed() {
        let widest: String = (0x1f300..0x1f340).filter_map(char::from_u32).collect();
        assert_eq!(widest.chars().count(), 64);
        assert_eq!(check("/password", &widest, &[]), Ok(()));
    }

    #[test]
    fn every_finding_is_told_at_the_field() {
        let findings = check("/new_password", "abc\0", &[]).expect_err("short, with NUL");
        assert!(
            findings
                .iter()
                .all(|finding| finding.pointer == "/new_password")
        );
        assert_eq!(findings.len(), 2);
        assert!(findings[0].message.contains("15"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(password in any::<String>()) {
            let is_taken = check("/password", &password, &[]).is_ok();
            let must_not = password.chars().count() < MIN_CHARS || password.len() > MAX_BYTES || password.contains('\0');
            prop_assert!(!(is_taken && must_not));
        }
    }
}
