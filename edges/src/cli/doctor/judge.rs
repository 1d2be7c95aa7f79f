//! Verdicts on what is mainstay's own: data directory, daemon, port, configuration, database, shell, version. Pure.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use supervisor::Level;

use super::{super::failure::Failure, Check, process::Program};

/// The data directory as it is on disk.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    /// What is there, or why it cannot be looked at.
    pub(crate) about: Result<DirectoryAbout, io::ErrorKind>,
    /// Whether it, or where it is missing the nearest directory above it, can be written to.
    pub(crate) writable: Result<(), io::ErrorKind>,
    /// Our effective user id.
    pub(crate) we: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectoryAbout {
    pub(crate) is_directory: bool,
    pub(crate) owner: u32,
    /// Permission bits.
    pub(crate) mode: u32,
}

/// The data directory: there, ours, closed to others, writable.
pub(crate) fn directory(seen: &Directory) -> Check {
    const NAME: &str = "data directory";
    let path = seen.path.display();
    let about = match seen.about {
        Ok(about) => about,
        Err(kind) => return no_directory(NAME, seen, kind),
    };
    if !about.is_directory {
        return Check::fail(
            NAME,
            format!("{path} is not a directory"),
            "move it away, or name another one with --data-dir",
        );
    }
    if about.owner != seen.we {
        let finding = format!(
            "{path} belongs to user {}, this is user {}",
            about.owner, seen.we
        );
        let fix = format!("run mainstay as user {}", about.owner);
        // Root may look at another user's daemon, but must not start one there.
        return if seen.we == 0 {
            Check::warn(NAME, finding, fix)
        } else {
            Check::fail(NAME, finding, fix)
        };
    }
    if let Err(kind) = seen.writable {
        return Check::fail(
            NAME,
            format!("{path} cannot be written to: {kind}"),
            format!("chmod 700 {path}, or check that its file system is not read-only"),
        );
    }
    if about.mode & 0o077 != 0 {
        return Check::warn(
            NAME,
            format!(
                "{path} can be entered by other users (mode {:04o})",
                about.mode
            ),
            format!("chmod 700 {path}"),
        );
    }
    Check::ok(NAME, format!("{path}, mode {:04o}, yours", about.mode))
}

fn no_directory(name: &'static str, seen: &Directory, kind: io::ErrorKind) -> Check {
    let path = seen.path.display();
    match (kind, seen.writable) {
        (io::ErrorKind::NotFound, Ok(())) => Check::ok(
            name,
            format!("{path} is not there yet; mainstay up creates it"),
        ),
        (io::ErrorKind::NotFound, Err(kind)) => Check::fail(
            name,
            format!("{path} is not there and cannot be created: {kind}"),
            "name a directory that you can write to with --data-dir",
        ),
        _ => Check::fail(
            name,
            format!("{path} cannot be looked at: {kind}"),
            "run as the user that the daemon runs as, or as root",
        ),
    }
}

/// What looking at the record of what people did came to.
#[derive(Debug)]
pub(crate) enum Audit {
    /// There is no daemon to look.
    NotAsked,
    /// It cannot look.
    Mute(Failure),
    /// It looked at the newest entries.
    Looked {
        /// How many.
        checked: u64,
        /// What is wrong, in words.
        broken: Option<String>,
    },
}

/// The record: unbroken, as far as its newest part goes.
pub(crate) fn audit(seen: &Audit) -> Check {
    const NAME: &str = "audit";
    match seen {
        Audit::NotAsked => Check::ok(NAME, "is verified while the daemon runs"),
        Audit::Mute(failure) => Check::warn(
            NAME,
            format!("cannot be verified: {}", failure.message),
            "mainstay explain /audit",
        ),
        Audit::Looked {
            checked,
            broken: None,
        } => Check::ok(NAME, format!("the newest {checked} entries hold")),
        Audit::Looked {
            broken: Some(broken),
            ..
        } => Check::fail(
            NAME,
            format!("the record of what people did was changed: {broken}"),
            "mainstay audit verify, and compare with an export or a backup from before",
        ),
    }
}

/// What asking the daemon came to.
#[derive(Debug)]
pub(crate) enum Daemon {
    /// It answers.
    Up {
        /// Its version, as it tells it.
        version: String,
        /// Its commit, where it knows it.
        commit: Option<String>,
        /// The system's level.
        level: Level,
        /// Its process, where that is known.
        pid: Option<u32>,
    },
    /// No process holds the data directory.
    Down,
    /// A process holds it and does not answer, or the way to it is barred.
    Mute {
        /// What the command line would say.
        failure: Failure,
        /// The process, where that is known.
        pid: Option<u32>,
    },
}

