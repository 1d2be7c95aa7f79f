//! File descriptors: a connection needs one, and a process that has none left can neither accept nor open its database.
//!
//! Most systems start a process with a soft limit of 1,024, far below what it may ask for. A thousand silent clients
//! would use that up. So the soft limit is raised to what the configured number of connections needs, and where the hard
//! limit is lower, fewer connections are taken: the rest of the daemon always keeps its share.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::http::limits::Limits;

/// Descriptors that are left to the rest of the daemon: database, terminals, files.
const RESERVE: usize = 1024;
/// Connections that are taken however few descriptors there are.
const LEAST: usize = 16;

/// Raises the limit as far as needed and allowed; tells how many TCP connections fit.
pub(super) fn make_room(limits: &Limits) -> usize {
    let asked = limits.max_connections;
    let others = limits.max_local_connections + RESERVE;
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(asked.saturating_add(others)).unwrap_or(u64::MAX);
    let soft = raise(limit, wanted);
    let fits = fitting(soft, asked, others);
    if fits < asked {
        tracing::warn!(
            descriptors = soft,
            connections = fits,
            "fewer connections than configured: the limit of open files is too low (ulimit -n)"
        );
    }
    fits
}

/// The soft limit afterwards; no limit is told as the largest number.
fn raise(limit: Rlimit, wanted: u64) -> u64 {
    let (soft, hard) = (
        limit.current.unwrap_or(u64::MAX),
        limit.maximum.unwrap_or(u64::MAX),
    );
    let target = wanted.min(hard);
    if target <= soft {
        return soft;
    }
    let raised = Rlimit {
        current: Some(target),
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => target,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            soft
        }
    }
}

/// How many connections fit: all of them, or what is left of few descriptors, at least half of those.
fn fitting(soft: u64, asked: usize, others: usize) -> usize {
    let soft = usize::try_from(soft).unwrap_or(usize::MAX);
    let left = soft.saturating_sub(others).max(soft / 2);
    asked.min(left).max(LEAST.min(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_rest() {
        for (soft, asked, fits) in [
            (u64::MAX, 4096, 4096),
            (1_048_576, 4096, 4096),
            (4096, 4096, 2944),
            (1024, 4096, 512),
            (1024, 100, 100),
            (8, 4096, 16),
            (8, 1, 1),
        ] {
            assert_eq!(fitting(soft, asked, 128 + RESERVE), fits, "{soft} {asked}");
        }
    }

    #[test]
    fn the_limit_is_never_lowered() {
        let before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        make_room(&Limits {
            max_connections: 1,
            ..Limits::default()
        });
        assert!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) >= before);
    }
}
