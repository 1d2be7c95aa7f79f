//! What `mainstay config …` answers, as text: the command line only prints it.

use std::fmt::Write as _;
use std::path::Path;

use ground::config::{Effective, Origin, env_name};
use serde_json::{Map, Value, json};
use toml::de::DeValue;

use super::findings::{Finding, Invalid};
use super::load::{Loaded, Sources, load};
use super::template::{Environment, template};

/// The answer of a verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What goes to stdout, with its line breaks.
    pub stdout: String,
    /// What goes to stderr, with its line breaks.
    pub stderr: String,
    /// Whether the configuration is valid; if not, the exit code is 4.
    pub is_valid: bool,
}

/// `config init`: the commented default file.
pub fn init(environment: Environment) -> Answer {
    Answer {
        stdout: template(environment),
        stderr: String::new(),
        is_valid: true,
    }
}

/// `config check`: every fault, or `config OK`.
pub fn check(sources: &Sources, json: bool) -> Answer {
    let result = load(sources);
    match (result, json) {
        (Ok(loaded), false) => checked(&loaded),
        (Ok(loaded), true) => {
            let warnings = &loaded.warnings;
            valid(findings_json(
                true,
                loaded.file.as_deref(),
                &[],
                warnings,
                0,
            ))
        }
        (Err(invalid), false) => Answer {
            stdout: String::new(),
            stderr: format!("{invalid}\n"),
            is_valid: false,
        },
        (Err(invalid), true) => refused_json(&invalid),
    }
}

/// Sound, with what is hardly meant on stderr.
fn checked(loaded: &Loaded) -> Answer {
    let file = loaded.file.as_ref();
    let file = file.map_or("built-in defaults, no file".to_owned(), |file| {
        file.display().to_string()
    });
    let mut stderr = String::new();
    for warning in &loaded.warnings {
        append(&mut stderr, &format!("warning: {warning}"));
    }
    Answer {
        stderr,
        ..valid(format!("config OK ({file})\n"))
    }
}

/// `config show`: every key with its value and who set it.
pub fn show(sources: &Sources, json: bool) -> Answer {
    list(sources, json, |_| true)
}

/// `config diff`: the keys that differ from the built-in defaults.
pub fn diff(sources: &Sources, json: bool) -> Answer {
    list(sources, json, |one| !one.is_default)
}

fn valid(stdout: String) -> Answer {
    Answer {
        stdout,
        stderr: String::new(),
        is_valid: true,
    }
}

fn list(sources: &Sources, json: bool, pick: impl Fn(&Effective) -> bool) -> Answer {
    let loaded = match load(sources) {
        Ok(loaded) => loaded,
        Err(invalid) if json => return refused_json(&invalid),
        Err(invalid) => {
            return Answer {
                stdout: String::new(),
                stderr: format!("{invalid}\n"),
                is_valid: false,
            };
        }
    };
    let picked: Vec<&Effective> = loaded.effective.iter().filter(|one| pick(one)).collect();
    if json {
        return valid(values_json(&loaded, &picked));
    }
    if picked.is_empty() {
        return valid("# nothing differs from the built-in defaults\n".to_owned());
    }
    valid(values_text(&picked))
}

/// The values as TOML, each with its origin beside it. Secrets are references or stand-ins.
fn values_text(values: &[&Effective]) -> String {
    let mut text = String::new();
    let mut section = "";
    for one in values {
        if one.section != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            section = &one.section;
            append(&mut text, &format!("{gap}[{section}]"));
        }
        let value = match &one.shown {
            Some(value) => format!("{} = {value}", one.name),
            None => format!("# {} is unset", one.name),
        };
        let default = match (&one.default, one.is_default) {
            (_, true) => String::new(),
            (Some(default), false) => format!(", default {default}"),
            (None, false) => ", default unset".to_owned(),
        };
        append(&mut text, &format!("{value:<44} # {}{default}", one.origin));
    }
    text
}

fn append(text: &mut String, line: &str) {
    // Writing to a `String` cannot fail.
    _ = writeln!(text, "{line}");
}

fn values_json(loaded: &Loaded, values: &[&Effective]) -> String {
    let values: Vec<Value> = values
        .iter()
        .map(|one| {
            json!({
                "key": one.key(),
                "value": one.shown.as_deref().map(json_of),
                "default": one.default.as_deref().map(json_of),
                "is_default": one.is_default,
                "origin": origin_json(&one.origin),
                "reload": one.reload.as_str(),
                "variable": env_name(&one.key()),
            })
        })
        .collect();
    let file = loaded.file.as_ref().map(|file| file.display().to_string());
    format!("{:#}\n", json!({ "file": file, "values": values }))
}

fn origin_json(origin: &Origin) -> Value {
    match origin {
        Origin::Default => json!({ "kind": "default" }),
        Origin::File { file, line, column } => {
            json!({ "kind": "file", "file": &**file, "line": line, "column": column })
        }
        Origin::Env(name) => json!({ "kind": "environment", "name": &**name }),
        Origin::Flag(name) => json!({ "kind": "flag", "name": &**name }),
    }
}

/// The JSON value of TOML text; text that is no TOML stands as a string.
fn json_of(text: &str) -> Value {
    DeValue::parse(text).map_or_else(|_| Value::from(text), |value| json_value(value.get_ref()))
}

fn json_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::from(number.as_str()), Value::from),
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .map_or(Value::Null, Value::from),
        DeValue::Boolean(value) => Value::from(*value),
        DeValue::Datetime(value) => Value::from(value.to_string()),
        DeValue::Array(entries) => entries
            .iter()
            .map(|entry| json_value(entry.get_ref()))
            .collect(),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(name, value)| {
                (
                    name.get_ref().clone().into_owned(),
                    json_value(value.get_ref()),
                )
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn refused_json(invalid: &Invalid) -> Answer {
    Answer {
        stdout: findings_json(
            false,
            invalid.file.as_deref(),
            &invalid.findings,
            &[],
            invalid.more,
        ),
        stderr: String::new(),
        is_valid: false,
    }
}

fn findings_json(
    is_valid: bool,
    file: Option<&Path>,
    findings: &[Finding],
    warnings: &[Finding],
    more: usize,
) -> String {
    format!(
        "{:#}\n",
        json!({
            "valid": is_valid,
            "file": file.map(Path::to_string_lossy),
            "errors": findings,
            "warnings": warnings,
            "more": more,
        })
    )
}
