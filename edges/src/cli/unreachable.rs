//! The daemon cannot be reached: which of the reasons is it, and what is the next step?
//!
//! "Connection refused" sends a user searching; there are only a handful of reasons and each has another way out. What is
//! seen on disk is gathered in [`Scene`] and the answer is decided by a pure function, so that each case has its test.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::data_dir::{self, Holder, SOCKET_PATH_LIMIT};

use super::{exit::Exit, failure::Failure, span};

/// Where a service's data directory is, by custom of the system.
const SERVICE_DATA_DIR: &str = "/var/lib/mainstay";

/// What went wrong while connecting or waiting.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The connection could not be made.
    Connect(io::Error),
    /// It was made, or waited for, and nothing came within this time.
    Silent(Duration),
    /// It was made and broke before the answer was complete.
    Broken(String),
}

/// What is seen on disk when the daemon does not answer.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// The data directory that was asked for.
    pub(crate) data_dir: PathBuf,
    /// Its owner, or why it cannot be looked at.
    pub(crate) directory: Result<u32, io::ErrorKind>,
    /// The socket's owner, or why it cannot be looked at.
    pub(crate) socket: Result<u32, io::ErrorKind>,
    /// Whether a process holds the directory; `None` when that cannot be told.
    pub(crate) holder: Option<Holder>,
    /// Whether a daemon's socket is where a service would have it, and it is not the one asked for.
    pub(crate) service_socket: bool,
    /// Whether the machine has a systemd unit for mainstay.
    pub(crate) has_unit: bool,
    /// Our effective user id.
    pub(crate) we: u32,
}

impl Scene {
    /// Looks at the disk.
    pub(crate) fn look(data_dir: &Path) -> Self {
        let owner = |path: &Path| {
            fs::metadata(path)
                .map(|about| about.uid())
                .map_err(|error| error.kind())
        };
        let service = Path::new(SERVICE_DATA_DIR);
        Self {
            data_dir: data_dir.to_path_buf(),
            directory: owner(data_dir),
            socket: owner(&data_dir::socket_path(data_dir)),
            holder: data_dir::holder(data_dir).ok(),
            service_socket: data_dir != service
                && fs::metadata(data_dir::socket_path(service)).is_ok(),
            has_unit: unit_file().is_some(),
            we: rustix::process::geteuid().as_raw(),
        }
    }
}

/// The installed systemd unit of mainstay, if there is one.
pub(crate) fn unit_file() -> Option<PathBuf> {
    [
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ]
    .into_iter()
    .map(|directory| Path::new(directory).join("mainstay.service"))
    .find(|path| fs::metadata(path).is_ok())
}

/// The failure to print: which reason it is, and the next step.
pub(crate) fn diagnose(trouble: &Trouble, scene: &Scene) -> Failure {
    let message = reason(trouble, scene);
    let mut failure = Failure::new(
        Exit::Unreachable,
        format!("the daemon cannot be reached: {message}"),
    );
    failure.next = next_steps(trouble, scene);
    failure
}

fn reason(trouble: &Trouble, scene: &Scene) -> String {
    let data_dir = scene.data_dir.display();
    let socket = data_dir::socket_path(&scene.data_dir);
    match trouble {
        Trouble::Silent(limit) => match scene.holder {
            Some(Holder::Process(Some(pid))) => {
                format!(
                    "it runs (process {pid}) and did not answer within {}",
                    span::words(*limit)
                )
            }
            _ => format!(
                "{} is open and nothing answered within {}",
                socket.display(),
                span::words(*limit)
            ),
        },
        Trouble::Broken(how) => format!("it broke off before its answer was complete ({how})"),
        Trouble::Connect(error) => match (error.kind(), scene.directory, scene.holder) {
            (_, Err(io::ErrorKind::NotFound), _) => {
                format!("there is no data directory {data_dir}")
            }
            (io::ErrorKind::InvalidInput, ..) if socket.as_os_str().len() > SOCKET_PATH_LIMIT => {
                format!("the path of its socket is too long: {data_dir}")
            }
            (io::ErrorKind::PermissionDenied, owner, _) => match owner.or(scene.socket) {
                Ok(owner) if owner != scene.we => {
                    format!(
                        "{data_dir} belongs to user {owner}, this is user {}",
                        scene.we
                    )
                }
                _ => format!(
                    "{} may not be opened by user {}",
                    socket.display(),
                    scene.we
                ),
            },
            (io::ErrorKind::NotFound, _, Some(Holder::Process(pid))) => match pid {
                Some(pid) => format!("process {pid} is starting or stopping on {data_dir}"),
                None => format!("a daemon is starting or stopping on {data_dir}"),
            },
            (io::ErrorKind::NotFound, ..) => {
                format!("no daemon runs on {data_dir} (no socket there)")
            }
            (io::ErrorKind::ConnectionRefused, _, Some(Holder::Process(Some(pid)))) => {
                format!(
                    "process {pid} holds {data_dir} and does not listen: it is starting, stopping or stuck"
                )
            }
            (io::ErrorKind::ConnectionRefused, ..) => {
                format!(
                    "no daemon runs on {data_dir} (its socket is left over from one that ended)"
                )
            }
            (io::ErrorKind::WouldBlock, ..) => "it runs and takes no more connections".to_owned(),
            _ => format!("{}: {error}", socket.display()),
        },
    }
}

