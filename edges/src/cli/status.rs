//! `status` and `explain`: ask for the tree, draw it, and answer with the level as exit code.

use std::fmt::Write as _;

use ground::Micros;
use http::Method;
use serde_json::{Value, json};
use supervisor::State;

use super::{
    Session,
    args::{ExplainArgs, StatusArgs, StatusVerb},
    block_on,
    client::{Client, NoAnswer, path_text},
    document::{self, Event, Node, node_path},
    events::{self, Asked},
    exit::Exit,
    failure::Failure,
    render::{
        explain::{self, Subject},
        tree::{self, level_words},
    },
    screen::{self, Style},
    waits, watch,
};

/// How many of the last changes `explain` tells.
const EVENTS: usize = 8;
/// How many of the last ends of a node and those below it `explain` tells.
const ENDS: usize = 5;
/// How many events `explain` looks through for them, the newest.
const LOOKED_THROUGH: usize = 1000;
/// A typed path is taken for a slip of the finger when at least this much of it is right.
const LIKENESS: f64 = 0.6;

/// `status`.
pub(crate) fn status(session: &Session, args: &StatusArgs) -> Result<Exit, Failure> {
    if let Some(StatusVerb::Events(args)) = &args.verb {
        return events::run(session, args);
    }
    let client = session.client()?;
    if args.waits {
        return waits::show(session, &client, args.json);
    }
    let view = View {
        path: node_path(args.path.as_deref().unwrap_or("/")),
        depth: args.depth,
    };
    if args.watch {
        return block_on(watch::watch(session, &client, &view, args.json));
    }
    let document = block_on(view.document(&client))?;
    if args.json {
        screen::print(&document::json_text(&document))?;
        return Ok(Exit::of_level(document::read::<Node>(document)?.level));
    }
    let node: Node = document::read(document)?;
    screen::print(&tree::draw(
        &node,
        ground::clock::now(),
        &session.screen.style(),
    ))?;
    Ok(Exit::of_level(node.level))
}

/// `explain`.
pub(crate) fn explain(session: &Session, args: &ExplainArgs) -> Result<Exit, Failure> {
    let client = session.client()?;
    let view = View {
        path: node_path(&args.path),
        depth: None,
    };
    if args.json {
        let (document, events) = block_on(async {
            Ok((
                view.document(&client).await?,
                history(&client, &view.path).await?,
            ))
        })?;
        let both = json!({"node": document, "events": {"items": events}});
        screen::print(&document::json_text(&both))?;
        return Ok(Exit::Done);
    }
    let explained = block_on(explained(&client, &view))?;
    screen::print(&explained.draw(ground::clock::now(), &session.screen.style()))?;
    Ok(Exit::Done)
}

/// What is to be told of a part, as the daemon knows it.
#[derive(Clone, Debug)]
pub(crate) struct Explained {
    node: Node,
    domain: Option<Node>,
    run: Option<i64>,
    ends: Vec<Event>,
    events: Vec<Event>,
}

impl Explained {
    /// The part in prose, as of `now`.
    pub(crate) fn draw(&self, now: Micros, style: &Style) -> String {
        let subject = Subject {
            node: &self.node,
            domain: self.domain.as_ref(),
            run: self.run,
            ends: &self.ends,
            events: &self.events,
        };
        explain::draw(subject, now, style)
    }
}

/// Asks for all that is to be told of a part.
///
/// # Errors
/// A failure to print when there is no such part, or no answer.
pub(crate) async fn explained(client: &Client, view: &View) -> Result<Explained, Failure> {
    let node: Node = document::read(view.document(client).await?)?;
    let events = history(client, &view.path)
        .await?
        .into_iter()
        .map(document::read)
        .collect::<Result<Vec<Event>, _>>()?;
    Ok(Explained {
        domain: domain(client, &view.path).await,
        run: present_run(client).await,
        ends: last(&events, ENDS, Event::is_end),
        events: last(&events, EVENTS, |event| event.path == node.path),
        node,
    })
}

