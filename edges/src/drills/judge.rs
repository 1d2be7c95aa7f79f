//! Judges a run by the events of the tree: what was told first, who was hit, when all was well again. Pure: time is an
//! argument, as the span since the fault was injected.

use std::collections::BTreeMap;
use std::time::Duration;

use supervisor::{Change, Level, State, StatusEvent};

use super::kind::NOTED;
use super::run::{Diagnosis, Hit, Run};

/// What is known of a run so far.
#[derive(Debug)]
pub(super) struct Judge {
    expected: Diagnosis,
    /// Nothing may happen: whatever gets worse is the diagnosis.
    wants_calm: bool,
    /// The domains' levels before the fault, by path.
    before: BTreeMap<String, Level>,
    /// Domains that are worse than before now.
    worse: BTreeMap<String, Level>,
    /// The worst that each domain came to.
    hit: BTreeMap<String, Level>,
    observed: Option<(Diagnosis, Duration)>,
    /// Since when the target is well, after it was not.
    well_since: Option<Duration>,
}

impl Judge {
    /// `domains` are the levels before the fault, by name.
    pub(super) fn new(expected: Diagnosis, domains: Vec<(String, Level)>) -> Self {
        let before = domains.into_iter();
        Self {
            wants_calm: expected.level == Level::Normal,
            expected,
            before: before
                .map(|(name, level)| (format!("/{name}"), level))
                .collect(),
            worse: BTreeMap::new(),
            hit: BTreeMap::new(),
            observed: None,
            well_since: None,
        }
    }

    /// Takes an event that was seen at `at`.
    pub(super) fn note(&mut self, event: &StatusEvent, at: Duration) {
        self.note_domain(event);
        if self.wants_calm {
            self.note_unrest(event, at);
        } else if event.path == self.expected.path && event.change != Change::Operator {
            self.note_target(event, at);
        }
    }

    fn note_domain(&mut self, event: &StatusEvent) {
        let Some(before) = self.before.get(&event.path) else {
            return;
        };
        if event.change != Change::Level {
            return;
        }
        if event.level <= *before {
            self.worse.remove(&event.path);
            return;
        }
        self.worse.insert(event.path.clone(), event.level);
        let worst = self.hit.entry(event.path.clone()).or_default();
        *worst = event.level.max(*worst);
    }

    fn note_target(&mut self, event: &StatusEvent, at: Duration) {
        if let (Some(diagnosis), None) = (diagnosis_of(event), &self.observed) {
            self.observed = Some((diagnosis, at));
        }
        let is_well = event.state == State::Running && event.level == Level::Normal;
        self.well_since = match (is_well, self.well_since, &self.observed) {
            (true, None, Some(_)) => Some(at),
            (true, since, _) => since,
            (false, ..) => None,
        };
    }

    /// Where nothing may happen the drill's own note is the diagnosis, until something does.
    fn note_unrest(&mut self, event: &StatusEvent, at: Duration) {
        let is_note = event.change == Change::Operator && event.path == self.expected.path;
        let is_restart = event.change == Change::State
            && matches!(event.state, State::Restarting | State::Quarantined);
        let is_fall = self.worse.contains_key(&event.path);
        if is_note && self.observed.is_none() {
            let noted = Diagnosis {
                path: event.path.clone(),
                level: event.level,
                cause_code: NOTED.to_owned(),
            };
            self.observed = Some((noted, at));
        } else if (is_restart || is_fall)
            && let Some(diagnosis) = diagnosis_of(event)
            && self.matches()
        {
            self.observed = Some((diagnosis, at));
        }
    }

    /// The fault has ended at `at`.
    pub(super) fn fault_over(&mut self, at: Duration) {
        if self.wants_calm && self.worse.is_empty() {
            self.well_since = Some(at);
        }
    }

    /// Whether something was told of the fault.
    pub(super) fn is_diagnosed(&self) -> bool {
        self.observed.is_some()
    }

    /// Whether nothing more is to be waited for once the fault is over: it was told, and everybody is as before.
    pub(super) fn is_settled(&self) -> bool {
        self.is_diagnosed() && self.well_since.is_some() && self.worse.is_empty()
    }

    fn matches(&self) -> bool {
        let observed = self.observed.as_ref();
        observed.is_some_and(|(observed, _)| *observed == self.expected)
    }

    /// Writes what is known into the run. The first effect came `effect_after` the injection.
    pub(super) fn report(&self, run: &mut Run, effect_after: Duration) {
        run.matched = self.matches();
        if let Some((observed, at)) = &self.observed {
            run.observed = Some(observed.clone());
            run.diagnosed_ms = Some(millis(at.saturating_sub(effect_after)));
        }
        run.recovered_ms = self.well_since.map(millis);
        run.hit = self.hit.keys().map(|path| name_of(path)).collect();
        run.hit_as_forecast = is_as_forecast(&self.hit, &run.forecast);
    }
}

/// Whether the forecast named all that were hit, each with this level or a worse one.
fn is_as_forecast(hit: &BTreeMap<String, Level>, forecast: &[Hit]) -> bool {
    hit.iter().all(|(path, level)| {
        let name = name_of(path);
        forecast
            .iter()
            .any(|hit| hit.domain == name && hit.level >= *level)
    })
}

fn name_of(path: &str) -> String {
    path.trim_start_matches('/').to_owned()
}

fn diagnosis_of(event: &StatusEvent) -> Option<Diagnosis> {
    let cause = event.cause.as_ref()?;
    Some(Diagnosis {
        path: cause.path.clone(),
        level: event.level,
        cause_code: cause.code.clone(),
    })
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests;
