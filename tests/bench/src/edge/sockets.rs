//! Idle signed-in WebSockets: what the daemon holds for each.
//!
//! They look at a few terminals in which nothing happens, as the tabs of many people do over a night. The peers of this figure are
//! the sockets of the kernel, which nobody can do without and which are in nobody's resident memory.

use anyhow::{Context, Result};
use kit::Daemon;
use serde_json::{Value, json};

use crate::figures::{float, float_of};
use crate::goals::Goals;
use crate::process::settled;
use crate::ptys::Viewer;
use crate::table::Table;

/// Viewers that look at one terminal.
const VIEWERS: usize = 50;

pub(super) async fn measure(
    daemon: &Daemon,
    token: &str,
    is_quick: bool,
    goals: &mut Goals,
) -> Result<()> {
    let many = if is_quick { 200 } else { 10_000 };
    let before = settled(daemon.pid()).await?;
    let mut viewers = Vec::with_capacity(many);
    while viewers.len() < many {
        let body = json!({ "shell": "/bin/cat", "cols": 80, "rows": 24 });
        let client = daemon.with_token(token);
        let opened: Value = client
            .post("/api/v1/terminals", &body)
            .await
            .expect(201)
            .json();
        let id = opened.get("id").and_then(Value::as_str);
        let id = id.context("a terminal has an id")?;
        for _ in 0..VIEWERS.min(many - viewers.len()) {
            viewers.push(Viewer::attach(daemon.address(), id, token).await?);
        }
    }
    let after = settled(daemon.pid()).await?;
    let more = float(after.resident.saturating_sub(before.resident));
    let mut table = Table::new(
        "idle signed-in WebSockets",
        &["", "resident, MB", "more, MB", "KiB each"],
    );
    table.row([
        viewers.len().to_string(),
        format!("{:.1}", float(after.resident) / 1e6),
        format!("{:.1}", more / 1e6),
        format!("{:.1}", more / 1024.0 / float_of(viewers.len())),
    ]);
    table.print();
    let all = float(after.resident) / 1e6;
    goals.at_most(
        format!("edge: resident with {many} idle WebSockets"),
        200.0,
        all,
        "MB",
    );
    Ok(())
}
