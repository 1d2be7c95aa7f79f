//! The domain as a whole, on real shells: under its real supervisor, with no other domain around it.
//!
//! A script runs as the start file of an interactive bash, so nothing is typed that would be echoed, and no file is executed
//! that another test may just be writing. Every wait is for a condition and has a deadline.

mod changes;
mod ending;
mod faults;
mod limits;
mod output;
mod owners;
mod records;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::Future;
use std::time::Duration;

use ground::{Db, Id};
use serde_json::Value;
use supervisor::{
    Address, AskError, Domain, DomainContext, Impact, Manifest, Priority, StartError, Started,
    System, SystemBuilder,
};
use tempfile::TempDir;

use crate::frames::Notice;
use crate::{
    Attachment, Config, DaemonEnvironment, Frame, FrameKind, NewTerminal, Ports, Ptys, PtysError,
    TerminalInfo, TerminalState, Terminals, Viewer, ViewerInput,
};

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_mins(1);

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

/// The domain, running.
struct Daemon {
    system: System,
    face: crate::PtysHandle,
    handle: Terminals,
    ports: Ports,
}

impl Daemon {
    async fn start(config: Config) -> Self {
        let variables = [
            ("PATH", "/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
            ("MAINSTAY_SECRET", "s3cret"),
        ];
        let variables =
            variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Self::start_with(
            config,
            Ports::new(Db::vacant(), DaemonEnvironment::new(variables)),
        )
        .await
    }

    async fn start_with(config: Config, ports: Ports) -> Self {
        let mut builder = SystemBuilder::new();
        let address = Address::vacant("/ptys/manager", Ptys::MANIFEST.mailbox_limit);
        let face = Ptys::handle(address.clone());
        let handle = face.of(Viewer::Operator);
        builder.disable::<NoStore>("not in this test");
        builder.add::<Ptys>(address, config, ports.clone());
        let system = builder.start().await.expect("a sound tree");
        within(system.ready()).await;
        Self {
            system,
            face,
            handle,
            ports,
        }
    }

    /// Opens a terminal that runs `script` in an interactive bash, which goes on when the script does not exit.
    async fn run(&self, script: &str) -> Shell {
        let home = home_with(script);
        let new = request(&home);
        let info = within(self.handle.open(new)).await.expect("a shell");
        Shell { info, home }
    }

    async fn attach(&self, id: Id, since: Option<u64>) -> Client {
        Client::new(
            within(self.handle.attach(id, since))
                .await
                .expect("attached"),
        )
    }

    /// Stops the domain and checks that every actor ended by itself.
    async fn stop(self) {
        let report = within(self.system.stop()).await;
        assert_eq!(report.killed, Vec::<String>::new());
    }
}

/// A terminal and the home directory of its shell.
struct Shell {
    info: TerminalInfo,
    home: TempDir,
}

impl Shell {
    fn id(&self) -> Id {
        self.info.id
    }
}

fn home_with(script: &str) -> TempDir {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join(".bashrc"), script).expect("written");
    std::fs::write(home.path().join(".hushlogin"), "").expect("written");
    home
}

fn request(home: &TempDir) -> NewTerminal {
    let home = home.path().to_str().expect("a plain path").to_owned();
    NewTerminal {
        shell: Some("/bin/bash".to_owned()),
        cwd: Some(home.clone()),
        env: BTreeMap::from([("HOME".to_owned(), home)]),
        cols: 80,
        rows: 24,
        name: None,
    }
}

/// A viewer that keeps what it got.
struct Client {
    attachment: Attachment,
    input: ViewerInput,
    output: Vec<u8>,
    snapshot: Vec<u8>,
    notices: Vec<Value>,
    exit: Option<Value>,
}

impl Client {
    fn new(attachment: Attachment) -> Self {
        Self {
            input: attachment.input(),
            attachment,
            output: Vec::new(),
            snapshot: Vec::new(),
            notices: Vec::new(),
            exit: None,
        }
    }

    fn send(&self, kind: u8, payload: &[u8]) {
        self.input.receive(&[&[kind], payload].concat());
    }

    fn type_text(&self, text: &str) {
        self.send(0, text.as_bytes());
    }

    /// Takes one frame; `false` when nothing will follow.
    async fn take(&mut self) -> bool {
        let Some(frame) = within(self.attachment.next_frame()).await else {
            return false;
        };
        assert!(
            self.exit.is_none() || frame.kind() == FrameKind::Notice,
            "{frame:?} after the exit"
        );
        match frame.kind() {
            FrameKind::Output => self.output.extend_from_slice(&frame.payload()),
            FrameKind::Snapshot => self.snapshot.extend_from_slice(&frame.payload()),
            FrameKind::Notice => self.notices.push(json(&frame)),
            FrameKind::Exit => self.exit = Some(json(&frame)),
            FrameKind::Pong => {}
        }
        true
    }

    async fn take_all(&mut self) {
        while self.take().await {}
    }

    /// Everything it was given so far, as text.
    fn text(&self) -> String {
        let all = [self.snapshot.as_slice(), self.output.as_slice()].concat();
        String::from_utf8_lossy(&all).into_owned()
    }

    async fn until_text(&mut self, wanted: &str) {
        while !self.text().contains(wanted) {
            assert!(
                self.take().await,
                "ended without {wanted:?}: {}",
                self.text()
            );
        }
    }

    async fn until_notice(&mut self, kind: &str) -> Value {
        loop {
            if let Some(found) = self.notices.iter().find(|notice| notice["type"] == kind) {
                return found.clone();
            }
            assert!(self.take().await, "ended without notice {kind}");
        }
    }

    /// The number that follows `label` in what was printed.
    async fn number_after(&mut self, label: &str) -> u32 {
        loop {
            let text = self.text();
            let found = text.split_once(label).and_then(|(_, rest)| {
                let (digits, _) = rest.split_once(|c: char| !c.is_ascii_digit())?;
                digits.parse().ok()
            });
            match found {
                Some(number) => return number,
                None => assert!(self.take().await, "ended without {label}: {text}"),
            }
        }
    }
}

fn json(frame: &Frame) -> Value {
    serde_json::from_slice(&frame.payload()).expect("JSON")
}

/// The future's result, within the deadline.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("within the deadline")
}

/// Waits until `check` holds, within the deadline.
async fn eventually<T>(mut check: impl AsyncFnMut() -> Option<T>) -> T {
    within(async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// Whether a process with this number lives; one that is not reaped yet does not.
fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    })
}

fn greeting_end(client: &Client) -> u64 {
    client.notices[0]["end"]
        .as_u64()
        .expect("the first notice is the greeting")
}

fn is_missed(notice: &Value) -> bool {
    notice["type"] == "missed"
}
