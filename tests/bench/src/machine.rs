//! The machine that the figures are from: without it they tell nothing.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A directory on a disk by convention, where the one for temporary files is in memory.
const DISK: &str = "/var/tmp";
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// Prints the line about the machine.
///
/// # Errors
///
/// When the system tells nothing of its mounts.
pub(crate) fn print(binary: &Path, place: &Path) -> Result<()> {
    let kernel = rustix::system::uname();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "machine: {} · {cores} cores · load {} · {} {} · {}",
        cpu_model(),
        load(),
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy(),
        mount_of(place)?,
    );
    let size = fs::metadata(binary).map_or(0, |found| found.len());
    let profile = if cfg!(debug_assertions) {
        "a debug build: the figures mean little"
    } else {
        "a release build"
    };
    println!("daemon: {} MB; this bench is {profile}", size / 1_000_000);
    Ok(())
}

/// The load averages of 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split(' ').take(3).collect();
    averages.join(" ")
}

/// Starts this program anew with temporary files on a disk, where they would be in memory: a sync costs nothing there.
///
/// # Errors
///
/// When they are in memory and there is no disk to go to.
pub(crate) fn leave_memory() -> Result<()> {
    if !is_in_memory(&std::env::temp_dir())? {
        return Ok(());
    }
    if is_in_memory(Path::new(DISK))? {
        bail!("the directory for temporary files is in memory: name one on a disk with TMPDIR");
    }
    let own = std::env::current_exe().context("this program has no path")?;
    let mut again = Command::new(own);
    again.args(std::env::args_os().skip(1)).env("TMPDIR", DISK);
    Err(again.exec()).context("this program does not start again")
}

fn is_in_memory(place: &Path) -> Result<bool> {
    let mount = mount_of(place)?;
    Ok(IN_MEMORY.iter().any(|kind| mount.starts_with(kind)))
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|rest| rest.trim_start_matches(['\t', ' ', ':']).to_owned());
    model.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// "KIND on DEVICE" of the file system that holds `place`.
fn mount_of(place: &Path) -> Result<String> {
    let place = place
        .canonicalize()
        .context("no directory for temporary files")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("no list of mounts")?;
    let holder = mounts
        .lines()
        .filter_map(parse_mount)
        .filter(|(point, _)| place.starts_with(point))
        // Of two mounts on the same point the later one is seen.
        .max_by_key(|(point, _)| point.len());
    holder
        .map(|(_, kind)| kind)
        .context("no mount holds the directory for temporary files")
}

fn parse_mount(line: &str) -> Option<(&str, String)> {
    let (left, right) = line.split_once(" - ")?;
    let point = left.split(' ').nth(4)?;
    let mut right = right.split(' ');
    let (kind, device) = (right.next()?, right.next()?);
    Some((point, format!("{kind} on {device}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let line = "26 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard";
        assert_eq!(
            parse_mount(line),
            Some(("/", "ext4 on /dev/vda".to_owned()))
        );
        assert_eq!(parse_mount("26 1"), None);
        assert!(!mount_of(Path::new("/proc")).expect("is mounted").is_empty());
    }
}
