//! A big file through one WebSocket: processor time of the server, and every byte compared.
//!
//! The program of the terminal waits for a line before it prints, so that the clock and the count begin at the same moment for
//! every side. The reading client is the bench itself; its cost is in nobody's figure, though it shares the machine.
//!
//! Many small rounds instead of a few big ones: what else runs on the machine makes the same work cost half as much again, so a
//! ratio is taken of neighbours in time, and of many ratios the middle one.

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
use crate::figures::{float, median, ratio, times};
use crate::goals::Goals;
use crate::process::Cpu;
use crate::table::Table;

/// Figures are told for so much output, however much a round prints.
const MEGABYTES: u64 = 200;
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
    let (rounds, blocks) = if is_quick { (3, 10) } else { (24, 50) };
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
    let bytes = material.bytes;
    let ratios = print(servers, &runs, bytes)?;
    for (server, ratio) in servers.iter().zip(ratios).skip(1) {
        let what = format!("ptys: CPU per {MEGABYTES} MB to {}", server.name());
        goals.at_most(what, GOAL_CPU_RATIO, ratio, "×");
    }
    Ok(())
}

/// Prints a row for each side, and gives back the middle ratio of our processor time to its.
fn print(servers: &[Server], runs: &[Vec<Run>], bytes: u64) -> Result<Vec<f64>> {
    let ours = runs.first().context("the daemon is measured")?;
    let mut table = Table::new(
        format!(
            "`cat` through one WebSocket, {} interleaved rounds of {} MB, every byte compared; per {MEGABYTES} MB; ratio: \
             mainstay to it, round by round",
            ours.len(),
            bytes / 1_000_000
        ),
        &[
            "",
            "server CPU, s p25 / p50 / p75",
            "ratio p25 / p50 / p75",
            "wall, s p50",
            "ratio p50",
            "frames",
            "mean bytes",
        ],
    );
    let scale = MEGABYTES * 1_000_000 / bytes;
    let mut found = Vec::new();
    for (server, theirs) in servers.iter().zip(runs) {
        let of = |part: fn(&Run) -> Duration| -> (Vec<f64>, Vec<f64>) {
            let times = theirs
                .iter()
                .map(|run| part(run).as_secs_f64() * float(scale));
            let ratios = ours
                .iter()
                .zip(theirs)
                .map(|(our, their)| ratio(part(our), part(their)));
            (times.collect(), ratios.collect())
        };
        let (cpu, cpu_ratio) = of(|run| run.cpu);
        let (wall, wall_ratio) = of(|run| run.wall);
        let frames: u64 = theirs.iter().map(|run| run.frames).sum();
        let rounds = u64::try_from(theirs.len())?;
        table.row([
            server.name().to_owned(),
            quartiles(&cpu),
            quartiles(&cpu_ratio),
            format!("{:.2}", median(&wall)),
            times(median(&wall_ratio)),
            (frames * scale / rounds).to_string(),
            (bytes * rounds / frames.max(1)).to_string(),
        ]);
        found.push(median(&cpu_ratio));
    }
    table.print();
    Ok(found)
}

fn quartiles(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |quarter: usize| {
        sorted
            .get(sorted.len() * quarter / 4)
            .copied()
            .unwrap_or(f64::NAN)
    };
    format!("{:.2} / {:.2} / {:.2}", at(1), at(2), at(3))
}

async fn one(server: &Server, material: &Material) -> Result<Run> {
    let mut viewer = server.open(&material.program).await?;
    viewer.until(b"ready\r\n").await?;
    let frames_before = viewer.frames;
    let cpu_before = Cpu::of(server.pid())?;
    let began = Instant::now();
    viewer.send(b"\n").await?;
    timeout(PATIENCE, read_all(&mut viewer, material))
        .await
        .context("the output does not end")??;
    let wall = began.elapsed();
    let cpu = Cpu::of(server.pid())?.since(&cpu_before);
    let frames = viewer.frames - frames_before;
    viewer.leave().await;
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
