//! Verdicts on the machine: disk space, clock, limits of the process. Pure.

use std::time::Duration;

use ground::Micros;

use super::{super::span, Check};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Space on the file system of the data directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    /// Bytes that this user may still take.
    pub(crate) free_bytes: u64,
    /// Bytes in all.
    pub(crate) total_bytes: u64,
    /// Files that may still be made; `None` where the file system does not count them.
    pub(crate) free_files: Option<u64>,
}

/// Below this a write may fail at any moment.
const SPACE_FAIL: u64 = 64 * MIB;
/// Below this it is time to look.
const SPACE_WARN: u64 = GIB;
const FILES_FAIL: u64 = 64;
const FILES_WARN: u64 = 4_096;

/// Disk space and free inodes.
pub(crate) fn space(seen: Result<Space, std::io::ErrorKind>) -> Check {
    const NAME: &str = "disk space";
    let space = match seen {
        Ok(space) => space,
        Err(kind) => {
            return Check::warn(
                NAME,
                format!("cannot be told: {kind}"),
                "check that the file system answers: df -h",
            );
        }
    };
    let percent = (space.free_bytes * 100)
        .checked_div(space.total_bytes)
        .unwrap_or(0);
    let finding = format!(
        "{} free of {} ({percent} %)",
        bytes(space.free_bytes),
        bytes(space.total_bytes)
    );
    let fix = "free some space, or move the data directory to a larger file system";
    let files = space.free_files.unwrap_or(u64::MAX);
    if space.free_bytes < SPACE_FAIL {
        Check::fail(NAME, finding, fix)
    } else if files < FILES_FAIL {
        Check::fail(
            NAME,
            format!("{finding}, room for {files} more files"),
            "delete files that nobody needs: df -i",
        )
    } else if space.free_bytes < SPACE_WARN {
        Check::warn(NAME, finding, fix)
    } else if files < FILES_WARN {
        Check::warn(
            NAME,
            format!("{finding}, room for {files} more files"),
            "delete files that nobody needs: df -i",
        )
    } else {
        Check::ok(NAME, finding)
    }
}

/// A size in the biggest unit that keeps it above one.
pub(crate) fn bytes(size: u64) -> String {
    match size {
        _ if size >= GIB * 10 => format!("{} GiB", size / GIB),
        _ if size >= GIB => format!("{}.{} GiB", size / GIB, size % GIB * 10 / GIB),
        _ if size >= MIB => format!("{} MiB", size / MIB),
        _ => format!("{} KiB", size >> 10),
    }
}

/// The clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Wall time now.
    pub(crate) now: Micros,
    /// When this binary was built; `None` where the build does not tell.
    pub(crate) built_at: Option<Micros>,
    /// The newest file in the data directory; `None` where there is none.
    pub(crate) newest_file: Option<Micros>,
    /// How much wall time passed while `monotonic` passed on the clock that cannot be set, in microseconds.
    pub(crate) wall_passed: i64,
    pub(crate) monotonic: Duration,
}

/// Files may be dated this much ahead: file servers have clocks of their own.
const AHEAD_LIMIT: Duration = Duration::from_mins(2);
/// The two clocks may run apart this much while we look.
const APART_LIMIT_US: i64 = 250_000;
/// Microseconds of 2100-01-01.
const FAR_FUTURE: Micros = Micros(4_102_444_800_000_000);

