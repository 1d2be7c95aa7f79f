//! Identifiers: one newtype, so that no table, route or log line argues about their shape.
//!
//! An [`Id`] is a UUID of version 7: it sorts by time of creation, which keeps inserts at the right edge of an index
//! and lets a list page by id alone. It is 16 bytes in both databases (`BLOB` in SQLite, `uuid` in PostgreSQL): text
//! ids would double every index.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A time-ordered identifier (UUID version 7), unique over all machines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Id(Uuid);

/// The text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID such as 0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f")]
pub struct IdError;

impl Id {
    /// A new id, greater than every id this process made before.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// An id of the given 16 bytes, in network order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id, in network order: comparing them compares the ids.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The UUID behind the id.
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Only the hyphenated form: an id has one spelling, so that two of them can be compared as text anywhere.
        if text.len() != 36 {
            return Err(IdError);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| IdError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_of_one_process_ascend() {
        let made: Vec<Id> = (0..10_000).map(|_| Id::generate()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn other_spellings_are_refused() {
        let id = Id::generate();
        let simple = id.as_uuid().simple().to_string();
        for wrong in [
            "",
            "x",
            &simple,
            &format!("{{{id}}}"),
            &format!("urn:uuid:{id}"),
        ] {
            assert_eq!(wrong.parse::<Id>(), Err(IdError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn text_and_json_round_trip(bytes: [u8; 16]) {
            let id = Id::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<Id>(), Ok(id));
            let json = serde_json::to_string(&id).expect("an id is text");
            prop_assert_eq!(&json, &format!("\"{id}\""));
            prop_assert_eq!(serde_json::from_str::<Id>(&json).expect("own text"), id);
        }

        #[test]
        fn order_is_the_order_of_the_bytes(a: [u8; 16], b: [u8; 16]) {
            prop_assert_eq!(Id::from_bytes(a).cmp(&Id::from_bytes(b)), a.cmp(&b));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            if let Ok(id) = text.parse::<Id>() {
                prop_assert_eq!(id.to_string(), text.to_lowercase());
            }
        }
    }
}
