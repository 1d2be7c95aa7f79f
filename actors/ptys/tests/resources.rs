//! What terminals cost the process: no thread each, little memory, and nothing once they are gone. A process of its own, since it
//! counts what the whole process holds.

use std::time::Duration;

use ground::{Db, PageRequest};
use ptys::{Config, DaemonEnvironment, NewTerminal, Ports, Ptys};
use supervisor::{
    Address, Domain, DomainContext, Impact, Manifest, Priority, StartError, Started, SystemBuilder,
};

/// How many terminals are opened.
const COUNT: usize = 60;

/// A store that configuration switches off: terminals need it softly.
struct NoStore;

impl Domain for NoStore {
    const MANIFEST: Manifest = Manifest {
        name: "store",
        title: "the store",
        priority: Priority::P0,
        needs: &[],
        impact: Impact {
            degraded: "",
            critical: "",
            offline: "",
        },
        fallback: None,
        main_actor: "none",
        mailbox_limit: 1,
        route_prefixes: &[],
    };
    type Config = ();
    type Ports = ();
    type Msg = ();
    type Handle = ();

    fn handle(_address: Address<()>) {}

    async fn start(_cx: DomainContext<()>, _config: (), _ports: ()) -> Result<Started, StartError> {
        Err(StartError::permanent("store.none", "there is none"))
    }
}

fn entries(directory: &str) -> usize {
    std::fs::read_dir(directory).expect("readable").count()
}

/// Resident memory in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("it is told");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number")
}

async fn open(handle: &ptys::Terminals, cwd: &str) -> ground::Id {
    let new = NewTerminal {
        shell: Some("/bin/sh".to_owned()),
        cwd: Some(cwd.to_owned()),
        cols: 80,
        rows: 24,
        ..NewTerminal::default()
    };
    let id = handle.open(new).await.expect("a shell").id;
    let mut viewer = handle.attach(id, None).await.expect("attached");
    let input = viewer.input();
    input.receive(b"\x00echo ready-$((1+1))\n");
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("ready-2") {
        let frame = tokio::time::timeout(Duration::from_mins(1), viewer.next_frame()).await;
        text.extend_from_slice(&frame.expect("in time").expect("it goes on").payload());
    }
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminals_cost_no_thread_little_memory_and_leave_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let cwd = home.path().to_str().expect("a plain path");
    let mut builder = SystemBuilder::new();
    let address = Address::vacant("/ptys/manager", Ptys::MANIFEST.mailbox_limit);
    let handle = Ptys::handle(address.clone()).of(ptys::Viewer::Operator);
    builder.disable::<NoStore>("not in this test");
    let ports = Ports::new(Db::vacant(), DaemonEnvironment::default());
    let config = Config {
        max_terminals: 100,
        ..Config::default()
    };
    builder.add::<Ptys>(address, config, ports);
    let system = builder.start().await.expect("a sound tree");
    system.ready().await;

    // The first terminals fill what is there once for all: buffers, pools.
    for _ in 0..8 {
        let id = open(&handle, cwd).await;
        handle.delete(id).await.expect("ended");
    }
    let (threads, descriptors, memory) = (
        entries("/proc/self/task"),
        entries("/proc/self/fd"),
        resident(),
    );

    let mut ids = Vec::new();
    for _ in 0..COUNT {
        ids.push(open(&handle, cwd).await);
    }
    let grown = resident().saturating_sub(memory);
    let each = grown / COUNT;
    println!("{each} KiB resident for an idle terminal");
    assert!(each <= 64, "{each} KiB for an idle terminal");
    // Threads of the blocking pool come and go; they are bounded by the domain, not by the number of terminals.
    let more = entries("/proc/self/task").saturating_sub(threads);
    assert!(more <= 6, "{more} threads more for {COUNT} terminals");
    // The PTY, the gate before it, and the process.
    assert_eq!(entries("/proc/self/fd") - descriptors, 3 * COUNT);

    for id in ids {
        handle.delete(id).await.expect("ended");
    }
    assert!(
        handle
            .list(PageRequest::default())
            .await
            .expect("a page")
            .items
            .is_empty()
    );
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while entries("/proc/self/fd") > descriptors {
        assert!(
            tokio::time::Instant::now() < deadline,
            "descriptors stay open"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    system.stop().await;
}
