//! The trait of a configuration value, and the plain types that implement it.
//!
//! The trait is open: a domain implements it for a type of its own (a list of providers, a currency) where the types
//! here do not say enough. Strings with a fixed set of choices are declared with [`choices!`](crate::choices).

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::node::{Node, Value};
use super::reading::Reading;
use super::refusal::Refusal;
use super::text::{nearest, quote};

/// A value that a key can have.
pub trait Leaf: Clone + Send + Sync + Sized + 'static {
    /// The value is never shown, not even inside a message.
    const SECRET: bool = false;
    /// Text of the environment that starts with `[` or `{` is read as TOML before it gets here.
    const STRUCTURED: bool = false;

    /// What is expected, in words that complete "expected …".
    fn words() -> String;

    /// Reads the value; every fault goes to `reading`, and `None` says that there was one.
    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self>;

    /// The value as TOML text that [`Leaf::read`] reads back; of a secret, a stand-in.
    fn render(&self) -> String;

    /// Whether the key counts as not given.
    fn is_unset(&self) -> bool {
        false
    }

    /// What two equal values have in common and different ones have not; of a secret, a digest.
    fn identity(&self) -> String {
        self.render()
    }
}

/// Reads a leaf that is written as a string, by `parse`.
pub fn read_text<T: Leaf>(
    node: &Node,
    reading: &mut Reading<'_>,
    parse: impl FnOnce(&str) -> Result<T, Refusal>,
) -> Option<T> {
    let (Value::String(text) | Value::Text(text)) = &node.value else {
        reading.refuse(node, Refusal::wrong_type::<T>(node));
        return None;
    };
    match parse(text) {
        Ok(value) => Some(value),
        Err(refusal) => {
            reading.refuse(node, refusal.complete::<T>(node));
            None
        }
    }
}

/// Reads one of a fixed set of words; an unknown one is answered with the nearest.
pub fn read_choice<T: Leaf>(
    node: &Node,
    reading: &mut Reading<'_>,
    choices: &[(&'static str, T)],
) -> Option<T> {
    read_text(node, reading, |text| {
        let found = choices.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            let refusal = Refusal::malformed();
            match nearest(text, choices.iter().map(|(word, _)| *word)) {
                Some(word) => refusal.hint(format!("did you mean \"{word}\"?")),
                None => refusal,
            }
        })
    })
}

impl Leaf for bool {
    fn words() -> String {
        "true or false".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        match &node.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) if text == "true" => Some(true),
            Value::Text(text) if text == "false" => Some(false),
            Value::String(text) if text == "true" || text == "false" => {
                reading.refuse(
                    node,
                    Refusal::wrong_type::<Self>(node)
                        .hint(format!("write {text} without the quotes")),
                );
                None
            }
            _ => {
                reading.refuse(node, Refusal::wrong_type::<Self>(node));
                None
            }
        }
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

/// Reads an integer of any width; `parse` narrows it.
fn read_integer<T: Leaf>(
    node: &Node,
    reading: &mut Reading<'_>,
    limits: (i128, i128),
    narrow: impl Fn(i128) -> Option<T>,
) -> Option<T> {
    let number = match &node.value {
        Value::Integer(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let Some(number) = number else {
        let mut refusal = Refusal::wrong_type::<T>(node);
        if matches!(&node.value, Value::String(text) if text.parse::<i128>().is_ok()) {
            refusal = refusal.hint("write the number without the quotes");
        }
        reading.refuse(node, refusal);
        return None;
    };
    let narrowed = narrow(number);
    if narrowed.is_none() {
        let (low, high) = limits;
        reading.refuse(
            node,
            Refusal::range(format!(
                "expected integer from {low} to {high}, found {number}"
            )),
        );
    }
    narrowed
}

macro_rules! integer_leaves {
    ($($integer:ty),*) => {$(
        impl Leaf for $integer {
            fn words() -> String { "integer".to_owned() }
            fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
                let limits = (i128::try_from(Self::MIN).unwrap_or(0), i128::try_from(Self::MAX).unwrap_or(i128::MAX));
                read_integer(node, reading, limits, |number| Self::try_from(number).ok())
            }
            fn render(&self) -> String { self.to_string() }
        }
    )*};
}
integer_leaves!(u8, u16, u32, u64, usize, i32, i64);

impl Leaf for f64 {
    fn words() -> String {
        "number".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let number = match &node.value {
            Value::Float(number) => Some(*number),
            #[expect(
                clippy::cast_precision_loss,
                reason = "whoever writes a whole number for a fraction means its nearest float"
            )]
            Value::Integer(number) => Some(*number as f64),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            reading.refuse(node, Refusal::wrong_type::<Self>(node));
        }
        number
    }

    fn render(&self) -> String {
        format!("{self:?}")
    }
}

