//! What the tests need from the machine, and how it gets there.
//!
//! Why installed and not just listed: on a fresh machine `cargo xtask test` is the one thing to know. Where it may not
//! install, it says the one command to run and goes on with what it has.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use rustix::process::geteuid;

use crate::step::{Step, Steps, cargo};

/// Something needed: how to see that it is there, the Debian packages that bring it, what is lost without.
struct Need {
    is_there: fn() -> bool,
    packages: &'static [&'static str],
    without: &'static str,
}

const NEEDS: [Need; 4] = [
    Need {
        is_there: || answers("cc"),
        packages: &["gcc", "libc6-dev"],
        without: "no C compiler, so nothing can be built from source",
    },
    Need {
        is_there: has_postgres,
        packages: &["postgresql"],
        without: "no PostgreSQL server, so the tests that want one are skipped",
    },
    Need {
        is_there: || succeeds(Command::new("tmux").arg("-V")),
        packages: &["tmux"],
        without: "no tmux, so the tests of what is drawn on a terminal are skipped",
    },
    Need {
        is_there: || Path::new("/usr/bin/chromium").is_file(),
        packages: &["chromium"],
        without: "no Chromium, so passkeys are not tried in a real browser",
    },
];

/// Installs what is missing, as far as it may, and gives back what is still lost, a sentence each.
pub(crate) fn provide(steps: &mut Steps) -> Result<Vec<String>> {
    install_packages(steps);
    install_components(steps)?;
    Ok(missing().map(|need| need.without.to_owned()).collect())
}

fn missing() -> impl Iterator<Item = &'static Need> {
    NEEDS.iter().filter(|need| !(need.is_there)())
}

fn install_packages(steps: &mut Steps) {
    let packages: Vec<&str> = missing().flat_map(|need| need.packages).copied().collect();
    if packages.is_empty() {
        return;
    }
    let by_hand = format!("apt-get install -y {}", packages.join(" "));
    let Some(prefix) = rights() else {
        println!("=== missing on this machine; install it with: sudo {by_hand}");
        return;
    };
    let apt = |name: &str, args: &[&str]| {
        let mut words = prefix
            .iter()
            .chain(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        let mut command = Command::new(words.next().unwrap_or(&"env"));
        command.args(words).args(args);
        Step {
            name: name.to_owned(),
            command,
        }
    };
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    let outcome = steps
        .run(apt("package lists", &["update"]))
        .and_then(|()| steps.run(apt("install", &install)));
    if let Err(error) = outcome {
        println!("=== {error:#}; install it with: {by_hand}");
    }
}

/// rustfmt and clippy come with most toolchains, but not with the smallest.
fn install_components(steps: &mut Steps) -> Result<()> {
    let lacks = |verb: &str| {
        let mut command = cargo();
        command.args([verb, "--version"]);
        !succeeds(&mut command)
    };
    let components: Vec<&str> = [("fmt", "rustfmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(verb, _)| lacks(verb))
        .map(|(_, component)| component)
        .collect();
    if components.is_empty() {
        return Ok(());
    }
    let mut command = Command::new("rustup");
    command.args(["component", "add"]).args(components);
    steps.run(Step {
        name: "toolchain".into(),
        command,
    })
}

/// What to put before `apt-get`, or `None` where this user may not install anything.
fn rights() -> Option<&'static [&'static str]> {
    if !answers("apt-get") {
        return None;
    }
    if geteuid().is_root() {
        return Some(&[]);
    }
    succeeds(Command::new("sudo").args(["-n", "true"])).then_some(&["sudo", "-n"])
}

/// The server's programs, on the `PATH` or where Debian keeps them.
fn has_postgres() -> bool {
    let in_debian = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten();
        versions
            .flatten()
            .any(|version| is_complete(&version.path().join("bin")))
    };
    (answers("postgres") && answers("initdb")) || in_debian()
}

fn is_complete(folder: &Path) -> bool {
    ["postgres", "initdb"]
        .iter()
        .all(|name| folder.join(name).is_file())
}

fn answers(program: &str) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