impl Daemon {
    /// Its process, where it runs and that is known.
    pub(crate) const fn pid(&self) -> Option<u32> {
        match self {
            Self::Up { pid, .. } | Self::Mute { pid, .. } => *pid,
            Self::Down => None,
        }
    }
}

/// The daemon: down, or answering.
pub(crate) fn daemon(seen: &Daemon) -> Check {
    const NAME: &str = "daemon";
    match seen {
        Daemon::Up {
            version,
            level,
            pid,
            ..
        } => {
            let process = pid
                .map(|pid| format!(", process {pid}"))
                .unwrap_or_default();
            let finding = format!(
                "answers (version {version}{process}) and is {}",
                level.word()
            );
            match level {
                Level::Normal => Check::ok(NAME, finding),
                Level::Degraded => Check::warn(NAME, finding, "mainstay explain / tells why"),
                Level::Critical | Level::Offline => {
                    Check::fail(NAME, finding, "mainstay explain / tells why")
                }
            }
        }
        Daemon::Down => Check::ok(NAME, "is not running").note("mainstay up starts it"),
        Daemon::Mute { failure, .. } => Check::fail(
            NAME,
            failure.message.clone(),
            failure.next.first().cloned().unwrap_or_default(),
        ),
    }
}

/// Whether the daemon runs what is installed.
pub(crate) fn version(ours: &str, our_commit: Option<&str>, daemon: &Daemon) -> Check {
    const NAME: &str = "version";
    let mine = match our_commit {
        Some(commit) => format!("{ours} ({})", short(commit)),
        None => ours.to_owned(),
    };
    let Daemon::Up {
        version, commit, ..
    } = daemon
    else {
        return Check::ok(NAME, mine);
    };
    let is_same = version == ours
        && (commit.is_none() || our_commit.is_none() || commit.as_deref() == our_commit);
    if is_same {
        return Check::ok(NAME, format!("{mine}, the daemon too"));
    }
    let theirs = commit
        .as_deref()
        .map(|commit| format!(" ({})", short(commit)))
        .unwrap_or_default();
    Check::warn(
        NAME,
        format!("this is {mine}, the daemon runs {version}{theirs}"),
        "restart the daemon to run what is installed",
    )
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// What trying the address came to.
#[derive(Clone, Debug)]
pub(crate) enum Port {
    /// It could be bound.
    Free,
    /// Somebody listens there; which program, where that can be seen.
    Taken(Option<Program>),
    /// The system refused.
    Refused(io::ErrorKind),
}

/// The listen address: free, or held by our own daemon.
pub(crate) fn port(listen: SocketAddr, seen: &Port, daemon: &Daemon) -> Check {
    const NAME: &str = "port";
    let own = daemon.pid();
    let elsewhere =
        "choose another address in the configuration ([http] listen) or with mainstay up --listen";
    match seen {
        Port::Free if listen.port() == 0 => {
            Check::ok(NAME, format!("{listen}: a free port is taken at start"))
        }
        Port::Free => match daemon {
            Daemon::Up { .. } => Check::ok(
                NAME,
                format!("{listen} is free; the daemon that runs listens elsewhere"),
            ),
            _ => Check::ok(NAME, format!("{listen} is free")),
        },
        Port::Taken(Some(program)) if own == Some(program.pid) => {
            Check::ok(NAME, format!("{listen} is held by the daemon"))
        }
        Port::Taken(Some(program)) => Check::fail(
            NAME,
            format!(
                "{listen} is taken by {} (process {})",
                program.name, program.pid
            ),
            format!("stop it, or {elsewhere}"),
        ),
        // Another user's program cannot be seen; the daemon could be, since only its own user reaches it.
        Port::Taken(None) => Check::fail(
            NAME,
            format!("{listen} is taken by a program of another user"),
            elsewhere,
        ),
        Port::Refused(io::ErrorKind::PermissionDenied) => Check::fail(
            NAME,
            format!("{listen} may not be used: ports below 1024 need a privilege"),
            format!("{elsewhere}, or give the service AmbientCapabilities=CAP_NET_BIND_SERVICE"),
        ),
        Port::Refused(io::ErrorKind::AddrNotAvailable) => Check::fail(
            NAME,
            format!("{} is no address of this machine", listen.ip()),
            elsewhere,
        ),
        Port::Refused(kind) => {
            Check::fail(NAME, format!("{listen} cannot be used: {kind}"), elsewhere)
        }
    }
}

/// The configuration: where from, or every fault.
pub(crate) fn configuration(seen: &Result<Option<PathBuf>, crate::config::Invalid>) -> Check {
    const NAME: &str = "configuration";
    match seen {
        Ok(None) => Check::ok(NAME, "valid: built-in defaults, no file")
            .note("mainstay config init prints a file to start from"),
        Ok(Some(file)) => Check::ok(NAME, format!("valid: {}", file.display())),
        Err(invalid) => {
            let first = invalid
                .findings
                .first()
                .map(|finding| format!("; the first: {finding}"))
                .unwrap_or_default();
            Check::fail(
                NAME,
                format!("{}{first}", invalid.summary()),
                "mainstay config check lists every error with its place",
            )
        }
    }
}

/// What looking into the database came to.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// It is not there yet (an embedded one, before the first start).
    Absent,
    /// It was read.
    Read {
        /// Where it is, without secrets.
        place: String,
        /// The highest migration in it.
        version: u32,
        /// How many migrations are still to be applied.
        pending: usize,
        /// Migrations that were edited after they were applied.
        edited: Vec<String>,
        /// Migrations that this binary does not know.
        unknown: Vec<String>,
        /// What the integrity check said, where it was made; `ok` is good.
        integrity: Option<String>,
    },
    /// It cannot be used, and why.
    Unusable(String),
    /// It was not looked at, and why.
    Skipped(&'static str),
}

/// The database: opens, sound, of this binary's time.
pub(crate) fn database(seen: &Database) -> Check {
    const NAME: &str = "database";
    match seen {
        Database::Absent => Check::ok(NAME, "is not there yet; mainstay up creates it"),
        Database::Skipped(why) => {
            Check::warn(NAME, format!("was not looked at: {why}"), "mend that first")
        }
        Database::Unusable(why) => Check::fail(
            NAME,
            why.clone(),
            "mainstay migrate verify, once that is done, looks again",
        ),
        Database::Read {
            place,
            integrity: Some(said),
            ..
        } if said != "ok" => Check::fail(
            NAME,
            format!("{place} is damaged: {said}"),
            "stop the daemon and put a backup in its place, see the folder `backups` in the data directory",
        ),
        Database::Read { place, unknown, .. } if !unknown.is_empty() => Check::fail(
            NAME,
            format!(
                "{place} was used by a newer mainstay: {} is unknown here",
                unknown.join(", ")
            ),
            "run that version, or put a backup from before in its place",
        ),
        Database::Read { place, edited, .. } if !edited.is_empty() => Check::fail(
            NAME,
            format!(
                "{place} has migrations that read differently now: {}",
                edited.join(", ")
            ),
            "run the binary that applied them",
        ),
        Database::Read {
            place,
            version,
            pending,
            integrity,
            ..
        } => {
            let sound = if integrity.is_some() { ", sound" } else { "" };
            let check = Check::ok(NAME, format!("{place}, migration {version}{sound}"));
            match pending {
                0 => check,
                1 => check.note("1 migration is pending; mainstay up applies it"),
                many => check.note(format!(
                    "{many} migrations are pending; mainstay up applies them"
                )),
            }
        }
    }
}

/// The shell that terminals start.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    /// Where it should be.
    pub(crate) path: PathBuf,
    /// Who says so.
    pub(crate) origin: &'static str,
    /// Whether it can be run.
    pub(crate) runnable: Result<(), io::ErrorKind>,
}

