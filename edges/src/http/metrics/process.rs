//! What the kernel knows of this process, from `/proc/self`.

use std::fmt::Result;
use std::fs;

use ground::Micros;

use super::text::{Kind, Metric};

/// Numbers of this process; what the kernel did not tell is missing.
#[derive(Debug)]
pub(super) struct Process {
    started_at: Micros,
    resident_bytes: Option<u64>,
    cpu_seconds: Option<f64>,
    open_fds: Option<usize>,
    max_fds: Option<u64>,
    threads: Option<u64>,
}

/// Reads the numbers, off the threads that serve.
pub(super) async fn read(started_at: Micros) -> Process {
    let nothing = Process {
        started_at,
        resident_bytes: None,
        cpu_seconds: None,
        open_fds: None,
        max_fds: None,
        threads: None,
    };
    tokio::task::spawn_blocking(move || read_now(started_at))
        .await
        .unwrap_or(nothing)
}

fn read_now(started_at: Micros) -> Process {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    Process {
        started_at,
        resident_bytes: field(&status, "VmRSS:").map(|kib| kib * 1024),
        cpu_seconds: cpu_seconds(&stat),
        open_fds: fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
        max_fds: limit,
        threads: field(&status, "Threads:"),
    }
}

/// The number behind a name in `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time. The name of the program, which may hold spaces and brackets, ends at the last bracket.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    let ticks = u32::try_from(rustix::param::clock_ticks_per_second())
        .ok()
        .filter(|ticks| *ticks > 0)?;
    Some((f64::from(user) + f64::from(system)) / f64::from(ticks))
}

impl Process {
    pub(super) fn write(&self, out: &mut String) -> Result {
        let started = Micros(0);
        let since_epoch = self.started_at.since(started).as_secs_f64();
        Metric::new(
            "process_start_time_seconds",
            Kind::Gauge,
            "Start, in seconds since 1970.",
        )
        .value(since_epoch, out)?;
        if let Some(bytes) = self.resident_bytes {
            Metric::new(
                "process_resident_memory_bytes",
                Kind::Gauge,
                "Memory in RAM.",
            )
            .value(bytes, out)?;
        }
        if let Some(seconds) = self.cpu_seconds {
            Metric::new(
                "process_cpu_seconds_total",
                Kind::Counter,
                "User and system CPU time.",
            )
            .value(seconds, out)?;
        }
        if let Some(fds) = self.open_fds {
            Metric::new("process_open_fds", Kind::Gauge, "Open file descriptors.")
                .value(fds, out)?;
        }
        if let Some(fds) = self.max_fds {
            Metric::new("process_max_fds", Kind::Gauge, "File descriptors at most.")
                .value(fds, out)?;
        }
        if let Some(threads) = self.threads {
            Metric::new("process_threads", Kind::Gauge, "Threads.").value(threads, out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(
            field("Name:\tx\nVmRSS:\t  1234 kB\nThreads:\t3\n", "VmRSS:"),
            Some(1234)
        );
        assert_eq!(field("", "VmRSS:"), None);
        let stat = "42 (a) (b) S 1 42 42 0 -1 4194304 1 0 0 0 100 50 0 0 20 0 1 0 98765 1000 10";
        let ticks =
            f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).expect("small"));
        assert_eq!(cpu_seconds(stat), Some(150.0 / ticks));
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn this_process_has_numbers() {
        let process = read_now(Micros::now());
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 100_000));
        assert!(process.open_fds.is_some_and(|fds| fds > 2));
    }
}
