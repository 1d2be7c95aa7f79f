//! The tree as numbers: level, restarts and mailbox of each domain, group and actor.
//!
//! Keyed children (one a terminal) are left out: a metric must not have as many series as there are users of it.

use std::fmt::Result;

use supervisor::{Detail, NodeStatus, System};

use super::text::{Kind, Metric, escaped};

/// Levels below the root that are told: domains and what is directly in them.
const DEPTH: usize = 2;

/// Appends the tree's metrics.
pub(super) fn write(system: &System, out: &mut String) -> Result {
    let Some(root) = system.status(None, Some(DEPTH)) else {
        return Ok(());
    };
    let mut nodes = Vec::new();
    collect(&root, &mut nodes);
    let mut level = Metric::new(
        "mainstay_node_level",
        Kind::Gauge,
        "0 NORMAL, 1 DEGRADED, 2 CRITICAL, 3 OFFLINE.",
    );
    for node in &nodes {
        level.labelled(&labels(node), node.level.rank(), out)?;
    }
    let mut restarts = Metric::new(
        "mainstay_node_restarts_total",
        Kind::Counter,
        "Restarts since the daemon started.",
    );
    for node in &nodes {
        restarts.labelled(&labels(node), node.restarts.count, out)?;
    }
    let mut depth = Metric::new(
        "mainstay_node_mailbox_depth",
        Kind::Gauge,
        "Requests admitted and not finished.",
    );
    for (node, mailbox) in nodes.iter().filter_map(|node| Some((node, node.mailbox?))) {
        depth.labelled(&labels(node), mailbox.depth, out)?;
    }
    let mut limit = Metric::new(
        "mainstay_node_mailbox_limit",
        Kind::Gauge,
        "Requests admitted at most.",
    );
    for (node, mailbox) in nodes.iter().filter_map(|node| Some((node, node.mailbox?))) {
        limit.labelled(&labels(node), mailbox.limit, out)?;
    }
    write_details(&nodes, out)
}

/// What the nodes tell of themselves in numbers, and of these once more the terminals, under a name to alarm on.
fn write_details(nodes: &[&NodeStatus], out: &mut String) -> Result {
    let help = "Numbers that the node tells of itself, by name.";
    let mut details = Metric::new("mainstay_node_detail", Kind::Gauge, help);
    let mut terminals = Vec::new();
    for node in nodes {
        for (name, value) in node
            .detail
            .iter()
            .filter_map(|(name, value)| Some((name, number(value)?)))
        {
            let labels = format!("{},name=\"{}\"", labels(node), escaped(name));
            details.labelled(&labels, &value, out)?;
            if node.path.starts_with("/ptys/") && matches!(name.as_str(), "running" | "exited") {
                terminals.push((name, value));
            }
        }
    }
    let mut gauge = Metric::new("mainstay_terminals", Kind::Gauge, "Terminals, by state.");
    for (state, count) in terminals {
        gauge.labelled(&format!("state=\"{state}\""), count, out)?;
    }
    Ok(())
}

/// A detail as a number; none for texts.
fn number(detail: &Detail) -> Option<String> {
    match detail {
        Detail::Bool(value) => Some(u8::from(*value).to_string()),
        Detail::Int(value) => Some(value.to_string()),
        Detail::Float(value) => Some(value.to_string()),
        Detail::Text(_) => None,
    }
}

fn collect<'a>(node: &'a NodeStatus, nodes: &mut Vec<&'a NodeStatus>) {
    nodes.push(node);
    for child in &node.children {
        collect(child, nodes);
    }
}

fn labels(node: &NodeStatus) -> String {
    format!("path=\"{}\"", escaped(&node.path))
}
