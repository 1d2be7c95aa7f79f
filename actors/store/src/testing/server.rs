//! A PostgreSQL server for the time of a test process.
//!
//! It listens on a Unix socket in a folder of its own and nowhere else. A small shell stands between it and the tests and
//! reads commands from a pipe: when the test process ends, however it ends, the pipe closes, and the shell ends the server
//! and deletes the folder. As root the server runs as another user, since it refuses to run as root.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ground::{Id, Secret};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tokio::time::{Instant, sleep};

/// How long the server may take to answer.
const START_LIMIT: Duration = Duration::from_mins(1);

/// The shell between: `start`, `stop` and `crash` are answered with a line; the end of the input ends all.
const SHELL: &str = r#"
base=$1; shift
pid=
while read -r command; do
    case $command in
        start) "$@" >>"$base/log" 2>&1 & pid=$! ;;
        stop) kill -INT "$pid"; wait "$pid"; pid= ;;
        crash) kill -QUIT "$pid"; wait "$pid"; pid= ;;
    esac
    echo done
done
if [ -n "$pid" ]; then kill -INT "$pid"; wait "$pid"; fi
rm -rf "$base"
"#;

/// A server that is running, or was stopped and can be started again.
#[derive(Debug)]
pub struct Server {
    base: PathBuf,
    shell: Mutex<Shell>,
}

#[derive(Debug)]
struct Shell {
    // Ends by itself when `commands` is closed.
    _child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    /// Makes a cluster and starts its server.
    ///
    /// # Errors
    /// Why it cannot be done here, for people.
    pub async fn start() -> Result<Self, String> {
        let programs = programs()
            .ok_or("no PostgreSQL server is installed (Debian: apt-get install postgresql)")?;
        let user = if rustix::process::geteuid().is_root() {
            Some(ordinary_user()?)
        } else {
            None
        };
        let base =
            std::env::temp_dir().join(format!("mst-pg-{}", Id::generate().as_uuid().simple()));
        make_folder(&base, user).map_err(|error| format!("{}: {error}", base.display()))?;
        let data = base.join("data");
        let initdb = command(&programs.join("initdb"), user)
            .arg("--pgdata")
            .arg(&data)
            .args([
                "--username=mainstay",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ])
            .output()
            .map_err(|error| format!("initdb: {error}"))?;
        if !initdb.status.success() {
            drop(std::fs::remove_dir_all(&base));
            return Err(format!(
                "initdb: {}",
                String::from_utf8_lossy(&initdb.stderr)
            ));
        }
        let shell = Shell::open(&programs.join("postgres"), user, &base, &data)
            .map_err(|error| format!("sh: {error}"))?;
        let server = Self {
            base,
            shell: Mutex::new(shell),
        };
        server.launch().await?;
        Ok(server)
    }

    /// Starts it again after [`Server::stop`], and waits until it answers.
    ///
    /// # Errors
    /// What it wrote into its log.
    pub async fn launch(&self) -> Result<(), String> {
        self.order("start");
        let give_up = Instant::now() + START_LIMIT;
        loop {
            match self.connect().await {
                Ok(connection) => {
                    drop(connection.close().await);
                    return Ok(());
                }
                Err(_) if Instant::now() < give_up => sleep(Duration::from_millis(20)).await,
                Err(error) => {
                    let log = std::fs::read_to_string(self.base.join("log")).unwrap_or_default();
                    return Err(format!("{error}\n{log}"));
                }
            }
        }
    }

    /// Ends it; every connection breaks.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Ends it as if it had crashed.
    pub fn crash(&self) {
        self.order("crash");
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// When the server does not make one.
    pub async fn fresh_database(&self) -> Secret {
        let name = format!("test_{}", Id::generate().as_uuid().simple());
        let mut connection = self.connect().await.expect("the server answers");
        connection
            .execute(sqlx::raw_sql(AssertSqlSafe(format!(
                "CREATE DATABASE {name}"
            ))))
            .await
            .expect("a database");
        drop(connection.close().await);
        self.url(&name)
    }

    /// The URL of the database of that name.
    pub fn url(&self, database: &str) -> Secret {
        format!(
            "postgres://mainstay@localhost/{database}?host={}",
            self.base.display()
        )
        .into()
    }

    /// A plain connection to the database of that URL, past everything that is tested.
    ///
    /// # Panics
    /// When the URL is none of this server's.
    pub fn options(&self, url: &Secret) -> PgConnectOptions {
        url.expose().parse().expect("own URL")
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        self.options(&self.url("postgres")).connect().await
    }

    fn order(&self, word: &str) {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        shell.order(word).expect("the shell answers");
    }
}

impl Shell {
    fn open(
        postgres: &Path,
        user: Option<(u32, u32)>,
        base: &Path,
        data: &Path,
    ) -> std::io::Result<Self> {
        let mut shell = command(Path::new("/bin/sh"), user);
        shell
            .args(["-c", SHELL, "sh"])
            .arg(base)
            .arg(postgres)
            .arg("-D")
            .arg(data)
            .arg("-k")
            .arg(base);
        for setting in [
            "listen_addresses=",
            "fsync=off",
            "shared_buffers=16MB",
            "max_connections=200",
            "max_wal_size=256MB",
        ] {
            shell.args(["-c", setting]);
        }
        // A group of its own: an interrupt at the terminal must not end it before it has cleaned up.
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = shell.spawn()?;
        let missing = || std::io::Error::other("no pipe to the shell");
        let commands = child.stdin.take().ok_or_else(missing)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok(Self {
            _child: child,
            commands,
            answers,
        })
    }

    fn order(&mut self, word: &str) -> std::io::Result<()> {
        writeln!(self.commands, "{word}")?;
        self.answers.read_line(&mut String::new()).map(drop)
    }
}

/// A command of that user, in a folder that the user may be in.
fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").stdin(Stdio::null());
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// The folder of the newest installed server's programs; empty when they are on the path.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, folder)| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .collect();
    folders.sort();
    let on_path = || {
        let runs = |program: &str| {
            Command::new(program)
                .arg("--version")
                .output()
                .is_ok_and(|ended| ended.status.success())
        };
        (runs("initdb") && runs("postgres")).then(PathBuf::new)
    };
    folders.pop().map(|(_, folder)| folder).or_else(on_path)
}

/// User and group of somebody who is not root.
fn ordinary_user() -> Result<(u32, u32), String> {
    let users =
        std::fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
    let find = |wanted: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(wanted))?;
        let mut numbers = line.split(':').skip(2).map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    find("postgres")
        .or_else(|| find("nobody"))
        .ok_or_else(|| "running as root, and there is no other user to run a server as".to_owned())
}

fn make_folder(base: &Path, user: Option<(u32, u32)>) -> std::io::Result<()> {
    std::fs::create_dir(base)?;
    std::fs::set_permissions(base, std::fs::Permissions::from_mode(0o700))?;
    user.map_or(Ok(()), |(uid, gid)| chown(base, Some(uid), Some(gid)))
}
