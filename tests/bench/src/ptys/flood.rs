//! A big file through one WebSocket: processor time of the server, and every byte compared.
//!
//! The program of the terminal waits for a line before it prints, so that the clock and the count begin at the same moment for
//! every side. The reading client is the bench itself; its cost is in nobody's figure, though it shares the machine.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kit::Home;
use tokio::time::{Instant, timeout};

use super::server::Server;
use super::viewer::{PATIENCE, Viewer};
use crate::figures::{float, median, ratio, seconds, times};
use crate::goals::Goals;
use crate::process::cpu_time;
use crate::table::Table;

const GOAL_CPU_RATIO: f64 = 1.25;
/// Lines of a block, each printed as 80 bytes: the terminal makes a newline two bytes.
const BLOCK_LINES: usize = 12_500;
const LINE_BYTES: usize = 80;

/// What is printed.
struct Material {
    _home: Home,
    program: PathBuf,
    /// The bytes of a block as the terminal prints it.
    block: Vec<u8>,
    bytes: u64,
}

/// One run of one side.
struct Run {
    cpu: Duration,
    wall: Duration,
    frames: u64,
}

pub(super) async fn measure(servers: &[Server], is_quick: bool, goals: &mut Goals) -> Result<()> {
    let (rounds, blocks) = if is_quick { (1, 20) } else { (5, 200) };
    let material = Material::make(blocks)?;
    let mut runs: Vec<Vec<Run>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        // Each side goes first as often as the others.
        for turn in 0..servers.len() {
            let index = (turn + round) % servers.len();
            let (Some(server), Some(runs)) = (servers.get(index), runs.get_mut(index)) else {
                continue;
            };
            runs.push(
                one(server, &material)
                    .await
                    .with_context(|| server.name().to_owned())?,
            );
        }
    }
    let megabytes = material.bytes / 1_000_000;
    print(servers, &runs, megabytes);
    let (ours, peers) = runs.split_first().context("the daemon is measured")?;
    // The leaner of the peers' two kinds is the one to be compared with.
    let worst_case = peers
        .iter()
        .map(|peer| median(&ratios(ours, peer)))
        .fold(0.0, f64::max);
    goals.at_most(
        format!("ptys: CPU per {megabytes} MB to the bare program, median"),
        GOAL_CPU_RATIO,
        worst_case,
        "×",
    );
    Ok(())
}

fn print(servers: &[Server], runs: &[Vec<Run>], megabytes: u64) {
    let mut table = Table::new(
        format!(
            "`cat` of {megabytes} MB through one WebSocket, every byte compared; ratio: mainstay to it"
        ),
        &[
            "",
            "round",
            "server CPU, s",
            "ratio",
            "wall, s",
            "ratio",
            "frames",
            "mean bytes",
        ],
    );
    let Some(ours) = runs.first() else { return };
    for (server, theirs) in servers.iter().zip(runs) {
        for (round, (our, their)) in ours.iter().zip(theirs).enumerate() {
            let mean = megabytes * 1_000_000 / their.frames.max(1);
            table.row([
                server.name().to_owned(),
                (round + 1).to_string(),
                seconds(their.cpu),
                times(ratio(our.cpu, their.cpu)),
                seconds(their.wall),
                times(ratio(our.wall, their.wall)),
                their.frames.to_string(),
                mean.to_string(),
            ]);
        }
    }
    table.print();
}

fn ratios(ours: &[Run], peer: &[Run]) -> Vec<f64> {
    ours.iter()
        .zip(peer)
        .map(|(our, their)| ratio(our.cpu, their.cpu))
        .collect()
}

async fn one(server: &Server, material: &Material) -> Result<Run> {
    let mut viewer = server.open(&material.program).await?;
    viewer.until(b"ready\r\n").await?;
    let frames_before = viewer.frames;
    let cpu_before = cpu_time(server.pid())?;
    let began = Instant::now();
    viewer.send(b"\n").await?;
    timeout(PATIENCE, read_all(&mut viewer, material))
        .await
        .context("the output does not end")??;
    let wall = began.elapsed();
    let cpu = cpu_time(server.pid())?.saturating_sub(cpu_before);
    let frames = viewer.frames - frames_before;
    viewer.leave().await;
    ensure!(float(frames) > 0.0, "no frame");
    Ok(Run { cpu, wall, frames })
}

/// Reads to the end and compares every byte with what must come.
async fn read_all(viewer: &mut Viewer, material: &Material) -> Result<()> {
    let (mut total, mut at) = (0, 0);
    while let Some(output) = viewer.output().await? {
        let mut rest = &output[..];
        while !rest.is_empty() {
            let expected = material.block.get(at..).unwrap_or_default();
            let length = rest.len().min(expected.len());
            ensure!(
                rest.get(..length) == expected.get(..length),
                "wrong bytes after {total}"
            );
            rest = rest.get(length..).unwrap_or_default();
            at = (at + length) % material.block.len();
            total += length as u64;
        }
    }
    ensure!(
        total == material.bytes,
        "{total} of {} bytes came",
        material.bytes
    );
    Ok(())
}

impl Material {
    fn make(blocks: u64) -> Result<Self> {
        let home = Home::new();
        let file = home.root().join("output.txt");
        let mut writer = BufWriter::new(File::create(&file)?);
        let lines: String = (0..BLOCK_LINES).map(line).collect();
        for _ in 0..blocks {
            writer.write_all(lines.as_bytes())?;
        }
        writer.flush()?;
        let program = home.write(
            "flood",
            format!(
                "#!/bin/sh\nstty -echo\necho ready\nread -r go\nexec cat '{}'\n",
                file.display()
            ),
        );
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        let block = lines.replace('\n', "\r\n").into_bytes();
        ensure!(
            block.len() == BLOCK_LINES * LINE_BYTES,
            "a line of another length"
        );
        let bytes = blocks * block.len() as u64;
        Ok(Self {
            _home: home,
            program,
            block,
            bytes,
        })
    }
}

/// A line that differs from its neighbours, so that a piece in the wrong place does not go unseen.
fn line(number: usize) -> String {
    format!("{number:06} {:x<71}\n", number.wrapping_mul(2_654_435_761))
}
