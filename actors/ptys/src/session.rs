//! Ending everything that was started in a terminal.
//!
//! An interactive shell gives each job a process group of its own, so a signal to the shell's group alone leaves background
//! jobs behind. What they share is the *session*, whose id is the shell's process id. The kernel has no call that signals a
//! session, so its members are looked up in `/proc`; each is signalled through a process descriptor, which cannot hit
//! another process that got the number meanwhile. A process that made a session of its own (a daemon) is out of reach, by its own
//! wish.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use crate::master::EndWatch;

/// The last look at `/proc`, shared by all who asked before it began: to end many terminals at once takes a few looks in
/// all and not some for each.
static LOOKS: Looks = Looks {
    asked: AtomicU64::new(0),
    last: Mutex::const_new(None),
};

/// The hang-up is repeated after this long: a shell that hears it just before it begins to read puts it off until the read
/// returns, and it is the next signal that makes it return.
const HANGUP_REPEAT: Duration = Duration::from_millis(200);

/// How long killed processes have to vanish, in each of [`ROUNDS`] rounds.
const KILL_LIMIT: Duration = Duration::from_millis(500);

/// How often is looked again for processes that were started meanwhile.
const ROUNDS: u32 = 6;

/// A process by number and start time, which no other process ever has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pid: Pid,
    /// Clock ticks since the machine started.
    started: u64,
}

/// A living member of a session.
#[derive(Debug)]
struct Member {
    identity: Identity,
    watch: EndWatch,
}

/// Who of the session is alive; nobody where that cannot be found out.
pub(crate) async fn living(session: Pid) -> Vec<Identity> {
    match members(session).await {
        Ok(members) => members.iter().map(|member| member.identity).collect(),
        Err(error) => {
            tracing::warn!(%error, "the processes of a terminal could not be looked up");
            Vec::new()
        }
    }
}

/// Ends all processes of the session: hang-up, `grace` for them to end, then kill. Returns how many are left, which is 0
/// but for processes that hang in the kernel. Cancelling it leaves them signalled.
pub(crate) async fn end(session: Pid, grace: Duration) -> usize {
    match end_members(session, grace).await {
        Ok(left) => left,
        Err(error) => {
            tracing::warn!(%error, "the processes of a terminal could not be looked up: its own group alone is ended");
            end_group(session, grace).await
        }
    }
}

async fn end_members(session: Pid, grace: Duration) -> io::Result<usize> {
    let deadline = Instant::now() + grace;
    let mut round = 0;
    loop {
        let members = members(session).await?;
        if members.is_empty() || round == ROUNDS {
            return Ok(members.len());
        }
        if Instant::now() < deadline {
            hang_up(&members);
            all_ended(&members, deadline.min(Instant::now() + HANGUP_REPEAT)).await;
            continue;
        }
        round += 1;
        for member in &members {
            signal(member, Signal::KILL);
        }
        all_ended(&members, Instant::now() + KILL_LIMIT).await;
    }
}

/// What is left to do without `/proc`.
async fn end_group(leader: Pid, grace: Duration) -> usize {
    let Ok(watch) = EndWatch::new(leader) else {
        return 0;
    };
    for (signal, limit) in [(Signal::HUP, grace), (Signal::KILL, KILL_LIMIT)] {
        if let Err(error) = kill_process_group(leader, signal) {
            tracing::debug!(%error, "signal not delivered");
        }
        if timeout(limit, watch.ended()).await.is_ok() && signal == Signal::KILL {
            return 0;
        }
    }
    1
}

/// A stopped process acts on the hang-up only when it continues.
fn hang_up(members: &[Member]) {
    for member in members {
        signal(member, Signal::HUP);
        signal(member, Signal::CONT);
    }
}

fn signal(member: &Member, signal: Signal) {
    // It fails when the process has ended already, or belongs to another user now: neither can be helped.
    if let Err(error) = pidfd_send_signal(member.watch.pidfd(), signal) {
        tracing::debug!(%error, pid = member.identity.pid.as_raw_nonzero(), "signal not delivered");
    }
}

/// Waits until all have ended, at most until `deadline`.
async fn all_ended(members: &[Member], deadline: Instant) {
    let ends = async {
        for member in members {
            member.watch.ended().await;
        }
    };
    // Both outcomes lead to another look.
    drop(timeout_at(deadline, ends).await);
}