/// The clock: not before the binary, not in the far future, not behind our own files, not jumping.
pub(crate) fn clock(seen: &Clock) -> Check {
    const NAME: &str = "clock";
    let now = span::moment(seen.now);
    let fix = "set the clock and keep it right: timedatectl set-ntp true";
    if let Some(built_at) = seen.built_at
        && seen.now < built_at
    {
        return Check::fail(
            NAME,
            format!(
                "it is {now}, before this binary was built ({})",
                span::moment(built_at)
            ),
            fix,
        );
    }
    if seen.now > FAR_FUTURE {
        return Check::fail(NAME, format!("it is {now}"), fix);
    }
    if let Some(newest) = seen.newest_file
        && newest.since(seen.now) > AHEAD_LIMIT
    {
        let ahead = span::words(newest.since(seen.now));
        return Check::warn(
            NAME,
            format!("it is {now}; the newest file in the data directory is dated {ahead} later"),
            format!("{fix}; it seems to have been set back"),
        );
    }
    let monotonic = i64::try_from(seen.monotonic.as_micros()).unwrap_or(i64::MAX);
    if seen.wall_passed.abs_diff(monotonic) > APART_LIMIT_US.unsigned_abs() {
        return Check::warn(
            NAME,
            "it jumped while it was looked at",
            "see what sets it: two time services may be fighting",
        );
    }
    Check::ok(NAME, now)
}

/// Limits of a process; `None` is without limit.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Whose limits these are.
    pub(crate) whose: &'static str,
    /// Open files.
    pub(crate) files: Option<u64>,
    /// Processes of the user, or of the control group where that is less.
    pub(crate) processes: Option<u64>,
    /// Memory that can still be had, in bytes.
    pub(crate) memory: Option<u64>,
    /// Terminals that the configuration allows; `None` when it is not valid.
    pub(crate) terminals: Option<u32>,
}

/// Files that the daemon needs besides terminals.
const FILES_BASE: u64 = 128;
/// Files that a terminal takes with two viewers.
const FILES_PER_TERMINAL: u64 = 4;
/// Processes that a terminal takes in everyday use.
const PROCESSES_PER_TERMINAL: u64 = 4;
const MEMORY_FAIL: u64 = 48 * MIB;
const MEMORY_WARN: u64 = 192 * MIB;

/// Limits: enough for the terminals that the configuration allows.
pub(crate) fn limits(seen: &Limits) -> [Check; 2] {
    [process_limits(seen), memory(seen.memory)]
}

fn process_limits(seen: &Limits) -> Check {
    const NAME: &str = "limits";
    let word =
        |limit: Option<u64>| limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    let finding = format!(
        "open files {}, processes {} ({})",
        word(seen.files),
        word(seen.processes),
        seen.whose
    );
    let terminals = u64::from(seen.terminals.unwrap_or(0));
    let files_needed = FILES_BASE + terminals * FILES_PER_TERMINAL;
    let processes_needed = terminals * PROCESSES_PER_TERMINAL;
    let files_fix =
        || format!("allow at least {files_needed}: LimitNOFILE= in the unit, or ulimit -n");
    if seen.files.is_some_and(|files| files < FILES_BASE) {
        return Check::fail(NAME, finding, files_fix());
    }
    if seen.files.is_some_and(|files| files < files_needed) {
        return Check::warn(
            NAME,
            format!("{finding}: too few files for {terminals} terminals"),
            files_fix(),
        );
    }
    if seen
        .processes
        .is_some_and(|processes| processes < processes_needed)
    {
        let fix = format!(
            "allow at least {processes_needed}: TasksMax= and LimitNPROC= in the unit, or ulimit -u"
        );
        return Check::warn(
            NAME,
            format!("{finding}: too few processes for {terminals} terminals"),
            fix,
        );
    }
    Check::ok(NAME, finding)
}

fn memory(free: Option<u64>) -> Check {
    const NAME: &str = "memory";
    let Some(free) = free else {
        return Check::ok(NAME, "how much is free cannot be told");
    };
    let finding = format!("{} can be had", bytes(free));
    let fix =
        "end programs that nobody needs, or raise the limit of the control group (MemoryMax=)";
    match free {
        0..MEMORY_FAIL => Check::fail(NAME, finding, fix),
        MEMORY_FAIL..MEMORY_WARN => Check::warn(NAME, finding, fix),
        _ => Check::ok(NAME, finding),
    }
}
