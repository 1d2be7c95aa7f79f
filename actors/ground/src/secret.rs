//! Secrets: text that a log line, a panic message or a status page cannot show by accident.
//!
//! A plain `String` leaks the day somebody derives `Debug` on the struct around it. A [`Secret`] has no `Display` and no
//! `Serialize`, its `Debug` tells nothing (not even the length), comparing two takes the same time wherever they
//! differ, and its memory is wiped when it is dropped. The one way in is [`Secret::expose`], which is easy to search for.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroize as _;

/// A piece of text that is never shown.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the one place that needs it, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl PartialEq for Secret {
    /// Looks at every byte of the shorter text, whatever they hold; only the lengths can be told from the time taken.
    fn eq(&self, other: &Self) -> bool {
        let differing = self
            .0
            .bytes()
            .zip(other.0.bytes())
            .fold(0, |seen, (a, b)| seen | (a ^ b));
        self.0.len() == other.0.len() && std::hint::black_box(differing) == 0
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "read by Debug alone, which is what is tested")]
    struct Around {
        password: Secret,
        all: Vec<Option<Secret>>,
    }

    proptest! {
        #[test]
        fn debug_shows_nothing(text in "[0-9A-Z!-/]{4,40}") {
            let around = Around { password: text.as_str().into(), all: vec![Some(text.as_str().into())] };
            let shown = format!("{around:?}{around:#?}");
            prop_assert!(!shown.contains(&text));
        }

        #[test]
        fn equal_when_the_texts_are(a in ".{0,8}", b in ".{0,8}") {
            prop_assert_eq!(Secret::from(a.as_str()) == Secret::from(b.as_str()), a == b);
            prop_assert_eq!(Secret::from(a.as_str()), Secret::from(a.as_str()));
        }
    }
}