/// The living members of a session.
async fn members(session: Pid) -> io::Result<Vec<Member>> {
    let session = session.as_raw_nonzero().get();
    let own = fs::read_to_string("/proc/self/stat")?;
    if session <= 1 || Stat::parse(&own).is_none_or(|own| own.session == session) {
        return Err(io::Error::other(
            "a terminal never shares the daemon's session",
        ));
    }
    let sessions = LOOKS.look().await?;
    let pids = sessions.get(&session).into_iter().flatten();
    Ok(pids.filter_map(|pid| hold(*pid, session)).collect())
}

/// Processes by the session that they are in.
type Sessions = HashMap<i32, Vec<Pid>>;

struct Looks {
    /// How often was asked.
    asked: AtomicU64,
    /// What was found, and which asking it still answers.
    last: Mutex<Option<(u64, Arc<Sessions>)>>,
}

impl Looks {
    /// What `/proc` shows now, looked up off the async threads: a look that began after this was called.
    async fn look(&self) -> io::Result<Arc<Sessions>> {
        let asking = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut last = self.last.lock().await;
        if let Some((answers, found)) = &*last
            && *answers >= asking
        {
            return Ok(Arc::clone(found));
        }
        let answers = self.asked.load(Ordering::Acquire);
        let found = tokio::task::spawn_blocking(look_up)
            .await
            .map_err(io::Error::other)??;
        let found = Arc::new(found);
        *last = Some((answers, Arc::clone(&found)));
        Ok(found)
    }
}

fn look_up() -> io::Result<Sessions> {
    let mut sessions = Sessions::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid
            && let Some(stat) = Stat::of(pid)
            && stat.is_living()
        {
            sessions.entry(stat.session).or_default().push(pid);
        }
    }
    Ok(sessions)
}

/// Takes a descriptor of the process, then looks again: only now is it certain whom the descriptor means.
fn hold(pid: Pid, session: i32) -> Option<Member> {
    let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
    let stat = Stat::of(pid).filter(|stat| stat.session == session && stat.is_living())?;
    Some(Member {
        identity: Identity {
            pid,
            started: stat.started,
        },
        watch: EndWatch::of(pidfd).ok()?,
    })
}

/// What `/proc/PID/stat` tells, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    state: char,
    session: i32,
    /// Clock ticks since the machine started.
    started: u64,
}

impl Stat {
    /// Of a process, while there is one with this number.
    fn of(pid: Pid) -> Option<Self> {
        let line = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        Self::parse(&line)
    }

    /// One that is only waiting to be reaped does not live.
    fn is_living(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }

    /// The second field, the name in brackets, may itself contain brackets and spaces.
    fn parse(line: &str) -> Option<Self> {
        let (_, fields) = line.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        // Fields 3, 6 and 22 of the line.
        Some(Self {
            state: fields.next()?.chars().next()?,
            session: fields.nth(2)?.parse().ok()?,
            started: fields.nth(15)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_are_read_whatever_the_name() {
        let tail = "S 1 42 43 34816 42 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 1000 10";
        let expected = Stat {
            state: 'S',
            session: 43,
            started: 98765,
        };
        for name in ["bash", "a b", ") Z 1", "(x)"] {
            assert_eq!(
                Stat::parse(&format!("42 ({name}) {tail}")),
                Some(expected),
                "{name}"
            );
        }
        assert_eq!(Stat::parse("42 (bash) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[tokio::test]
    async fn the_daemons_own_session_is_never_touched() {
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        let own = Stat::parse(&own).unwrap().session;
        for session in [Pid::from_raw(own), Some(Pid::INIT)].into_iter().flatten() {
            assert!(members(session).await.is_err());
        }
    }

    #[tokio::test]
    async fn those_who_wait_together_share_a_look_and_nobody_gets_an_old_one() {
        let looks = Looks {
            asked: AtomicU64::new(0),
            last: Mutex::const_new(None),
        };
        // All ten have asked before the first of them can look.
        let held = looks.last.lock().await;
        let mut all = std::pin::pin!(futures::future::join_all((0..10).map(|_| looks.look())));
        assert!(futures::poll!(&mut all).is_pending());
        drop(held);
        let all: Vec<_> = all.await.into_iter().map(Result::unwrap).collect();
        assert!(all.iter().all(|found| Arc::ptr_eq(found, &all[0])));
        let later = looks.look().await.unwrap();
        assert!(!Arc::ptr_eq(&all[0], &later));
    }
}
