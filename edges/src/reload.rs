//! SIGHUP: reads the configuration again. What is not sound changes nothing; what cannot change while the daemon runs is named.

use ground::audit::{By, Entry, Outcome};
use ground::config::{Effective, Reload, Section as _};

use std::sync::Arc;

use crate::config::{self, LimitsConfig, Loaded, ReloadPlan, Settings, Sources};
use crate::http::{Rates, Tls};
use crate::telemetry::LogControl;

/// What of the HTTP edge can change while it serves.
pub(crate) struct LiveEdge {
    pub(crate) rates: Arc<Rates>,
    pub(crate) tls: Option<Tls>,
}

/// The configuration in force, and what a reload can change of it.
pub(crate) struct Reloadable {
    sources: Sources,
    loaded: Loaded,
    log: LogControl,
    /// None as long as nothing is served.
    edge: Option<LiveEdge>,
}

impl Reloadable {
    pub(crate) fn new(sources: Sources, loaded: Loaded, log: LogControl) -> Self {
        Self {
            sources,
            loaded,
            log,
            edge: None,
        }
    }

    /// From now on reloads reach the HTTP edge too.
    pub(crate) fn serves(&mut self, edge: LiveEdge) {
        self.edge = Some(edge);
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// Reads all layers again and applies what can change live. Answers with what goes on record.
    pub(crate) fn reload(&mut self) -> Entry {
        let entry = By::system().entry("config.reload");
        // The files of the certificate are no part of the configuration: they may have changed alone.
        if let Some(tls) = self.edge.as_ref().and_then(|edge| edge.tls.as_ref()) {
            tls.look_again();
        }
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
        for warning in &new.warnings {
            tracing::warn!(%warning, "configuration");
        }
        if plan.is_empty() {
            tracing::info!("configuration reloaded: nothing changed");
            return entry;
        }
        let live: Vec<&str> = plan.live().map(|change| change.key.as_str()).collect();
        let live = live.join(", ");
        self.apply_log(&plan, &new.settings);
        self.apply_limits(&plan, &new.settings);
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

impl Reloadable {
    fn apply_limits(&mut self, plan: &ReloadPlan, new: &Settings) {
        let Some(edge) = &self.edge else { return };
        let mut changed = plan
            .live()
            .filter(|change| change.section == LimitsConfig::NAME)
            .peekable();
        if changed.peek().is_none() {
            return;
        }
        edge.rates.set(&new.limits);
        self.loaded.settings.limits.clone_from(&new.limits);
        for change in changed {
            tracing::info!(key = change.key, to = change.to, "configuration changed");
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
