//! Reads groups of keys out of all layers at once and collects every fault.
//!
//! The layers are not merged first: each one that has the key is read and checked, the strongest sound one wins. So a
//! mistake in the file is reported even while an environment variable overrides it, and every value knows its origin.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;

use super::leaf::Leaf;
use super::node::{Entry, Node, Origin, Table, Value};
use super::refusal::{Conflict, Limits, Problem, Refusal};
use super::text::{nearest, quote};
use super::{Group, Reload, Section};

/// What is read besides the layers themselves: where references to secrets lead.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The environment of the process, for `{ env = "…" }` and `$CREDENTIALS_DIRECTORY`.
    pub env: BTreeMap<OsString, OsString>,
}

impl Surroundings {
    /// The variable of this name, if set.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.env.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}

impl fmt::Debug for Surroundings {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.env.keys()).finish()
    }
}

/// One effective value and who set it.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The dotted path of its section or group.
    pub section: String,
    /// The name inside that.
    pub name: String,
    /// The value as TOML text; of a secret, the reference to it or a stand-in. `None` when unset.
    pub shown: Option<String>,
    /// The built-in default in the same form.
    pub default: Option<String>,
    /// Who set it.
    pub origin: Origin,
    /// Whether it equals the built-in default.
    pub is_default: bool,
    /// What a change needs.
    pub reload: Reload,
    /// Equal for equal values; holds a digest where the value is a secret.
    pub identity: String,
}

impl Effective {
    /// The dotted key, as it is written in the file.
    pub fn key(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

/// Reads text of the environment as TOML; `None` when it is not.
pub type ParseText<'a> = &'a dyn Fn(&str, &Origin) -> Option<Node>;

/// The collecting reader: stands at one place of all layers and goes down into groups and up again.
pub struct Reading<'a> {
    layers: Vec<&'a Table>,
    path: Vec<String>,
    surroundings: &'a Surroundings,
    parse_text: ParseText<'a>,
    problems: Vec<Problem>,
    effective: Vec<Effective>,
    sections: BTreeSet<&'static str>,
    /// Places of groups that stand beside the keys of a section.
    beside: BTreeSet<Vec<String>>,
    /// Every key of every section, to tell where a misplaced one belongs.
    homes: Vec<(&'static str, &'static str)>,
}

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("path", &self.path)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

impl<'a> Reading<'a> {
    /// Starts at the top of `layers`, weakest first.
    pub fn new(
        layers: Vec<&'a Table>,
        surroundings: &'a Surroundings,
        parse_text: ParseText<'a>,
    ) -> Self {
        Self {
            layers,
            path: Vec::new(),
            surroundings,
            parse_text,
            problems: Vec::new(),
            effective: Vec::new(),
            sections: BTreeSet::new(),
            beside: BTreeSet::new(),
            homes: Vec::new(),
        }
    }

    /// Announces a section before any is read, so that a misplaced key can be told where it belongs.
    pub fn announce<S: Section>(&mut self) {
        self.sections.insert(S::NAME);
        self.homes
            .extend(S::keys().into_iter().map(|key| (S::NAME, key.name)));
    }

    /// Reads one section.
    pub fn section<S: Section>(&mut self) -> S {
        self.sections.insert(S::NAME);
        self.enter(S::NAME, S::read).unwrap_or_default()
    }

    /// Ends the reading: top-level names that are no section are faults.
    pub fn finish(mut self) -> (Vec<Effective>, Vec<Problem>) {
        let sections: Vec<&str> = self.sections.iter().copied().collect();
        self.refuse_unknown(&sections);
        (self.effective, self.problems)
    }

    /// What references to secrets are resolved with.
    pub fn surroundings(&self) -> &'a Surroundings {
        self.surroundings
    }

    /// Notes a fault of the value `node` of the key being read.
    pub fn refuse(&mut self, node: &Node, refusal: Refusal) {
        if !node.is_damaged {
            self.problems.push(Problem {
                origin: node.origin.clone(),
                key: dotted(&self.path),
                refusal,
            });
        }
    }

    /// Reads an entry of a list.
    pub fn entry<T: Leaf>(&mut self, node: &Node) -> Option<T> {
        if node.is_damaged {
            None
        } else {
            T::read(node, self)
        }
    }

