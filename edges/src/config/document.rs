//! Turns the text of a configuration file into values that know their place.
//!
//! A sound file goes through the TOML parser once. Its recovery is not enough for a broken one (after a line without `=`
//! it drops the rest of the file, and an open bracket swallows what follows), so then [`recover`](super::recover) takes the
//! file apart statement by statement.

use std::ops::Range;

use ground::config::{Entry, Node, Origin, Problem, Refusal, Table, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::file::Source;
use super::recover;

/// Everything the file says, and every fault of its form.
pub(super) fn parse(source: &Source) -> (Table, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() && source.broken_bytes.is_empty() {
        return (
            convert_table(
                table.get_ref(),
                &Places {
                    source,
                    base: 0,
                    is_damaged: false,
                },
            ),
            Vec::new(),
        );
    }
    let (table, mut problems) = recover::recover(source);
    if problems.is_empty() {
        problems = errors
            .iter()
            .map(|error| {
                syntax(
                    source.origin(error.span().map_or(0, |span| span.start)),
                    error.message(),
                )
            })
            .collect();
    }
    (table, problems)
}

/// Reads text of the environment that is written as a TOML list or table.
pub(super) fn parse_value(text: &str, origin: &Origin) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(convert(&value, &|_| origin.clone(), false))
}

/// How byte spans of a piece of the file become places.
pub(super) struct Places<'s> {
    pub(super) source: &'s Source,
    /// Where the piece begins in the file.
    pub(super) base: usize,
    /// The piece has a fault that was reported.
    pub(super) is_damaged: bool,
}

/// Converts a parsed table.
pub(super) fn convert_table(table: &DeTable<'_>, places: &Places<'_>) -> Table {
    table_of(
        table,
        &|span| places.source.origin(places.base + span.start),
        places.is_damaged,
    )
}

fn table_of(
    table: &DeTable<'_>,
    place: &dyn Fn(Range<usize>) -> Origin,
    is_damaged: bool,
) -> Table {
    let entries = table.iter().map(|(name, value)| {
        let entry = Entry {
            origin: place(name.span()),
            node: convert(value, place, is_damaged),
        };
        (name.get_ref().clone().into_owned(), entry)
    });
    Table {
        entries: entries.collect(),
    }
}

fn convert(
    value: &Spanned<DeValue<'_>>,
    place: &dyn Fn(Range<usize>) -> Origin,
    is_damaged: bool,
) -> Node {
    let origin = place(value.span());
    let value = match value.get_ref() {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => integer(number),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or(Value::Other("a number out of range"), Value::Float),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(entries) => Value::Array(
            entries
                .iter()
                .map(|entry| convert(entry, place, is_damaged))
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(table_of(table, place, is_damaged)),
    };
    Node {
        value,
        origin,
        is_damaged,
    }
}

fn integer(number: &DeInteger<'_>) -> Value {
    i128::from_str_radix(number.as_str(), number.radix()).map_or(
        Value::Other("an integer of more than 38 digits"),
        Value::Integer,
    )
}

/// A fault of form, in the parser's words with a hint where they alone do not help.
pub(super) fn syntax(origin: Origin, message: &str) -> Problem {
    const HINTS: [(&str, &str); 9] = [
        (
            "string values must be quoted",
            "text goes in quotes: name = \"text\"",
        ),
        ("key with no value", "write name = value"),
        ("invalid basic string", "the closing quote is missing"),
        ("invalid literal string", "the closing quote is missing"),
        ("unclosed table", "close the name of the section: [name]"),
        ("unclosed array table", "a section is written [name]"),
        (
            "unexpected key or value",
            "one key a line: a line break or a # is missing",
        ),
        (
            "missing escaped value",
            "write \\\\ for a backslash, or use single quotes",
        ),
        ("invalid float", "text goes in quotes: name = \"text\""),
    ];
    if message == "duplicate key" {
        return Problem {
            origin,
            key: String::new(),
            refusal: Refusal::coded("config.duplicate", "this key is given twice"),
        };
    }
    let refusal = Refusal::coded("config.syntax", message);
    let refusal = match HINTS.iter().find(|(start, _)| message.starts_with(start)) {
        Some((_, hint)) => refusal.hint(*hint),
        None => refusal,
    };
    Problem {
        origin,
        key: String::new(),
        refusal,
    }
}
