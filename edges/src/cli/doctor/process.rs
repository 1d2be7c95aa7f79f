//! What the kernel tells of processes under `/proc` and of control groups under `/sys/fs/cgroup`. The parsers are pure;
//! whatever cannot be read is simply not known.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

/// Processes whose open files are looked through at most.
const PROCESS_LIMIT: usize = 20_000;

/// A running program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) pid: u32,
    pub(crate) name: String,
}

/// Which program listens at this address; `None` when that cannot be seen.
pub(crate) fn listener(address: SocketAddr) -> Option<Program> {
    let inodes: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, address))
        .collect();
    let wanted: Vec<_> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if wanted.is_empty() {
        return None;
    }
    let pids = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids
        .take(PROCESS_LIMIT)
        .find(|pid| has_open(*pid, &wanted))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = name.trim();
    Some(Program {
        pid,
        name: if name.is_empty() {
            "a program".to_owned()
        } else {
            name.to_owned()
        },
    })
}

fn has_open(pid: u32, wanted: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| {
            target
                .to_str()
                .is_some_and(|target| wanted.iter().any(|wanted| wanted == target))
        })
}

/// The inodes of the sockets in a `/proc/net/tcp` table that listen where `address` would.
fn listening_inodes(table: &str, address: SocketAddr) -> Vec<u64> {
    const LISTENING: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (ip, port) = fields.get(1)?.split_once(':')?;
            let is_same_port = u16::from_str_radix(port, 16).ok()? == address.port();
            let bound = table_address(ip)?.to_canonical();
            let overlaps = bound.is_unspecified()
                || address.ip().is_unspecified()
                || bound == address.ip().to_canonical();
            (is_same_port && overlaps && *fields.get(3)? == LISTENING)
                .then(|| fields.get(9)?.parse().ok())?
        })
        .collect()
}

/// An address as the kernel prints it: 32-bit words of the machine's own byte order, in hexadecimal.
fn table_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        u32::from_str_radix(text.get(at..at + 8)?, 16)
            .ok()
            .map(u32::to_ne_bytes)
    };
    match text.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(IpAddr::from(bytes))
        }
        _ => None,
    }
}

/// The soft limit `name` in a `/proc/PID/limits` table: `Ok(None)` is unlimited, `Err` not told.
pub(crate) fn soft_limit(table: &str, name: &str) -> Result<Option<u64>, ()> {
    let rest = table
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .ok_or(())?;
    match rest.split_whitespace().next() {
        Some("unlimited") => Ok(None),
        Some(number) => number.parse().map(Some).map_err(|_| ()),
        None => Err(()),
    }
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
pub(crate) fn available_memory(table: &str) -> Option<u64> {
    let rest = table
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// What a process's control group allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// Memory that it may still take, in bytes; `None` is without limit.
    pub(crate) memory: Option<u64>,
    /// Tasks that it may have; `None` is without limit.
    pub(crate) tasks: Option<u64>,
}

/// The control group (version 2) named in a `/proc/PID/cgroup` table, with the strictest limits on the way to its root.
pub(crate) fn group(table: &str) -> Group {
    let Some(own) = table.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return Group::default();
    };
    let root = Path::new("/sys/fs/cgroup");
    let mut found = Group::default();
    let mut at = root.join(own);
    while at.starts_with(root) {
        let left = limit(&at, "memory.max").map(|limit| limit.saturating_sub(used_memory(&at)));
        found.memory = stricter(found.memory, left);
        found.tasks = stricter(found.tasks, limit(&at, "pids.max"));
        if !at.pop() {
            break;
        }
    }
    found
}

/// Memory in use that cannot be taken back at once: the page cache does not count.
fn used_memory(group: &Path) -> u64 {
    let current = number(&group.join("memory.current")).unwrap_or(0);
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cache = stat
        .lines()
        .find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse().ok())
        .unwrap_or(0);
    current.saturating_sub(cache)
}

fn limit(group: &Path, file: &str) -> Option<u64> {
    number(&group.join(file))
}

/// The number in a file; `max` and whatever else is no number is none.
fn number(file: &PathBuf) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The lower of two limits, where none is above all.
pub(crate) fn stricter(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:100E 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0
   2: 0100007F:100E 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0
garbage
";

    #[test]
    #[cfg(target_endian = "little")]
    fn listeners_are_found_in_the_table() {
        let inodes = |address: &str| listening_inodes(TABLE, address.parse().unwrap());
        assert_eq!(inodes("127.0.0.1:4110"), [4711]);
        assert_eq!(inodes("0.0.0.0:4110"), [4711]);
        assert_eq!(inodes("10.0.0.1:4110"), [] as [u64; 0]);
        assert_eq!(inodes("10.0.0.1:8080"), [4712]);
        assert_eq!(
            table_address("00000000000000000000000001000000"),
            Some("::1".parse().unwrap())
        );
        assert_eq!(
            table_address("0000000000000000FFFF00000100007F").map(|ip| ip.to_canonical()),
            Some("127.0.0.1".parse().unwrap())
        );
    }

    #[test]
    fn we_find_ourselves() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let program = listener(socket.local_addr().unwrap()).unwrap();
        assert_eq!(program.pid, std::process::id());
    }

    #[test]
    fn limits_are_read() {
        let table = "Limit                     Soft Limit           Hard Limit           Units
Max open files            1024                 524288               files
Max processes             unlimited            unlimited            processes
";
        assert_eq!(soft_limit(table, "Max open files"), Ok(Some(1024)));
        assert_eq!(soft_limit(table, "Max processes"), Ok(None));
        assert_eq!(soft_limit(table, "Max flights"), Err(()));
    }

    #[test]
    fn memory_is_read() {
        assert_eq!(
            available_memory("MemTotal: 8 kB\nMemAvailable:   2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(available_memory("MemTotal: 8 kB\n"), None);
        assert_eq!(group("1:name=systemd:/x\n"), Group::default());
    }

    #[test]
    fn the_stricter_limit_counts() {
        assert_eq!(stricter(None, Some(3)), Some(3));
        assert_eq!(stricter(Some(2), Some(3)), Some(2));
        assert_eq!(stricter(None, None), None);
    }
}