impl Leaf for String {
    fn words() -> String {
        "string".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, |text| Ok(text.to_owned()))
    }

    fn render(&self) -> String {
        quote(self)
    }
}

impl Leaf for PathBuf {
    fn words() -> String {
        "path".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, |text| {
            if text.is_empty() || text.contains('\0') {
                return Err(Refusal::invalid(
                    "expected a path, found an empty one or a NUL character",
                ));
            }
            if text.starts_with('~') {
                return Err(
                    Refusal::invalid("expected a full path, found one that starts with ~")
                        .hint("~ is not expanded here: write the path in full"),
                );
            }
            Ok(Self::from(text))
        })
    }

    fn render(&self) -> String {
        quote(&self.to_string_lossy())
    }
}

impl Leaf for SocketAddr {
    fn words() -> String {
        "address such as \"127.0.0.1:4110\"".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        read_text(node, reading, |text| {
            text.parse().map_err(|_| {
                let refusal = Refusal::malformed();
                if text.starts_with("localhost") {
                    refusal.hint("write 127.0.0.1 (or [::1]) for localhost")
                } else if text.parse::<IpAddr>().is_ok() {
                    refusal.hint("add the port, as in \"127.0.0.1:4110\" or \"[::1]:4110\"")
                } else {
                    refusal.hint("an IPv6 address goes in brackets: \"[::1]:4110\"")
                }
            })
        })
    }

    fn render(&self) -> String {
        quote(&self.to_string())
    }
}

impl<T: Leaf> Leaf for Vec<T> {
    const SECRET: bool = T::SECRET;
    const STRUCTURED: bool = true;

    fn words() -> String {
        format!("list of {}", T::words())
    }

    /// A list in the file; in the environment also `a, b`. Every faulty entry is reported.
    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        match &node.value {
            Value::Array(entries) => {
                let read: Vec<Option<T>> =
                    entries.iter().map(|entry| reading.entry(entry)).collect();
                read.into_iter().collect()
            }
            Value::Text(text) if text.trim().is_empty() => Some(Self::new()),
            Value::Text(text) => {
                let entry = |part: &str| {
                    Node::new(Value::Text(part.trim().to_owned()), node.origin.clone())
                };
                let read: Vec<Option<T>> = text
                    .split(',')
                    .map(|part| reading.entry(&entry(part)))
                    .collect();
                read.into_iter().collect()
            }
            _ => {
                reading.refuse(
                    node,
                    Refusal::wrong_type::<Self>(node)
                        .hint("a list is written in brackets: [\"a\", \"b\"]"),
                );
                None
            }
        }
    }

    fn render(&self) -> String {
        let entries: Vec<String> = self.iter().map(Leaf::render).collect();
        format!("[{}]", entries.join(", "))
    }

    fn identity(&self) -> String {
        let entries: Vec<String> = self.iter().map(Leaf::identity).collect();
        format!("[{}]", entries.join(", "))
    }
}

/// Unset by leaving the key out, or by an empty environment variable.
impl<T: Leaf> Leaf for Option<T> {
    const SECRET: bool = T::SECRET;
    const STRUCTURED: bool = T::STRUCTURED;

    fn words() -> String {
        T::words()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.is_empty() => Some(None),
            _ => T::read(node, reading).map(Some),
        }
    }

    fn render(&self) -> String {
        self.as_ref().map_or_else(String::new, Leaf::render)
    }

    fn is_unset(&self) -> bool {
        self.as_ref().is_none_or(Leaf::is_unset)
    }

    fn identity(&self) -> String {
        self.as_ref().map_or_else(String::new, Leaf::identity)
    }
}
