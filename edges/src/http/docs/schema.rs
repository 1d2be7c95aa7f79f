//! A JSON schema as a table of fields.

use std::fmt::Write as _;

use serde_json::Value;

use super::html::{Escaped, Inline};

/// The named schemas of the document.
pub(super) struct Named<'a>(pub(super) Option<&'a Value>);

impl<'a> Named<'a> {
    /// The schema itself, if `schema` only refers to it.
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let target = name_of(schema).and_then(|name| self.0?.get(name));
        target.unwrap_or(schema)
    }
}

/// The name that a reference ends with.
pub(super) fn name_of(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()
}

/// A table of the fields of an object; nothing for other schemas.
pub(super) fn fields(schema: &Value, named: &Named<'_>, out: &mut String) -> std::fmt::Result {
    let schema = named.resolved(schema);
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return Ok(());
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    out.push_str(
        "<table><thead><tr><th>field</th><th>type</th><th>meaning</th></tr></thead><tbody>\n",
    );
    for (name, field) in properties {
        let optional = if required.contains(&name.as_str()) {
            ""
        } else {
            " <span class=\"needs\">optional</span>"
        };
        let meaning = field
            .get("description")
            .or_else(|| named.resolved(field).get("description"));
        let meaning = meaning.and_then(Value::as_str).unwrap_or_default();
        writeln!(
            out,
            "<tr><td><code>{}</code>{optional}</td><td>{}</td><td>{}</td></tr>",
            Escaped(name),
            type_of(field),
            Inline(meaning)
        )?;
    }
    out.push_str("</tbody></table>\n");
    Ok(())
}

/// The type in a few words, with its bounds; a named one as a link.
pub(super) fn type_of(schema: &Value) -> String {
    if let Some(name) = name_of(schema) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", Escaped(name));
    }
    let alternatives = ["oneOf", "anyOf", "allOf"]
        .iter()
        .find_map(|key| schema.get(*key)?.as_array());
    if let Some(alternatives) = alternatives {
        let words: Vec<String> = alternatives.iter().map(type_of).collect();
        return words.join(" or ");
    }
    let mut words = match schema.get("type") {
        Some(Value::String(name)) if name == "array" => {
            format!(
                "list of {}",
                schema
                    .get("items")
                    .map_or_else(|| "anything".to_owned(), type_of)
            )
        }
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "anything".to_owned(),
    };
    bounds(schema, &mut words);
    words
}

fn bounds(schema: &Value, words: &mut String) {
    let number = |key: &str| schema.get(key).map(ToString::to_string);
    let mut add = |text: String| {
        words.push_str(", ");
        words.push_str(&text);
    };
    if let Some(format) = schema
        .get("format")
        .and_then(Value::as_str)
        .filter(|format| !format.starts_with("int"))
    {
        add(Escaped(format).to_string());
    }
    match (number("minimum"), number("maximum")) {
        (Some(minimum), Some(maximum)) => add(format!("{minimum} to {maximum}")),
        (Some(minimum), None) if minimum != "0" => add(format!("at least {minimum}")),
        (None, Some(maximum)) => add(format!("at most {maximum}")),
        _ => {}
    }
    if let Some(length) = number("maxLength") {
        add(format!("at most {length} characters"));
    }
    if let Some(count) = number("maxItems") {
        add(format!("at most {count}"));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values
            .iter()
            .filter_map(Value::as_str)
            .map(|value| format!("<code>{}</code>", Escaped(value)))
            .collect();
        add(values.join(", "));
    }
}