fn next_steps(trouble: &Trouble, scene: &Scene) -> Vec<String> {
    let mut steps = Vec::new();
    let is_held = matches!(scene.holder, Some(Holder::Process(_)));
    match trouble {
        Trouble::Connect(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            steps
                .push("run the command as the user that the daemon runs as, or as root".to_owned());
            return steps;
        }
        Trouble::Connect(error) if error.kind() == io::ErrorKind::InvalidInput => {
            steps.push("name a shorter directory with --data-dir".to_owned());
            return steps;
        }
        Trouble::Connect(error) if error.kind() != io::ErrorKind::WouldBlock && !is_held => {
            if scene.service_socket {
                steps.push(format!(
                    "--data-dir {SERVICE_DATA_DIR} reaches the daemon that runs as a service"
                ));
            } else if scene.has_unit {
                steps.push("systemctl start mainstay".to_owned());
            }
            steps.push("mainstay up starts a daemon".to_owned());
            steps.push(
                "--data-dir DIR (or MAINSTAY_DATA_DIR) names another daemon's directory".to_owned(),
            );
        }
        Trouble::Connect(_) => steps.push("try again in a moment".to_owned()),
        Trouble::Silent(_) | Trouble::Broken(_) => {
            steps.push(
                "try again; its log (stderr, or journalctl -u mainstay) tells what it does"
                    .to_owned(),
            );
        }
    }
    if is_held || matches!(trouble, Trouble::Silent(_)) {
        steps.push("mainstay doctor checks what can be checked without it".to_owned());
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> Scene {
        Scene {
            data_dir: PathBuf::from("/d"),
            directory: Ok(1000),
            socket: Err(io::ErrorKind::NotFound),
            holder: Some(Holder::Nobody),
            service_socket: false,
            has_unit: false,
            we: 1000,
        }
    }

    fn told(trouble: &Trouble, scene: &Scene) -> String {
        let failure = diagnose(trouble, scene);
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(!failure.next.is_empty());
        failure.render(&super::super::screen::Style::PLAIN)
    }

    fn connect(kind: io::ErrorKind) -> Trouble {
        Trouble::Connect(kind.into())
    }

    #[test]
    fn each_reason_is_told_apart() {
        use io::ErrorKind::{
            ConnectionRefused, InvalidInput, NotFound, PermissionDenied, WouldBlock,
        };
        let with = |change: fn(&mut Scene)| {
            let mut scene = scene();
            change(&mut scene);
            scene
        };
        let plain = scene();
        let missing = with(|scene| scene.directory = Err(NotFound));
        let held = with(|scene| scene.holder = Some(Holder::Process(Some(7))));
        let foreign = with(|scene| scene.directory = Ok(0));
        let service = with(|scene| (scene.service_socket, scene.has_unit) = (true, true));
        let unit = with(|scene| scene.has_unit = true);
        let long = with(|scene| scene.data_dir = PathBuf::from(format!("/{}", "x".repeat(120))));
        let silent = || Trouble::Silent(Duration::from_secs(15));
        let all = [
            ("no data dir", connect(NotFound), &missing),
            ("no socket", connect(NotFound), &plain),
            ("no socket, a unit", connect(NotFound), &unit),
            (
                "no socket, a service elsewhere",
                connect(NotFound),
                &service,
            ),
            ("starting", connect(NotFound), &held),
            ("stale socket", connect(ConnectionRefused), &plain),
            ("stuck", connect(ConnectionRefused), &held),
            ("foreign", connect(PermissionDenied), &foreign),
            ("closed socket", connect(PermissionDenied), &plain),
            ("queue full", connect(WouldBlock), &held),
            ("path too long", connect(InvalidInput), &long),
            ("silent, held", silent(), &held),
            ("silent", silent(), &plain),
            (
                "broken",
                Trouble::Broken("connection reset".to_owned()),
                &held,
            ),
        ];
        let text: Vec<_> = all
            .iter()
            .map(|(name, trouble, scene)| format!("# {name}\n{}", told(trouble, scene)))
            .collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn what_is_on_disk_is_seen() {
        let place = tempfile::tempdir().unwrap();
        let scene = Scene::look(place.path());
        assert_eq!(scene.directory, Ok(rustix::process::geteuid().as_raw()));
        assert_eq!(scene.socket, Err(io::ErrorKind::NotFound));
        assert_eq!(scene.holder, Some(Holder::Nobody));
    }
}
