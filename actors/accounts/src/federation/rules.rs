//! The rules of what clients send. No I/O. All that breaks a rule is told at once.

use ground::Micros;
use supervisor::Finding;

use super::error::{FederationError, Refused};
use super::types::{Begin, Finish};
use crate::factors::{By, FRESH_FOR};

/// Bytes of the path that somebody returns to, at most.
const MAX_RETURN_TO: usize = 512;
/// Bytes of a code or a state at most.
const MAX_SECRET: usize = 4_096;
/// Bytes of any other text at most.
const MAX_TEXT: usize = 2_000;

/// Checks the wish to begin.
///
/// # Errors
/// A finding at `/return_to`.
pub(crate) fn check_begin(begin: &Begin) -> Result<(), Vec<Finding>> {
    if begin.return_to.as_deref().is_none_or(is_own_path) {
        return Ok(());
    }
    let message = format!(
        "expected a path of this server of at most {MAX_RETURN_TO} bytes, such as \"/terminals\""
    );
    Err(vec![Finding::new("/return_to", "bad_path", message)])
}

/// Whether somebody may change which identities are theirs: who signed in in person, and lately. A stolen token must not become a way
/// to keep an account.
///
/// # Errors
/// `Refused`.
pub(crate) fn check_fresh(by: &By, now: Micros) -> Result<(), FederationError> {
    let is_fresh = by.signed_in_at.is_some_and(|at| now.since(at) < FRESH_FOR);
    is_fresh
        .then_some(())
        .ok_or(FederationError::Refused(Refused::NotFresh))
}

/// Whether a browser takes this for a path of the server that it is on, whatever it does with backslashes and line ends.
fn is_own_path(path: &str) -> bool {
    path.len() <= MAX_RETURN_TO
        && path.starts_with('/')
        && !path.starts_with("//")
        && path
            .chars()
            .all(|c| !c.is_control() && !c.is_whitespace() && c != '\\')
}

/// Checks what came back.
///
/// # Errors
/// Findings at `/code`, `/error`, `/state`, `/iss` and `/flow`.
pub(crate) fn check_finish(finish: &Finish) -> Result<(), Vec<Finding>> {
    let mut findings = Vec::new();
    let mut refuse = |pointer: &str, code: &str, message: &str| {
        findings.push(Finding::new(pointer, code, message));
    };
    match (&finish.code, &finish.error) {
        (None, None) => refuse("/code", "missing", "expected the code that came back"),
        (Some(_), Some(_)) => refuse("/error", "contradiction", "expected a code or an error"),
        _ => {}
    }
    let secrets = [
        ("/code", finish.code.as_ref()),
        ("/state", Some(&finish.state)),
        ("/flow", Some(&finish.flow)),
    ];
    for (pointer, secret) in secrets {
        if secret.is_some_and(|secret| secret.is_empty() || secret.expose().len() > MAX_SECRET) {
            refuse(pointer, "bad_length", "expected 1 to 4096 bytes");
        }
    }
    for (pointer, text) in [("/error", &finish.error), ("/iss", &finish.iss)] {
        if text.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
            refuse(pointer, "too_long", "expected at most 2000 bytes");
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(findings)
    }
}

#[cfg(test)]
mod tests {
    use ground::Secret;
    use ground::audit::Source;
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    fn finish() -> Finish {
        Finish {
            issuer: "google".to_owned(),
            flow: Secret::from("f"),
            state: Secret::from("s"),
            code: Some(Secret::from("c")),
            error: None,
            iss: None,
            totp_code: None,
            source: Source::default(),
        }
    }

    fn pointers(finish: &Finish) -> Vec<String> {
        let findings = check_finish(finish).err().unwrap_or_default();
        findings.into_iter().map(|found| found.pointer).collect()
    }

    #[test]
    fn all_findings_come_at_once() {
        assert!(pointers(&finish()).is_empty());
        let odd = Finish {
            flow: Secret::default(),
            state: Secret::new("x".repeat(5_000)),
            error: Some("x".repeat(3_000)),
            iss: Some("x".repeat(3_000)),
            ..finish()
        };
        assert_eq!(
            pointers(&odd),
            ["/error", "/state", "/flow", "/error", "/iss"]
        );
        let neither = Finish {
            code: None,
            ..finish()
        };
        assert_eq!(pointers(&neither), ["/code"]);
    }

    #[test]
    fn only_who_signed_in_lately_changes_identities() {
        let now = Micros(1_700_000_000_000_000);
        let by = |signed_in_at| By {
            user: ground::Id::generate(),
            credential: None,
            signed_in_at,
            source: Source::default(),
        };
        assert!(check_fresh(&by(Some(now)), now).is_ok());
        assert!(check_fresh(&by(Some(now)), now + FRESH_FOR).is_err());
        assert!(check_fresh(&by(None), now).is_err());
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        for own in ["/", "/terminals?x=1#y", "/a//b"] {
            assert!(is_own_path(own), "{own}");
        }
        for foreign in [
            "",
            "terminals",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "\\/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/a b",
            &format!("/{}", "x".repeat(600)),
        ] {
            assert!(!is_own_path(foreign), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_stays_on_this_server(path in "[/\\\\a.:@?#%\t\n-]{0,12}") {
            if is_own_path(&path) {
                let here = Url::parse("https://here.example/login").expect("an address");
                let there = here.join(&path).expect("a path");
                prop_assert_eq!(there.origin(), here.origin());
            }
        }
    }
}
