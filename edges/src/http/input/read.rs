//! Reads JSON text into a value and notes keys that are given twice.
//!
//! JSON allows a repeated key and parsers disagree on which one counts, so a proxy and this server could read two
//! different requests from the same bytes. Such a body is refused, with the place of every repetition.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use supervisor::Finding;

use super::check::{Findings, Pointer};

/// Why a text is not JSON: where, and what the parser says.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

/// Reads one JSON value, deeper than 128 levels refused, with a finding for each repeated key.
///
/// # Errors
/// When `bytes` is not exactly one JSON value in UTF-8.
pub(crate) fn read(bytes: &[u8]) -> Result<(Value, Findings), SyntaxError> {
    let findings = RefCell::new(Findings::default());
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let reader = Reader {
        at: &Pointer::Root,
        findings: &findings,
    };
    let value = reader
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| SyntaxError {
            line: error.line(),
            column: error.column(),
            message: without_position(&error.to_string()),
        })?;
    Ok((value, findings.into_inner()))
}

/// serde_json ends its messages with " at line L column C", which is told apart from the message here.
fn without_position(message: &str) -> String {
    message
        .split(" at line ")
        .next()
        .unwrap_or(message)
        .to_owned()
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    at: &'a Pointer<'a>,
    findings: &'a RefCell<Findings>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let at = Pointer::Index(self.at, items.len());
            let reader = Reader {
                at: &at,
                findings: self.findings,
            };
            match seq.next_element_seed(reader)? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let at = Pointer::Key(self.at, &key);
            let value = map.next_value_seed(Reader {
                at: &at,
                findings: self.findings,
            })?;
            if fields.contains_key(&key) {
                let finding = Finding::new(at.text(), "duplicate", "the field is given twice");
                self.findings.borrow_mut().push(finding);
            } else {
                fields.insert(key, value);
            }
        }
        Ok(Value::Object(fields))
    }
}
