//! The rules of what clients send. No I/O.

use ground::Micros;
use supervisor::Finding;

use super::error::PasskeyError;
use super::relying::RelyingParty;
use crate::factors::{By, FRESH_FOR};

/// Characters of a passkey's name at most.
pub const MAX_PASSKEY_NAME: usize = 100;
/// What a passkey is called when nobody names it.
const DEFAULT_NAME: &str = "passkey";

/// A name that keeps to the rules.
///
/// # Errors
/// A finding at `/name`.
pub(crate) fn check_name(name: Option<&str>) -> Result<String, PasskeyError> {
    let name = name.unwrap_or(DEFAULT_NAME).trim();
    let length = name.chars().take(MAX_PASSKEY_NAME + 1).count();
    if (1..=MAX_PASSKEY_NAME).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    let message = format!("expected 1 to {MAX_PASSKEY_NAME} characters without control characters");
    let finding = Finding::new("/name", "bad_name", message);
    Err(PasskeyError::Invalid(vec![finding]))
}

/// Whether somebody may change which passkeys are theirs: who signed in in person, and lately. A stolen token must not become a way to
/// keep an account.
///
/// # Errors
/// `NotFresh`.
pub(crate) fn check_fresh(by: &By, now: Micros) -> Result<(), PasskeyError> {
    let is_fresh = by.signed_in_at.is_some_and(|at| now.since(at) < FRESH_FOR);
    is_fresh.then_some(()).ok_or(PasskeyError::NotFresh)
}

/// Whether a page that asks is one that a browser would show the passkeys to. A client that tells no origin is none.
///
/// # Errors
/// `WrongOrigin`, which tells where to go: the browser alone would only say that it is not secure.
pub(crate) fn check_origin(
    relying: &RelyingParty,
    origin: Option<&str>,
) -> Result<(), PasskeyError> {
    if origin.is_none_or(|origin| relying.has(origin)) {
        return Ok(());
    }
    let origins = relying.origins.clone();
    Err(PasskeyError::WrongOrigin { origins })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ground::Id;
    use ground::audit::Source;
    use supervisor::Fault;

    use super::*;
    use crate::passkeys::config::PasskeysConfig;
    use crate::passkeys::relying::relying_party;

    #[test]
    fn a_name_is_short_and_on_one_line() {
        assert_eq!(check_name(None).ok().as_deref(), Some("passkey"));
        assert_eq!(
            check_name(Some(" Ada's key ")).ok().as_deref(),
            Some("Ada's key")
        );
        assert!(check_name(Some(&"é".repeat(MAX_PASSKEY_NAME))).is_ok());
        for wrong in ["", "  ", "a\nb", &"é".repeat(MAX_PASSKEY_NAME + 1)] {
            let findings = check_name(Some(wrong)).expect_err("refused").findings();
            assert_eq!(findings[0].pointer, "/name", "{wrong:?}");
        }
    }

    #[test]
    fn only_who_signed_in_lately_changes_passkeys() {
        let now = Micros(1_700_000_000_000_000);
        let by = |signed_in_at| By {
            user: Id::generate(),
            credential: None,
            signed_in_at,
            source: Source::default(),
        };
        let last = now + FRESH_FOR - Duration::from_micros(1);
        assert!(check_fresh(&by(Some(now)), last).is_ok());
        assert!(check_fresh(&by(Some(now)), now + FRESH_FOR).is_err());
        assert!(check_fresh(&by(None), now).is_err());
    }

    #[test]
    fn a_page_elsewhere_is_told_where_to_go() {
        let own = "http://localhost:4110";
        let relying = relying_party(&PasskeysConfig::default(), None, Some(own));
        let relying = relying.expect("localhost");
        assert!(check_origin(&relying, None).is_ok());
        assert!(check_origin(&relying, Some(own)).is_ok());
        let refused = check_origin(&relying, Some("http://127.0.0.1:4110"));
        let told = refused.expect_err("an address").outside();
        assert!(told.contains(own), "{told}");
    }
}
