//! What `/proc` tells of a server's cost: processor time, memory, threads.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
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

/// The processor time that each thread of a process has used so far, user and system. Its children's is not in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu {
    threads: HashMap<u32, Duration>,
}

impl Cpu {
    /// Up to now. The scheduler counts nanoseconds, where the usual figure counts ticks of ten milliseconds.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub(crate) fn of(pid: i32) -> Result<Self> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).context("the server is gone")?;
        let threads = tasks.filter_map(|task| {
            let task = task.ok()?;
            let used = parse_schedstat(&fs::read_to_string(task.path().join("schedstat")).ok()?)?;
            Some((task.file_name().to_str()?.parse().ok()?, used))
        });
        let threads: HashMap<u32, Duration> = threads.collect();
        ensure!(!threads.is_empty(), "the system tells no processor time");
        Ok(Self { threads })
    }

    /// What was used since `earlier`. What a thread used that has ended meanwhile is not known; the servers here keep theirs.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let used = self.threads.iter().map(|(thread, now)| {
            let before = earlier.threads.get(thread).copied().unwrap_or_default();
            now.saturating_sub(before)
        });
        used.sum()
    }
}

/// Time on a processor, in nanoseconds, is the first number.
fn parse_schedstat(text: &str) -> Option<Duration> {
    text.split(' ')
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
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
    fn the_first_number_is_the_time() {
        assert_eq!(
            parse_schedstat("1500 20 3\n"),
            Some(Duration::from_nanos(1500))
        );
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn this_process_costs_something() {
        let pid = i32::try_from(std::process::id()).expect("fits");
        let footprint = footprint(pid).expect("runs");
        assert!(footprint.resident >= footprint.own && footprint.threads > 0);
        let before = Cpu::of(pid).expect("runs");
        assert!(Cpu::of(pid).expect("runs").since(&before) < Duration::from_mins(1));
    }
}
