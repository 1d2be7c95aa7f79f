//! Whether the status names an injected fault as a root, at every node that it reaches, soon enough.

use std::sync::atomic::Ordering;
use std::time::Duration;

use supervisor::{Action, Level, NodeStatus, State, Strength};

use crate::houses::manifests;
use crate::lab::{Entry, What};
use crate::plan::Act;
use crate::run::Scene;

/// How soon after a fault the status names it.
pub(crate) const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// Whether an act keeps its node down, or not well, until it is taken back.
pub(crate) fn is_lasting_down(act: Act) -> bool {
    match act {
        Act::FailedStart(..) | Act::Report(..) | Act::Order(Action::Stop) => true,
        Act::SlowStart(by, _) => by > TOLD_WITHIN * 2,
        _ => false,
    }
}

/// Looks at the node, its domain, the domains that need it, and the system. `since` is when the fault was injected.
pub(crate) fn look(scene: &Scene, path: &str, act: Act, since: Duration) {
    if scene.lab.is_ending() || is_disturbed(scene, path, since) {
        return;
    }
    let Some(status) = scene.system.status(Some(path), Some(0)) else {
        return;
    };
    let level = match act {
        Act::Report(level, _) => level,
        // A slow start that does not take it after all, or one that is over.
        _ if status.state == State::Running => return,
        // It waits for another domain, or it has not ended yet: nothing of it has failed.
        _ if matches!(status.state, State::Waiting | State::Stopping) => return,
        _ => Level::Offline,
    };
    scene.lab.looked.fetch_add(1, Ordering::Relaxed);
    for (node, level) in reached(scene, path, level) {
        let Some(status) = scene.system.status(Some(&node), Some(0)) else {
            continue;
        };
        if status.level < level || !names(&status, path) {
            let cause = status.cause.as_ref().map(|cause| &cause.path);
            let also: Vec<&String> = status.also.iter().map(|cause| &cause.path).collect();
            scene.lab.complain(format_args!(
                "{act:?} of {path} at {since:?}: {node} is {} because of {cause:?}, also {also:?}, expected {level}",
                status.level
            ));
        }
    }
}

fn names(status: &NodeStatus, path: &str) -> bool {
    let causes = status.cause.iter().chain(&status.also);
    // A list that is full has no room for all.
    status.also.len() >= 7 || causes.into_iter().any(|cause| cause.path == path)
}

/// Whether anything else happened that bears on this node: another act on it or on what holds it, or a new incarnation after
/// which a report counts no more.
fn is_disturbed(scene: &Scene, path: &str, since: Duration) -> bool {
    let holds = |above: &str| path == above || path.starts_with(&format!("{above}/"));
    let acts = |entry: &Entry| matches!(entry.what, What::Act(..)) && holds(&entry.path);
    let own = scene.lab.trace();
    let window = since.saturating_sub(Duration::from_secs(25));
    let acted = own.iter().filter(|entry| entry.at >= window && acts(entry));
    let moved = scene.lab.has(since, |entry| {
        &*entry.path == path && matches!(entry.what, What::Start(_) | What::Gone(_) | What::Stop(_))
    });
    let reported = scene
        .system
        .status(Some(path), Some(0))
        .is_some_and(|status| status.state == State::Running);
    acted.count() > 1 || moved && reported
}

/// Every node that the fault reaches, with the level that arrives there at least.
fn reached(scene: &Scene, path: &str, level: Level) -> Vec<(String, Level)> {
    let mut found = vec![(path.to_owned(), level)];
    let (mut at, mut level) = (path.to_owned(), level);
    while let Some(parent) = scene.plan.shape.parent(&at) {
        let Some(branch) = scene.plan.shape.branch(&at) else {
            break;
        };
        level = level.min(branch.policy.bears);
        at.clone_from(&parent.path);
        if level == Level::Normal || is_ordered(scene, &at) {
            return found;
        }
        found.push((at.clone(), level));
    }
    let domains = manifests(scene.plan.shape.graph);
    let mut levels = vec![(at.trim_start_matches('/').to_owned(), level)];
    let mut next = 0;
    while let Some((name, level)) = levels.get(next).cloned() {
        next += 1;
        for domain in domains {
            let need = domain.needs.iter().find(|need| need.domain == name);
            let Some(need) = need else { continue };
            let node = format!("/{}", domain.name);
            let known = levels.iter().any(|(known, _)| known == domain.name);
            if known || is_ordered(scene, &node) {
                continue;
            }
            let cap = match need.strength {
                Strength::Hard => Level::Offline,
                Strength::Soft => Level::Degraded,
            };
            found.push((node, level.min(cap)));
            levels.push((domain.name.to_owned(), level.min(cap)));
        }
    }
    let system = levels.iter().filter_map(|(name, level)| {
        let domain = domains.iter().find(|domain| domain.name == name)?;
        Some((*level).min(domain.priority.cap()))
    });
    found.extend(system.max().map(|level| ("/".to_owned(), level)));
    found
}

/// Stopped by order: that alone is why, whatever it needs.
fn is_ordered(scene: &Scene, path: &str) -> bool {
    let status = scene.system.status(Some(path), Some(0));
    status.is_none_or(|status| matches!(status.state, State::Stopping | State::Stopped))
}
