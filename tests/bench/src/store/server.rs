//! A PostgreSQL server that syncs its commits, from the installed binaries.
//!
//! Why not the harness's: that one runs with `fsync = off`, as tests want it, and then there is nothing to measure here.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kit::{Home, Signal};
use rustix::process::{Pid, geteuid, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(30);
const DEBIAN: &str = "/usr/lib/postgresql";

/// A running server; dropping it ends it at once and removes its files.
pub(crate) struct Server {
    home: Home,
    next: AtomicU32,
    child: Child,
}

impl Server {
    /// Makes a cluster and starts its server, reached by a Unix socket only; `None` where none is installed.
    ///
    /// # Errors
    ///
    /// When the binaries are there, but do not work.
    pub(crate) async fn start() -> Result<Option<Self>> {
        let Some(programs) = programs() else {
            return Ok(None);
        };
        let home = Home::new();
        let owner = if geteuid().is_root() {
            Some(owner()?)
        } else {
            None
        };
        if let Some((uid, gid)) = owner {
            chown(home.root(), Some(uid), Some(gid))?;
        }
        std::fs::set_permissions(home.root(), std::fs::Permissions::from_mode(0o755))?;
        let cluster = home.root().join("pg");
        let made = command(&programs.join("initdb"), &home, owner)
            .arg("-D")
            .arg(&cluster)
            .args([
                "-U",
                "mainstay",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ])
            .output()
            .await?;
        anyhow::ensure!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let child = command(&programs.join("postgres"), &home, owner)
            .arg("-D")
            .arg(&cluster)
            .arg("-k")
            .arg(home.root())
            .args([
                "-h",
                "",
                "-c",
                "fsync=on",
                "-c",
                "synchronous_commit=on",
                "-c",
                "max_connections=100",
            ])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(home.root().join("log"))?)
            .spawn()?;
        let server = Self {
            home,
            next: AtomicU32::new(0),
            child,
        };
        server.answers().await?;
        Ok(Some(server))
    }

    /// Makes an empty database and gives its URL.
    ///
    /// # Errors
    ///
    /// When the server does not do it.
    pub(crate) async fn fresh_database(&self) -> Result<String> {
        let name = format!("bench_{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(self.url(&name))
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgres://mainstay@localhost/{database}?host={}",
            self.home.root().display()
        )
    }

    async fn answers(&self) -> Result<()> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match PgConnection::connect(&self.url("postgres")).await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(_) if Instant::now() < give_up => sleep(Duration::from_millis(20)).await,
                Err(error) => {
                    let log = std::fs::read_to_string(self.home.root().join("log"));
                    bail!(
                        "the server does not answer: {error}; its log:\n{}",
                        log.unwrap_or_default()
                    );
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self
            .child
            .id()
            .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let Some(pid) = pid else { return };
        // "Immediate": nothing of the cluster is kept. What does not end so is killed with the handle.
        if kill_process(pid, Signal::QUIT).is_ok() {
            let give_up = Instant::now() + PATIENCE;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < give_up {
                std::thread::yield_now();
            }
        }
    }
}

/// A program in a bare environment, as that user, ended with its handle.
#[expect(
    clippy::disallowed_methods,
    reason = "the path is what finds the server's own programs"
)]
fn command(program: &Path, home: &Home, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.root())
        .env("LANG", "C.UTF-8")
        .current_dir(home.root())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command
}

/// Where `postgres` and `initdb` are: where Debian keeps the newest, or else on the path.
#[expect(clippy::disallowed_methods, reason = "the path is where programs are")]
fn programs() -> Option<PathBuf> {
    let version = |dir: &PathBuf| -> u32 {
        let name = dir
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str());
        name.and_then(|name| name.parse().ok()).unwrap_or_default()
    };
    let installed = std::fs::read_dir(DEBIAN).into_iter().flatten();
    let mut debian: Vec<PathBuf> = installed
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort_by_key(|dir| std::cmp::Reverse(version(dir)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_complete = |dir: &PathBuf| {
        ["postgres", "initdb"]
            .iter()
            .all(|name| dir.join(name).is_file())
    };
    debian
        .into_iter()
        .chain(std::env::split_paths(&path))
        .find(is_complete)
}

/// The server refuses to run as root: `postgres`, or else `nobody`.
fn owner() -> Result<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").context("no list of users")?;
    let find = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres")
        .or_else(|| find("nobody"))
        .context("no unprivileged user")
}
