//! The daemon and its peer by one face.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use kit::{Client, Daemon};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::viewer::{Framing, Viewer};
use crate::options::BARE;

/// The setting that lets as many terminals run as the benches open.
pub(crate) const OPEN_LIMIT: &str = "[ptys]\nmax_terminals = 400\n";
const PATIENCE: Duration = Duration::from_secs(30);

/// One side.
pub(crate) enum Server {
    Mainstay {
        daemon: Box<Daemon>,
        token: String,
    },
    Bare {
        name: String,
        pid: i32,
        address: SocketAddr,
        child: Box<Child>,
    },
}

impl Server {
    /// A daemon with a home of its own.
    ///
    /// # Errors
    ///
    /// None; what does not start panics in the harness.
    pub(crate) async fn mainstay(binary: &Path) -> Result<Self> {
        let daemon = Daemon::builder(binary).config(OPEN_LIMIT).start().await;
        let token = daemon.operator_token().await;
        Ok(Self::Mainstay {
            daemon: Box::new(daemon),
            token,
        })
    }

    /// This very binary as the peer, with so many threads.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(crate) async fn bare(workers: usize) -> Result<Self> {
        let own = std::env::current_exe().context("this program has no path")?;
        let mut child = Command::new(own)
            .args([BARE, &workers.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut line = String::new();
        timeout(PATIENCE, BufReader::new(stdout).read_line(&mut line)).await??;
        let address = line
            .trim_end()
            .parse()
            .context("the peer tells its address")?;
        let pid = i32::try_from(child.id().context("the peer ended at once")?)?;
        let name = match workers {
            1 => "bare, 1 thread".to_owned(),
            workers => format!("bare, {workers} threads"),
        };
        Ok(Self::Bare {
            name,
            pid,
            address,
            child: Box::new(child),
        })
    }

    /// What it is called in a table.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Mainstay { .. } => "mainstay",
            Self::Bare { name, .. } => name,
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        match self {
            Self::Mainstay { daemon, .. } => daemon.pid(),
            Self::Bare { pid, .. } => *pid,
        }
    }

    /// Starts a program on a terminal and attaches to it, from its first byte on.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub(crate) async fn open(&self, program: &Path) -> Result<Viewer> {
        match self {
            Self::Mainstay { daemon, .. } => {
                let id = open_detached(&daemon.local(), program).await?;
                self.attach(&id).await
            }
            Self::Bare { address, .. } => {
                let path = format!("/attach?program={}", program.display());
                Viewer::connect(*address, &path, Framing::Bare, None).await
            }
        }
    }

    /// Starts a program on a terminal that nobody looks at, where the server can do that.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub(crate) async fn open_alone(&self, program: &Path) -> Result<String> {
        match self {
            Self::Mainstay { daemon, .. } => open_detached(&daemon.local(), program).await,
            Self::Bare { .. } => anyhow::bail!("the peer has no terminal without a viewer"),
        }
    }

    /// Attaches to a terminal that is there.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub(crate) async fn attach(&self, id: &str) -> Result<Viewer> {
        match self {
            Self::Mainstay { daemon, token } => Viewer::attach(daemon.address(), id, token).await,
            Self::Bare { .. } => anyhow::bail!("the peer has no terminal without a viewer"),
        }
    }

    /// Ends it; a daemon proves that it leaves nothing behind.
    ///
    /// # Errors
    ///
    /// When the peer cannot be ended.
    pub(crate) async fn stop(self) -> Result<()> {
        match self {
            Self::Mainstay { daemon, .. } => drop(daemon.stop().await),
            Self::Bare { mut child, .. } => child.kill().await?,
        }
        Ok(())
    }
}

/// Opens a terminal of the daemon and gives its id.
///
/// # Errors
///
/// When the answer has none.
pub(crate) async fn open_detached(client: &Client, program: &Path) -> Result<String> {
    let body = json!({ "shell": program.display().to_string(), "cols": 80, "rows": 24 });
    let opened = client
        .post("/api/v1/terminals", &body)
        .await
        .expect(201)
        .json();
    let id = opened.get("id").and_then(serde_json::Value::as_str);
    Ok(id.context("a terminal has an id")?.to_owned())
}
