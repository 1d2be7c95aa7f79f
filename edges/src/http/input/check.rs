//! Checks a JSON value against rules and collects every finding, up to a bound.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use supervisor::Finding;

use super::rules::{Format, Kind, Others, Rules};

/// More findings than this are counted, not listed: the answer to bad input stays small.
const MAX_FINDINGS: usize = 64;
/// Characters of a foreign key that are repeated in a pointer or message.
const MAX_KEY_CHARS: usize = 80;
/// Allowed values that a message lists.
const MAX_LISTED: usize = 12;

/// Findings so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    listed: Vec<Finding>,
    unlisted: usize,
}

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        if self.listed.len() < MAX_FINDINGS {
            self.listed.push(finding);
        } else {
            self.unlisted += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// The findings, with a last one that tells how many are not listed.
    pub(crate) fn into_vec(mut self) -> Vec<Finding> {
        if self.unlisted > 0 {
            let message = format!("{} more findings are not listed", self.unlisted);
            self.listed
                .push(Finding::new("", "too_many_findings", message));
        }
        self.listed
    }
}

/// Where a value is, linked to where its parent is: a path costs nothing until a finding needs its text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pointer<'a> {
    Root,
    Key(&'a Pointer<'a>, &'a str),
    Index(&'a Pointer<'a>, usize),
}

impl Pointer<'_> {
    /// As RFC 6901 writes it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(parent, key) => {
                format!(
                    "{}/{}",
                    parent.text(),
                    shortened(key).replace('~', "~0").replace('/', "~1")
                )
            }
            Self::Index(parent, index) => format!("{}/{index}", parent.text()),
        }
    }
}

fn shortened(key: &str) -> String {
    key.chars().take(MAX_KEY_CHARS).collect()
}

/// Adds to `findings` all that is wrong with `value`.
pub(crate) fn check(value: &Value, rules: &Rules, at: Pointer<'_>, findings: &mut Findings) {
    if !rules.any_of.is_empty() {
        return check_alternatives(value, rules, at, findings);
    }
    if !rules.types.is_empty() && !rules.types.iter().any(|kind| is_kind(value, *kind)) {
        return note(
            findings,
            at,
            "wrong_type",
            format!("expected {}, got {}", expected(rules), kind_name(value)),
        );
    }
    if !rules.one_of_values.is_empty() && !rules.one_of_values.contains(value) {
        return note(
            findings,
            at,
            "not_one_of",
            format!("expected one of {}", listed(&rules.one_of_values)),
        );
    }
    match value {
        Value::Number(number) => check_number(number, rules, at, findings),
        Value::String(text) => check_text(text, rules, at, findings),
        Value::Array(items) => check_items(items, rules, at, findings),
        Value::Object(fields) => check_fields(fields, rules, at, findings),
        Value::Null | Value::Bool(_) => {}
    }
}

fn note(findings: &mut Findings, at: Pointer<'_>, code: &str, message: impl Into<String>) {
    findings.push(Finding::new(at.text(), code, message));
}

/// One alternative must fit; else the findings of the one that is meant (the one of the value's own type) are told.
fn check_alternatives(value: &Value, rules: &Rules, at: Pointer<'_>, findings: &mut Findings) {
    let mut nearest: Option<Findings> = None;
    for alternative in &rules.any_of {
        let mut found = Findings::default();
        check(value, alternative, at, &mut found);
        if found.is_empty() {
            return;
        }
        let is_meant = alternative.types.iter().any(|kind| is_kind(value, *kind));
        if is_meant && nearest.is_none() {
            nearest = Some(found);
        }
    }
    match nearest {
        Some(found) => found
            .into_vec()
            .into_iter()
            .for_each(|finding| findings.push(finding)),
        None => note(
            findings,
            at,
            "wrong_type",
            format!("expected {}, got {}", expected(rules), kind_name(value)),
        ),
    }
}

fn check_number(
    number: &serde_json::Number,
    rules: &Rules,
    at: Pointer<'_>,
    findings: &mut Findings,
) {
    let Some(value) = number.as_f64() else { return };
    match (rules.minimum, rules.maximum) {
        (Some(minimum), _) if value < minimum => note(
            findings,
            at,
            "too_small",
            format!("{}, got {number}", range(rules)),
        ),
        (_, Some(maximum)) if value > maximum => note(
            findings,
            at,
            "too_large",
            format!("{}, got {number}", range(rules)),
        ),
        _ => {}
    }
}

fn range(rules: &Rules) -> String {
    match (rules.minimum, rules.maximum) {
        (Some(minimum), Some(maximum)) => format!("expected {minimum} to {maximum}"),
        (Some(minimum), None) => format!("expected at least {minimum}"),
        (None, Some(maximum)) => format!("expected at most {maximum}"),
        (None, None) => "expected a number".to_owned(),
    }
}

