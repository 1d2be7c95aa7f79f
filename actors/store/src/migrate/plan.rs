//! What is to do: the steps in the binary against the entries in the database. No I/O.

use ground::Micros;
use ground::db::Engine;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Migration, Script};

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// An entry of `store_migrations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) version: u32,
    pub(crate) domain: String,
    pub(crate) name: String,
    pub(crate) checksum: Vec<u8>,
    pub(crate) applied_at: Micros,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// In the database, as it is in the binary.
    Applied,
    /// In the binary alone.
    Pending,
    /// In the database, but the binary has another text for it.
    Edited,
    /// In the database alone: a newer binary put it there.
    Unknown,
}

/// One step, as it stands in one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its number; steps are applied in this order.
    pub version: u32,
    /// Whose tables it changes.
    pub domain: String,
    /// What it does, in a word.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// When it was applied.
    pub applied_at: Option<Micros>,
}

/// All steps, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Which engine the database has.
    pub engine: &'static str,
    /// Where it is, without secrets.
    pub place: String,
    /// The highest step in the database; 0 when there is none.
    pub version: u32,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Migration {
    pub(crate) const fn script(&self, engine: Engine) -> &Script {
        match engine {
            Engine::Sqlite => &self.sqlite,
            Engine::Postgres => &self.postgres,
        }
    }

    /// The checksum of the way there; the way back may be mended later.
    pub(crate) fn checksum(&self, engine: Engine) -> Vec<u8> {
        Sha256::digest(self.script(engine).up.as_bytes()).to_vec()
    }

    /// Its path under `migrations/`.
    pub(crate) fn path(&self, engine: Engine) -> String {
        path(engine, self.domain, self.version, self.name)
    }
}

impl Status {
    /// The steps that stand in that way.
    pub fn standing(&self, standing: Standing) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(move |step| step.standing == standing)
    }
}

/// `sqlite/ptys/0003_terminals`.
pub(crate) fn path(engine: Engine, domain: &str, version: u32, name: &str) -> String {
    format!("{engine}/{domain}/{version:04}_{name}")
}

/// How every step stands, in order of number.
pub(crate) fn steps(engine: Engine, embedded: &[Migration], applied: &[Entry]) -> Vec<Step> {
    let known = embedded.iter().map(|migration| {
        let entry = applied
            .iter()
            .find(|entry| entry.version == migration.version);
        let standing = match entry {
            None => Standing::Pending,
            Some(entry) if entry.name != migration.name || entry.domain != migration.domain => {
                Standing::Unknown
            }
            Some(entry) if entry.checksum != migration.checksum(engine) => Standing::Edited,
            Some(_) => Standing::Applied,
        };
        let (domain, name) = match (standing, entry) {
            (Standing::Unknown, Some(entry)) => (entry.domain.clone(), entry.name.clone()),
            _ => (migration.domain.to_owned(), migration.name.to_owned()),
        };
        let applied_at = entry.map(|entry| entry.applied_at);
        Step {
            version: migration.version,
            domain,
            name,
            standing,
            applied_at,
        }
    });
    let is_known = |entry: &&Entry| {
        embedded
            .iter()
            .any(|migration| migration.version == entry.version)
    };
    let unknown = applied
        .iter()
        .filter(|entry| !is_known(entry))
        .map(|entry| Step {
            version: entry.version,
            domain: entry.domain.clone(),
            name: entry.name.clone(),
            standing: Standing::Unknown,
            applied_at: Some(entry.applied_at),
        });
    let mut steps: Vec<Step> = known.chain(unknown).collect();
    steps.sort_by_key(|step| step.version);
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(migration: &Migration) -> Entry {
        Entry {
            version: migration.version,
            domain: migration.domain.to_owned(),
            name: migration.name.to_owned(),
            checksum: migration.checksum(Engine::Sqlite),
            applied_at: Micros(1),
        }
    }

    #[test]
    fn numbers_ascend_and_every_step_has_a_way_back() {
        assert!(
            EMBEDDED
                .windows(2)
                .all(|pair| pair[0].version < pair[1].version)
        );
        for migration in EMBEDDED {
            for engine in [Engine::Sqlite, Engine::Postgres] {
                let script = migration.script(engine);
                assert!(
                    !script.up.trim().is_empty() && !script.down.trim().is_empty(),
                    "{}",
                    migration.path(engine)
                );
                assert!(!script.up.contains('\r'), "{}", migration.path(engine));
            }
        }
    }

    proptest! {
        /// Any mix of applied, edited, renamed and foreign entries: each step stands as it was made to.
        #[test]
        fn each_step_stands_as_made(fates in prop::collection::vec(0u8..4, EMBEDDED.len()), newer in prop::collection::btree_set(1000u32..1010, 0..3)) {
            let mut applied = Vec::new();
            let mut expected = Vec::new();
            for (migration, fate) in EMBEDDED.iter().zip(&fates) {
                let mut made = entry(migration);
                match fate {
                    0 => { expected.push(Standing::Pending); continue; }
                    1 => expected.push(Standing::Applied),
                    2 => { made.checksum[0] ^= 1; expected.push(Standing::Edited); }
                    _ => { made.name.push('x'); expected.push(Standing::Unknown); }
                }
                applied.push(made);
            }
            for version in newer {
                applied.push(Entry { version, ..entry(&EMBEDDED[0]) });
                expected.push(Standing::Unknown);
            }
            applied.reverse();
            let found = steps(Engine::Sqlite, EMBEDDED, &applied);
            prop_assert!(found.windows(2).all(|pair| pair[0].version < pair[1].version));
            prop_assert_eq!(found.into_iter().map(|step| step.standing).collect::<Vec<_>>(), expected);
        }
    }
}
