//! What is asked for, brought into the form in which it is kept. No I/O. All that breaks a rule is told at once.

use ground::{Id, Micros, Secret};
use supervisor::Finding;

use super::email::{self, Email};
use super::error::PeopleError;
use super::passwords;
use super::types::User;
use crate::types::{Role, Tier};

/// Characters of a name at most.
pub const MAX_USER_NAME: usize = 100;

/// Somebody new who keeps to the rules.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) email: Email,
    pub(crate) name: Option<String>,
}

impl Draft {
    /// The user that is made of it.
    pub(crate) fn into_user(self, role: Role, tier: Tier, has_password: bool, now: Micros) -> User {
        User {
            id: Id::generate(),
            email: self.email.text,
            email_verified_at: None,
            name: self.name,
            role,
            tier,
            has_password,
            disabled_at: None,
            created_at: now,
            updated_at: now,
            last_sign_in_at: None,
            version: 1,
        }
    }
}

/// Checks address, password and name of somebody new.
pub(crate) fn check(
    email: &str,
    password: Option<&Secret>,
    name: Option<&str>,
) -> Result<Draft, PeopleError> {
    let mut findings = Vec::new();
    let about: Vec<&str> = [Some(email), name].into_iter().flatten().collect();
    if let Some(password) = password {
        let checked = passwords::check("/password", password.expose(), &about);
        findings.extend(checked.err().into_iter().flatten());
    }
    let (email, name) = (
        email::check("/email", email),
        name.map(check_name).transpose(),
    );
    match (email, name) {
        (Ok(email), Ok(name)) if findings.is_empty() => Ok(Draft { email, name }),
        (email, name) => {
            findings.extend(email.err());
            findings.extend(name.err());
            findings.sort_by(|a, b| a.pointer.cmp(&b.pointer));
            Err(PeopleError::Invalid(findings))
        }
    }
}

/// A name as it is kept.
pub(crate) fn check_name(name: &str) -> Result<String, Finding> {
    let name = name.trim();
    // Counting stops early: a name of a megabyte is not walked through.
    let length = name.chars().take(MAX_USER_NAME + 1).count();
    if (1..=MAX_USER_NAME).contains(&length)
        && !name
            .chars()
            .any(|char| char != ' ' && email::is_hidden(char))
    {
        return Ok(name.to_owned());
    }
    let message = format!("expected 1 to {MAX_USER_NAME} characters, none of them invisible");
    Err(Finding::new("/name", "bad_name", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let error = check("nobody", Some(&Secret::from("short")), Some("\u{202e}eve"))
            .expect_err("three findings");
        let PeopleError::Invalid(findings) = error else {
            panic!("{error:?}");
        };
        let pointers: Vec<_> = findings
            .iter()
            .map(|finding| finding.pointer.as_str())
            .collect();
        assert_eq!(pointers, ["/email", "/name", "/password"]);
    }

    #[test]
    fn names_are_what_people_are_called() {
        for name in [
            "Ada",
            " Ada Lovelace ",
            "\u{5c71}\u{7530} \u{592a}\u{90ce}",
            "O'Neil-Smith",
        ] {
            assert_eq!(check_name(name).as_deref(), Ok(name.trim()));
        }
        for name in [
            "",
            "  ",
            "a\0b",
            "a\nb",
            "\u{200b}",
            "\u{202e}ada",
            &"x".repeat(101),
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
