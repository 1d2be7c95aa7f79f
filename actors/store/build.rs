//! Puts the migrations into the binary.
//!
//! They live outside of any crate, as plain files that an operator can read: `migrations/<engine>/<domain>/NNNN_name.up.sql`
//! with its `.down.sql`. This script checks that both engines have the same ones, each with its way back, each number
//! once over all domains; and it embeds them with plain line feeds, so that a checkout with other line ends has the same
//! checksums.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ENGINES: [&str; 2] = ["sqlite", "postgres"];

/// The texts of one migration by `<engine>.<direction>`, under its number.
type Found = BTreeMap<u32, Migration>;

struct Migration {
    domain: String,
    name: String,
    texts: BTreeMap<String, String>,
}

fn main() -> Outcome<()> {
    // Cargo sets these for every build script.
    let here = PathBuf::from(cargo_var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(cargo_var("OUT_DIR")?);
    let root = here.join("../../migrations");
    let mut found = Found::new();
    for engine in ENGINES {
        collect(&root.join(engine), engine, &mut found)?;
    }
    fs::write(out.join("migrations.rs"), render(&found)?)?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo talks to a build script through the environment"
)]
fn cargo_var(name: &str) -> Outcome<String> {
    Ok(std::env::var(name)?)
}

/// Reads the folders of one engine, a folder a domain.
fn collect(folder: &Path, engine: &str, found: &mut Found) -> Outcome<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for domain in sorted(folder)? {
        println!("cargo::rerun-if-changed={}", domain.display());
        let domain_name = file_name(&domain)?;
        for file in sorted(&domain)? {
            println!("cargo::rerun-if-changed={}", file.display());
            let plain_name = file_name(&file)?;
            let malformed = || format!("{}: expected NNNN_name.{{up,down}}.sql", file.display());
            let (number, name, direction) = parse(&plain_name).ok_or_else(malformed)?;
            let text = fs::read_to_string(&file)?.replace("\r\n", "\n");
            let migration = found.entry(number).or_insert_with(|| Migration {
                domain: domain_name.clone(),
                name: name.clone(),
                texts: BTreeMap::new(),
            });
            if migration.domain != domain_name || migration.name != name {
                return Err(format!(
                    "{}: number {number:04} is taken by {}/{}",
                    file.display(),
                    migration.domain,
                    migration.name
                )
                .into());
            }
            migration
                .texts
                .insert(format!("{engine}.{direction}"), text);
        }
    }
    Ok(())
}

/// `0003_terminals.up.sql` is (3, "terminals", "up").
fn parse(file: &str) -> Option<(u32, String, &str)> {
    let (stem, direction) = file.strip_suffix(".sql")?.rsplit_once('.')?;
    let (number, name) = stem.split_once('_')?;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_sound = number.len() == 4 && !name.is_empty() && name.chars().all(is_plain);
    (is_sound && matches!(direction, "up" | "down")).then_some(())?;
    Some((number.parse().ok()?, name.to_owned(), direction))
}

fn render(found: &Found) -> Outcome<String> {
    let mut code = String::from("pub(crate) static EMBEDDED: &[Migration] = &[\n");
    for (number, migration) in found {
        let text = |part: &str| {
            let missing = format!(
                "migration {number:04}_{}: {part}.sql is missing",
                migration.name
            );
            migration.texts.get(part).ok_or(missing)
        };
        writeln!(code, "    Migration {{\n        version: {number},")?;
        writeln!(
            code,
            "        domain: {:?},\n        name: {:?},",
            migration.domain, migration.name
        )?;
        for engine in ENGINES {
            let (up, down) = (
                text(&format!("{engine}.up"))?,
                text(&format!("{engine}.down"))?,
            );
            writeln!(
                code,
                "        {engine}: Script {{\n            up: {up:?},\n            down: {down:?},\n        }},"
            )?;
        }
        code.push_str("    },\n");
    }
    code.push_str("];\n");
    Ok(code)
}

/// What is in a folder, hidden files left out.
fn sorted(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| file_name(path).is_ok_and(|name| !name.starts_with('.')));
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> Outcome<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(name
        .ok_or_else(|| format!("{}: not a plain name", path.display()))?
        .to_owned())
}