/// The shell: there, and can be run.
pub(crate) fn shell(seen: &Shell) -> Check {
    const NAME: &str = "shell";
    let path = seen.path.display();
    let fix = "name one that is there in the configuration ([ptys] shell), like /bin/bash";
    match seen.runnable {
        Ok(()) => Check::ok(NAME, format!("{path} ({})", seen.origin)),
        Err(io::ErrorKind::NotFound) => {
            Check::fail(NAME, format!("{path} ({}) is not there", seen.origin), fix)
        }
        Err(kind) => Check::fail(
            NAME,
            format!("{path} ({}) cannot be run: {kind}", seen.origin),
            fix,
        ),
    }
}

/// The systemd side.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// Whether systemd runs this machine.
    pub(crate) systemd: bool,
    /// The unit file, where one is installed.
    pub(crate) unit: Option<PathBuf>,
    /// Whether it is started with the machine.
    pub(crate) enabled: bool,
}

/// The service: only hints, since a daemon needs no systemd.
pub(crate) fn service(seen: &Service) -> Check {
    const NAME: &str = "service";
    match (seen.systemd, seen.unit.as_deref().map(Path::display), seen.enabled) {
        (false, _, _) => Check::ok(NAME, "systemd does not run this machine; mainstay up serves in the foreground"),
        (true, None, _) => Check::ok(NAME, "no systemd unit is installed")
            .note("with a unit mainstay.service (Type=notify, StateDirectory=mainstay) it starts with the machine"),
        (true, Some(unit), true) => Check::ok(NAME, format!("{unit}, starts with the machine")),
        (true, Some(unit), false) => {
            Check::warn(NAME, format!("{unit} does not start with the machine"), "systemctl enable --now mainstay")
        }
    }
}
