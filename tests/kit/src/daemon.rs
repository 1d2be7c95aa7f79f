//! One daemon process of a test: built from options, started to its ready line, ended with proof.
//!
//! Why the ending is the longest part: "no process left behind" is a promise of the product, so every test that starts
//! a daemon checks it, whatever else it is about.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::OnceCell;

use crate::command::{code_of, run_cli, wait_for_end};
use crate::process::{Process, descendants_of, send};
use crate::{Builder, Client, Ended, Home, Output, PATIENCE, Refused, SharedDatabase, Terminal};

/// How long the kernel may take to tear down what a daemon has just ended.
const TEARDOWN: Duration = Duration::from_secs(2);

/// A running daemon. Dropping it ends it as [`Daemon::stop`] does.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    status: Option<ExitStatus>,
    scheme: &'static str,
    address: SocketAddr,
    binary: PathBuf,
    home: Home,
    stdout: Output,
    stderr: Output,
    token: OnceCell<String>,
    database: Option<SharedDatabase>,
    /// Somebody has looked at how it ended, so that `Drop` has nothing to prove any more.
    settled: bool,
}

impl Daemon {
    /// The options of a new daemon: a fresh home, a free port of the loopback interface, embedded defaults.
    pub fn builder(binary: impl Into<PathBuf>) -> Builder {
        Builder::new(binary.into())
    }

    pub(crate) fn spawned(
        child: Child,
        (stdout, stderr): (Output, Output),
        binary: PathBuf,
        home: Home,
        database: Option<SharedDatabase>,
    ) -> Self {
        Self {
            child,
            status: None,
            scheme: "http",
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            binary,
            home,
            stdout,
            stderr,
            token: OnceCell::new(),
            database,
            settled: false,
        }
    }

    pub(crate) fn is_ready_on(&mut self, scheme: &'static str, address: SocketAddr) {
        self.scheme = scheme;
        self.address = address;
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// Never on Linux, where process ids are below 2^22.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids fit")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDR:PORT`, or `https://` where it speaks TLS itself.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Its directories.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.home.data_dir().join("mainstay.sock")
    }

    /// Its data directory as it sees it, also where that is a file system of its own.
    #[must_use]
    pub fn data_dir_inside(&self) -> PathBuf {
        let data = self.home.data_dir();
        let below_root = data.strip_prefix("/").unwrap_or(&data);
        Path::new("/proc")
            .join(self.pid().to_string())
            .join("root")
            .join(below_root)
    }

    /// What it has written to stdout.
    #[must_use]
    pub fn stdout(&self) -> &Output {
        &self.stdout
    }

    /// What it has written to stderr: its log.
    #[must_use]
    pub fn stderr(&self) -> &Output {
        &self.stderr
    }

