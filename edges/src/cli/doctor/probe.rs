//! Looks at the machine, the files and the daemon, and hands what is seen to the judges. Nothing is decided here, and
//! nothing is changed: the port is bound for an instant, the database is opened for reading.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ground::Micros;
use http::Method;
use rustix::process::{Resource, getrlimit};
use serde_json::Value;
use store::{Location, StoreError, migrate};
use supervisor::Level;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    config::{self, Invalid, Loaded},
    data_dir::{self, Holder},
};

use super::{
    super::{
        Session, block_on,
        client::{Client, NoAnswer},
        config_verbs::sources,
        failure::Failure,
        unreachable::unit_file,
        version,
    },
    Check,
    judge::{self, Audit, Daemon, Database, Directory, DirectoryAbout, Port, Service, Shell},
    judge_system::{self, Clock, Limits, Space},
    process,
};

/// Time for the daemon's answer; a healthy one takes a millisecond.
const DAEMON_LIMIT: Duration = Duration::from_secs(3);
/// Time for reading the database from end to end.
const DATABASE_LIMIT: Duration = Duration::from_secs(20);
/// Entries of the record that are looked at.
const NEWEST_ENTRIES: u32 = 1_000;
/// How long the two clocks are compared.
const CLOCK_SPAN: Duration = Duration::from_millis(20);
/// Directories of the data directory whose newest file is looked for; deeper ones are not.
const NEWEST_LIMIT: usize = 10_000;

/// Every check, in the order in which one mends things.
pub(crate) fn all(session: &Session) -> Result<Vec<Check>, Failure> {
    let home = session.data_dir()?;
    block_on(async {
        let daemon = daemon(&home, &session.client()?).await;
        let loaded = config::load(&sources(session, None));
        let [limits, memory] = judge_system::limits(&limits(&daemon, loaded.as_ref().ok()));
        Ok(vec![
            judge::version(version::VERSION, version::commit(), &daemon),
            judge::directory(&directory(&home)),
            judge_system::space(space(&home)),
            judge::configuration(
                &loaded
                    .as_ref()
                    .map(|loaded| loaded.file.clone())
                    .map_err(Invalid::clone),
            ),
            judge::database(&database(&home, loaded.as_ref().ok()).await),
            judge::daemon(&daemon),
            judge::audit(&audit(&daemon, &session.client()?).await),
            port(loaded.as_ref().ok(), &daemon),
            judge::shell(&shell(session, loaded.as_ref().ok())),
            judge_system::clock(&clock(&home).await),
            limits,
            memory,
            judge::service(&service()),
        ])
    })
}

async fn daemon(home: &Path, client: &Client) -> Daemon {
    let client = client.within(DAEMON_LIMIT);
    let holder = data_dir::holder(home);
    let pid = match holder {
        Ok(Holder::Process(pid)) => pid,
        _ => None,
    };
    let info = match client.ask(Method::GET, "/info", None).await {
        Ok(info) => info,
        Err(NoAnswer::Trouble(_)) if matches!(holder, Ok(Holder::Nobody)) => return Daemon::Down,
        Err(error) => {
            return Daemon::Mute {
                failure: client.failure(error),
                pid,
            };
        }
    };
    let level = match client.get("/api/v1/status?depth=0").await {
        Ok(status) => serde_json::from_value(status["level"].clone()).unwrap_or(Level::Offline),
        Err(failure) => return Daemon::Mute { failure, pid },
    };
    let text = |key: &str| info.get(key).and_then(Value::as_str).map(str::to_owned);
    Daemon::Up {
        version: text("version").unwrap_or_else(|| "unknown".to_owned()),
        commit: text("commit"),
        level,
        pid,
    }
}

/// What the newest part of the record came to.
async fn audit(daemon: &Daemon, client: &Client) -> Audit {
    if !matches!(daemon, Daemon::Up { .. }) {
        return Audit::NotAsked;
    }
    let client = client.within(DAEMON_LIMIT);
    let target = format!("/api/v1/audit/verify?newest={NEWEST_ENTRIES}");
    match client.ask(Method::GET, &target, None).await {
        Ok(found) => Audit::Looked {
            checked: found["checked"].as_u64().unwrap_or(0),
            broken: found["broken"]["message"].as_str().map(str::to_owned),
        },
        Err(error) => Audit::Mute(client.failure(error)),
    }
}

fn directory(home: &Path) -> Directory {
    let about = fs::metadata(home).map(|about| DirectoryAbout {
        is_directory: about.is_dir(),
        owner: about.uid(),
        mode: about.mode() & 0o7777,
    });
    let there = nearest_directory(home);
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    Directory {
        path: home.to_path_buf(),
        about: about.map_err(|error| error.kind()),
        writable: rustix::fs::access(there, access).map_err(|error| io::Error::from(error).kind()),
        we: rustix::process::geteuid().as_raw(),
    }
}

/// `path`, or the nearest directory above it that is there.
fn nearest_directory(path: &Path) -> &Path {
    path.ancestors()
        .find(|path| fs::metadata(path).is_ok())
        .unwrap_or(path)
}

fn space(home: &Path) -> Result<Space, io::ErrorKind> {
    let seen = rustix::fs::statvfs(nearest_directory(home))
        .map_err(|error| io::Error::from(error).kind())?;
    Ok(Space {
        free_bytes: seen.f_bavail.saturating_mul(seen.f_frsize),
        total_bytes: seen.f_blocks.saturating_mul(seen.f_frsize),
        // Some file systems make inodes as they are needed, and say 0 of 0.
        free_files: (seen.f_files > 0).then_some(seen.f_favail),
    })
}

