//! What `/proc` tells of a server's cost: processor time, memory, threads.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

/// How long memory must stay the same to count as settled, and how long that is waited for.
const CALM: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);

/// Memory and threads of a process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Resident bytes.
    pub(crate) resident: u64,
    /// Those of them that are the process's own, not pages of files.
    pub(crate) own: u64,
    /// Its threads.
    pub(crate) threads: u64,
}

/// The processor time, user and system, that a process itself has used; its children's is not in it. Resolution: a tick,
/// usually 10 ms.
///
/// # Errors
///
/// When the process is gone.
pub(crate) fn cpu_time(pid: i32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the server is gone")?;
    let ticks = parse_ticks(&stat).context("a line of another form")?;
    let ticks_a_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_millis(ticks * 1000 / ticks_a_second.max(1)))
}

/// User and system time in ticks.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Its memory and threads now.
///
/// # Errors
///
/// When the process is gone.
pub(crate) fn footprint(pid: i32) -> Result<Footprint> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the server is gone")?;
    let field = |name: &str| -> Option<u64> {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().trim_end_matches(" kB").parse().ok()
    };
    let kibibytes = |name: &str| field(name).map(|value| value * 1024);
    Ok(Footprint {
        resident: kibibytes("VmRSS:").context("no VmRSS")?,
        own: kibibytes("RssAnon:").unwrap_or_default(),
        threads: field("Threads:").context("no Threads")?,
    })
}

/// Its memory once that has stopped to change.
///
/// # Errors
///
/// When the process is gone.
pub(crate) async fn settled(pid: i32) -> Result<Footprint> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = footprint(pid)?;
    loop {
        sleep(CALM).await;
        let now = footprint(pid)?;
        if now == last || Instant::now() >= deadline {
            return Ok(now);
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_user_and_system() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 900 0 0 0 17 25 3 4 20 0 1 0 9000 1 2";
        assert_eq!(parse_ticks(stat), Some(42));
        assert_eq!(parse_ticks("42 (a"), None);
    }

    #[test]
    fn this_process_costs_something() {
        let pid = i32::try_from(std::process::id()).expect("fits");
        let footprint = footprint(pid).expect("runs");
        assert!(footprint.resident >= footprint.own && footprint.threads > 0);
        cpu_time(pid).expect("runs");
    }
}
