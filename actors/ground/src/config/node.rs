//! Configuration values as they were written, each with the place it came from.
//!
//! The origin travels with the value through every check, so that a message can point at the line and `config show` can
//! tell who set a key. One shape serves all layers: a file gives typed values, the environment and the flags give
//! [`Value::Text`], which each leaf reads in its own way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// A place in a file. Lines and columns count from 1; a column counts characters, not bytes.
    File {
        /// The file as it was named.
        file: Arc<str>,
        /// Line, from 1.
        line: u32,
        /// Column in characters, from 1.
        column: u32,
    },
    /// The environment variable of this name.
    Env(Arc<str>),
    /// The command-line flag of this name, such as `--listen`.
    Flag(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line, .. } => write!(f, "{file}:{line}"),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
    /// The text here was already reported as broken: reading it would only report the same fault twice.
    pub is_damaged: bool,
}

/// What was written.
#[derive(Clone, Debug)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A quoted string.
    String(String),
    /// Untyped text of the environment or of a flag.
    Text(String),
    /// Something no key takes, such as a date: its kind in words.
    Other(&'static str),
    /// A list.
    Array(Vec<Node>),
    /// A table, in any of its spellings.
    Table(Table),
}

/// A table: entries by name.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The entries.
    pub entries: BTreeMap<String, Entry>,
}

/// One entry of a table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where the key itself was written (its value has an origin of its own).
    pub origin: Origin,
    /// The value.
    pub node: Node,
}

impl Node {
    /// A value that is sound text.
    pub fn new(value: Value, origin: Origin) -> Self {
        Self {
            value,
            origin,
            is_damaged: false,
        }
    }

    /// What was found, in words for a message: `integer 70000`, `string "abc"`. Long text is cut.
    pub fn found(&self) -> String {
        match &self.value {
            Value::Bool(value) => format!("{value}"),
            Value::Integer(value) => format!("integer {value}"),
            Value::Float(value) => format!("number {value}"),
            Value::String(text) => format!("string {}", cut(text)),
            Value::Text(text) => cut(text),
            Value::Other(_) | Value::Array(_) | Value::Table(_) => self.kind().to_owned(),
        }
    }

    /// The kind of what was found, without its content: for secrets.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Bool(_) => "true or false",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::Text(_) => "text",
            Value::Other(kind) => kind,
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// At most 60 characters of `text`, quoted and escaped.
fn cut(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(SHOWN).collect();
    format!("{head:?}…")
}
