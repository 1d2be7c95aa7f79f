//! `restart`, `stop`, `start`: give the order, then wait for what comes of it, because "accepted" is not what an operator
//! wants to know.
//!
//! The document from before the order is kept: a restart that takes a millisecond leaves no other trace than a newer
//! `since`. The event stream only shortens the waiting; what counts is the document.

use std::time::Duration;

use http::Method;
use supervisor::{Level, State};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Session,
    args::ActionArgs,
    block_on,
    client::{Client, EventStream, NoAnswer, path_text},
    document::{self, Node, node_path},
    exit::Exit,
    failure::Failure,
    render::tree::level_words,
    screen::{self, Ink, Style},
    span,
    status::{View, unknown_part},
};

/// The document is asked for at least this often while waiting.
const LOOK: Duration = Duration::from_millis(200);

/// What an operator can order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// End it and start it anew.
    Restart,
    /// End it, and leave it so.
    Stop,
    /// Start what is stopped or quarantined.
    Start,
}

impl Action {
    /// The order in one word, as the API and the command line spell it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }
}

/// Orders `action` and waits for the outcome.
pub(crate) fn run(session: &Session, action: Action, args: &ActionArgs) -> Result<Exit, Failure> {
    let path = node_path(&args.path);
    if path == "/" {
        return Err(Failure::usage(format!(
            "the whole daemon cannot be told to {} itself",
            action.word()
        ))
        .next(format!(
            "systemctl {} mainstay, where it runs as a service",
            action.word()
        ))
        .next(format!(
            "mainstay {} /PART, with a part from mainstay status",
            action.word()
        )));
    }
    let client = session.client()?;
    let view = View {
        path,
        depth: Some(0),
    };
    let patience = (!args.no_wait).then_some(args.timeout);
    let outcome = block_on(order(&client, action, &view, patience))?;
    let style = session.screen.style();
    let text = match outcome {
        None => format!("{}: {} is under way", view.path, action.word()),
        Some((node, after)) => outcome_words(&node, after, &style),
    };
    screen::print(&format!("{text}\n"))?;
    Ok(Exit::Done)
}

/// How the part is after the order, on one line.
pub(crate) fn outcome_words(node: &Node, after: Duration, style: &Style) -> String {
    let level = level_words(node);
    let level = style.paint(Ink::of_level(node.level), &level);
    let (path, after) = (style.clean(&node.path), span::words(after));
    format!("{path} is {level} after {after}")
}

/// Orders `action` and gives the part as it is once that has come to its end, with the time it took; `None` without the
/// patience to wait for it.
///
/// # Errors
/// The daemon's refusal, or that the part has become something else than what was ordered.
pub(crate) async fn order(
    client: &Client,
    action: Action,
    view: &View,
    patience: Option<Duration>,
) -> Result<Option<(Node, Duration)>, Failure> {
    let before: Node = document::read(view.document(client).await?)?;
    let stream = match patience {
        Some(_) => client.stream("/api/v1/status/stream", None).await.ok(),
        None => None,
    };
    let target = format!(
        "/api/v1/supervisor{}/{}",
        path_text(&view.path),
        action.word()
    );
    let begun = Instant::now();
    match client.ask(Method::POST, &target, None).await {
        Ok(_accepted) => {}
        Err(NoAnswer::Refused(refusal)) if refusal.status == 404 => {
            return Err(unknown_part(client, &view.path).await);
        }
        Err(other) => return Err(client.failure(other)),
    }
    let Some(patience) = patience else {
        return Ok(None);
    };
    let node = settled(client, action, view, &before, stream, begun + patience).await?;
    match verdict(action, &before, &node) {
        Verdict::Reached => Ok(Some((node, begun.elapsed()))),
        Verdict::Failed | Verdict::Open => Err(not_reached(action, &node, begun.elapsed())),
    }
}

