//! The rules of a new token. No I/O; the present is an argument. All that breaks a rule is told at once.

use std::time::Duration;

use ground::{Id, Micros};
use supervisor::Finding;

use crate::error::AccountsError;
use crate::scopes::{self, Scopes};
use crate::types::NewToken;

/// What a token is called when nobody names it.
pub const DEFAULT_NAME: &str = "token";
/// Most characters of a token's name.
pub const MAX_NAME: usize = 100;
/// The shortest that a token can be valid.
pub const MIN_LIFETIME: Duration = Duration::from_secs(1);
/// The longest that a token with an end can be valid: ten years.
pub const MAX_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// A token that keeps to the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) scopes: Scopes,
    pub(crate) expires_at: Option<Micros>,
}

impl NewToken {
    /// The same as `user` may have it: their own. The local operator (`None`) makes tokens for everybody.
    ///
    /// # Errors
    /// A finding at `/owner` when it is to be somebody else's.
    pub fn asked_for_by(mut self, user: Option<Id>) -> Result<Self, AccountsError> {
        if user.is_some() && self.owner.is_some() && self.owner != user {
            let message = "expected one's own id: only the local operator makes tokens for others";
            let finding = Finding::new("/owner", "not_oneself", message);
            return Err(AccountsError::Invalid(vec![finding]));
        }
        self.owner = self.owner.or(user);
        Ok(self)
    }
}

/// Checks what was asked for. `max_lifetime` is the configured limit, if there is one.
///
/// # Errors
/// All findings, at `/name`, `/scopes…` and `/expires_in`.
pub(crate) fn check(
    new: &NewToken,
    now: Micros,
    max_lifetime: Option<Duration>,
) -> Result<Draft, Vec<Finding>> {
    let name = check_name(new.name.as_deref());
    let scopes = scopes::check(&new.scopes);
    let lifetime = check_lifetime(new.expires_in, max_lifetime);
    match (name, scopes, lifetime) {
        (Ok(name), Ok(scopes), Ok(lifetime)) => Ok(Draft {
            name,
            scopes,
            expires_at: lifetime.map(|lifetime| now + lifetime),
        }),
        (name, scopes, lifetime) => {
            let mut findings: Vec<Finding> = name.err().into_iter().collect();
            findings.extend(scopes.err().into_iter().flatten());
            findings.extend(lifetime.err());
            Err(findings)
        }
    }
}

fn check_name(name: Option<&str>) -> Result<String, Finding> {
    let name = name.unwrap_or(DEFAULT_NAME).trim();
    // Counting stops early: a name of a megabyte is not walked through.
    let length = name.chars().take(MAX_NAME + 1).count();
    if (1..=MAX_NAME).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    let message = format!("expected 1 to {MAX_NAME} characters without control characters");
    Err(Finding::new("/name", "bad_name", message))
}

fn check_lifetime(
    wanted: Option<Duration>,
    limit: Option<Duration>,
) -> Result<Option<Duration>, Finding> {
    let longest = limit.map_or(MAX_LIFETIME, |limit| limit.min(MAX_LIFETIME));
    let Some(lifetime) = wanted else {
        return Ok(limit.map(|_| longest));
    };
    if (MIN_LIFETIME..=longest).contains(&lifetime) {
        return Ok(Some(lifetime));
    }
    let message = format!(
        "expected {} to {} seconds",
        MIN_LIFETIME.as_secs(),
        longest.as_secs()
    );
    Err(Finding::new("/expires_in", "out_of_range", message))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Micros = Micros(1_700_000_000_000_000);

    fn pointers(new: &NewToken, limit: Option<Duration>) -> Vec<String> {
        let findings = check(new, NOW, limit).err().unwrap_or_default();
        findings
            .into_iter()
            .map(|finding| finding.pointer)
            .collect()
    }

    #[test]
    fn what_is_left_out_takes_its_default() {
        let draft = check(&NewToken::default(), NOW, None).expect("valid");
        let expected = Draft {
            name: DEFAULT_NAME.to_owned(),
            scopes: Scopes::UNLIMITED,
            expires_at: None,
        };
        assert_eq!(draft, expected);
        let hour = Duration::from_hours(1);
        let limited = check(&NewToken::default(), NOW, Some(hour)).expect("valid");
        assert_eq!(limited.expires_at, Some(NOW + hour));
    }

    #[test]
    fn nobody_but_the_local_operator_makes_tokens_for_others() {
        let (own, other) = (Id::generate(), Id::generate());
        let owner = |owner, user| {
            let new = NewToken {
                owner,
                ..NewToken::default()
            };
            new.asked_for_by(user).map(|new| new.owner).ok()
        };
        assert_eq!(owner(None, None), Some(None));
        assert_eq!(owner(Some(other), None), Some(Some(other)));
        assert_eq!(owner(None, Some(own)), Some(Some(own)));
        assert_eq!(owner(Some(own), Some(own)), Some(Some(own)));
        assert_eq!(owner(Some(other), Some(own)), None);
    }

    #[test]
    fn all_findings_come_at_once() {
        let new = NewToken {
            name: Some("a\nb".to_owned()),
            scopes: vec!["reads".to_owned(), "read".to_owned(), "x".to_owned()],
            expires_in: Some(Duration::ZERO),
            owner: None,
        };
        assert_eq!(
            pointers(&new, None),
            ["/name", "/scopes/0", "/scopes/2", "/expires_in"]
        );
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        let named = |name: &str| check_name(Some(name));
        assert_eq!(named(" laptop ").as_deref(), Ok("laptop"));
        assert!(named(&"ä".repeat(MAX_NAME)).is_ok());
        for wrong in [
            "",
            "   ",
            "a\u{1b}[2J",
            "a\u{0}",
            &"x".repeat(MAX_NAME + 1),
            &"x".repeat(1 << 20),
        ] {
            assert!(named(wrong).is_err(), "{:?}", wrong.get(..8));
        }
    }

    proptest! {
        #[test]
        fn lifetimes_keep_to_the_limit(seconds in 0_u64..500_000_000, limit in proptest::option::of(1_u64..400_000_000)) {
            let wanted = Duration::from_secs(seconds);
            let limit = limit.map(Duration::from_secs);
            let longest = limit.unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME);
            let new = NewToken { expires_in: Some(wanted), ..NewToken::default() };
            match check(&new, NOW, limit) {
                Ok(draft) => {
                    prop_assert!(wanted >= MIN_LIFETIME && wanted <= longest);
                    prop_assert_eq!(draft.expires_at, Some(NOW + wanted));
                }
                Err(findings) => {
                    prop_assert!(wanted < MIN_LIFETIME || wanted > longest);
                    prop_assert_eq!(findings.len(), 1);
                }
            }
        }
    }
}
