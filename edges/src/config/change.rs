//! What differs between two configurations, and what a reload may apply of it.
//!
//! A reload loads the whole configuration anew; when that is not sound it stops there and nothing changes. Else the plan
//! says which keys are in force at once, which sections' owners are restarted, and which keys wait for a restart of the
//! daemon: those keep their old value until then.

use std::collections::{BTreeMap, BTreeSet};

use ground::config::{Effective, Reload};
use serde::Serialize;

use super::load::Loaded;

/// A key whose value changes. Secrets appear by reference or as a stand-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The dotted key.
    pub key: String,
    /// The top-level section it is in.
    pub section: String,
    /// The old value as TOML text; `None` when it was unset.
    pub from: Option<String>,
    /// The new value as TOML text; `None` when it is unset now.
    pub to: Option<String>,
    /// What the change needs: `live`, `subtree` or `daemon`.
    #[serde(serialize_with = "reload_word")]
    pub reload: Reload,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field by reference"
)]
fn reload_word<S: serde::Serializer>(reload: &Reload, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reload.as_str())
}

/// What a reload does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReloadPlan {
    /// Every key that changes.
    pub changes: Vec<Change>,
}

impl ReloadPlan {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes that are in force at once.
    pub fn live(&self) -> impl Iterator<Item = &Change> {
        self.needing(Reload::Live)
    }

    /// The sections whose owner has to be restarted under its supervisor.
    pub fn subtrees(&self) -> BTreeSet<&str> {
        self.needing(Reload::Subtree)
            .map(|change| change.section.as_str())
            .collect()
    }

    /// The changes that wait for a restart of the daemon.
    pub fn needs_restart(&self) -> impl Iterator<Item = &Change> {
        self.needing(Reload::Daemon)
    }

    fn needing(&self, reload: Reload) -> impl Iterator<Item = &Change> {
        self.changes
            .iter()
            .filter(move |change| change.reload == reload)
    }
}

/// Compares two sound configurations key by key.
///
/// A secret that changed behind the same reference (a rotated file) is a change too.
pub fn plan(old: &Loaded, new: &Loaded) -> ReloadPlan {
    let before = by_key(old);
    let after = by_key(new);
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changes = keys.into_iter().filter_map(|key| {
        let (from, to) = (before.get(key), after.get(key));
        let either = to.or(from)?;
        let is_same = from.is_some()
            && to.is_some()
            && from.map(|one| &one.identity) == to.map(|one| &one.identity);
        (!is_same).then(|| Change {
            key: key.clone(),
            section: either
                .section
                .split('.')
                .next()
                .unwrap_or_default()
                .to_owned(),
            from: from.and_then(|one| one.shown.clone()),
            to: to.and_then(|one| one.shown.clone()),
            reload: either.reload,
        })
    });
    ReloadPlan {
        changes: changes.collect(),
    }
}

fn by_key(loaded: &Loaded) -> BTreeMap<String, &Effective> {
    loaded
        .effective
        .iter()
        .map(|one| (one.key(), one))
        .collect()
}