    /// Reads the plain value `name` from every layer; the strongest sound one wins, else `default`.
    pub fn leaf<T: Leaf>(
        &mut self,
        name: &str,
        reload: Reload,
        default: T,
        limits: &dyn Fn(&T, &mut Limits),
    ) -> T {
        self.path.push(name.to_owned());
        let default_identity = default.identity();
        let default_shown = (!default.is_unset()).then(|| default.render());
        let mut shown = default_shown.clone();
        let mut value = default;
        let mut origin = Origin::Default;
        let layers = self.layers.clone();
        for node in layers
            .into_iter()
            .filter_map(|layer| layer.entries.get(name))
            .map(|entry| &entry.node)
        {
            let parsed = self.structured::<T>(node);
            let node = parsed.as_ref().unwrap_or(node);
            let Some(read) = self.entry::<T>(node) else {
                continue;
            };
            let mut checks = Limits::default();
            limits(&read, &mut checks);
            let is_sound = checks.refusals.is_empty();
            for (index, refusal) in checks.refusals {
                self.refuse(place_of(node, index), refusal);
            }
            if is_sound {
                shown = show(&read, node);
                value = read;
                origin = node.origin.clone();
            }
        }
        let identity = value.identity();
        self.path.pop();
        self.effective.push(Effective {
            section: dotted(&self.path),
            name: name.to_owned(),
            shown,
            default: default_shown,
            origin,
            is_default: identity == default_identity,
            reload,
            identity,
        });
        value
    }

    /// Reads the groups `[….name.NAME]` of every layer; each starts from the default of its name, if there is one.
    pub fn map<G: Group>(
        &mut self,
        name: &str,
        default: BTreeMap<String, G>,
    ) -> BTreeMap<String, G> {
        self.enter(name, |reading| {
            let names: BTreeSet<String> = reading
                .layers
                .iter()
                .flat_map(|layer| layer.entries.keys().cloned())
                .collect();
            let mut groups = default.clone();
            for name in names {
                if let Some(group) = reading.enter(&name, G::read) {
                    groups.insert(name, group);
                }
            }
            groups
        })
        .unwrap_or(default)
    }

    /// Reads the group `[….name]` that stands beside the keys of this place, if a layer gives it. Read all of them before the
    /// keys: a name that is known then is not refused as an unknown key.
    pub fn beside<G: Group>(&mut self, name: &str) -> Option<G> {
        let mut place = self.path.clone();
        place.push(name.to_owned());
        self.beside.insert(place);
        let is_given = self
            .layers
            .iter()
            .any(|layer| layer.entries.contains_key(name));
        is_given.then(|| self.enter(name, G::read)).flatten()
    }

    /// The names of the groups `[place.NAME]` that were read so far, in order of their names.
    pub fn groups_of(&self, place: &str) -> BTreeSet<String> {
        let below = |one: &Effective| {
            let name = one.section.strip_prefix(place)?.strip_prefix('.')?;
            (!name.contains('.')).then(|| name.to_owned())
        };
        self.effective.iter().filter_map(below).collect()
    }

    /// Refuses what `conflicts` finds wrong with a group that is sound so far: its keys one by one are, and the whole is not.
    pub fn refuse_conflicts(
        &mut self,
        problems_before: usize,
        conflicts: impl FnOnce() -> Vec<Conflict>,
    ) {
        if self.problems.len() > problems_before {
            return;
        }
        let section = dotted(&self.path);
        for Conflict { key, message } in conflicts() {
            let place = self
                .effective
                .iter()
                .find(|one| one.section == section && one.name == key);
            let origin = place.map_or(Origin::Default, |one| one.origin.clone());
            let refusal = Refusal::coded("config.conflict", message);
            self.problems.push(Problem {
                origin,
                key: format!("{section}.{key}"),
                refusal,
            });
        }
    }

    /// How many faults were found so far.
    pub fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// Refuses every name at this place that is not one of `known`.
    pub fn refuse_unknown(&mut self, known: &[&str]) {
        let groups: Vec<String> = self
            .beside
            .iter()
            .filter_map(|place| {
                let (name, above) = place.split_last()?;
                (above == self.path).then(|| name.clone())
            })
            .collect();
        let mut known: Vec<&str> = known.to_vec();
        known.extend(groups.iter().map(String::as_str));
        let unknown: Vec<(&String, &Entry)> = self
            .layers
            .iter()
            .flat_map(|layer| &layer.entries)
            .filter(|(name, _)| !known.contains(&name.as_str()))
            .collect();
        for (name, entry) in unknown {
            let refusal = self.unknown(name, entry, &known);
            let key = self.below(name);
            self.problems.push(Problem {
                origin: entry.origin.clone(),
                key,
                refusal,
            });
        }
    }

