//! What `/proc` tells of processes: who descends from whom, who carries our mark, who is gone.
//!
//! Why by hand: the question after every test is "is anything of it left?". A daemon's children are in other sessions
//! and process groups, and orphans have a new parent, so two tracks are followed: descent while the daemon lives, and a
//! mark in the environment, which is the path of the test's own temporary directory (every process gets it as `HOME`).

use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// One process as seen at one moment. Two with the same id and the same start are the same process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The process id.
    pub pid: i32,
    /// The id of its parent at that moment.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// Start, in clock ticks since boot: tells a re-used id from the first owner.
    pub started: u64,
    /// One letter: `R`, `S`, `D`, `Z`, `T`, …
    pub state: char,
    /// Its command line, for messages.
    pub command: String,
}

impl Process {
    /// The process with this id, unless it is gone. A zombie counts as gone: nothing of it runs any more.
    #[must_use]
    pub fn find(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let process = Self::parse(&stat, || command_line(pid))?;
        (!matches!(process.state, 'Z' | 'X')).then_some(process)
    }

    /// Whether exactly this process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// Sends a signal to it, unless it is gone.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            send(self.pid, signal);
        }
    }

    fn parse(stat: &str, command: impl FnOnce() -> String) -> Option<Self> {
        let (pid, rest) = stat.split_once(" (")?;
        // The name may hold spaces and brackets: the last bracket ends it.
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
        let command = command();
        Some(Self {
            pid: pid.parse().ok()?,
            state: fields.first()?.chars().next()?,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            started: fields.get(19)?.trim().parse().ok()?,
            command: if command.is_empty() {
                format!("[{name}]")
            } else {
                command
            },
        })
    }
}

/// Sends a signal to whatever has this id now, and tells whether something took it.
pub(crate) fn send(pid: i32, signal: Signal) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Every running process that this user may see.
fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::find)
        .collect()
}

/// The running children of `pid`.
#[must_use]
pub fn children_of(pid: i32) -> Vec<Process> {
    let mut found = all();
    found.retain(|process| process.parent == pid);
    found
}

/// The running children of `pid`, and theirs, and so on.
#[must_use]
pub fn descendants_of(pid: i32) -> Vec<Process> {
    let mut rest = all();
    let mut family = vec![pid];
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        next += 1;
        let (children, others) = rest
            .into_iter()
            .partition(|process: &Process| process.parent == parent);
        rest = others;
        family.extend(children.iter().map(|child| child.pid));
        found.extend(children);
    }
    found
}

/// The running processes whose first environment names `mark`, other than the children of this very process: those
/// are the test's own, and it ends them by their handles.
pub(crate) fn marked(mark: &Path) -> Vec<Process> {
    let mark = mark.as_os_str().as_encoded_bytes();
    let own = std::process::id();
    let mut found = all();
    found.retain(|process| {
        i64::from(process.parent) != i64::from(own) && environment_names(process.pid, mark)
    });
    found
}

fn environment_names(pid: i32, mark: &[u8]) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.windows(mark.len()).any(|window| window == mark))
}

fn command_line(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line)
        .replace('\0', " ")
        .trim_end()
        .to_owned()
}

/// Lets this process, and what it starts from now on, open as many files as the system allows at all.
///
/// # Panics
///
/// When the system refuses what it allows.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("the soft limit may rise to the hard one");
}

/// The resident memory of a process in bytes, or `None` when it is gone.
#[must_use]
pub fn resident_bytes(pid: i32) -> Option<u64> {
    let kibibytes: u64 = status_field(pid, "VmRSS:")?
        .strip_suffix(" kB")?
        .parse()
        .ok()?;
    Some(kibibytes * 1024)
}

/// The number of threads of a process, or `None` when it is gone.
#[must_use]
pub fn thread_count(pid: i32) -> Option<u64> {
    status_field(pid, "Threads:")?.parse().ok()
}

fn status_field(pid: i32, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_parses() {
        let stat = "42 (a) (b c) S 7 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9000 1 2";
        let process = Process::parse(stat, String::new).expect("parses");
        assert_eq!(
            (process.pid, process.parent, process.state, process.started),
            (42, 7, 'S', 9000)
        );
        assert_eq!(process.command, "[a) (b c]");
    }

    #[test]
    fn this_process_is_found_alive() {
        let own = i32::try_from(std::process::id()).expect("fits");
        assert!(Process::find(own).expect("runs").is_alive());
        assert!(resident_bytes(own).expect("runs") > 0);
        assert!(thread_count(own).expect("runs") > 0);
    }

    #[test]
    fn a_garbled_line_is_no_process() {
        for stat in ["", "1", "1 (x", "1 (x) S", "x (x) S 1 1 1 0 0 0"] {
            assert_eq!(Process::parse(stat, String::new), None, "{stat:?}");
        }
    }
}
