//! The commented default file, printed from the declarations.
//!
//! Every key stands there with its documentation, commented out at its default: a file that repeats the defaults would
//! keep old ones alive after an update. The development preset uncomments what is convenient on one's own machine.

use std::fmt::Write as _;

use ground::config::{Key, Reload, env_name, quote};

use super::settings::{SectionKeys, sections};

/// What the file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Writing code against it on one's own machine.
    Development,
    /// Serving: the built-in defaults.
    Production,
}

/// What differs from the defaults for development, as (key, TOML text).
const DEVELOPMENT: [(&str, &str); 1] = [("log.filter", r#""debug,hyper=info,sqlx=info""#)];

/// The widest comment line, in characters.
const WIDTH: usize = 118;

/// The default file for `environment`.
pub fn template(environment: Environment) -> String {
    let mut text = String::from(HEAD);
    for section in sections() {
        write_section(&mut text, &section, environment);
    }
    text
}

const HEAD: &str = "\
# Configuration of Mainstay. Every key is shown at its default, commented out: remove the # to change it.
#
# Later wins: built-in defaults, this file, MAINSTAY_SECTION__KEY in the environment, flags.
# Check it with `mainstay config check FILE`; see what is in force, and why, with `mainstay config show`.
# A secret can be written { file = \"/path\" }, { env = \"NAME\" } or { credential = \"ID\" } (systemd LoadCredential=).
#
# Above each key: its type and range, what a change needs (live: a reload by SIGHUP; restart: of the daemon), and the
# variable that sets it.
";

pub(super) fn write_section(text: &mut String, section: &SectionKeys, environment: Environment) {
    text.push('\n');
    comment(text, section.doc);
    line(text, &format!("[{}]", section.name));
    for key in &section.keys {
        text.push('\n');
        write_key(text, section.name, key, environment);
    }
}

fn write_key(text: &mut String, section: &str, key: &Key, environment: Environment) {
    let dotted = format!("{section}.{}", key.name);
    comment(text, &key.doc);
    if !key.members.is_empty() {
        let header = if key.name.contains('.') {
            format!("{section}.{}", quote(key.name))
        } else if key.words == "section" {
            dotted
        } else {
            format!("{dotted}.NAME")
        };
        return write_members(text, &header, &key.members);
    }
    comment(text, &[&format!("{}; {}", about(key), env_name(&dotted))]);
    let preset = DEVELOPMENT
        .iter()
        .find(|(name, _)| environment == Environment::Development && *name == dotted);
    match preset {
        Some((_, value)) => line(text, &format!("{} = {value}", key.name)),
        None => line(text, &format!("#{} = {}", key.name, example(key))),
    }
}

/// The keys of a group below the section, or of each of a map of them, inside a comment: without their header they would be keys of the section above.
fn write_members(text: &mut String, header: &str, members: &[Key]) {
    line(text, &format!("#   [{header}]"));
    for member in members {
        line(text, "#");
        comment(text, &member.doc);
        comment(text, &[&about(member)]);
        line(text, &format!("#   {} = {}", member.name, example(member)));
    }
}

/// Type, range, and what a change needs.
fn about(key: &Key) -> String {
    let range = key
        .range
        .as_ref()
        .map(|range| format!(", {range}"))
        .unwrap_or_default();
    let needs = match key.reload {
        Reload::Live => "live",
        Reload::Subtree | Reload::Daemon => "restart",
    };
    format!("{}{range}; {needs}", key.words)
}

/// The default, or where there is none a value that could stand there.
fn example(key: &Key) -> &str {
    key.default.as_deref().or(key.example).unwrap_or("\"\"")
}

fn line(text: &mut String, line: &str) {
    // Writing to a `String` cannot fail.
    _ = writeln!(text, "{line}");
}

/// Writes paragraphs as comments, filled to [`WIDTH`]; an empty line of the documentation parts two paragraphs.
fn comment(text: &mut String, doc: &[&str]) {
    let paragraphs = doc.split(|line| line.trim().is_empty());
    for (index, paragraph) in paragraphs
        .filter(|paragraph| !paragraph.is_empty())
        .enumerate()
    {
        if index > 0 {
            line(text, "#");
        }
        let mut filled = String::from("#");
        for word in paragraph.iter().flat_map(|line| line.split_whitespace()) {
            if filled.chars().count() + 1 + word.chars().count() > WIDTH {
                line(text, &filled);
                filled = String::from("#");
            }
            filled.push(' ');
            filled.push_str(word);
        }
        line(text, &filled);
    }
}
