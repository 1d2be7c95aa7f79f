//! The options of a daemon, and its start to the ready line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::command::{base_command, mounting_command};
use crate::process::Process;
use crate::{Daemon, Ended, Home, Output, PATIENCE, SharedDatabase};

/// The options of a daemon that is about to start.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    binary: PathBuf,
    home: Home,
    config: Option<String>,
    listen: Option<String>,
    env: Vec<(String, String)>,
    args: Vec<String>,
    database: Option<SharedDatabase>,
    mount: Option<String>,
    ready_within: Duration,
}

impl Builder {
    pub(crate) fn new(binary: PathBuf) -> Self {
        Self {
            binary,
            home: Home::new(),
            config: None,
            listen: Some("127.0.0.1:0".into()),
            env: Vec::new(),
            args: Vec::new(),
            database: None,
            mount: None,
            ready_within: PATIENCE,
        }
    }

    /// Uses the directories of an earlier daemon.
    pub fn home(mut self, home: &Home) -> Self {
        self.home = home.clone();
        self
    }

    /// The text of its configuration file; without it there is none.
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = Some(text.into());
        self
    }

    /// Another `--listen` than a free port of the loopback interface.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Gives no `--listen` at all: the configuration or the default decides.
    pub fn listen_by_configuration(mut self) -> Self {
        self.listen = None;
        self
    }

    /// One more environment variable. Nothing but `PATH`, `LANG`, `HOME` and `TMPDIR` is there otherwise.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// One more argument after `up`.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.args.push(argument.into());
        self
    }

    /// Stores in `database` instead of the embedded default, and keeps its server up as long as the daemon.
    pub fn database(mut self, database: &SharedDatabase) -> Self {
        if let Some(url) = database.url() {
            self.env
                .push(("MAINSTAY_STORE__URL".into(), url.to_owned()));
        }
        self.database = Some(database.clone());
        self
    }

    /// Stores at this URL.
    pub fn store_url(self, url: impl Into<String>) -> Self {
        self.env("MAINSTAY_STORE__URL", url)
    }

    /// Turns the fault drills on, and the limits of rates off: what a drill does is watched by clients that ask without a pause.
    pub fn drills(self) -> Self {
        self.env("MAINSTAY_DRILLS__ENABLED", "true")
            .env("MAINSTAY_LIMITS__ENABLED", "false")
    }

    /// Puts a file system of its own under the data directory, in memory, with these mount options such as `size=2m` or
    /// `ro`: for what a disk does wrong. Only the daemon sees it; [`Daemon::data_dir_inside`] leads there. Ask
    /// [`can_mount`](crate::can_mount) first.
    pub fn mount(mut self, options: impl Into<String>) -> Self {
        self.mount = Some(options.into());
        self
    }

    /// The deadline of the ready line.
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    /// Starts it and waits for its ready line.
    ///
    /// # Panics
    ///
    /// With its output, when it ends before it is ready, prints something else first, or takes too long.
    pub async fn start(self) -> Daemon {
        let ready_within = self.ready_within;
        let mut daemon = self.spawn();
        let ready = crate::eventually(ready_within, async || match daemon.ready_line() {
            Some(line) => Ok(Some(line)),
            None if Process::find(daemon.pid()).is_none() => Ok(daemon.last_words()),
            None => Err(format!(
                "no ready line; stderr so far:\n{}",
                daemon.stderr().text()
            )),
        })
        .await;
        let line = ready.unwrap_or_else(|| panic!("the daemon ended before it was ready"));
        let (scheme, address) = parse_ready_line(&line);
        daemon.is_ready_on(scheme, address);
        daemon
    }

    /// Starts it without waiting for anything: for what happens before the ready line.
    ///
    /// # Panics
    ///
    /// When the binary cannot be started at all.
    #[must_use]
    pub fn spawn(self) -> Daemon {
        let mut command = match &self.mount {
            Some(options) => mounting_command(&self.binary, &self.home, options),
            None => base_command(&self.binary, &self.home),
        };
        command
            .arg("up")
            .arg("--data-dir")
            .arg(self.home.data_dir());
        if let Some(listen) = &self.listen {
            command.args(["--listen", listen]);
        }
        if let Some(text) = &self.config {
            command
                .arg("--config")
                .arg(self.home.write("mainstay.toml", text));
        }
        let has_limits = self
            .config
            .as_deref()
            .is_some_and(|text| text.contains("[limits"));
        if !has_limits {
            // A test signs in more often than people do, all from one address; those of the limits set their own.
            command.env("MAINSTAY_LIMITS__ANONYMOUS_AUTH_PER_MINUTE", "100000");
        }
        command.args(&self.args).envs(self.env.iter().cloned());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.binary.display()));
        let stdout = Output::capture(child.stdout.take().expect("stdout is piped"));
        let stderr = Output::capture(child.stderr.take().expect("stderr is piped"));
        Daemon::spawned(
            child,
            (stdout, stderr),
            self.binary,
            self.home,
            self.database,
        )
    }

    /// Starts it, expects it to end by itself within 30 s, and tells how it did: for what must not start.
    ///
    /// # Panics
    ///
    /// When it is still running after that time.
    pub async fn run_to_exit(self) -> Ended {
        let mut daemon = self.spawn();
        let status = daemon.exited(PATIENCE).await;
        daemon.ended(status)
    }
}

/// The scheme of the URL and the address in it.
fn parse_ready_line(line: &str) -> (&'static str, SocketAddr) {
    let url = line
        .strip_prefix("mainstay ready on ")
        .and_then(|rest| rest.split_once(" in "))
        .and_then(|(url, rest)| Some((url, rest.strip_suffix(" ms")?)))
        .filter(|(_, duration)| duration.parse::<u64>().is_ok())
        .map(|(url, _)| url);
    let parsed = url.and_then(|url| {
        let mut schemes = ["http", "https"].into_iter();
        schemes.find_map(|scheme| {
            let address = url.strip_prefix(scheme)?.strip_prefix("://")?;
            Some((scheme, address.parse().ok()?))
        })
    });
    parsed.unwrap_or_else(|| panic!("not a ready line: {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_the_address() {
        for scheme in ["http", "https"] {
            let line = format!("mainstay ready on {scheme}://127.0.0.1:4110 in 12 ms");
            let address = SocketAddr::from(([127, 0, 0, 1], 4110));
            assert_eq!(parse_ready_line(&line), (scheme, address));
        }
    }

    #[test]
    #[should_panic(expected = "not a ready line")]
    fn another_line_is_refused() {
        parse_ready_line("mainstay ready on http://127.0.0.1 in 12 ms");
    }
}
