//! Erlang/OTP as a peer: its module is part of this program, and compiled where and when it is measured.

use std::path::PathBuf;
use std::process::Stdio;

use ::store::testing::Folder;
use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::peer::Job;

/// What brings both programs.
pub(super) const INSTALL: &str = "apt-get install -y --no-install-recommends erlang-base";
const MODULE: &str = "otp_bench";
const SOURCE: &str = include_str!("otp_bench.erl");

/// The compiled module, in a folder that ends with it.
pub(super) struct Otp {
    folder: Folder,
}

impl Otp {
    /// Compiles the module; `None` where Erlang is not installed.
    ///
    /// # Errors
    ///
    /// When it is installed and does not compile it.
    pub(super) async fn prepare() -> Result<Option<Self>> {
        if !answers("erl", &["-noinput", "-eval", "halt()."]).await {
            return Ok(None);
        }
        let folder = Folder::fresh();
        let source: PathBuf = folder.path().join(MODULE).with_extension("erl");
        tokio::fs::write(&source, SOURCE).await?;
        let mut compiler = Command::new("erlc");
        compiler.arg("-o").arg(folder.path()).arg(&source);
        let Ok(outcome) = compiler.stdin(Stdio::null()).output().await else {
            return Ok(None);
        };
        ensure!(
            outcome.status.success(),
            "erlc: {}",
            String::from_utf8_lossy(&outcome.stdout)
        );
        Ok(Some(Self { folder }))
    }

    /// A command that measures and tells the outcome in one line of JSON. Its schedulers and heaps are as they are by themselves;
    /// only its log is silent, as that of the other sides.
    pub(super) fn command(&self, job: Job) -> Command {
        let mut command = Command::new("erl");
        command
            .args(["-noinput", "-kernel", "logger_level", "none", "-pa"])
            .arg(self.folder.path())
            .args(["-run", MODULE, "main"])
            .args(job.words())
            .env("ERL_CRASH_DUMP_BYTES", "0");
        command
    }

    /// Its release, like "OTP 25".
    ///
    /// # Errors
    ///
    /// When it does not tell.
    pub(super) async fn name() -> Result<String> {
        let ask = "io:format(\"~s\", [erlang:system_info(otp_release)]), halt().";
        let told = Command::new("erl")
            .args(["-noinput", "-eval", ask])
            .stdin(Stdio::null())
            .output()
            .await
            .context("erl")?;
        Ok(format!("OTP {}", String::from_utf8_lossy(&told.stdout)))
    }
}

async fn answers(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}
