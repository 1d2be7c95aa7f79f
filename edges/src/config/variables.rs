//! The environment as a layer: `MAINSTAY_SECTION__KEY`, two underscores between the parts.
//!
//! A variable whose name has no double underscore (`MAINSTAY_DATA_DIR`) is no key. One that has, and names nothing, is an
//! error and not ignored: a misspelt override that does nothing is found too late.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use ground::config::{Entry, Node, Origin, Problem, Refusal, Table, Value};

/// The environment of this process. Everything that needs a variable is handed this map.
pub fn environment() -> BTreeMap<OsString, OsString> {
    std::env::vars_os().collect()
}

/// The values that the environment sets, and the variables that are none.
pub(super) fn layer(environment: &BTreeMap<OsString, OsString>) -> (Table, Vec<Problem>) {
    let mut root = Table::default();
    let mut problems = Vec::new();
    for (name, value) in environment {
        let Some(name) = name.to_str() else { continue };
        let Some(path) = name
            .strip_prefix("MAINSTAY_")
            .filter(|path| path.contains("__"))
        else {
            continue;
        };
        let origin = Origin::Env(name.into());
        if let Err(refusal) = set(&mut root, name, path, value, &origin) {
            problems.push(Problem {
                origin,
                key: String::new(),
                refusal,
            });
        }
    }
    (root, problems)
}

fn set(
    root: &mut Table,
    name: &str,
    path: &str,
    value: &OsStr,
    origin: &Origin,
) -> Result<(), Refusal> {
    if path.chars().any(|c| c.is_ascii_lowercase()) {
        let message = "the name of a variable that sets a key is written in capitals";
        return Err(Refusal::coded("config.environment", message)
            .hint(format!("did you mean {}?", name.to_uppercase())));
    }
    let parts: Vec<String> = path.split("__").map(str::to_lowercase).collect();
    if parts
        .iter()
        .any(|part| part.is_empty() || part.starts_with('_'))
    {
        let message = "expected MAINSTAY_SECTION__KEY, found an empty section or key";
        return Err(Refusal::coded("config.environment", message)
            .hint("two underscores stand between the section and the key"));
    }
    let parts = with_names(parts);
    let Some(text) = value.to_str() else {
        return Err(Refusal::coded(
            "config.not_utf8",
            "the value is not valid UTF-8",
        ));
    };
    let node = Node::new(Value::Text(text.to_owned()), origin.clone());
    insert(root, &parts, node, origin)
}

/// A dependency's name has a dot, which no variable's can: `DEPENDENCIES__STORE__DATABASE__TIMEOUT` is a key of
/// `[dependencies."store.database"]`.
fn with_names(parts: Vec<String>) -> Vec<String> {
    match &parts[..] {
        [section, domain, name, key] if section == "dependencies" => {
            vec![section.clone(), format!("{domain}.{name}"), key.clone()]
        }
        _ => parts,
    }
}

/// Puts a value at a path; two variables where one names a part of the other contradict each other.
pub(super) fn insert(
    root: &mut Table,
    path: &[String],
    node: Node,
    origin: &Origin,
) -> Result<(), Refusal> {
    let Some((last, sections)) = path.split_last() else {
        return Ok(());
    };
    let clash = |other: &Origin| {
        Refusal::coded(
            "config.environment",
            format!("contradicts {other}: one of the two names a part of the other"),
        )
    };
    let mut table = root;
    for section in sections {
        let entry = table
            .entries
            .entry(section.clone())
            .or_insert_with(|| Entry {
                origin: origin.clone(),
                node: Node::new(Value::Table(Table::default()), origin.clone()),
            });
        let Value::Table(below) = &mut entry.node.value else {
            return Err(clash(&entry.origin));
        };
        table = below;
    }
    if let Some(entry) = table.entries.get(last) {
        return Err(clash(&entry.origin));
    }
    table.entries.insert(
        last.clone(),
        Entry {
            origin: origin.clone(),
            node,
        },
    );
    Ok(())
}
