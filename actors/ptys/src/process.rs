//! Making a PTY and starting a shell on it.
//!
//! This is done with the system's own calls and not with a PTY crate. The usual one closes the standard library's error pipe in the
//! child, so a shell that cannot be executed looks like one that started and then aborts inside the terminal; it allocates
//! memory between fork and exec, which may dead-lock in a program with threads; and it sets close-on-exec after the fact, so
//! that a child started at the same moment by another domain keeps the terminal open. Here every descriptor is born with
//! close-on-exec, only async-signal-safe calls run in the child, and a failed exec is an error of [`start`].
//!
//! The shell leads a session of its own with the PTY as its controlling terminal. Without that, no hang-up would reach it
//! when the daemon dies, and it would stay behind for ever.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, ioctl_tiocsctty, kill_process_group, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::tcsetwinsize;

use crate::launch::Launch;
use crate::master::winsize;

/// A shell that was just started. Dropping it kills the shell: nobody would have an eye on it.
#[derive(Debug)]
pub(crate) struct Started {
    shell: Option<(OwnedFd, Child)>,
}

impl Started {
    /// Takes over the nonblocking master of the PTY and the shell.
    pub(crate) fn take(mut self) -> io::Result<(OwnedFd, Child)> {
        self.shell
            .take()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some((master, mut child)) = self.shell.take() {
            drop(master);
            kill_now(&mut child);
        }
    }
}

/// Kills a shell that was not taken into care, and reaps it.
pub(crate) fn kill_now(child: &mut Child) {
    if let Some(pid) = pid_of(child) {
        kill_group(pid);
    }
    if let Err(error) = child.wait() {
        tracing::warn!(%error, pid = child.id(), "a killed shell could not be reaped");
    }
}

/// Kills the shell's own process group, without waiting.
pub(crate) fn kill_group(pid: Pid) {
    if let Err(error) = kill_process_group(pid, Signal::KILL) {
        tracing::debug!(%error, pid = pid.as_raw_nonzero(), "nothing to kill");
    }
}

/// The process id, which is also the id of the shell's session and process group.
pub(crate) fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Makes a PTY and starts the shell on it. Blocks for the fork and the exec.
///
/// # Errors
/// [`StartFailure`] tells whether there was no PTY or the shell could not be executed.
pub(crate) fn start(launch: &Launch) -> Result<Started, StartFailure> {
    let (master, slave) = open_pty(launch).map_err(StartFailure::NoPty)?;
    let copy = || slave.try_clone().map_err(StartFailure::NoPty);
    let mut command = Command::new(&launch.shell);
    command
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.cwd)
        .stdin(Stdio::from(copy()?))
        .stdout(Stdio::from(copy()?))
        .stderr(Stdio::from(copy()?));
    // SAFETY: between fork and exec `take_the_terminal` makes system calls only: it allocates nothing and takes no lock.
    #[expect(
        unsafe_code,
        reason = "a session and a controlling terminal can only be set up between fork and exec"
    )]
    unsafe {
        command.pre_exec(take_the_terminal);
    }
    let child = command.spawn().map_err(StartFailure::NotExecuted)?;
    Ok(Started {
        shell: Some((master, child)),
    })
}

/// Why no shell was started.
#[derive(Debug)]
pub(crate) enum StartFailure {
    /// The system gave no PTY.
    NoPty(io::Error),
    /// The fork, the change of directory or the exec failed.
    NotExecuted(io::Error),
}

/// A nonblocking master and a slave, both close-on-exec from the first moment on.
fn open_pty(launch: &Launch) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    tcsetwinsize(&master, winsize(launch.size))?;
    fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
    Ok((master, slave))
}

/// Runs in the child, before the exec: signals as a login would have them, a session of its own, the PTY as its
/// controlling terminal, and no other descriptor of the daemon.
fn take_the_terminal() -> io::Result<()> {
    default_signals();
    setsid()?;
    ioctl_tiocsctty(rustix::stdio::stdin())?;
    close_others_on_exec();
    Ok(())
}

/// A daemon that was started by `nohup` ignores the hang-up, and what is ignored or blocked stays so over an exec.
fn default_signals() {
    for number in 1..32 {
        // SAFETY: `signal` is async-signal-safe, and setting a default action needs nothing else; for the two signals that
        // cannot be set it fails without effect.
        #[expect(unsafe_code, reason = "the standard library resets SIGPIPE alone")]
        unsafe {
            libc::signal(number, libc::SIG_DFL);
        }
    }
    // SAFETY: both calls are async-signal-safe; a signal set is plain data, filled by the first before the second reads it.
    #[expect(unsafe_code, reason = "the standard library passes the mask on")]
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Descriptors that the daemon was started with may lack close-on-exec. They are marked and not closed, because the standard
/// library reports a failed exec through one. A kernel before 5.11 cannot, and then only those stay open.
fn close_others_on_exec() {
    let first: libc::c_uint = 3;
    // SAFETY: the call takes three plain numbers and touches no memory.
    #[expect(unsafe_code, reason = "there is no safe wrapper for this call")]
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}

/// How a shell ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Its exit code, or 128 plus the number of the signal that ended it.
    pub(crate) code: i32,
    /// The signal's name.
    pub(crate) signal: Option<String>,
}

impl Exit {
    /// Somebody else reaped the shell.
    pub(crate) fn unknown() -> Self {
        Self {
            code: 255,
            signal: None,
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self { code, signal: None },
            (None, signal) => {
                let number = signal.unwrap_or_default();
                Self {
                    code: 128 + number,
                    signal: Some(signal_name(number)),
                }
            }
        }
    }
}

/// Names of the signals from 1 on, as Linux numbers them on most machines.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// `SIGHUP` for 1, and so on; `SIG40` for one without a name.
fn signal_name(number: i32) -> String {
    let index = usize::try_from(number)
        .ok()
        .and_then(|number| number.checked_sub(1));
    let name = index.and_then(|index| SIGNALS.get(index));
    name.map_or_else(|| format!("SIG{number}"), |name| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_codes_or_signals() {
        let exited = Exit::from(ExitStatus::from_raw(3 << 8));
        assert_eq!((exited.code, exited.signal), (3, None));
        let killed = Exit::from(ExitStatus::from_raw(9));
        assert_eq!(
            (killed.code, killed.signal.as_deref()),
            (137, Some("SIGKILL"))
        );
    }

    #[test]
    fn signals_have_their_usual_names() {
        for (number, name) in [
            (1, "SIGHUP"),
            (11, "SIGSEGV"),
            (15, "SIGTERM"),
            (40, "SIG40"),
        ] {
            assert_eq!(signal_name(number), name);
        }
    }
}
