//! Tests of the configuration: faults at their places, layers, the default file, the verbs.

mod broken;
mod dependencies;
mod faults;
mod files;
mod layers;
mod round_trip;
mod template;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::document;
use super::file::Source;
use super::findings::Invalid;
use super::load::{Loaded, Sources, assemble};

/// Loads a file of this content, with these variables.
fn load_bytes(bytes: &[u8], variables: &[(&str, &str)]) -> Result<Loaded, Invalid> {
    let source = Source::new("mainstay.toml", bytes);
    let (table, problems) = document::parse(&source);
    assemble(
        &sources(variables),
        Some(PathBuf::from("mainstay.toml")),
        &table,
        problems,
    )
}

fn load_text(text: &str) -> Result<Loaded, Invalid> {
    load_bytes(text.as_bytes(), &[])
}

/// Sources without any file.
fn sources(variables: &[(&str, &str)]) -> Sources {
    let environment: BTreeMap<OsString, OsString> = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect();
    Sources {
        system_file: PathBuf::from("/nonexistent/mainstay.toml"),
        ..Sources::new(environment)
    }
}

/// The findings as (line, column, code).
fn places(result: Result<Loaded, Invalid>) -> Vec<(u32, u32, String)> {
    let findings = result
        .err()
        .map(|invalid| invalid.findings)
        .unwrap_or_default();
    findings
        .into_iter()
        .map(|one| (one.line.unwrap_or(0), one.column.unwrap_or(0), one.code))
        .collect()
}

/// Takes the marks `«code»` out of a text: the text, and for each mark the place behind it with its code.
fn marked(text: &str) -> (String, Vec<(u32, u32, String)>) {
    let mut clean = String::new();
    let mut marks = Vec::new();
    let mut rest = text;
    while let Some((before, mark)) = rest.split_once('«') {
        let (code, after) = mark.split_once('»').unwrap();
        clean.push_str(before);
        let line = clean.matches('\n').count() + 1;
        let column = clean.chars().rev().take_while(|c| *c != '\n').count() + 1;
        marks.push((
            u32::try_from(line).unwrap(),
            u32::try_from(column).unwrap(),
            format!("config.{code}"),
        ));
        rest = after;
    }
    clean.push_str(rest);
    (clean, marks)
}

/// Every marked fault is found at its place, and nothing else is.
fn assert_faults(text: &str) {
    let (text, marks) = marked(text);
    let result = load_text(&text);
    let told = result
        .as_ref()
        .map_or_else(ToString::to_string, |_| "no fault".to_owned());
    assert_eq!(places(result), marks, "\n{text}\n{told}");
}
