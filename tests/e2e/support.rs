//! What several themes need: the binary, and the few steps that most stories begin with.

use std::path::Path;

use kit::{Builder, Client, Daemon, PATIENCE, SharedDatabase, Terminal, eventually};
use serde_json::{Value, json};

/// The binary under test, built by cargo for this very run.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_mainstay");

/// The options of a daemon.
pub(crate) fn daemon() -> Builder {
    Daemon::builder(BINARY)
}

/// Runs the command line in a home without a daemon of its own.
pub(crate) async fn cli(home: &kit::Home, args: &[&str]) -> kit::Ended {
    kit::run_cli(Path::new(BINARY), home, args, &[]).await
}

/// A running daemon on a database.
pub(crate) async fn daemon_on(database: &SharedDatabase) -> Daemon {
    daemon().database(database).start().await
}

/// What to post for a terminal with a plain shell.
pub(crate) fn shell() -> Value {
    json!({ "shell": "/bin/bash", "cols": 80, "rows": 24 })
}

/// Opens a terminal and gives its id.
pub(crate) async fn open(client: &Client, wanted: &Value) -> String {
    let opened = client
        .post("/api/v1/terminals", wanted)
        .await
        .expect(201)
        .json();
    id_of(&opened)
}

/// The id in a document.
pub(crate) fn id_of(document: &Value) -> String {
    document["id"]
        .as_str()
        .expect("a document has an id")
        .to_owned()
}

/// Opens a terminal and attaches to it from the start of its output.
pub(crate) async fn open_and_attach(daemon: &Daemon, wanted: &Value) -> (String, Terminal) {
    let id = open(&daemon.operator().await, wanted).await;
    let attached = daemon.attach(&id, Some(0)).await;
    (id, attached)
}

/// Attaches to a terminal of somebody's from the start of its output.
pub(crate) async fn attach_as(daemon: &Daemon, id: &str, token: &str) -> Terminal {
    let attached = daemon.try_attach(id, Some(0), Some(token), None).await;
    attached.unwrap_or_else(|refused| panic!("attach to {id}: {refused:?}"))
}

/// Types a command and waits for a word that only its output has, not its echo.
pub(crate) async fn say(terminal: &mut Terminal, word: &str) {
    let (first, rest) = word.split_at(1);
    terminal.send_line(&format!("echo {first}''{rest}")).await;
    terminal.read_until(word).await;
}

/// The shell's process id, as the shell itself tells it.
pub(crate) async fn shell_pid(terminal: &mut Terminal) -> i32 {
    terminal.send_line("echo p''id=$$.").await;
    terminal.read_until("pid=").await;
    let told = terminal.read_until(".").await;
    let told = String::from_utf8_lossy(&told)
        .trim_end_matches('.')
        .to_owned();
    told.parse()
        .unwrap_or_else(|error| panic!("{told:?} is no process id: {error}"))
}

/// A node of the status tree, as the local operator sees it.
pub(crate) async fn status(daemon: &Daemon, path: &str) -> Value {
    let path = format!("/api/v1/status{}", path.trim_end_matches('/'));
    daemon.local().get(&path).await.expect(200).json()
}

/// Waits until a node's member has a value, and gives the node.
pub(crate) async fn status_with(daemon: &Daemon, path: &str, member: &str, wanted: &str) -> Value {
    eventually(PATIENCE, async || {
        let node = status(daemon, path).await;
        if node[member] == wanted {
            Ok(node)
        } else {
            Err(format!("{path} with {member} = {wanted}; it is {node:#}"))
        }
    })
    .await
}

/// The terminal's own document.
pub(crate) async fn terminal_of(client: &Client, id: &str) -> Value {
    client
        .get(&format!("/api/v1/terminals/{id}"))
        .await
        .expect(200)
        .json()
}

/// Waits until a terminal has a state.
pub(crate) async fn terminal_with_state(client: &Client, id: &str, wanted: &str) -> Value {
    eventually(PATIENCE, async || {
        let terminal = terminal_of(client, id).await;
        if terminal["state"] == wanted {
            Ok(terminal)
        } else {
            Err(format!("state {wanted} of {terminal}"))
        }
    })
    .await
}

/// Waits until a process is gone.
pub(crate) async fn gone(pid: i32) {
    eventually(PATIENCE, async || match kit::Process::find(pid) {
        None => Ok(()),
        Some(process) => Err(format!("{process:?} ends")),
    })
    .await;
}

/// The URL of the database under a daemon, for looking past the daemon.
pub(crate) fn url_of(database: &SharedDatabase, home: &kit::Home) -> String {
    let file = home.data_dir().join("mainstay.db");
    database
        .url()
        .map_or_else(|| format!("sqlite://{}", file.display()), str::to_owned)
}