/// The domain of a node that lies inside of one. Only an aside: what goes wrong leaves it out.
async fn domain(client: &Client, path: &str) -> Option<Node> {
    let (domain, _inside) = path.strip_prefix('/')?.split_once('/')?;
    let document = client
        .get(&format!("/api/v1/status/{}?depth=0", path_text(domain)))
        .await
        .ok()?;
    document::read(document).ok()
}

/// The run that the daemon is in. Only an aside, too.
async fn present_run(client: &Client) -> Option<i64> {
    let newest = events::newest(client, &Asked::default(), 1).await.ok()?;
    let newest: Event = document::read(newest.into_iter().next_back()?).ok()?;
    newest.run
}

/// The newest events of this node and those below it, oldest first. The node can be explained without its history, so a
/// refusal leaves it out.
async fn history(client: &Client, path: &str) -> Result<Vec<Value>, Failure> {
    let asked = Asked {
        path: Some(path.to_owned()),
        since: None,
    };
    match events::newest(client, &asked, LOOKED_THROUGH).await {
        Ok(events) => Ok(events),
        Err(NoAnswer::Refused(_)) => Ok(Vec::new()),
        Err(other) => Err(client.failure(other)),
    }
}

/// The last `count` of the events that are `wanted`, oldest first.
fn last(events: &[Event], count: usize, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut events: Vec<Event> = events
        .iter()
        .filter(|event| wanted(event))
        .cloned()
        .collect();
    events.sort_by_key(|event| event.id);
    let from = events.len().saturating_sub(count);
    events.split_off(from)
}

/// What part of the tree is looked at.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The part's path; `/` is the whole.
    pub(crate) path: String,
    /// How deep.
    pub(crate) depth: Option<u32>,
}

