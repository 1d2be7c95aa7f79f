//! The gateway that people have today: Express with its usual parts, in front of an Express service. Two processes of Node.
//!
//! Its parts come from the npm registry when the bench runs, so that none of them is in this project; without Node or without
//! the registry the bench says so and goes on without this side.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::PATIENCE;

const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("node/package.json")),
    ("gateway.js", include_str!("node/gateway.js")),
    ("service.js", include_str!("node/service.js")),
];
/// Signs the tokens of the gateway; it guards nothing.
const SECRET: &str = "a-secret-of-the-bench-that-guards-nothing";

/// Both processes.
pub(super) struct Stack {
    pub(super) address: String,
    pub(super) token: String,
    pub(super) pids: [i32; 2],
    _gateway: Child,
    _service: Child,
    _home: kit::Home,
}

impl Stack {
    /// Installs and starts it; why not, where it cannot be had.
    pub(super) async fn start() -> Result<Self> {
        let home = kit::Home::new();
        let folder = home.root().join("gateway");
        std::fs::create_dir_all(&folder)?;
        for (name, text) in FILES {
            std::fs::write(folder.join(name), text)?;
        }
        install(&folder).await?;
        let (service, port) = start(&folder, "service.js", &[]).await?;
        let (gateway, line) = start(&folder, "gateway.js", &[&port, SECRET]).await?;
        let (port, token) = line.split_once(' ').context("the gateway tells a token")?;
        let pid = |child: &Child| -> Result<i32> {
            Ok(i32::try_from(child.id().context("it ended at once")?)?)
        };
        Ok(Self {
            address: format!("127.0.0.1:{port}"),
            token: token.to_owned(),
            pids: [pid(&gateway)?, pid(&service)?],
            _gateway: gateway,
            _service: service,
            _home: home,
        })
    }
}

async fn install(folder: &Path) -> Result<()> {
    let installed = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    let output = timeout(PATIENCE, installed)
        .await
        .context("npm took too long")?
        .context("no npm")?;
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "npm: {}", why.trim());
    Ok(())
}

async fn start(folder: &Path, script: &str, args: &[&str]) -> Result<(Child, String)> {
    let script: PathBuf = folder.join(script);
    let mut child = Command::new("node")
        .arg(&script)
        .args(args)
        .env("NODE_ENV", "production")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("no node")?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    let mut line = String::new();
    timeout(PATIENCE, BufReader::new(stdout).read_line(&mut line)).await??;
    ensure!(
        !line.is_empty(),
        "{} ended without a word",
        script.display()
    );
    Ok((child, line.trim_end().to_owned()))
}
