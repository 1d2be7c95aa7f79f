//! The command line of the benches, read by hand as that of the tasks is.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::supervision::Order;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
cargo xtask bench [NAME…] [OPTIONS]

    NAME            start, store, ptys, restart, supervision, watchdog, edge; all of them without one
    --quick         few and short rounds: to see that it works, not how fast
    --daemon PATH   the daemon's binary; otherwise $MAINSTAY_BIN, or `mainstay` beside this program

Databases and data directories are made in $TMPDIR, which should be on a disk.
";

/// What this process is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    /// Be the peer of the terminals.
    Bare {
        workers: usize,
    },
    /// Be the floor of the edge.
    BareEdge,
    /// Be one side of one measure of supervision.
    Supervise(Order),
    Measure(Plan),
}

/// What is measured.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) benches: Vec<Bench>,
    pub(crate) binary: PathBuf,
    pub(crate) is_quick: bool,
}

/// One bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bench {
    Start,
    Store,
    Ptys,
    Restart,
    Supervision,
    Watchdog,
    Edge,
}

impl Bench {
    const ALL: [Self; 7] = [
        Self::Start,
        Self::Store,
        Self::Ptys,
        Self::Restart,
        Self::Supervision,
        Self::Watchdog,
        Self::Edge,
    ];

    /// What it is called on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Store => "store",
            Self::Ptys => "ptys",
            Self::Restart => "restart",
            Self::Supervision => "supervision",
            Self::Watchdog => "watchdog",
            Self::Edge => "edge",
        }
    }
}

/// The hidden name under which this binary is the peer of the terminals.
pub(crate) const BARE: &str = "bare-ptys";
/// The hidden name under which this binary is the floor of the edge.
pub(crate) const BARE_EDGE: &str = "bare-edge";
/// The hidden name under which this binary is one side of a measure of supervision.
pub(crate) const SUPERVISION_PEER: &str = "supervision-peer";

impl Task {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// With what was expected, on anything that is not in [`USAGE`].
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Self> {
        let mut args = args.peekable();
        if args.next_if(|arg| arg == BARE).is_some() {
            let workers = args.next().context("how many workers?")?.parse()?;
            return Ok(Self::Bare { workers });
        }
        if args.next_if(|arg| arg == BARE_EDGE).is_some() {
            return Ok(Self::BareEdge);
        }
        if args.next_if(|arg| arg == SUPERVISION_PEER).is_some() {
            return Ok(Self::Supervise(Order::parse(args)?));
        }
        let mut benches = Vec::new();
        let mut binary = None;
        let mut is_quick = false;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--help" | "-h" | "help" => return Ok(Self::Help),
                "--quick" => is_quick = true,
                "--daemon" => {
                    binary = Some(args.next().context("--daemon needs a path")?.into());
                }
                name => match Bench::ALL.into_iter().find(|bench| bench.name() == name) {
                    Some(bench) => benches.push(bench),
                    None => bail!("`{name}` is no bench and no option\n\n{USAGE}"),
                },
            }
        }
        if benches.is_empty() {
            benches = Bench::ALL.to_vec();
        }
        let binary = binary.map_or_else(default_binary, Ok)?;
        Ok(Self::Measure(Plan {
            benches,
            binary,
            is_quick,
        }))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the task runner names the binary this way"
)]
fn default_binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("MAINSTAY_BIN") {
        return Ok(named.into());
    }
    let own = std::env::current_exe().context("this program has no path")?;
    Ok(own.with_file_name("mainstay"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Task> {
        Task::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn benches_are_chosen_by_name() {
        let task = parse("store --quick --daemon x/mainstay restart").expect("parses");
        let plan = Plan {
            benches: vec![Bench::Store, Bench::Restart],
            binary: "x/mainstay".into(),
            is_quick: true,
        };
        assert_eq!(task, Task::Measure(plan));
        assert_eq!(
            parse("bare-ptys 2").expect("parses"),
            Task::Bare { workers: 2 }
        );
        assert!(matches!(
            parse("supervision-peer ours calls 3"),
            Ok(Task::Supervise(_))
        ));
        assert_eq!(parse("store --help").expect("parses"), Task::Help);
    }

    #[test]
    fn all_are_the_default() {
        let Ok(Task::Measure(plan)) = parse("--daemon x") else {
            panic!("measures");
        };
        assert_eq!(plan.benches, Bench::ALL);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "stores",
            "--slow",
            "--daemon",
            "bare-ptys",
            "bare-ptys x",
            "supervision-peer ours",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