/// The document once the order has come to an end, or as it is at the deadline.
async fn settled(
    client: &Client,
    action: Action,
    view: &View,
    before: &Node,
    mut stream: Option<EventStream>,
    deadline: Instant,
) -> Result<Node, Failure> {
    loop {
        let node: Node = document::read(view.document(client).await?)?;
        if verdict(action, before, &node) != Verdict::Open || Instant::now() >= deadline {
            return Ok(node);
        }
        let next_look = deadline.min(Instant::now() + LOOK);
        match &mut stream {
            Some(events) => {
                // Any event may be the one; at the stream's end the clock alone wakes us.
                if let Ok(None) = timeout_at(next_look, events.next()).await {
                    stream = None;
                }
            }
            None => sleep(LOOK).await,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// What was ordered has happened.
    Reached,
    /// It has ended in something else.
    Failed,
    /// It is still under way.
    Open,
}

/// What has come of `action`, given the node before the order and now.
fn verdict(action: Action, before: &Node, now: &Node) -> Verdict {
    let is_new = now.since != before.since
        || now.restarts.count != before.restarts.count
        || now.state != before.state;
    match (action, now.state) {
        (Action::Stop, State::Stopped | State::Disabled) | (Action::Start, State::Running) => {
            Verdict::Reached
        }
        (Action::Restart, State::Running) if is_new => Verdict::Reached,
        (
            Action::Restart | Action::Start,
            State::Quarantined | State::Waiting | State::Disabled,
        ) if is_new => Verdict::Failed,
        _ => Verdict::Open,
    }
}

fn not_reached(action: Action, node: &Node, after: Duration) -> Failure {
    let mut failure = Failure::failed(format!(
        "{} of {}: after {} it is {}",
        action.word(),
        node.path,
        span::words(after),
        level_words(node)
    ));
    if let Some(cause) = node.cause.as_ref().filter(|_| node.level != Level::Normal) {
        failure.causes.push(format!(
            "{}: {} ({})",
            cause.path, cause.message, cause.code
        ));
    }
    failure.next(format!("mainstay explain {}", node.path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(state: &str, second: u32) -> Node {
        let since = format!("2026-01-31T12:00:{second:02}.000Z");
        document::read(json!({"path": "/a", "state": state, "level": "NORMAL", "since": since}))
            .unwrap()
    }

    #[test]
    fn a_restart_is_over_when_it_runs_anew() {
        let before = node("running", 1);
        assert_eq!(
            verdict(Action::Restart, &before, &node("running", 1)),
            Verdict::Open
        );
        assert_eq!(
            verdict(Action::Restart, &before, &node("restarting", 2)),
            Verdict::Open
        );
        assert_eq!(
            verdict(Action::Restart, &before, &node("running", 2)),
            Verdict::Reached
        );
        assert_eq!(
            verdict(Action::Restart, &before, &node("quarantined", 2)),
            Verdict::Failed
        );
        assert_eq!(
            verdict(Action::Restart, &before, &node("waiting", 2)),
            Verdict::Failed
        );
    }

    #[test]
    fn a_quarantine_from_before_the_order_is_not_its_outcome() {
        let before = node("quarantined", 1);
        assert_eq!(
            verdict(Action::Start, &before, &node("quarantined", 1)),
            Verdict::Open
        );
        assert_eq!(
            verdict(Action::Start, &before, &node("starting", 2)),
            Verdict::Open
        );
        assert_eq!(
            verdict(Action::Start, &before, &node("quarantined", 3)),
            Verdict::Failed
        );
        assert_eq!(
            verdict(Action::Start, &before, &node("running", 3)),
            Verdict::Reached
        );
    }

    #[test]
    fn stopping_what_is_stopped_is_done() {
        assert_eq!(
            verdict(Action::Stop, &node("stopped", 1), &node("stopped", 1)),
            Verdict::Reached
        );
        assert_eq!(
            verdict(Action::Stop, &node("running", 1), &node("stopping", 2)),
            Verdict::Open
        );
        assert_eq!(
            verdict(Action::Start, &node("running", 1), &node("running", 1)),
            Verdict::Reached
        );
    }

    #[test]
    fn what_was_not_reached_is_told_with_its_cause() {
        let now: Node = document::read(
            json!({"path": "/a", "state": "quarantined", "level": "OFFLINE",
            "cause": {"path": "/a", "code": "a.broken", "message": "it is broken"}}),
        )
        .unwrap();
        let failure = not_reached(Action::Restart, &now, Duration::from_secs(2));
        assert_eq!(
            failure.message,
            "restart of /a: after 2s it is OFFLINE quarantined"
        );
        assert_eq!(failure.causes, ["/a: it is broken (a.broken)"]);
    }
}