impl View {
    /// Whether a change at `path` shows in this view.
    pub(crate) fn covers(&self, path: &str) -> bool {
        self.path == "/"
            || path
                .strip_prefix(&self.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn target(&self) -> String {
        let mut target = "/api/v1/status".to_owned();
        if self.path != "/" {
            target.push_str(&path_text(&self.path));
        }
        if let Some(depth) = self.depth {
            _ = write!(target, "?depth={depth}");
        }
        target
    }

    /// The part's status document.
    pub(crate) async fn document(&self, client: &Client) -> Result<Value, Failure> {
        match client.ask(Method::GET, &self.target(), None).await {
            Ok(document) => Ok(document),
            Err(NoAnswer::Refused(refusal)) if refusal.status == 404 => {
                Err(unknown_part(client, &self.path).await)
            }
            Err(other) => Err(client.failure(other)),
        }
    }
}

/// There is no such part; the nearest name is offered.
pub(crate) async fn unknown_part(client: &Client, path: &str) -> Failure {
    let failure = Failure::failed(format!("there is no part {path}"));
    let failure = match client
        .get("/api/v1/status")
        .await
        .and_then(document::read::<Node>)
    {
        Ok(tree) => match (stopped_above(&tree, path), nearest_path(&tree, path)) {
            (Some(above), _) => failure.next(format!(
                "mainstay explain {}: it is {}, and nothing runs below it",
                above.path,
                level_words(above)
            )),
            (None, Some(nearest)) => failure.next(format!("did you mean {nearest} ?")),
            (None, None) => failure,
        },
        Err(_) => failure,
    };
    failure.next("mainstay status lists the parts")
}

/// The nearest part above `path` that is there, when it does not run: what is below it comes and goes with it.
fn stopped_above<'t>(tree: &'t Node, path: &str) -> Option<&'t Node> {
    let is_above = |node: &&Node| {
        path.strip_prefix(&node.path)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    tree.walk()
        .filter(is_above)
        .last()
        .filter(|above| above.state != State::Running)
}

fn nearest_path(tree: &Node, path: &str) -> Option<String> {
    let ranked = tree.walk().filter(|node| node.path != "/").map(|node| {
        let whole = strsim::normalized_damerau_levenshtein(&node.path, path);
        // `manager` for `/ptys/manager`.
        let name = if path == format!("/{}", node.name()) {
            0.9
        } else {
            0.0
        };
        (whole.max(name), node)
    });
    ranked
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .map(|(_, node)| node.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(path: &str, depth: Option<u32>) -> View {
        View {
            path: path.to_owned(),
            depth,
        }
    }

    #[test]
    fn the_request_names_part_and_depth() {
        assert_eq!(view("/", None).target(), "/api/v1/status");
        assert_eq!(view("/", Some(2)).target(), "/api/v1/status?depth=2");
        assert_eq!(
            view("/ptys/a b", Some(0)).target(),
            "/api/v1/status/ptys/a%20b?depth=0"
        );
    }

    #[test]
    fn a_view_covers_what_lies_below() {
        assert!(view("/", None).covers("/ptys"));
        assert!(view("/ptys", None).covers("/ptys") && view("/ptys", None).covers("/ptys/manager"));
        assert!(!view("/ptys", None).covers("/ptys2") && !view("/ptys", None).covers("/"));
    }

    #[test]
    fn slips_of_the_finger_get_an_offer() {
        let node = |path: &str, children: Vec<Value>| json!({"path": path, "state": "running", "level": "NORMAL", "children": children});
        let tree = node(
            "/",
            vec![
                node("/ptys", vec![node("/ptys/manager", vec![])]),
                node("/store", vec![]),
            ],
        );
        let tree: Node = document::read(tree).unwrap();
        let offers = [
            ("/pyts", Some("/ptys")),
            ("/ptys/manger", Some("/ptys/manager")),
            ("/manager", Some("/ptys/manager")),
            ("/xyzzy", None),
        ];
        for (typed, offer) in offers {
            assert_eq!(nearest_path(&tree, typed).as_deref(), offer, "{typed}");
        }
    }

    #[test]
    fn what_is_gone_with_a_stopped_part_is_told_as_such() {
        let tree = json!({"path": "/", "state": "running", "level": "CRITICAL", "children": [
            {"path": "/ptys", "state": "stopped", "level": "OFFLINE"},
            {"path": "/store", "state": "running", "level": "NORMAL"}]});
        let tree: Node = document::read(tree).unwrap();
        let above = |path: &str| stopped_above(&tree, path).map(Node::name);
        assert_eq!(above("/ptys/manager/x"), Some("ptys"));
        assert_eq!(above("/ptys2"), None);
        assert_eq!(above("/store/writer"), None);
    }

    #[test]
    fn the_last_changes_of_the_node_are_told_oldest_first() {
        let event = |id: u64, path: &str| json!({"id": id, "path": path, "state": "running", "level": "NORMAL"});
        let mut all: Vec<_> = (0..20).rev().map(|id| event(id, "/a")).collect();
        all.push(event(99, "/a/b"));
        let all: Vec<Event> = all
            .into_iter()
            .map(|event| document::read(event).unwrap())
            .collect();
        let told = last(&all, EVENTS, |event| event.path == "/a");
        assert_eq!(
            told.iter().map(|event| event.id).collect::<Vec<_>>(),
            (12..20).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_ended_unasked_is_an_end() {
        let is_end = |more: Value| {
            let mut event =
                json!({"id": 1, "path": "/a", "level": "OFFLINE", "previous_state": "running"});
            if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
                event.extend(more);
            }
            document::read::<Event>(event).unwrap().is_end()
        };
        let cause = |code: &str| json!({"path": "/a", "code": code});
        assert!(is_end(json!({"state": "restarting"})));
        assert!(is_end(json!({"state": "quarantined"})));
        assert!(is_end(
            json!({"state": "stopped", "cause": cause("actor.panicked")})
        ));
        assert!(is_end(
            json!({"state": "running", "end": {"kind": "panic"}})
        ));
        assert!(!is_end(
            json!({"state": "stopped", "cause": cause("supervisor.stopped")})
        ));
        assert!(!is_end(
            json!({"state": "stopped", "end": {"kind": "normal"}})
        ));
        assert!(!is_end(
            json!({"state": "restarting", "previous_state": null})
        ));
        assert!(!is_end(json!({"state": "running"})));
    }
}