    /// What to say about a name that is not known here.
    fn unknown(&self, name: &str, entry: &Entry, known: &[&str]) -> Refusal {
        let is_variable = matches!(entry.origin, Origin::Env(_));
        let spelt = |key: &str| {
            if is_variable {
                env_name(&self.below(key))
            } else {
                format!("`{key}`")
            }
        };
        let (code, message) = match (&self.path[..], &entry.node.value) {
            ([], Value::Table(_)) => (
                "config.unknown_section",
                format!("unknown section [{name}]"),
            ),
            ([], _) => (
                "config.unknown_key",
                format!("unknown key `{name}` outside of any section"),
            ),
            (path, _) => (
                "config.unknown_key",
                format!("unknown key `{name}` in [{}]", dotted(path)),
            ),
        };
        let refusal = Refusal::coded(code, message);
        if let Some((section, _)) = self.homes.iter().find(|(_, key)| *key == name) {
            let there = if is_variable {
                env_name(&format!("{section}.{name}"))
            } else {
                format!("[{section}]")
            };
            return refusal.hint(format!("`{name}` belongs in {there}"));
        }
        if let Some(near) = nearest(name, known.iter().copied()) {
            let near = match (self.path.is_empty(), is_variable) {
                (true, false) => format!("[{near}]"),
                (true, true) => format!("{}__…", spelt(near)),
                (false, _) => spelt(near),
            };
            return refusal.hint(format!("did you mean {near}?"));
        }
        refusal.hint(format!("valid here: {}", known.join(", ")))
    }

    /// The dotted key of `name` at this place.
    fn below(&self, name: &str) -> String {
        let mut path = self.path.clone();
        path.push(name.to_owned());
        dotted(&path)
    }

    /// Goes down into the table `name` of every layer, runs `inside` there and comes back.
    ///
    /// `None` when the name is given and is a table nowhere, which is reported; a name that is not given is read as an
    /// empty table, so that its defaults are recorded.
    fn enter<R>(&mut self, name: &str, inside: impl FnOnce(&mut Self) -> R) -> Option<R> {
        let mut below = Vec::new();
        let mut is_given = false;
        self.path.push(name.to_owned());
        for entry in self
            .layers
            .clone()
            .into_iter()
            .filter_map(|layer| layer.entries.get(name))
        {
            is_given = true;
            if let Value::Table(table) = &entry.node.value {
                below.push(table);
            } else {
                let message = format!("expected a table, found {}", entry.node.kind());
                let hint = format!("write the keys below a line [{}]", dotted(&self.path));
                self.refuse(
                    &entry.node,
                    Refusal::coded("config.type", message).hint(hint),
                );
            }
        }
        let result = if is_given && below.is_empty() {
            None
        } else {
            let above = std::mem::replace(&mut self.layers, below);
            let result = inside(self);
            self.layers = above;
            Some(result)
        };
        self.path.pop();
        result
    }

    /// Text of the environment that is written as a TOML list or table, for a leaf that takes those.
    fn structured<T: Leaf>(&self, node: &Node) -> Option<Node> {
        match &node.value {
            Value::Text(text) if T::STRUCTURED && text.trim_start().starts_with(['[', '{']) => {
                (self.parse_text)(text, &node.origin)
            }
            _ => None,
        }
    }
}

/// The entry of a list, where the list has entries with places of their own; else the value itself.
fn place_of(node: &Node, index: Option<usize>) -> &Node {
    match (&node.value, index) {
        (Value::Array(entries), Some(index)) => entries.get(index).unwrap_or(node),
        _ => node,
    }
}

/// The value for showing: of a secret only the reference, never the text.
fn show<T: Leaf>(value: &T, node: &Node) -> Option<String> {
    if value.is_unset() {
        return None;
    }
    let reference = if T::SECRET {
        super::secret::reference(node)
    } else {
        None
    };
    Some(reference.unwrap_or_else(|| value.render()))
}

/// A path as it is written in the file: joined by dots, with quotes where a name needs them.
fn dotted(path: &[String]) -> String {
    let is_bare = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let names = path.iter().map(|name| {
        if is_bare(name) {
            name.clone()
        } else {
            quote(name)
        }
    });
    names.collect::<Vec<_>>().join(".")
}

/// The environment variable that sets the dotted `key`: `MAINSTAY_HTTP__LISTEN` for `http.listen`.
pub fn env_name(key: &str) -> String {
    let name = key.to_uppercase().replace('.', "__").replace('"', "");
    format!("MAINSTAY_{name}")
}
