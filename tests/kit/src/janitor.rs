//! Cleaning up after a test process that could not do it itself.
//!
//! Why: `Drop` does not run when the test process is killed, and then a daemon, a database server and a directory would
//! stay. One small shell per test process holds the reading end of a pipe; whatever happens to the test process, the
//! pipe closes, and what is still registered then is ended and removed. In the ordinary case nothing is registered any
//! more by then.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

static JANITOR: Mutex<Option<Child>> = Mutex::new(None);

/// Reads `add DIR` and `done DIR`; at the end of the input it ends what runs in the directories left, asking first.
/// A database server is asked by its pid file, as it overwrites its own environment.
const SCRIPT: &str = r#"
dirs=''
while read -r verb dir; do
    case "$verb" in
        add) dirs="$dirs $dir" ;;
        done) kept=''; for d in $dirs; do [ "$d" = "$dir" ] || kept="$kept $d"; done; dirs="$kept" ;;
    esac
done
server() { head -qn 1 "$1/pg/postmaster.pid" 2>/dev/null; }
others() { grep -lsaF "$1" /proc/[0-9]*/environ | cut -d / -f 3; }
for d in $dirs; do
    for pid in $(server "$d"); do kill -INT "$pid" 2>/dev/null; done
    for pid in $(others "$d"); do kill -TERM "$pid" 2>/dev/null; done
done
for d in $dirs; do
    left=50
    while [ -n "$(server "$d")$(others "$d")" ] && [ "$left" -gt 0 ]; do left=$((left - 1)); sleep 0.1; done
    for pid in $(server "$d") $(others "$d"); do kill -KILL "$pid" 2>/dev/null; done
    rm -rf "$d"
done
"#;

/// Registers a directory: it is removed, and what carries its path in the environment ended, if this process dies.
pub(crate) fn add(dir: &Path) {
    say("add", dir);
}

/// Forgets a directory that has been cleaned up in the ordinary way.
pub(crate) fn done(dir: &Path) {
    say("done", dir);
}

fn say(verb: &str, dir: &Path) {
    let mut janitor = JANITOR.lock().unwrap_or_else(PoisonError::into_inner);
    if janitor.is_none() {
        *janitor = Some(start().expect("a shell for the clean-up starts"));
    }
    let input = janitor.as_mut().and_then(|child| child.stdin.as_mut());
    if let Some(input) = input {
        writeln!(input, "{verb} {}", dir.display()).expect("the clean-up shell listens");
    }
}

fn start() -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Of its own group: a Ctrl-C on the terminal must not end it before it has cleaned up.
        .process_group(0)
        .spawn()
}
