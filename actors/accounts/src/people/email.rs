//! What is taken as an e-mail address, and the form by which two are told apart. No I/O.
//!
//! Fewer addresses are taken than the mail standards allow: an address here is a *name*, shown to administrators and compared, so
//! what looks like another address must not be one. Quoted local parts, comments, address literals, invisible characters and
//! characters that change the direction of writing are refused; and so is a word that mixes scripts, the way in which a Cyrillic
//! letter is passed off as a Latin one. An address that is wholly of one foreign script is somebody's name and is taken.
//!
//! The *key* decides who is who: compatibility forms folded (NFKC), both parts in lower case, the domain as DNS writes it. Some mail
//! servers tell `A@` from `a@`; nobody gives both to different people, and somebody who could register the other form of a name
//! would pass for its owner.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup, Script};
use supervisor::Finding;
use unicode_normalization::UnicodeNormalization;

/// Bytes of an address at most, as RFC 5321 bounds the path that carries it.
pub const MAX_EMAIL_BYTES: usize = 254;
/// Bytes of the part before the `@` at most.
const MAX_LOCAL_BYTES: usize = 64;
/// What may stand in the local part besides letters and digits of any script.
const LOCAL_SIGNS: &str = ".!#$%&'*+-/=?^_`{|}~";

/// An address that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email {
    /// As it was given, in composed form (NFC).
    pub(crate) text: String,
    /// The form by which two are told apart.
    pub(crate) key: String,
}

/// Reads an address.
///
/// # Errors
/// One finding at `pointer`: what was expected.
pub(crate) fn check(pointer: &str, text: &str) -> Result<Email, Finding> {
    let refused = |code, message: &str| Finding::new(pointer, code, message);
    if text.len() > MAX_EMAIL_BYTES {
        let message = format!("expected at most {MAX_EMAIL_BYTES} bytes");
        return Err(refused("too_long", &message));
    }
    if text.chars().any(is_hidden) {
        let message = "expected no control, invisible or direction-changing characters";
        return Err(refused("bad_email", message));
    }
    let composed: String = text.nfc().collect();
    let Some((local, domain)) = composed.split_once('@') else {
        return Err(refused("bad_email", "expected an address with one @"));
    };
    let folded = folded(local);
    if !is_local(local) || !is_local(&folded) {
        let message =
            "before the @ expected 1 to 64 bytes: letters, digits, and dots and signs between them";
        return Err(refused("bad_email", message));
    }
    let Ok(ascii) = idna::domain_to_ascii_strict(domain) else {
        return Err(refused("bad_email", "after the @ expected a domain name"));
    };
    let (unicode, _) = idna::domain_to_unicode(&ascii);
    let words = unicode.split('.');
    if !words.chain(words_of(&folded)).all(is_of_one_script) {
        let message = "expected no word that mixes scripts: such an address can pass for another";
        return Err(refused("mixed_scripts", message));
    }
    let key = format!("{folded}@{ascii}");
    Ok(Email {
        text: composed,
        key,
    })
}

/// Compatibility forms and cases folded, until nothing changes any more: lowering a letter can bring up another form to fold.
fn folded(text: &str) -> String {
    const ROUNDS: usize = 4;
    let mut folded: String = text.nfkc().collect();
    for _ in 0..ROUNDS {
        let next: String = folded.to_lowercase().nfkc().collect();
        if next == folded {
            break;
        }
        folded = next;
    }
    folded
}

fn is_local(local: &str) -> bool {
    let is_sound = (1..=MAX_LOCAL_BYTES).contains(&local.len())
        && local
            .chars()
            .all(|char| is_word(char) || LOCAL_SIGNS.contains(char));
    is_sound && !local.starts_with('.') && !local.ends_with('.') && !local.contains("..")
}

/// A letter, a mark on one, or a digit, of any script.
fn is_word(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_alphanumeric();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(char);
    GeneralCategoryGroup::Letter.contains(category)
        || GeneralCategoryGroup::Mark.contains(category)
        || category == GeneralCategory::DecimalNumber
}

/// What no reader sees, or what lets a reader see something else than is there.
pub(super) fn is_hidden(char: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(char);
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    )
}

fn words_of(local: &str) -> impl Iterator<Item = &str> {
    local.split(|char| !is_word(char))
}

