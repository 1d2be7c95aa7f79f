//! Durations and sizes, written with their unit: `"30s"`, `"64KiB"`.
//!
//! A bare number of seconds or milliseconds is refused: nobody reading the file can tell which it is.

use std::fmt;
use std::time::Duration;

use super::leaf::{Leaf, read_text};
use super::node::{Node, Value};
use super::reading::Reading;
use super::refusal::Refusal;
use super::text::quote;

/// Nanoseconds in each unit of time, largest first.
const TIMES: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Bytes in each unit of size, largest first; the decimal ones are read but never written.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// The shortest exact spelling: the largest unit that divides it.
pub(super) fn duration_text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    TIMES
        .iter()
        .find(|(_, size)| nanos.is_multiple_of(*size))
        .map_or_else(
            || format!("{nanos}ns"),
            |(unit, size)| format!("{}{unit}", nanos / size),
        )
}

/// Reads `"1h30m"`, `"250ms"`: whole numbers, each with its unit, larger units first.
pub(super) fn parse_duration(text: &str) -> Result<Duration, Refusal> {
    let refusal = || {
        Refusal::malformed()
            .hint("write for example \"250ms\", \"30s\", \"10m\", \"12h\" or \"7d\"")
    };
    let mut rest = text;
    let mut total: u128 = 0;
    let mut smaller_than = u128::MAX;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(refusal)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let &(_, size) = TIMES
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(refusal)?;
        let number: u128 = number.parse().map_err(|_| refusal())?;
        if size >= smaller_than {
            return Err(refusal());
        }
        smaller_than = size;
        total = number
            .checked_mul(size)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(refusal)?;
        rest = tail;
    }
    let seconds = u64::try_from(total / 1_000_000_000).map_err(|_| refusal())?;
    let nanos = u32::try_from(total % 1_000_000_000).map_err(|_| refusal())?;
    if smaller_than == u128::MAX {
        return Err(refusal());
    }
    Ok(Duration::new(seconds, nanos))
}

impl Leaf for Duration {
    fn words() -> String {
        "duration such as \"30s\"".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        if let Value::Integer(number) = node.value {
            let hint = format!("a duration needs its unit: write \"{number}s\" or \"{number}ms\"");
            reading.refuse(node, Refusal::wrong_type::<Self>(node).hint(hint));
            return None;
        }
        read_text(node, reading, parse_duration)
    }

    fn render(&self) -> String {
        quote(&duration_text(*self))
    }
}

/// A size in bytes, written `"64KiB"` (1024s) or `"64kB"` (1000s), or as a bare number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// `count` × 1024 bytes.
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// `count` × 1024² bytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// `count` × 1024³ bytes.
    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }

    /// The size as `usize`, capped where the machine cannot address it.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = SIZES.iter().find(|(unit, size)| {
            unit.ends_with("iB") && self.0 >= *size && self.0.is_multiple_of(*size)
        });
        match binary {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// Reads `"64KiB"`.
pub(super) fn parse_bytes(text: &str) -> Result<Bytes, Refusal> {
    let refusal = || Refusal::malformed().hint("write for example \"64KiB\", \"1MiB\" or \"2GiB\"");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refusal())?;
    let size = match unit {
        "" => 1,
        unit => {
            SIZES
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(refusal)?
                .1
        }
    };
    number.checked_mul(size).map(Bytes).ok_or_else(refusal)
}

impl Leaf for Bytes {
    fn words() -> String {
        "size such as \"64KiB\"".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        if let Value::Integer(number) = node.value {
            let bytes = u64::try_from(number).ok().map(Bytes);
            if bytes.is_none() {
                reading.refuse(node, Refusal::wrong_type::<Self>(node));
            }
            return bytes;
        }
        read_text(node, reading, parse_bytes)
    }

    fn render(&self) -> String {
        quote(&self.to_string())
    }
}
