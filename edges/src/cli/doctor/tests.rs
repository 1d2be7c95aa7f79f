//! Each verdict with what leads to it, and what the report looks like.

use std::{io::ErrorKind, net::SocketAddr, path::PathBuf, time::Duration};

use ground::Micros;
use supervisor::Level;

use super::super::{exit::Exit, failure::Failure, screen::Style};
use super::{
    Check, Verdict, json_text,
    judge::{self, Audit, Daemon, Database, Directory, DirectoryAbout, Port, Service, Shell},
    judge_system::{self, Clock, Limits, Space},
    process::Program,
    report,
};

#[test]
fn a_record_that_was_changed_fails() {
    let looked = |broken: Option<&str>| Audit::Looked {
        checked: 12,
        broken: broken.map(str::to_owned),
    };
    is(&judge::audit(&looked(None)), Verdict::Ok);
    is(&judge::audit(&Audit::NotAsked), Verdict::Ok);
    let mute = Audit::Mute(Failure::failed("the database is not available"));
    is(&judge::audit(&mute), Verdict::Warn);
    let broken = judge::audit(&looked(Some("entry 7 is missing")));
    is(&broken, Verdict::Fail);
    assert!(broken.finding.ends_with("entry 7 is missing"), "{broken:?}");
}

fn up(level: Level) -> Daemon {
    Daemon::Up {
        version: "1.2.3".to_owned(),
        commit: Some("a".repeat(40)),
        level,
        pid: Some(77),
    }
}

fn mute() -> Daemon {
    let failure = Failure::new(
        Exit::Unreachable,
        "the daemon cannot be reached: it is stuck",
    )
    .next("wait");
    Daemon::Mute {
        failure,
        pid: Some(77),
    }
}

fn is(check: &Check, verdict: Verdict) {
    assert_eq!(check.verdict, verdict, "{check:?}");
    assert!(
        check.verdict == Verdict::Ok || check.fix.as_ref().is_some_and(|fix| !fix.is_empty()),
        "no fix: {check:?}"
    );
}

#[test]
fn data_directories() {
    let directory = |about: Result<DirectoryAbout, ErrorKind>, writable, we| {
        judge::directory(&Directory {
            path: PathBuf::from("/d"),
            about,
            writable,
            we,
        })
    };
    let about = |is_directory, owner, mode| {
        Ok(DirectoryAbout {
            is_directory,
            owner,
            mode,
        })
    };
    is(&directory(about(true, 7, 0o700), Ok(()), 7), Verdict::Ok);
    is(&directory(about(true, 7, 0o755), Ok(()), 7), Verdict::Warn);
    is(
        &directory(about(true, 7, 0o500), Err(ErrorKind::PermissionDenied), 7),
        Verdict::Fail,
    );
    is(&directory(about(false, 7, 0o644), Ok(()), 7), Verdict::Fail);
    is(&directory(about(true, 8, 0o700), Ok(()), 7), Verdict::Fail);
    is(&directory(about(true, 8, 0o700), Ok(()), 0), Verdict::Warn);
    is(&directory(Err(ErrorKind::NotFound), Ok(()), 7), Verdict::Ok);
    is(
        &directory(
            Err(ErrorKind::NotFound),
            Err(ErrorKind::ReadOnlyFilesystem),
            7,
        ),
        Verdict::Fail,
    );
    is(
        &directory(Err(ErrorKind::PermissionDenied), Ok(()), 7),
        Verdict::Fail,
    );
}

#[test]
fn disks() {
    const GIB: u64 = 1 << 30;
    let space = |free_bytes, free_files| {
        judge_system::space(Ok(Space {
            free_bytes,
            total_bytes: 100 * GIB,
            free_files,
        }))
    };
    is(&space(50 * GIB, Some(1_000_000)), Verdict::Ok);
    is(&space(50 * GIB, None), Verdict::Ok);
    is(&space(GIB / 2, Some(1_000_000)), Verdict::Warn);
    is(&space(1 << 20, Some(1_000_000)), Verdict::Fail);
    is(&space(50 * GIB, Some(1_000)), Verdict::Warn);
    is(&space(50 * GIB, Some(3)), Verdict::Fail);
    is(&judge_system::space(Err(ErrorKind::Other)), Verdict::Warn);
    is(
        &judge_system::space(Ok(Space {
            free_bytes: 0,
            total_bytes: 0,
            free_files: None,
        })),
        Verdict::Fail,
    );
    assert_eq!(judge_system::bytes(GIB + GIB / 2), "1.5 GiB");
    assert_eq!(judge_system::bytes(812 << 20), "812 MiB");
}

