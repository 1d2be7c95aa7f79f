//! Running one command after another.
//!
//! Why each step has a process group of its own: a Ctrl-C, a `kill` from CI or a deadline must end the whole of it,
//! cargo, the compiler, test binaries and what those started, and the tasks must not return before it has ended.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, test_kill_process_group,
};
use rustix::time::{ClockId, clock_gettime};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// A step that has not ended by then never will.
const LIMIT: Duration = Duration::from_mins(35);
/// How long the processes of a step may take to end after they were asked to.
const END_LIMIT: Duration = Duration::from_secs(20);

static GROUP: AtomicI32 = AtomicI32::new(0);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// A command with a heading.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) command: Command,
}

/// The steps run so far.
pub(crate) struct Steps {
    done: Vec<(String, Duration)>,
}

impl Step {
    /// A call of cargo.
    pub(crate) fn cargo(name: &str, args: &[&str]) -> Self {
        let mut command = cargo();
        command.args(args);
        Self {
            name: name.to_owned(),
            command,
        }
    }
}

impl Steps {
    /// Takes over the signals: from here on they end the running step and then the program.
    pub(crate) fn begin() -> Result<Self> {
        let mut signals =
            Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signals cannot be handled")?;
        std::thread::spawn(move || {
            for _ in signals.forever() {
                // The second time without asking.
                let again = INTERRUPTED.swap(true, Ordering::SeqCst);
                end_group(if again { Signal::KILL } else { Signal::TERM });
            }
        });
        Ok(Self { done: Vec::new() })
    }

    /// Runs a step to its end.
    ///
    /// # Errors
    ///
    /// When it fails, does not end in time, or a signal came.
    pub(crate) fn run(&mut self, mut step: Step) -> Result<()> {
        println!("\n=== {}: {}", step.name, describe(&step.command));
        let begun = now();
        let child = step
            .command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} does not start", describe(&step.command)))?;
        let outcome = wait(child);
        let took = now().saturating_sub(begun);
        if INTERRUPTED.load(Ordering::SeqCst) {
            bail!("interrupted during: {}", step.name);
        }
        let status = outcome.with_context(|| step.name.clone())?;
        if !status.success() {
            let how = match status.signal() {
                Some(signal) => format!("ended by signal {signal}"),
                None => format!("exit code {}", status.code().unwrap_or_default()),
            };
            bail!("{} failed ({how}) after {}", step.name, show(took));
        }
        println!("=== {}: done in {}", step.name, show(took));
        self.done.push((step.name, took));
        Ok(())
    }

    /// Prints how long each step took.
    pub(crate) fn report(&self) {
        let total = self.done.iter().map(|(_, took)| *took).sum();
        println!("\n=== all steps passed in {}", show(total));
        for (name, took) in &self.done {
            println!("    {:>8}  {name}", show(*took));
        }
    }
}

/// Cargo as it was called, without what would slow a panic down or change what a test sees.
#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells its own path this way"
)]
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.env_remove("RUST_BACKTRACE").env_remove("RUST_LOG");
    command
}

fn wait(mut child: Child) -> Result<ExitStatus> {
    let group = i32::try_from(child.id()).context("a process id")?;
    GROUP.store(group, Ordering::SeqCst);
    if INTERRUPTED.load(Ordering::SeqCst) {
        end_group(Signal::TERM);
    }
    let in_time = ended_within(group, LIMIT);
    if !in_time {
        println!("=== not done within {}: ending it", show(LIMIT));
        end_group(Signal::TERM);
        if !ended_within(group, END_LIMIT) {
            end_group(Signal::KILL);
        }
    }
    let status = child.wait().context("the step cannot be waited for")?;
    end_stragglers();
    GROUP.store(0, Ordering::SeqCst);
    if !in_time {
        bail!("not done within {}", show(LIMIT));
    }
    Ok(status)
}

/// What the first process of a group has left running, such as the test binary of a cargo that was killed.
fn end_stragglers() {
    let deadline = now() + END_LIMIT;
    while group_is_alive() {
        if now() > deadline {
            end_group(Signal::KILL);
            return;
        }
        end_group(Signal::TERM);
        pause(Duration::from_millis(50));
    }
}

fn ended_within(pid: i32, limit: Duration) -> bool {
    let handle = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let Some(Ok(handle)) = handle else {
        return true;
    };
    let deadline = now() + limit;
    loop {
        let left = Timespec::try_from(deadline.saturating_sub(now())).ok();
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], left.as_ref()) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

fn end_group(signal: Signal) -> bool {
    group().is_some_and(|group| kill_process_group(group, signal).is_ok())
}

fn group_is_alive() -> bool {
    group().is_some_and(|group| test_kill_process_group(group).is_ok())
}

fn group() -> Option<Pid> {
    Pid::from_raw(GROUP.load(Ordering::SeqCst))
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy()));
    if let Some(first) = words.first_mut() {
        // The path of cargo says nothing.
        *first = first
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
            .into();
    }
    words.join(" ")
}

fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 60 {
        0 => format!("{:.1} s", duration.as_secs_f64()),
        minutes => format!("{minutes} min {:02} s", seconds % 60),
    }
}

/// Since boot, whatever happens to the wall clock.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a group of processes has no handle to wait on"
)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_readable() {
        assert_eq!(show(Duration::from_millis(1250)), "1.2 s");
        assert_eq!(show(Duration::from_secs(125)), "2 min 05 s");
    }

    #[test]
    fn a_command_is_shown_as_it_is_typed() {
        let mut command = Command::new("a/b/cargo");
        command.args(["test", "--workspace"]);
        assert_eq!(describe(&command), "cargo test --workspace");
    }

    #[test]
    fn a_failing_step_is_an_error_and_leaves_nothing() {
        let mut steps = Steps { done: Vec::new() };
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo started; exit 3"]);
        let step = Step {
            name: "a test".into(),
            command,
        };
        let error = steps.run(step).expect_err("it fails").to_string();
        assert!(error.contains("exit code 3"), "{error}");
        assert!(!group_is_alive());
    }
}
