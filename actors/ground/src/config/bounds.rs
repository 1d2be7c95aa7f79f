//! Ranges: what of a value is measured, and how its bounds read in a message.

use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use super::leaf::Leaf;
use super::units::{Bytes, duration_text};

/// A quantity that a range can be over.
pub trait Measure: PartialOrd {
    /// The quantity as text, in the unit a user writes.
    fn words(&self) -> String;
}

/// A value that a `range` in the declaration can apply to.
pub trait Bounded: Leaf {
    /// What is compared: the number itself, the characters of a string, the entries of a list.
    type Measure: Measure;
    /// What is counted, for the message: `""`, `" characters"`, `" entries"`.
    const COUNTED: &'static str = "";

    /// The measured quantity; `None` when the value is unset, which every range allows.
    fn measure(&self) -> Option<Self::Measure>;
}

/// A range in words: `from 1 to 10000`, `at least 1`, `at most 64 characters`.
pub fn range_words<T: Bounded>(range: &impl RangeBounds<T::Measure>) -> String {
    let low = match range.start_bound() {
        Bound::Included(low) => Some((low.words(), "at least")),
        Bound::Excluded(low) => Some((low.words(), "more than")),
        Bound::Unbounded => None,
    };
    let high = match range.end_bound() {
        Bound::Included(high) => Some((high.words(), "at most")),
        Bound::Excluded(high) => Some((high.words(), "less than")),
        Bound::Unbounded => None,
    };
    let words = match (low, high) {
        (Some((low, "at least")), Some((high, "at most"))) => format!("from {low} to {high}"),
        (Some((low, how)), Some((high, than))) => format!("{how} {low} and {than} {high}"),
        (Some((quantity, how)), None) | (None, Some((quantity, how))) => {
            format!("{how} {quantity}")
        }
        (None, None) => "any".to_owned(),
    };
    words + T::COUNTED
}

macro_rules! measure_numbers {
    ($($number:ty),*) => {$(
        impl Measure for $number {
            fn words(&self) -> String { self.to_string() }
        }
        impl Bounded for $number {
            type Measure = Self;
            fn measure(&self) -> Option<Self> { Some(*self) }
        }
    )*};
}
measure_numbers!(u8, u16, u32, u64, usize, i32, i64, f64);

impl Measure for Duration {
    fn words(&self) -> String {
        duration_text(*self)
    }
}

impl Bounded for Duration {
    type Measure = Self;
    fn measure(&self) -> Option<Self> {
        Some(*self)
    }
}

impl Measure for Bytes {
    fn words(&self) -> String {
        self.to_string()
    }
}

impl Bounded for Bytes {
    type Measure = Self;
    fn measure(&self) -> Option<Self> {
        Some(*self)
    }
}

impl Bounded for String {
    type Measure = usize;
    const COUNTED: &'static str = " characters";
    fn measure(&self) -> Option<usize> {
        Some(self.chars().count())
    }
}

impl<T: Leaf> Bounded for Vec<T> {
    type Measure = usize;
    const COUNTED: &'static str = " entries";
    fn measure(&self) -> Option<usize> {
        Some(self.len())
    }
}

impl<T: Bounded> Bounded for Option<T> {
    type Measure = T::Measure;
    const COUNTED: &'static str = T::COUNTED;
    fn measure(&self) -> Option<T::Measure> {
        self.as_ref().and_then(Bounded::measure)
    }
}