#[test]
fn daemons() {
    is(&judge::daemon(&up(Level::Normal)), Verdict::Ok);
    is(&judge::daemon(&up(Level::Degraded)), Verdict::Warn);
    is(&judge::daemon(&up(Level::Critical)), Verdict::Fail);
    is(&judge::daemon(&up(Level::Offline)), Verdict::Fail);
    is(&judge::daemon(&Daemon::Down), Verdict::Ok);
    is(&judge::daemon(&mute()), Verdict::Fail);
}

#[test]
fn versions() {
    let ours = "a".repeat(40);
    let of = |version: &str, commit: Option<&str>| Daemon::Up {
        version: version.to_owned(),
        commit: commit.map(str::to_owned),
        level: Level::Normal,
        pid: None,
    };
    is(
        &judge::version("1.2.3", Some(&ours), &Daemon::Down),
        Verdict::Ok,
    );
    is(
        &judge::version("1.2.3", Some(&ours), &of("1.2.3", Some(&ours))),
        Verdict::Ok,
    );
    is(
        &judge::version("1.2.3", None, &of("1.2.3", Some(&ours))),
        Verdict::Ok,
    );
    is(
        &judge::version("1.2.3", Some(&ours), &of("1.2.3", Some("b"))),
        Verdict::Warn,
    );
    is(
        &judge::version("1.2.3", Some(&ours), &of("1.2.2", Some(&ours))),
        Verdict::Warn,
    );
}

#[test]
fn ports() {
    let listen: SocketAddr = "127.0.0.1:4110".parse().unwrap();
    let port = |seen: &Port, daemon: &Daemon| judge::port(listen, seen, daemon);
    let taken = |pid| {
        Port::Taken(Some(Program {
            pid,
            name: "nginx".to_owned(),
        }))
    };
    is(&port(&Port::Free, &Daemon::Down), Verdict::Ok);
    is(&port(&Port::Free, &up(Level::Normal)), Verdict::Ok);
    is(&port(&taken(77), &up(Level::Normal)), Verdict::Ok);
    is(&port(&taken(78), &up(Level::Normal)), Verdict::Fail);
    is(&port(&taken(77), &Daemon::Down), Verdict::Fail);
    is(&port(&taken(77), &mute()), Verdict::Ok);
    is(&port(&Port::Taken(None), &Daemon::Down), Verdict::Fail);
    is(
        &port(&Port::Refused(ErrorKind::PermissionDenied), &Daemon::Down),
        Verdict::Fail,
    );
    is(
        &port(&Port::Refused(ErrorKind::AddrNotAvailable), &Daemon::Down),
        Verdict::Fail,
    );
    is(
        &judge::port("127.0.0.1:0".parse().unwrap(), &Port::Free, &Daemon::Down),
        Verdict::Ok,
    );
    assert!(
        port(&taken(78), &Daemon::Down)
            .finding
            .contains("nginx (process 78)")
    );
}

#[test]
fn databases() {
    let read = |pending, edited: &[&str], unknown: &[&str], integrity: Option<&str>| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        judge::database(&Database::Read {
            place: "/d/mainstay.db".to_owned(),
            version: 4,
            pending,
            edited: names(edited),
            unknown: names(unknown),
            integrity: integrity.map(str::to_owned),
        })
    };
    is(&judge::database(&Database::Absent), Verdict::Ok);
    is(&read(0, &[], &[], Some("ok")), Verdict::Ok);
    is(&read(2, &[], &[], Some("ok")), Verdict::Ok);
    is(&read(0, &[], &[], None), Verdict::Ok);
    is(&read(0, &["0002_b"], &[], None), Verdict::Fail);
    is(&read(0, &[], &["0009_x"], None), Verdict::Fail);
    is(
        &read(0, &[], &[], Some("row 3 missing from index")),
        Verdict::Fail,
    );
    is(
        &judge::database(&Database::Unusable("it is no database".to_owned())),
        Verdict::Fail,
    );
    is(
        &judge::database(&Database::Skipped("no configuration")),
        Verdict::Warn,
    );
    assert!(
        !read(0, &[], &[], None).finding.contains("sound"),
        "what was not checked is not called sound"
    );
}

#[test]
fn shells() {
    let shell = |runnable| {
        judge::shell(&Shell {
            path: PathBuf::from("/bin/zsh"),
            origin: "from SHELL",
            runnable,
        })
    };
    is(&shell(Ok(())), Verdict::Ok);
    is(&shell(Err(ErrorKind::NotFound)), Verdict::Fail);
    is(&shell(Err(ErrorKind::PermissionDenied)), Verdict::Fail);
}