fn check_text(text: &str, rules: &Rules, at: Pointer<'_>, findings: &mut Findings) {
    check_size(
        text.chars().count(),
        (rules.min_length, rules.max_length),
        "characters",
        at,
        findings,
    );
    match rules.format {
        Some(Format::Uuid) if !is_uuid(text) => note(findings, at, "bad_format", "expected a UUID"),
        Some(Format::DateTime) if text.parse::<jiff::Timestamp>().is_err() => {
            note(
                findings,
                at,
                "bad_format",
                "expected a time such as 2030-01-31T12:00:00Z (RFC 3339)",
            );
        }
        _ => {}
    }
}

fn check_items(items: &[Value], rules: &Rules, at: Pointer<'_>, findings: &mut Findings) {
    check_size(
        items.len(),
        (rules.min_items, rules.max_items),
        "items",
        at,
        findings,
    );
    let Some(rules) = &rules.items else { return };
    for (index, item) in items.iter().enumerate() {
        check(item, rules, Pointer::Index(&at, index), findings);
    }
}

fn check_size(
    size: usize,
    (minimum, maximum): (Option<usize>, Option<usize>),
    unit: &str,
    at: Pointer<'_>,
    findings: &mut Findings,
) {
    if let Some(minimum) = minimum.filter(|minimum| size < *minimum) {
        note(
            findings,
            at,
            "too_short",
            format!("expected at least {minimum} {unit}, got {size}"),
        );
    }
    if let Some(maximum) = maximum.filter(|maximum| size > *maximum) {
        note(
            findings,
            at,
            "too_long",
            format!("expected at most {maximum} {unit}, got {size}"),
        );
    }
}

fn check_fields(
    fields: &Map<String, Value>,
    rules: &Rules,
    at: Pointer<'_>,
    findings: &mut Findings,
) {
    for name in rules
        .required
        .iter()
        .filter(|name| !fields.contains_key(*name))
    {
        note(
            findings,
            Pointer::Key(&at, name),
            "missing",
            "the field is required",
        );
    }
    check_size(
        fields.len(),
        (None, rules.max_properties),
        "entries",
        at,
        findings,
    );
    for (name, value) in fields {
        let here = Pointer::Key(&at, name);
        match (rules.properties.get(name), &rules.others) {
            (Some(rules), _) => check(value, rules, here, findings),
            (None, Others::Ruled(rules)) => check(value, rules, here, findings),
            (None, Others::Refused) => note(findings, here, "unknown_field", unknown(name, rules)),
            (None, Others::Free) => {}
        }
    }
}

/// Says that a name is unknown and which one may have been meant.
pub(crate) fn unknown(name: &str, rules: &Rules) -> String {
    let mut message = "there is no such field".to_owned();
    let short = shortened(name);
    let nearest = rules
        .properties
        .keys()
        .min_by_key(|known| strsim::damerau_levenshtein(known, &short));
    let is_near =
        |known: &&String| strsim::damerau_levenshtein(known, &short) <= 2.max(known.len() / 3);
    let told = match nearest.filter(is_near) {
        Some(known) => write!(message, "; did you mean `{known}`?"),
        None if rules.properties.is_empty() => write!(message, "; none is expected"),
        None => {
            let names: Vec<&str> = rules.properties.keys().map(String::as_str).collect();
            write!(message, "; known are {}", names.join(", "))
        }
    };
    // Writing to a string does not fail; without the hint the message is still right.
    told.map_or_else(|_| "there is no such field".to_owned(), |()| message)
}

fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_kind(value: &Value, kind: Kind) -> bool {
    match kind {
        Kind::Null => value.is_null(),
        Kind::Boolean => value.is_boolean(),
        Kind::Integer => value.is_i64() || value.is_u64(),
        Kind::Number => value.is_number(),
        Kind::String => value.is_string(),
        Kind::Array => value.is_array(),
        Kind::Object => value.is_object(),
    }
}

fn expected(rules: &Rules) -> String {
    let mut names: Vec<&str> = Vec::new();
    for kind in rules
        .any_of
        .iter()
        .flat_map(|part| &part.types)
        .chain(&rules.types)
    {
        let name = type_name(*kind);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        "another value".to_owned()
    } else {
        names.join(" or ")
    }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Boolean => "a boolean",
        Kind::Integer => "a whole number",
        Kind::Number => "a number",
        Kind::String => "a string",
        Kind::Array => "a list",
        Kind::Object => "an object",
    }
}

fn kind_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn listed(values: &[Value]) -> String {
    let mut names: Vec<String> = values.iter().take(MAX_LISTED).map(shown).collect();
    if values.len() > MAX_LISTED {
        names.push("…".to_owned());
    }
    names.join(", ")
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), |text| format!("`{text}`"))
}