async fn database(home: &Path, loaded: Option<&Loaded>) -> Database {
    let Some(loaded) = loaded else {
        return Database::Skipped("the configuration, which says where it is, is not valid");
    };
    let location = match Location::parse(&loaded.settings.store.url, home) {
        Ok(location) => location,
        Err(error) => return Database::Unusable(error.to_string()),
    };
    if location.file().is_some_and(|file| {
        fs::metadata(file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }) {
        return Database::Absent;
    }
    let status = match timeout(DATABASE_LIMIT, migrate::status(&location)).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Database::Unusable(error.to_string()),
        Err(_late) => return Database::Unusable(format!("{location} does not answer")),
    };
    let integrity = match timeout(DATABASE_LIMIT, migrate::verify(&location)).await {
        Ok(Ok(_)) => Some("ok".to_owned()),
        Ok(Err(StoreError::Damaged { source, .. })) => Some(source.map_or_else(
            || "it does not read back".to_owned(),
            |source| source.to_string(),
        )),
        Ok(Err(error @ (StoreError::NotADatabase { .. } | StoreError::Unreachable { .. }))) => {
            return Database::Unusable(error.to_string());
        }
        Ok(Err(_told_by_status)) => None,
        Err(_too_large) => None,
    };
    let named = |standing| {
        status
            .standing(standing)
            .map(|step| format!("{:04}_{}", step.version, step.name))
            .collect()
    };
    Database::Read {
        place: status.place.clone(),
        version: status.version,
        pending: status.standing(migrate::Standing::Pending).count(),
        edited: named(migrate::Standing::Edited),
        unknown: named(migrate::Standing::Unknown),
        integrity,
    }
}

fn port(loaded: Option<&Loaded>, daemon: &Daemon) -> Check {
    // With a configuration that is not valid the built-in address is looked at.
    let listen = loaded.map_or_else(
        || config::Settings::default().http.listen,
        |loaded| loaded.settings.http.listen,
    );
    judge::port(listen, &tried(listen), daemon)
}

fn tried(listen: SocketAddr) -> Port {
    match TcpListener::bind(listen) {
        Ok(_released_at_once) => Port::Free,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Port::Taken(process::listener(listen))
        }
        Err(error) => Port::Refused(error.kind()),
    }
}

fn shell(session: &Session, loaded: Option<&Loaded>) -> Shell {
    let configured = loaded.and_then(|loaded| loaded.settings.ptys.shell.clone());
    let (named, origin) = match (configured, session.environment.text("SHELL")) {
        (Some(shell), _) => (shell, "from the configuration"),
        (None, Some(shell)) => (shell, "from SHELL"),
        (None, None) => ("/bin/sh".to_owned(), "the last resort"),
    };
    let path = in_search_path(&named, session.environment.get("PATH"))
        .unwrap_or_else(|| PathBuf::from(&named));
    let runnable = match fs::metadata(&path) {
        Ok(about) if !about.is_file() => Err(io::ErrorKind::InvalidInput),
        Ok(_) => rustix::fs::access(&path, rustix::fs::Access::EXEC_OK)
            .map_err(|error| io::Error::from(error).kind()),
        Err(error) => Err(error.kind()),
    };
    Shell {
        path,
        origin,
        runnable,
    }
}

/// Where a name without a slash is found.
fn in_search_path(named: &str, search: Option<std::ffi::OsString>) -> Option<PathBuf> {
    if named.contains('/') {
        return None;
    }
    std::env::split_paths(&search?)
        .map(|directory| directory.join(named))
        .find(|path| fs::metadata(path).is_ok())
}

async fn clock(home: &Path) -> Clock {
    let (wall, monotonic) = (ground::clock::now(), Instant::now());
    sleep(CLOCK_SPAN).await;
    let now = ground::clock::now();
    Clock {
        now,
        built_at: version::BUILT_AT.parse().ok(),
        newest_file: newest_file(home),
        wall_passed: now.0.saturating_sub(wall.0),
        monotonic: monotonic.elapsed(),
    }
}

fn newest_file(home: &Path) -> Option<Micros> {
    let entries = fs::read_dir(home).ok()?.flatten().take(NEWEST_LIMIT);
    let changed = entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|about| {
            about
                .mtime()
                .saturating_mul(1_000_000)
                .saturating_add(about.mtime_nsec() / 1_000)
        });
    changed.max().map(Micros)
}

/// The daemon's own limits where it runs, else those that it would inherit from here.
fn limits(daemon: &Daemon, loaded: Option<&Loaded>) -> Limits {
    let pid = daemon.pid();
    let process = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let read =
        |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let table = read("limits");
    let soft = |name, resource| {
        process::soft_limit(&table, name).unwrap_or_else(|()| getrlimit(resource).current)
    };
    let group = process::group(&read("cgroup"));
    let free = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|table| process::available_memory(&table));
    Limits {
        whose: if pid.is_some() {
            "of the daemon"
        } else {
            "of this shell"
        },
        files: soft("Max open files", Resource::Nofile),
        processes: process::stricter(soft("Max processes", Resource::Nproc), group.tasks),
        memory: process::stricter(free, group.memory),
        terminals: loaded.map(|loaded| loaded.settings.ptys.max_terminals),
    }
}

fn service() -> Service {
    let wants = "/etc/systemd/system/multi-user.target.wants/mainstay.service";
    Service {
        systemd: fs::metadata("/run/systemd/system").is_ok(),
        unit: unit_file(),
        enabled: fs::symlink_metadata(wants).is_ok(),
    }
}