#[test]
fn clocks() {
    let at = |text: &str| -> Micros { text.parse().unwrap() };
    let sane = Clock {
        now: at("2026-06-01T00:00:00Z"),
        built_at: Some(at("2026-05-01T00:00:00Z")),
        newest_file: Some(at("2026-05-31T00:00:00Z")),
        wall_passed: 20_000,
        monotonic: Duration::from_millis(20),
    };
    is(&judge_system::clock(&sane), Verdict::Ok);
    is(
        &judge_system::clock(&Clock {
            newest_file: None,
            built_at: None,
            ..sane
        }),
        Verdict::Ok,
    );
    is(
        &judge_system::clock(&Clock {
            now: at("2026-04-01T00:00:00Z"),
            ..sane
        }),
        Verdict::Fail,
    );
    is(
        &judge_system::clock(&Clock {
            now: at("2170-01-01T00:00:00Z"),
            ..sane
        }),
        Verdict::Fail,
    );
    is(
        &judge_system::clock(&Clock {
            newest_file: Some(at("2026-06-02T00:00:00Z")),
            ..sane
        }),
        Verdict::Warn,
    );
    is(
        &judge_system::clock(&Clock {
            newest_file: Some(at("2026-06-01T00:01:00Z")),
            ..sane
        }),
        Verdict::Ok,
    );
    is(
        &judge_system::clock(&Clock {
            wall_passed: 3_600_000_000,
            ..sane
        }),
        Verdict::Warn,
    );
    is(
        &judge_system::clock(&Clock {
            wall_passed: -1_000_000,
            ..sane
        }),
        Verdict::Warn,
    );
}

#[test]
fn limits() {
    let enough = Limits {
        whose: "of this shell",
        files: Some(1_024),
        processes: None,
        memory: Some(1 << 30),
        terminals: Some(64),
    };
    let processes = |change: fn(&mut Limits)| {
        let mut limits = enough.clone();
        change(&mut limits);
        judge_system::limits(&limits)[0].clone()
    };
    is(&processes(|_| ()), Verdict::Ok);
    is(&processes(|limits| limits.files = Some(64)), Verdict::Fail);
    is(&processes(|limits| limits.files = Some(256)), Verdict::Warn);
    is(
        &processes(|limits| limits.terminals = Some(10_000)),
        Verdict::Warn,
    );
    is(
        &processes(|limits| limits.processes = Some(100)),
        Verdict::Warn,
    );
    is(
        &processes(|limits| (limits.files, limits.terminals) = (None, None)),
        Verdict::Ok,
    );
    let memory = |memory| {
        judge_system::limits(&Limits {
            memory,
            ..enough.clone()
        })[1]
            .clone()
    };
    is(&memory(Some(1 << 30)), Verdict::Ok);
    is(&memory(Some(100 << 20)), Verdict::Warn);
    is(&memory(Some(1 << 20)), Verdict::Fail);
    is(&memory(None), Verdict::Ok);
}

#[test]
fn services() {
    let service = |systemd, unit: Option<&str>, enabled| {
        judge::service(&Service {
            systemd,
            unit: unit.map(PathBuf::from),
            enabled,
        })
    };
    is(&service(false, None, false), Verdict::Ok);
    is(&service(true, None, false), Verdict::Ok);
    is(
        &service(true, Some("/etc/systemd/system/mainstay.service"), true),
        Verdict::Ok,
    );
    is(
        &service(true, Some("/etc/systemd/system/mainstay.service"), false),
        Verdict::Warn,
    );
}

fn checks() -> Vec<Check> {
    vec![
        Check::ok(
            "data directory",
            "/home/ada/.local/share/mainstay, mode 0700, yours",
        ),
        Check::warn(
            "disk space",
            "812 MiB free of 40 GiB (1 %)",
            "free some space, or move the data directory to a larger file system",
        ),
        Check::fail(
            "port",
            "127.0.0.1:4110 is taken by nginx (process 78)",
            "stop it, or choose another address",
        ),
        Check::ok("daemon", "is not running").note("mainstay up starts it"),
    ]
}

#[test]
fn the_report() {
    insta::assert_snapshot!(report(&checks(), &Style::PLAIN));
    let narrow = Style {
        colour: false,
        unicode: true,
        width: Some(48),
    };
    let text = report(&checks(), &narrow);
    assert!(text.lines().all(|line| line.chars().count() <= 48));
    insta::assert_snapshot!(text);
    assert!(report(&checks()[..1], &Style::PLAIN).ends_with("everything is in order\n"));
}

#[test]
fn the_json_form() {
    insta::assert_snapshot!(json_text(&checks()));
}
