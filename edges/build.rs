//! Tells the binary which commit it is and when it was built, so that a bug report names the code it is about.
//!
//! The obvious way (`git describe --dirty` and the current time on every build) makes every build a new one and two builds
//! of one commit differ. Here the script runs again only when the checked-out commit changes, and the time can be fixed
//! with `SOURCE_DATE_EPOCH`. Outside a git checkout, or without the `git` program, the commit stays unknown; a
//! packager names it with `MAINSTAY_COMMIT`.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script has neither the daemon's configuration nor its clock"
)]

use std::{
    env, fs,
    path::PathBuf,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MAINSTAY_COMMIT");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let given = env::var("MAINSTAY_COMMIT")
        .ok()
        .filter(|given| !given.trim().is_empty());
    if let Some(commit) = given.or_else(commit_of_checkout) {
        println!("cargo::rustc-env=MAINSTAY_COMMIT={}", commit.trim());
    }
    println!(
        "cargo::rustc-env=MAINSTAY_BUILT_AT={}",
        rfc_3339(built_at())
    );
}

/// Seconds since 1970 as RFC 3339, UTC. The civil date is counted in eras of 400 years that begin on 1 March 0000.
fn rfc_3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Seconds since 1970: `SOURCE_DATE_EPOCH` where it is a number, else the clock.
fn built_at() -> u64 {
    let fixed = env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    fixed.unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    })
}

/// The checked-out commit. What names it is watched, so that a commit or a checkout runs this script again.
fn commit_of_checkout() -> Option<String> {
    for name in ["HEAD", "refs/heads", "packed-refs"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).map(PathBuf::from)
            // A watched path that is not there would make every build dirty.
            && fs::metadata(&path).is_ok()
        {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&["rev-parse", "--verify", "--quiet", "HEAD"])
        .filter(|commit| commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