/// Whether all of a word's letters belong together: one script, or those that Chinese, Japanese and Korean writing combines.
fn is_of_one_script(word: &str) -> bool {
    const TOGETHER: [&[Script]; 3] = [
        &[
            Script::Latin,
            Script::Han,
            Script::Hiragana,
            Script::Katakana,
        ],
        &[Script::Latin, Script::Han, Script::Bopomofo],
        &[Script::Latin, Script::Han, Script::Hangul],
    ];
    let script_of = CodePointMapData::<Script>::new();
    let mut scripts: Vec<Script> = Vec::new();
    for script in word.chars().map(|char| script_of.get(char)) {
        let says_nothing = matches!(script, Script::Common | Script::Inherited);
        if !says_nothing && !scripts.contains(&script) {
            scripts.push(script);
        }
    }
    scripts.len() <= 1
        || TOGETHER
            .iter()
            .any(|together| scripts.iter().all(|script| together.contains(script)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> String {
        check("/email", text).expect("an address").key
    }

    fn code(text: &str) -> String {
        check("/email", text).expect_err("refused").code
    }

    #[test]
    fn what_people_have_is_taken() {
        for (text, wanted) in [
            ("ada@example.com", "ada@example.com"),
            (
                "Ada.Lovelace+news@Example.COM",
                "ada.lovelace+news@example.com",
            ),
            ("o'neil_99@sub.example.co.uk", "o'neil_99@sub.example.co.uk"),
            ("me@localhost", "me@localhost"),
            (
                "j\u{fc}rgen@b\u{fc}cher.example",
                "j\u{fc}rgen@xn--bcher-kva.example",
            ),
            (
                "ju\u{308}rgen@bu\u{308}cher.example",
                "j\u{fc}rgen@xn--bcher-kva.example",
            ),
            (
                "\u{43f}\u{451}\u{442}\u{440}@\u{43f}\u{43e}\u{447}\u{442}\u{430}.example",
                "\u{43f}\u{451}\u{442}\u{440}@xn--80a1acny.example",
            ),
            (
                "\u{5c71}\u{7530}\u{3055}\u{3093}@\u{4f8b}.example",
                "\u{5c71}\u{7530}\u{3055}\u{3093}@xn--fsq.example",
            ),
            ("\u{ff21}\u{ff24}\u{ff21}@example.com", "ada@example.com"),
        ] {
            assert_eq!(key(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "a@b@c.example",
            "ada @example.com",
            "ada@exa mple.com",
            ".ada@example.com",
            "ada.@example.com",
            "a..b@example.com",
            "\"ada\"@example.com",
            "ada@[127.0.0.1]",
            "ada@-example.com",
            "ada@example..com",
            "ada@ex_ample.com",
            "ada\0@example.com",
            "ada@example.com\n",
            "ada\u{202e}@example.com",
            "a\u{200b}da@example.com",
            "ada@ex\u{ad}ample.com",
            "ada(c)@example.com",
            "\u{fdfa}@example.com",
            "\u{e000}@example.com",
            "<ada@example.com>",
            "ada,bob@example.com",
        ] {
            assert_eq!(code(text), "bad_email", "{text:?}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        assert_eq!(code(&long), "bad_email");
        assert_eq!(code(&"a".repeat(1 << 20)), "too_long");
    }

    #[test]
    fn what_can_pass_for_another_is_refused() {
        for text in [
            "ada@ex\u{430}mple.com",
            "ada@\u{440}aypal.com",
            "ada@xn--exmple-4nf.com",
            "\u{430}dmin@example.com",
            "ada.\u{441}ooper@example.com",
            "ada@g\u{3bf}\u{3bf}gle.com",
        ] {
            assert_eq!(code(text), "mixed_scripts", "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in any::<String>()) {
            if let Ok(email) = check("/email", &text) {
                prop_assert!(email.text.len() <= 3 * MAX_EMAIL_BYTES);
                prop_assert_eq!(email.text.matches('@').count(), 1);
                prop_assert!(!email.text.chars().any(char::is_control));
            }
        }

        /// The key is an address again, and its own key: no chain of forms leads from one person to another.
        #[test]
        fn a_key_is_its_own_key(local in "[\\p{L}\\p{Nd}.+_-]{1,12}", domain in "[a-zA-Z\u{e4}\u{f6}\u{fc}\u{c4}]{1,8}(\\.[a-z]{2,4}){0,2}") {
            if let Ok(email) = check("/email", &format!("{local}@{domain}")) {
                let again = check("/email", &email.key);
                prop_assert_eq!(again.map(|again| again.key), Ok(email.key));
            }
        }

        #[test]
        fn cases_and_forms_are_one_person(local in "[a-z0-9]{1,12}", domain in "[a-z]{1,12}\\.example") {
            let wide: String = local.chars().filter_map(|char| char::from_u32(u32::from(char) + 0xfee0)).collect();
            let plain = key(&format!("{local}@{domain}"));
            let upper = format!("{}@{}", local.to_uppercase(), domain.to_uppercase());
            prop_assert_eq!(key(&upper), plain.clone());
            prop_assert_eq!(key(&format!("{wide}@{domain}")), plain);
        }
    }
}
