//! Faults of values: why one is refused, and the checks that refuse it.

use std::ops::{Bound, RangeBounds};

use super::bounds::{Bounded, Measure as _, range_words};
use super::leaf::Leaf;
use super::node::{Node, Origin};

/// Why a value is not taken: a stable code, a sentence in lowercase, and what to do.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// `config.type`, `config.range`, `config.invalid`, `config.secret`, …
    pub code: &'static str,
    /// What was expected and what was found.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl Refusal {
    /// The value is not well formed; [`read_text`](super::read_text) completes the message from the type's words.
    pub fn malformed() -> Self {
        Self::invalid("")
    }

    /// The value has the right type and is still not acceptable.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::coded("config.invalid", message)
    }

    /// The value is of another type than `T`.
    pub fn wrong_type<T: Leaf>(node: &Node) -> Self {
        Self::coded("config.type", expectation::<T>(node))
    }

    /// The value is outside its range.
    pub fn range(message: impl Into<String>) -> Self {
        Self::coded("config.range", message)
    }

    /// A refusal under a code of the caller's.
    pub fn coded(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Fills in an empty message.
    pub(super) fn complete<T: Leaf>(mut self, node: &Node) -> Self {
        if self.message.is_empty() {
            self.message = expectation::<T>(node);
        }
        self
    }
}

fn expectation<T: Leaf>(node: &Node) -> String {
    let found = if T::SECRET {
        node.kind().to_owned()
    } else {
        node.found()
    };
    format!("expected {}, found {found}", T::words())
}

/// A fault of the configuration, at its place.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Where it is.
    pub origin: Origin,
    /// The dotted key it is about; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub refusal: Refusal,
}

/// A rule over several keys of one group that is broken: which key to point at, and why.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The key the message is shown at.
    pub key: &'static str,
    /// What does not fit together: a sentence in lowercase without a full stop.
    pub message: String,
}

/// Checks of one value that has the right type.
#[derive(Debug, Default)]
pub struct Limits {
    /// What is refused; with a number, the entry of that index of a list.
    pub(super) refusals: Vec<(Option<usize>, Refusal)>,
}

impl Limits {
    /// Refuses a value outside `range`.
    pub fn range<T: Bounded>(&mut self, value: &T, range: &impl RangeBounds<T::Measure>) {
        let Some(measure) = value.measure() else {
            return;
        };
        let low = match range.start_bound() {
            Bound::Included(low) => measure >= *low,
            Bound::Excluded(low) => measure > *low,
            Bound::Unbounded => true,
        };
        let high = match range.end_bound() {
            Bound::Included(high) => measure <= *high,
            Bound::Excluded(high) => measure < *high,
            Bound::Unbounded => true,
        };
        if !(low && high) {
            let message = format!(
                "expected {} {}, found {}{}",
                T::words(),
                range_words::<T>(range),
                measure.words(),
                T::COUNTED
            );
            self.refusals.push((None, Refusal::range(message)));
        }
    }

    /// Refuses a value that `check` finds unacceptable, with its reason: a sentence in lowercase without a full stop.
    pub fn check<T>(&mut self, value: &T, check: impl FnOnce(&T) -> Result<(), String>) {
        if let Err(reason) = check(value) {
            self.refusals.push((None, Refusal::invalid(reason)));
        }
    }

    /// Refuses every entry of a list that `check` finds unacceptable, at its own place.
    pub fn each<T>(&mut self, values: &[T], check: impl Fn(&T) -> Result<(), String>) {
        for (index, value) in values.iter().enumerate() {
            if let Err(reason) = check(value) {
                self.refusals.push((Some(index), Refusal::invalid(reason)));
            }
        }
    }
}
