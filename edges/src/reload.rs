//! SIGHUP: reads the configuration again. What is not sound changes nothing; what cannot change while the daemon runs is named.

use ground::audit::{By, Entry, Outcome};
use ground::config::{Effective, Reload};

use crate::config::{self, Loaded, ReloadPlan, Settings, Sources};
use crate::telemetry::LogControl;

/// The configuration in force, and what a reload can change of it.
pub(crate) struct Reloadable {
    sources: Sources,
    loaded: Loaded,
    log: LogControl,
}

impl Reloadable {
    pub(crate) fn new(sources: Sources, loaded: Loaded, log: LogControl) -> Self {
        Self {
            sources,
            loaded,
            log,
        }
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// Reads all layers again and applies what can change live. Answers with what goes on record.
    pub(crate) fn reload(&mut self) -> Entry {
        let entry = By::system().entry("config.reload");
        match config::load(&self.sources) {
            Ok(new) => self.apply(new, entry),
            Err(invalid) => {
                for finding in &invalid.findings {
                    tracing::error!(%finding, "configuration not reloaded");
                }
                entry
                    .with_outcome(Outcome::Refused)
                    .with("findings", invalid.findings.len())
            }
        }
    }

    fn apply(&mut self, new: Loaded, entry: Entry) -> Entry {
        let plan = config::plan(&self.loaded, &new);
        if plan.is_empty() {
            tracing::info!("configuration reloaded: nothing changed");
            return entry;
        }
        let live: Vec<&str> = plan.live().map(|change| change.key.as_str()).collect();
        let live = live.join(", ");
        self.apply_log(&plan, &new.settings);
        let waiting = waiting_keys(&plan);
        if !waiting.is_empty() {
            tracing::warn!(keys = ?waiting, "these keys change when the daemon is restarted");
        }
        // What waits keeps its old value, so that the next reload names it again.
        let waits = |one: &Effective| waiting.contains(&one.key());
        self.loaded.effective.retain(waits);
        let applied = new.effective.into_iter().filter(|one| !waits(one));
        self.loaded.effective.extend(applied);
        entry
            .with("changed", live)
            .with("waiting", waiting.join(", "))
    }

    fn apply_log(&mut self, plan: &ReloadPlan, new: &Settings) {
        let Some(change) = plan.live().find(|change| change.key == "log.filter") else {
            return;
        };
        match self.log.set_filter(&new.log.filter) {
            Ok(()) => {
                self.loaded.settings.log.filter.clone_from(&new.log.filter);
                tracing::info!(key = change.key, to = change.to, "configuration changed");
            }
            Err(error) => tracing::error!(%error, "log filter not changed"),
        }
    }
}

/// The keys that change with the next start only.
fn waiting_keys(plan: &ReloadPlan) -> Vec<String> {
    let waiting = plan
        .changes
        .iter()
        .filter(|change| change.reload != Reload::Live);
    waiting.map(|change| change.key.clone()).collect()
}
