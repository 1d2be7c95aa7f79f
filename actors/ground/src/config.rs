//! The schema side of the configuration: what a section is, and how its values are read and described.
//!
//! Every domain owns one section of `mainstay.toml`. It declares it once, with [`section!`](crate::section); from that
//! declaration come the struct that the domain is started with, its defaults, the commented default file, the checks
//! with their messages, the names of the environment variables and the answer to "does this change need a restart".
//! One declaration, so that none of these can drift from the others.
//!
//! This module does not know TOML. The loader (in `edges`) turns files, environment and flags into [`Table`]s of
//! [`Node`]s that remember where they came from; a section is then read leaf by leaf out of all layers at once, and
//! **every** fault is collected instead of stopping at the first one, which is what a serde derive would do.
//!
//! # Layout
//! `node` values with their origin · `reading` the collecting reader · `refusal` faults · `leaf` the trait of a value and the plain types ·
//! `units` durations and sizes · `bounds` ranges · `secret` references to secrets · `text` TOML text · `macros` the
//! declarations.

mod bounds;
mod leaf;
mod macros;
mod node;
mod reading;
mod refusal;
mod secret;
#[cfg(test)]
mod tests;
mod text;
mod units;

pub use bounds::{Bounded, Measure, range_words};
pub use leaf::{Leaf, read_choice, read_text};
pub use node::{Entry, Node, Origin, Table, Value};
pub use reading::{Effective, ParseText, Reading, Surroundings, env_name};
pub use refusal::{Conflict, Limits, Problem, Refusal};
pub use text::{nearest, quote};
pub use units::Bytes;

use std::collections::BTreeMap;
use std::fmt;

/// What a change of a key needs before it is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reload {
    /// Applied by a reload at once.
    Live,
    /// The part that owns the section is restarted under its supervisor by a reload; the others go on.
    Subtree,
    /// Needs a restart of the daemon.
    Daemon,
}

impl Reload {
    /// The word used in the declaration and in reports: `live`, `subtree` or `daemon`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Subtree => "subtree",
            Self::Daemon => "daemon",
        }
    }
}

/// The description of one key, from which the default file and the hints are made.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name inside the section.
    pub name: &'static str,
    /// The lines of its documentation.
    pub doc: Vec<&'static str>,
    /// What is expected, in words: `integer`, `duration such as "30s"`.
    pub words: String,
    /// The range in words, if it has one: `from 1 to 10000`.
    pub range: Option<String>,
    /// The default as TOML text; `None` when the key is unset by default.
    pub default: Option<String>,
    /// A value to show in the default file, as TOML text, when the default is unset.
    pub example: Option<&'static str>,
    /// What a change needs.
    pub reload: Reload,
    /// Whether the value is a secret, never shown.
    pub secret: bool,
    /// For a map of groups (`[section.key.NAME]`): the keys of each group. Empty for a plain value.
    pub members: Vec<Key>,
}

/// A struct of keys: a section, or one entry of a map of groups.
pub trait Group: Clone + fmt::Debug + Default + Send + Sync + 'static {
    /// The lines of its documentation.
    const DOC: &'static [&'static str];

    /// The description of every key, in the order of declaration.
    fn keys() -> Vec<Key>;

    /// Reads every key at the place where `reading` stands; faults are collected there, and a faulty key keeps its default.
    fn read(reading: &mut Reading<'_>) -> Self;
}

/// A group with a place of its own in the file: `[NAME]`.
pub trait Section: Group {
    /// The name of the section, which is the domain's `config_key`.
    const NAME: &'static str;
}

/// What may stand as a field of a group: any [`Leaf`], or a map of groups.
///
/// A map `providers: BTreeMap<String, Provider>` of section `model_router` is written
/// `[model_router.providers.NAME]` in the file.
pub trait Field: Sized {
    /// Fills in what the type knows about itself.
    fn describe(default: &Self, key: Key) -> Key;

    /// Reads the key `name`; `limits` checks a value that has the right type.
    fn read(
        reading: &mut Reading<'_>,
        name: &str,
        reload: Reload,
        default: Self,
        limits: &dyn Fn(&Self, &mut Limits),
    ) -> Self;
}

impl<T: Leaf> Field for T {
    fn describe(default: &Self, key: Key) -> Key {
        Key {
            words: T::words(),
            default: (!default.is_unset()).then(|| default.render()),
            secret: T::SECRET,
            ..key
        }
    }

    fn read(
        reading: &mut Reading<'_>,
        name: &str,
        reload: Reload,
        default: Self,
        limits: &dyn Fn(&Self, &mut Limits),
    ) -> Self {
        reading.leaf(name, reload, default, limits)
    }
}

impl<G: Group> Field for BTreeMap<String, G> {
    fn describe(_default: &Self, key: Key) -> Key {
        Key {
            words: format!("sections [….{}.NAME]", key.name),
            members: G::keys(),
            ..key
        }
    }

    fn read(
        reading: &mut Reading<'_>,
        name: &str,
        _reload: Reload,
        default: Self,
        _limits: &dyn Fn(&Self, &mut Limits),
    ) -> Self {
        reading.map(name, default)
    }
}
