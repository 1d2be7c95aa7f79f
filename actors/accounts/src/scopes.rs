//! What a token may be limited to. No I/O.
//!
//! A token without scopes has all the rights of its owner, so "no scopes" and "scopes that could not be read" must never
//! be mixed up: a scope that this program does not know (a newer one wrote it) is an error, not a shorter list.

use std::fmt;
use std::str::FromStr;

use ground::config::nearest;
use serde::{Serialize, Serializer};
use supervisor::Finding;

/// More scopes than this are not looked at one by one.
const MAX_WORDS: usize = 16;
/// Characters of a foreign word that are repeated in a finding.
const MAX_ECHO: usize = 40;

/// One thing that a token may be limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything that only reads.
    Read,
    /// Supervisor actions.
    Operator,
    /// Terminals: open, use, end.
    Terminals,
}

/// A word that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// The word is not one of the scopes.
    #[error("there is no such scope")]
    Unknown,
    /// The stored list is not a list of words.
    #[error("not a list of scopes")]
    Form,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::Read, Self::Operator, Self::Terminals];

    /// The word for it, on the wire and in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operator => "operator",
            Self::Terminals => "terminals",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(word: &str) -> Result<Self, ScopeError> {
        let named = Self::ALL.into_iter().find(|scope| scope.word() == word);
        named.ok_or(ScopeError::Unknown)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The scopes of a token: each at most once, in a fixed order. None at all means all the rights of the owner.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// No limit: all the rights of the owner.
    pub const UNLIMITED: Self = Self(0);

    /// Whether the token has all the rights of its owner.
    pub const fn is_unlimited(self) -> bool {
        self.0 == 0
    }

    /// Whether the token may do what this scope covers.
    pub const fn allows(self, scope: Scope) -> bool {
        self.is_unlimited() || self.0 & scope.bit() != 0
    }

    /// The scopes that the token is limited to; none when it is not limited.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        let named = move |scope: &Scope| self.0 & scope.bit() != 0;
        Scope::ALL.into_iter().filter(named)
    }

    /// As it is stored: a JSON list of words.
    pub(crate) fn to_json(self) -> String {
        let words: Vec<String> = self.iter().map(|scope| format!("\"{scope}\"")).collect();
        format!("[{}]", words.join(","))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl FromStr for Scopes {
    type Err = ScopeError;

    /// Reads what [`Scopes::to_json`] wrote. One unknown word spoils the list.
    fn from_str(json: &str) -> Result<Self, ScopeError> {
        let words: Vec<String> = serde_json::from_str(json).map_err(|_| ScopeError::Form)?;
        words.iter().map(|word| word.parse::<Scope>()).collect()
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Scope::word))
    }
}

/// Checks the words of a request; a word given twice counts once.
///
/// # Errors
/// A finding at `/scopes/N` for each word that names no scope, with the nearest that does.
pub(crate) fn check(words: &[String]) -> Result<Scopes, Vec<Finding>> {
    if words.len() > MAX_WORDS {
        let message = format!("expected at most {MAX_WORDS} scopes, got {}", words.len());
        return Err(vec![Finding::new("/scopes", "too_many", message)]);
    }
    let mut scopes = Vec::new();
    let mut findings = Vec::new();
    for (index, word) in words.iter().enumerate() {
        match word.parse() {
            Ok(scope) => scopes.push(scope),
            Err(_) => findings.push(unknown(index, word)),
        }
    }
    if findings.is_empty() {
        Ok(scopes.into_iter().collect())
    } else {
        Err(findings)
    }
}

fn unknown(index: usize, word: &str) -> Finding {
    let short: String = word.chars().take(MAX_ECHO).collect();
    let known = Scope::ALL.map(Scope::word);
    let hint = match nearest(&short, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    let message = format!("there is no scope `{}`; {hint}", short.escape_debug());
    Finding::new(format!("/scopes/{index}"), "unknown_scope", message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn any_scopes() -> impl Strategy<Value = Vec<Scope>> {
        proptest::collection::vec(proptest::sample::select(Scope::ALL.to_vec()), 0..6)
    }

    #[test]
    fn no_scopes_are_all_rights() {
        assert_eq!(check(&[]), Ok(Scopes::UNLIMITED));
        assert!(
            Scope::ALL
                .into_iter()
                .all(|scope| Scopes::UNLIMITED.allows(scope))
        );
        assert_eq!(Scopes::UNLIMITED.to_json(), "[]");
    }

    #[test]
    fn every_unknown_word_is_told_with_the_nearest() {
        let findings = check(&words(&[
            "reed",
            "read",
            "",
            "termnals",
            "everything",
            "a\u{1b}[2J",
        ]));
        let findings = findings.expect_err("unknown words");
        let told: Vec<_> = findings.iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(
            told,
            [
                "/scopes/0",
                "/scopes/2",
                "/scopes/3",
                "/scopes/4",
                "/scopes/5"
            ]
        );
        assert!(
            findings[0].message.ends_with("did you mean `read`?"),
            "{}",
            findings[0].message
        );
        assert!(
            findings[2].message.ends_with("did you mean `terminals`?"),
            "{}",
            findings[2].message
        );
        assert!(
            findings[3]
                .message
                .ends_with("known are read, operator, terminals")
        );
        assert!(!findings[4].message.contains('\u{1b}'));
    }

    #[test]
    fn long_input_stays_small() {
        let one = check(&["x".repeat(1 << 20)]).expect_err("unknown");
        assert!(one[0].message.len() < 200);
        let many = check(&vec![String::new(); 1 << 16]).expect_err("too many");
        assert_eq!(many.len(), 1);
        assert_eq!(many[0].pointer, "/scopes");
    }

    #[test]
    fn a_scope_of_a_newer_program_is_never_all_rights() {
        for json in ["[\"billing\"]", "[\"read\",\"billing\"]"] {
            assert_eq!(json.parse::<Scopes>(), Err(ScopeError::Unknown), "{json}");
        }
        for json in ["", "null", "{}", "\"read\"", "[1]", "[\"read\""] {
            assert_eq!(json.parse::<Scopes>(), Err(ScopeError::Form), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(scopes in any_scopes()) {
            let set: Scopes = scopes.iter().copied().collect();
            prop_assert_eq!(set.to_json().parse::<Scopes>(), Ok(set));
            prop_assert_eq!(serde_json::to_string(&set).expect("text"), set.to_json());
            let named: Vec<String> = scopes.iter().map(|scope| scope.word().to_owned()).collect();
            prop_assert_eq!(check(&named), Ok(set));
        }

        #[test]
        fn a_limited_token_may_do_what_it_names_and_no_more(scopes in any_scopes()) {
            let set: Scopes = scopes.iter().copied().collect();
            for scope in Scope::ALL {
                prop_assert_eq!(set.allows(scope), scopes.is_empty() || scopes.contains(&scope));
            }
        }
    }
}
