//! Secrets in the configuration: the text itself, or a reference to where it is kept.
//!
//! A reference keeps the secret out of the file that is shared, copied and shown: `{ file = "/run/secrets/key" }`,
//! `{ env = "NAME" }`, `{ credential = "ID" }` (systemd's `$CREDENTIALS_DIRECTORY`). No message of this module ever
//! holds a secret, and a file that everybody on the machine may read is refused.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::leaf::Leaf;
use super::node::{Entry, Node, Table, Value};
use super::reading::{Reading, Surroundings};
use super::refusal::Refusal;
use super::text::{nearest, quote};
use crate::Secret;

/// The ways to refer to a secret.
const REFERENCES: [&str; 3] = ["file", "env", "credential"];
/// The most that a secret may be long, in bytes.
const LONGEST: u64 = 64 * 1024;

impl Leaf for Secret {
    const SECRET: bool = true;
    const STRUCTURED: bool = true;

    fn words() -> String {
        "secret: a string, { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }".to_owned()
    }

    fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let text = match &node.value {
            Value::String(text) | Value::Text(text) => {
                if text.is_empty() {
                    Err((node, refusal("the secret is empty")))
                } else {
                    Ok(text.clone())
                }
            }
            Value::Table(table) => resolve(node, table, reading.surroundings()),
            _ => Err((node, Refusal::wrong_type::<Self>(node))),
        };
        match text {
            Ok(text) => Some(Self::new(text)),
            Err((place, refusal)) => {
                reading.refuse(place, refusal);
                None
            }
        }
    }

    fn render(&self) -> String {
        quote("<secret>")
    }

    fn is_unset(&self) -> bool {
        self.is_empty()
    }

    fn identity(&self) -> String {
        let digest = Sha256::digest(self.expose().as_bytes());
        format!("{digest:x}")
    }
}

/// `{ file = "…" }` as it was written, when the node is a reference.
pub(super) fn reference(node: &Node) -> Option<String> {
    let Value::Table(Table { entries }) = &node.value else {
        return None;
    };
    let (name, entry) = entries.first_key_value()?;
    match &entry.node.value {
        Value::String(target) if entries.len() == 1 => {
            Some(format!("{{ {name} = {} }}", quote(target)))
        }
        _ => None,
    }
}

fn refusal(message: impl Into<String>) -> Refusal {
    Refusal::coded("config.secret", message)
}

/// Follows a reference.
fn resolve<'n>(
    node: &'n Node,
    table: &'n Table,
    surroundings: &Surroundings,
) -> Result<String, (&'n Node, Refusal)> {
    let only = table
        .entries
        .first_key_value()
        .filter(|_| table.entries.len() == 1);
    let Some((name, Entry { node: target, .. })) = only else {
        let message = format!(
            "expected one of file, env and credential, found {} keys",
            table.entries.len()
        );
        return Err((
            node,
            refusal(message).hint("write for example { file = \"/etc/mainstay/key\" }"),
        ));
    };
    if !REFERENCES.contains(&name.as_str()) {
        let hint = match nearest(name, REFERENCES) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }".to_owned(),
        };
        return Err((
            node,
            refusal(format!("unknown reference `{name}` to a secret")).hint(hint),
        ));
    }
    let Value::String(text) = &target.value else {
        return Err((
            target,
            refusal(format!(
                "expected a string after `{name} =`, found {}",
                target.kind()
            )),
        ));
    };
    let secret = match name.as_str() {
        "file" => from_file(Path::new(text)),
        "env" => from_env(text, surroundings),
        _ => from_credential(text, surroundings),
    };
    secret.map_err(|refusal| (target, refusal))
}

fn from_env(name: &str, surroundings: &Surroundings) -> Result<String, Refusal> {
    match surroundings.var(name).map(|value| value.to_str()) {
        None => Err(
            refusal(format!("the environment variable {name} is not set")).hint(format!(
                "set {name} for the daemon, or use {{ file = \"…\" }}"
            )),
        ),
        Some(None) => Err(refusal(format!(
            "the environment variable {name} is not valid UTF-8"
        ))),
        Some(Some("")) => Err(refusal(format!("the environment variable {name} is empty"))),
        Some(Some(text)) => Ok(text.to_owned()),
    }
}

fn from_credential(id: &str, surroundings: &Surroundings) -> Result<String, Refusal> {
    if id.is_empty() || id.contains('/') || id == "." || id == ".." {
        return Err(refusal(format!("{id:?} is not the name of a credential"))
            .hint("a credential is named without a directory"));
    }
    let Some(directory) = surroundings.var("CREDENTIALS_DIRECTORY") else {
        let hint = format!(
            "start the daemon from a unit with LoadCredential={id}:/path/to/it, or use {{ file = \"…\" }}"
        );
        return Err(
            refusal("there are no systemd credentials: CREDENTIALS_DIRECTORY is not set")
                .hint(hint),
        );
    };
    from_file(&Path::new(directory).join(id))
}

/// Reads a secret from a regular file; one line end at its end is not part of it.
fn from_file(path: &Path) -> Result<String, Refusal> {
    let shown = path.display();
    if !path.is_absolute() {
        return Err(refusal(format!("{shown} is not a full path"))
            .hint("write the path from the root, with a leading /"));
    }
    let failed = |error: std::io::Error| refusal(format!("cannot read {shown}: {error}"));
    // Looked at before opening, since opening a pipe would wait for its writer; and again after it, on what was opened.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(refusal(format!("{shown} is not a regular file")));
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.mode() & 0o004 != 0 {
        return Err(
            refusal(format!("{shown} can be read by everybody on this machine"))
                .hint(format!("chmod 600 {shown}")),
        );
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LONGEST {
        return Err(refusal(format!(
            "{shown} is longer than 64 KiB: it is not a secret"
        )));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| refusal(format!("{shown} is not valid UTF-8")))?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| {
        line.strip_suffix('\r').unwrap_or(line)
    });
    if text.is_empty() {
        return Err(refusal(format!("{shown} is empty")));
    }
    Ok(text.to_owned())
}
