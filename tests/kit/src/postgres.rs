//! A PostgreSQL server of our own, from the binaries that the machine has.
//!
//! Why not a running one: tests stop it, freeze it and fill it. It listens on a Unix socket in its own directory only,
//! so that no port is taken, and runs as an unprivileged user, because the server refuses root.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{Gid, Uid, chown};
use rustix::process::{Signal, geteuid};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::command::{own_env, wait_for_end};
use crate::database::say_skipped;
use crate::process::send;
use crate::{Home, Output, PATIENCE, children_of};

const USER: &str = "mainstay";

/// A server, ended and removed when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    home: Home,
    binaries: PathBuf,
    owner: Option<Owner>,
    port: Option<u16>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    log: Output,
}

/// The unprivileged user that the server runs as when the tests run as root.
#[derive(Clone, Copy, Debug)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Makes a cluster and starts its server, reached by its socket only. `None`, said on stderr, when no server
    /// binaries are installed.
    ///
    /// # Panics
    ///
    /// When they are, but do not work.
    pub async fn start() -> Option<Self> {
        Self::start_on(None).await
    }

    /// The same, listening on a free port of the loopback interface as well.
    ///
    /// # Panics
    ///
    /// When the binaries do not work.
    pub async fn start_with_tcp() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port");
        Self::start_on(Some(port.port())).await
    }

    async fn start_on(port: Option<u16>) -> Option<Self> {
        let Some(binaries) = find_binaries() else {
            say_skipped(
                "no PostgreSQL server binaries on this machine (`apt-get install postgresql` brings them)",
            );
            return None;
        };
        let server = Self {
            home: Home::new(),
            binaries,
            owner: unprivileged_owner(),
            port,
            running: Mutex::new(None),
        };
        server.make_cluster().await;
        server.start_again().await;
        Some(server)
    }

    /// The URL of one of its databases, by the socket.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres:///{database}?host={}&user={USER}",
            self.home.root().display()
        )
    }

    /// The URL of one of its databases by TCP, where it was started with that.
    #[must_use]
    pub fn tcp_url(&self, database: &str) -> Option<String> {
        self.port
            .map(|port| format!("postgres://{USER}@127.0.0.1:{port}/{database}"))
    }

    /// Creates an empty database and gives its URL.
    ///
    /// # Panics
    ///
    /// When the server does not do it.
    pub async fn create_database(&self, name: &str) -> String {
        let mut connection = self.connect().await.expect("the server answers");
        let create = AssertSqlSafe(format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"
        ));
        sqlx::query(create)
            .execute(&mut connection)
            .await
            .expect("a database can be created");
        drop(connection.close().await);
        self.url(name)
    }

    /// Ends the server at once, its connections with it, as a crash of its machine looks to a client.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn stop(&self) {
        let Some(mut running) = self.running().take() else {
            return;
        };
        let pid = i32::try_from(running.child.id()).expect("process ids fit");
        send(pid, Signal::CONT);
        for (what, limit) in [
            (Signal::INT, PATIENCE),
            (Signal::QUIT, PATIENCE),
            (Signal::KILL, PATIENCE),
        ] {
            send(pid, what);
            if wait_for_end(pid, limit) {
                break;
            }
        }
        running.child.wait().expect("the server is our child");
    }

    /// Starts a stopped server on the same data and waits until it answers.
    ///
    /// # Panics
    ///
    /// With its log, when it does not answer within 30 s.
    pub async fn start_again(&self) {
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.cluster())
            .args(["-k".as_ref(), self.home.root().as_os_str()])
            .args([
                "-c",
                "fsync=off",
                "-c",
                "max_connections=200",
                "-c",
                "shared_buffers=16MB",
            ]);
        match self.port {
            Some(port) => command.args(["-h", "127.0.0.1", "-c", &format!("port={port}")]),
            None => command.args(["-h", ""]),
        };
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server binary starts");
        let log = Output::capture(child.stderr.take().expect("stderr is piped"));
        *self.running() = Some(Running {
            child,
            log: log.clone(),
        });
        crate::eventually(PATIENCE, async || {
            match self.connect().await {
                Ok(connection) => connection.close().await,
                Err(error) => Err(error),
            }
            .map_err(|error| format!("the server answers ({error}); its log:\n{}", log.text()))
        })
        .await;
    }

    /// Freezes the server and all its connections: it takes requests and answers none, as a hung machine does.
    pub fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Its log, for messages.
    #[must_use]
    pub fn log(&self) -> String {
        let running = self.running();
        running
            .as_ref()
            .map(|running| running.log.text())
            .unwrap_or_default()
    }

    fn signal_all(&self, what: Signal) {
        let Some(pid) = self.running().as_ref().map(|running| running.child.id()) else {
            return;
        };
        let pid = i32::try_from(pid).expect("process ids fit");
        send(pid, what);
        for child in children_of(pid) {
            child.signal(what);
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let url = self.url("postgres");
        let connecting = PgConnection::connect(&url);
        match tokio::time::timeout(Duration::from_secs(5), connecting).await {
            Ok(connection) => connection,
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    async fn make_cluster(&self) {
        let root = self.home.root();
        if let Some(owner) = self.owner {
            let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
            chown(root, Some(uid), Some(gid)).expect("root may give a directory away");
        }
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o755))
            .expect("our own directory");
        let mut command = tokio::process::Command::from(self.command("initdb"));
        command
            .arg("-D")
            .arg(self.cluster())
            .args([
                "-U",
                USER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ])
            .kill_on_drop(true);
        let output = crate::within(PATIENCE, "initdb ends", command.output()).await;
        let output = output.expect("initdb starts");
        assert!(
            output.status.success(),
            "initdb: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn command(&self, binary: &str) -> Command {
        let binary = self.binaries.join(binary);
        let mut command = match self.owner {
            Some(owner) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={}", owner.uid))
                    .arg(format!("--regid={}", owner.gid))
                    .arg("--clear-groups")
                    .arg(binary);
                command
            }
            None => Command::new(binary),
        };
        command
            .env_clear()
            .env("PATH", own_env("PATH").unwrap_or_default())
            .env("HOME", self.home.root())
            .env("LANG", "C.UTF-8")
            .current_dir(self.home.root())
            .stdin(Stdio::null());
        command
    }

    fn cluster(&self) -> PathBuf {
        self.home.root().join("pg")
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The directory that holds `postgres` and `initdb`: on the `PATH`, or where Debian keeps the newest.
fn find_binaries() -> Option<PathBuf> {
    let complete = |dir: &PathBuf| {
        ["postgres", "initdb"]
            .iter()
            .all(|name| dir.join(name).is_file())
    };
    let path = own_env("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort_by_key(|dir| std::cmp::Reverse(version_of(dir)));
    debian
        .into_iter()
        .chain(std::env::split_paths(&path))
        .find(complete)
}

fn version_of(dir: &Path) -> u32 {
    let version = dir
        .parent()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    version
        .and_then(|version| version.parse().ok())
        .unwrap_or_default()
}

/// `postgres` or else `nobody` from the list of users, when this process is root.
fn unprivileged_owner() -> Option<Owner> {
    if !geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("the list of users can be read");
    let find = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (user, _, uid, gid) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            (user == name).then_some(())?;
            Some(Owner {
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
            })
        })
    };
    Some(
        find("postgres")
            .or_else(|| find("nobody"))
            .expect("an unprivileged user"),
    )
}
