//! `status` and `explain`: ask for the tree, draw it, and answer with the level as exit code.

use std::fmt::Write as _;

use ground::Micros;
use http::Method;
use serde_json::{Value, json};
use supervisor::State;

use super::{
    Session,
    args::{ExplainArgs, StatusArgs},
    block_on,
    client::{Client, NoAnswer, path_text, query_text},
    document::{self, Event, Node, Page, node_path},
    exit::Exit,
    failure::Failure,
    render::{
        explain::{self, Subject},
        tree::{self, level_words},
    },
    screen::{self, Style},
    watch,
};

/// How many of the last changes `explain` tells.
const EVENTS: usize = 8;
/// Pages of changes that are read at most; the daemon keeps some thousands of changes.
const PAGES: usize = 64;
/// A typed path is taken for a slip of the finger when at least this much of it is right.
const LIKENESS: f64 = 0.6;

/// `status`.
pub(crate) fn status(session: &Session, args: &StatusArgs) -> Result<Exit, Failure> {
    let client = session.client()?;
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
                events(&client, &view.path).await?,
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
    events: Vec<Event>,
}

impl Explained {
    /// The part in prose, as of `now`.
    pub(crate) fn draw(&self, now: Micros, style: &Style) -> String {
        let subject = Subject {
            node: &self.node,
            domain: self.domain.as_ref(),
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
    let events = last_events(events(client, &view.path).await?, &node.path)?;
    Ok(Explained {
        domain: domain(client, &view.path).await,
        node,
        events,
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

/// The kept changes of this node and those below it, oldest first. The node can be explained without its history, so a
/// refusal leaves it out.
async fn events(client: &Client, path: &str) -> Result<Vec<Value>, Failure> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    for _page in 0..PAGES {
        let mut target = format!("/api/v1/status/events?limit=200&path={}", query_text(path));
        if let Some(cursor) = &cursor {
            _ = write!(target, "&cursor={}", query_text(cursor));
        }
        let page = match client.ask(Method::GET, &target, None).await {
            Ok(page) => document::read::<Page<Value>>(page)?,
            Err(NoAnswer::Refused(_)) => break,
            Err(other) => return Err(client.failure(other)),
        };
        all.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(all)
}

/// The last changes of this node, oldest first.
fn last_events(events: Vec<Value>, path: &str) -> Result<Vec<Event>, Failure> {
    let mut events = events
        .into_iter()
        .map(document::read)
        .collect::<Result<Vec<Event>, _>>()?;
    events.retain(|event| event.path == path);
    events.sort_by_key(|event| event.id);
    let from = events.len().saturating_sub(EVENTS);
    Ok(events.split_off(from))
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
        let last = last_events(all, "/a").unwrap();
        assert_eq!(
            last.iter().map(|event| event.id).collect::<Vec<_>>(),
            (12..20).collect::<Vec<_>>()
        );
    }
}
