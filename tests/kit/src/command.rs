//! Running the binary to its end, in an environment that holds nothing of the machine's.
//!
//! Why apart from the daemon: the command line is used with a daemon, without one, and before one.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::database::say_skipped;
use crate::{Home, PATIENCE};

/// How a process ended, with all that it wrote.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, or 128 and the signal's number.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// Its directories, for a next start.
    pub home: Home,
}

impl Ended {
    /// Asserts the exit code.
    ///
    /// # Panics
    ///
    /// With the output, when it is another.
    #[track_caller]
    #[expect(
        clippy::return_self_not_must_use,
        reason = "an assertion stands for itself"
    )]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "exit code\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// The JSON document on stdout.
    ///
    /// # Panics
    ///
    /// When stdout is not one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "stdout is not JSON: {error}\n{}\n{}",
                self.stdout, self.stderr
            )
        })
    }
}

/// Runs the command line of `binary` to its end, in a home, with more environment.
///
/// # Panics
///
/// When it does not start, or has not ended after 30 s.
pub async fn run_cli(binary: &Path, home: &Home, args: &[&str], env: &[(&str, &str)]) -> Ended {
    let mut command = tokio::process::Command::from(base_command(binary, home));
    command
        .args(args)
        .env("MAINSTAY_DATA_DIR", home.data_dir())
        .envs(env.iter().copied())
        .kill_on_drop(true);
    let what = format!("`{} {}` ends", binary.display(), args.join(" "));
    let output = crate::within(PATIENCE, &what, command.output()).await;
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    Ended {
        code: code_of(output.status),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        home: home.clone(),
    }
}

/// A command that sees a file system of its own under the data directory. It is the same process all the way, so that its
/// id is the daemon's.
pub(crate) fn mounting_command(binary: &Path, home: &Home, options: &str) -> Command {
    let data = home.data_dir();
    std::fs::create_dir_all(&data).expect("the home takes a directory");
    let mut command = base_command(Path::new("unshare"), home);
    command
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg(r#"mount -t tmpfs -o "mode=700,$1" none "$2" && shift 2 && exec "$@""#)
        .arg("sh")
        .arg(options)
        .arg(data)
        .arg(binary);
    command
}

/// Whether this machine lets a test mount a file system that only its own processes see. When not, that is said on stderr.
#[must_use]
pub fn can_mount() -> bool {
    let outcome = Command::new("unshare")
        .args([
            "--map-root-user",
            "--mount",
            "mount",
            "-t",
            "tmpfs",
            "none",
            "/mnt",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let can = outcome.is_ok_and(|status| status.success());
    if !can {
        say_skipped("this machine lets no test mount a file system (user namespaces are off)");
    }
    can
}

/// A command in an environment that holds nothing of the machine's, so that a test means the same everywhere.
pub(crate) fn base_command(binary: &Path, home: &Home) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("HOME", home.user_home())
        .env("LANG", "C.UTF-8")
        .current_dir(home.root())
        .stdin(Stdio::null());
    for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = own_env(name) {
            command.env(name, value);
        }
    }
    command
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test's environment is what finds a shell"
)]
pub(crate) fn own_env(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Blocks until a process has ended, at most for `limit`, and tells whether it has. Also where no runtime is left to
/// await on.
pub(crate) fn wait_for_end(pid: i32, limit: Duration) -> bool {
    let handle = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let Some(Ok(handle)) = handle else {
        return true;
    };
    let limit = Timespec::try_from(limit).ok();
    poll(&mut [PollFd::new(&handle, PollFlags::IN)], limit.as_ref()).is_ok_and(|ready| ready > 0)
}

pub(crate) fn code_of(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}