    /// A client over TCP that shows no token.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::tcp(self.address, "anonymous")
    }

    /// A client over TCP with this token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Client {
        self.anonymous().token(token)
    }

    /// The operator on this machine: a client over the Unix socket.
    #[must_use]
    pub fn local(&self) -> Client {
        Client::unix(&self.socket())
    }

    /// The same through the daemon's own view of its data directory: see [`Daemon::data_dir_inside`].
    #[must_use]
    pub fn local_inside(&self) -> Client {
        Client::unix(&self.data_dir_inside().join("mainstay.sock"))
    }

    /// A client over TCP with a token of the operator, made once per daemon through the command line.
    pub async fn operator(&self) -> Client {
        let token = self.operator_token().await;
        self.anonymous().token(&token)
    }

    /// The token behind [`Daemon::operator`].
    ///
    /// # Panics
    ///
    /// When `token create` fails, or prints anything but a token.
    pub async fn operator_token(&self) -> String {
        self.token
            .get_or_init(|| self.new_token("operator"))
            .await
            .clone()
    }

    /// A new token of the operator from `token create --name NAME`.
    ///
    /// # Panics
    ///
    /// When the command fails, or prints anything but a token.
    pub async fn new_token(&self, name: &str) -> String {
        let ended = self
            .cli(&["token", "create", "--name", name])
            .await
            .expect(0);
        let token = ended.stdout.trim_end_matches('\n').to_owned();
        assert!(
            token.starts_with("mst_") && !token.contains(char::is_whitespace),
            "the token alone on stdout, not {:?}",
            ended.stdout
        );
        token
    }

    /// Attaches to a terminal as the operator.
    ///
    /// # Panics
    ///
    /// When the daemon refuses.
    pub async fn attach(&self, terminal: &str, since: Option<u64>) -> Terminal {
        let token = self.operator_token().await;
        match self.try_attach(terminal, since, Some(&token), None).await {
            Ok(attached) => attached,
            Err(refused) => panic!("attach to {terminal}: {refused:?}"),
        }
    }

    /// Tries to attach to a terminal with a token, from an `Origin`, or without either.
    ///
    /// # Errors
    ///
    /// What the daemon answered instead of switching to the WebSocket protocol.
    pub async fn try_attach(
        &self,
        terminal: &str,
        since: Option<u64>,
        token: Option<&str>,
        origin: Option<&str>,
    ) -> Result<Terminal, Refused> {
        let token = token.map(|token| ("authorization", format!("Bearer {token}")));
        let origin = origin.map(|origin| ("origin", origin.to_owned()));
        let headers: Vec<_> = token.into_iter().chain(origin).collect();
        Terminal::attach(self.address, terminal, since, &headers).await
    }

    /// Tries to attach to a terminal with these headers and no others but those of the handshake.
    ///
    /// # Errors
    ///
    /// What the daemon answered instead of switching to the WebSocket protocol.
    pub async fn try_attach_with(
        &self,
        terminal: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Terminal, Refused> {
        Terminal::attach(self.address, terminal, None, headers).await
    }

    /// Runs the binary's command line against this daemon, which it finds by `$MAINSTAY_DATA_DIR`.
    ///
    /// # Panics
    ///
    /// When the command does not end within 30 s.
    pub async fn cli(&self, args: &[&str]) -> Ended {
        run_cli(&self.binary, &self.home, args, &[]).await
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// When `limit` has passed before.
    pub async fn exited(&mut self, limit: Duration) -> ExitStatus {
        let pid = self.pid();
        drop(tokio::task::spawn_blocking(move || wait_for_end(pid, limit)).await);
        match self.reap() {
            Some(status) => status,
            None => panic!("the daemon has not ended within {limit:?}"),
        }
    }

    /// SIGTERM, then the whole proof: exit 0, nothing on stdout but the ready line, no process left.
    ///
    /// # Panics
    ///
    /// When one of them does not hold.
    pub async fn stop(mut self) -> Ended {
        let family = descendants_of(self.pid());
        self.signal(Signal::TERM);
        let status = self.exited(PATIENCE).await;
        self.prove_clean_end(status, &family);
        self.ended(status)
    }

    /// Waits for the end of a daemon that the test has asked to stop in its own way, with the same proof.
    ///
    /// # Panics
    ///
    /// When it does not end within `limit`, or not cleanly.
    pub async fn stopped(mut self, limit: Duration) -> Ended {
        let family = descendants_of(self.pid());
        let status = self.exited(limit).await;
        self.prove_clean_end(status, &family);
        self.ended(status)
    }

    /// SIGKILL: what a crash of the machine's kind leaves is in the home, for a next start.
    pub async fn kill9(mut self) -> Home {
        self.signal(Signal::KILL);
        self.exited(PATIENCE).await;
        self.settled = true;
        self.home.clone()
    }

    /// How it ended, when the test has no claim on it (see [`Builder::run_to_exit`], [`Daemon::exited`]).
    #[must_use]
    pub fn ended(mut self, status: ExitStatus) -> Ended {
        self.settled = true;
        self.stdout.settle(TEARDOWN);
        self.stderr.settle(TEARDOWN);
        Ended {
            code: code_of(status),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            home: self.home.clone(),
        }
    }

    pub(crate) fn ready_line(&self) -> Option<String> {
        let text = self.stdout.text();
        text.split_once('\n').map(|(line, _)| line.to_owned())
    }

    /// The ready line of a daemon that has ended already, if it had come that far.
    pub(crate) fn last_words(&self) -> Option<String> {
        self.stdout.settle(TEARDOWN);
        self.ready_line()
    }

    fn reap(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("the daemon is our child");
        }
        self.status
    }

    fn prove_clean_end(&mut self, status: ExitStatus, family: &[Process]) {
        self.stdout.settle(TEARDOWN);
        self.stderr.settle(TEARDOWN);
        let left = self.end_what_is_left(family);
        assert_eq!(code_of(status), 0, "exit code of the daemon");
        let ready_lines = usize::from(self.address.port() != 0);
        let stdout = self.stdout.text();
        assert!(
            stdout.lines().count() <= 1 && stdout.lines().count() >= ready_lines,
            "stdout has the ready line alone:\n{stdout}"
        );
        assert!(left.is_empty(), "processes left behind: {left:#?}");
    }

    /// Those of the daemon's processes that outlived it, after they have been ended here.
    fn end_what_is_left(&self, family: &[Process]) -> Vec<Process> {
        let left = || {
            let mut left = self.home.processes();
            for process in family {
                if process.is_alive() && !left.iter().any(|known| known.pid == process.pid) {
                    left.push(process.clone());
                }
            }
            left
        };
        // What is being torn down by the kernel at this moment gets its time; what runs on is reported.
        for process in left() {
            wait_for_end(process.pid, TEARDOWN);
        }
        let left = left();
        for process in &left {
            process.signal(Signal::KILL);
        }
        left
    }

    fn end_by_force(&mut self) -> Option<ExitStatus> {
        for (signal, limit) in [(Signal::TERM, PATIENCE), (Signal::KILL, PATIENCE)] {
            self.signal(signal);
            wait_for_end(self.pid(), limit);
            if let Some(status) = self.reap() {
                return Some(status);
            }
        }
        None
    }

    #[expect(
        clippy::print_stderr,
        reason = "shown by the test runner under the failing test"
    )]
    fn print_output(&self) {
        eprintln!("--- stdout of the daemon\n{}", self.stdout.text());
        eprintln!("--- stderr of the daemon\n{}", self.stderr.text());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let failing = std::thread::panicking();
        if failing {
            self.print_output();
        }
        if !self.settled {
            self.settled = true;
            let family = descendants_of(self.pid());
            let running = self.reap().is_none();
            let status = self.end_by_force();
            if failing {
                self.end_what_is_left(&family);
            } else {
                assert!(running, "the daemon had ended before the test: {status:?}");
                let status = status.expect("SIGKILL ends a process");
                self.prove_clean_end(status, &family);
            }
        }
        // The server of its database may go only now.
        self.database = None;
    }
}
