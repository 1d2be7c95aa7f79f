//! The command line of the tasks, read by hand: a parser crate would be built before anything else can begin.

use anyhow::{Context, Result, bail};

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
cargo xtask run [--release] [ARGS…]   build the daemon and start it in the foreground; ARGS go to `mainstay up`
cargo xtask test                      install what is needed, check format, lints and rules, run every test
    --only STEP,…                     only these: fmt, clippy, tidy, unit, e2e, all, simulate, schemathesis
    --repeat N                        the same N times, until one fails
    --filter TEXT                     only the tests with TEXT in their path
cargo xtask lint                      format, lints and rules alone
cargo xtask simulate                  play seeded runs of the whole supervisor, each twice
    --seeds N                         so many of them (1000)
    --from S                          the first of them (0); a failing one is replayed by its number
cargo xtask bench [NAME…]             build for release and measure
";

/// One run of the tasks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Options {
    Help,
    Run {
        release: bool,
        args: Vec<String>,
    },
    Test {
        only: Vec<Choice>,
        repeat: u32,
        filter: Option<String>,
    },
    Lint,
    Simulate {
        seeds: u64,
        from: u64,
    },
    Bench {
        args: Vec<String>,
    },
}

/// A step of `test` that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Fmt,
    Clippy,
    Tidy,
    Unit,
    EndToEnd,
    All,
    Simulate,
    Schemathesis,
}

/// What `test` does when nothing is chosen.
const EVERYTHING: [Choice; 5] = [
    Choice::Fmt,
    Choice::Clippy,
    Choice::Tidy,
    Choice::All,
    Choice::Simulate,
];
/// Seeds that are played when nothing else is said.
pub(crate) const SEEDS: u64 = 1_000;

impl Options {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// With what was expected, on anything that is not in [`USAGE`].
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Self> {
        let mut args = args.peekable();
        let verb = args.next().unwrap_or_else(|| "help".into());
        let options = match verb.as_str() {
            "run" => {
                let release = args.next_if(|arg| arg == "--release").is_some();
                args.next_if(|arg| arg == "--");
                let args = args.by_ref().collect();
                Self::Run { release, args }
            }
            "test" => Self::parse_test(&mut args)?,
            "lint" => Self::Lint,
            "simulate" => Self::parse_simulate(&mut args)?,
            "bench" => Self::Bench {
                args: args.by_ref().collect(),
            },
            "help" | "--help" | "-h" => Self::Help,
            other => bail!("`{other}` is not a task\n\n{USAGE}"),
        };
        match args.next() {
            Some(extra) => bail!("`{extra}` was not expected here\n\n{USAGE}"),
            None => Ok(options),
        }
    }

    fn parse_test(args: &mut impl Iterator<Item = String>) -> Result<Self> {
        let mut only = EVERYTHING.to_vec();
        let mut repeat = 1;
        let mut filter = None;
        while let Some(flag) = args.next() {
            let mut value = || args.next().with_context(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--only" => only = Choice::parse_list(&value()?)?,
                "--repeat" => {
                    repeat = value()?.parse().context("--repeat needs a number")?;
                }
                "--filter" => filter = Some(value()?),
                other => bail!("`{other}` was not expected here\n\n{USAGE}"),
            }
        }
        Ok(Self::Test {
            only,
            repeat,
            filter,
        })
    }
}

impl Options {
    fn parse_simulate(args: &mut impl Iterator<Item = String>) -> Result<Self> {
        let (mut seeds, mut from) = (SEEDS, 0);
        while let Some(flag) = args.next() {
            let value = args
                .next()
                .with_context(|| format!("{flag} needs a value"))?;
            let value = value
                .parse()
                .with_context(|| format!("{flag} needs a number"));
            match flag.as_str() {
                "--seeds" => seeds = value?,
                "--from" => from = value?,
                other => bail!("`{other}` was not expected here\n\n{USAGE}"),
            }
        }
        Ok(Self::Simulate { seeds, from })
    }
}

impl Choice {
    fn parse_list(names: &str) -> Result<Vec<Self>> {
        names.split(',').map(Self::parse).collect()
    }

    fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "fmt" => Self::Fmt,
            "clippy" => Self::Clippy,
            "tidy" => Self::Tidy,
            "unit" => Self::Unit,
            "e2e" => Self::EndToEnd,
            "all" => Self::All,
            "simulate" => Self::Simulate,
            "schemathesis" => Self::Schemathesis,
            other => bail!(
                "`{other}` is not one of fmt, clippy, tidy, unit, e2e, all, simulate, schemathesis"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn everything_is_the_default() {
        let expected = Options::Test {
            only: EVERYTHING.to_vec(),
            repeat: 1,
            filter: None,
        };
        assert_eq!(parse("test").expect("parses"), expected);
        assert_eq!(parse("").expect("parses"), Options::Help);
    }

    #[test]
    fn a_sweep_is_chosen() {
        let expected = Options::Test {
            only: vec![Choice::Unit, Choice::EndToEnd],
            repeat: 20,
            filter: Some("terminals".into()),
        };
        let line = "test --only schemathesis";
        let Ok(Options::Test { only, .. }) = parse(line) else {
            panic!("{line} is a run of tests")
        };
        assert_eq!(only, [Choice::Schemathesis]);
        let line = "test --repeat 20 --only unit,e2e --filter terminals";
        assert_eq!(parse(line).expect("parses"), expected);
    }

    #[test]
    fn seeds_are_counted_from_a_number() {
        let expected = |seeds, from| Options::Simulate { seeds, from };
        assert_eq!(parse("simulate").expect("parses"), expected(SEEDS, 0));
        let line = "simulate --seeds 5 --from 17";
        assert_eq!(parse(line).expect("parses"), expected(5, 17));
    }

    #[test]
    fn the_daemons_arguments_are_left_alone() {
        let expected = Options::Run {
            release: true,
            args: vec!["--listen".into(), "127.0.0.1:0".into()],
        };
        assert_eq!(
            parse("run --release --listen 127.0.0.1:0").expect("parses"),
            expected
        );
        assert_eq!(
            parse("run --release -- --listen 127.0.0.1:0").expect("parses"),
            expected
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "tset",
            "test --only x",
            "test --repeat",
            "test --repeat x",
            "lint all",
            "simulate x",
            "simulate --seeds",
            "simulate --seeds x",
            "test all",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
