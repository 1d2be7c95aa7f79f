//! `audit list|verify|export`: what people did, whether the record of it holds, and all of it to take elsewhere.

use std::fmt::Write as _;

use ground::{Micros, clock::now};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Session,
    args::{AuditListArgs, AuditVerb},
    block_on,
    client::{Client, query_text},
    document::{self, Page},
    exit::Exit,
    failure::Failure,
    render::table,
    screen::{self, Style},
    span,
};

const AUDIT: &str = "/api/v1/audit";
/// The most entries that the daemon tells at once.
const PAGE: usize = 200;
/// Stretches of a chain that are verified at most: hundreds of millions of entries.
const STRETCHES: usize = 100_000;

/// Runs an `audit` verb.
pub(crate) fn run(session: &Session, verb: &AuditVerb) -> Result<Exit, Failure> {
    let client = session.client()?;
    match verb {
        AuditVerb::List(args) => {
            let items = block_on(newest(&client, args))?;
            let text = if args.json {
                document::json_text(&json!({ "items": items, "next_cursor": null }))
            } else {
                let entries = items.into_iter().map(document::read);
                let entries = entries.collect::<Result<Vec<Entry>, _>>()?;
                list(&entries, &session.screen.style())
            };
            screen::print(&text)?;
        }
        AuditVerb::Verify { json } => {
            let found = block_on(verify(&client))?;
            let text = if *json {
                document::json_text(&json!(found))
            } else {
                verdict(&found)
            };
            screen::print(&text)?;
            return Ok(if found.ok { Exit::Done } else { Exit::Failed });
        }
        AuditVerb::Export => {
            let lines = format!("{AUDIT}/export");
            block_on(client.download(&lines, "application/x-ndjson", |bytes| {
                Ok(screen::print_bytes(bytes)?)
            }))?;
        }
    }
    Ok(Exit::Done)
}

/// An entry, as far as a person wants to see it in a list.
#[derive(Debug, Deserialize)]
struct Entry {
    seq: i64,
    at: Micros,
    actor: Value,
    action: String,
    #[serde(default)]
    object: Option<String>,
    outcome: String,
    #[serde(default)]
    address: Option<String>,
}

async fn newest(client: &Client, args: &AuditListArgs) -> Result<Vec<Value>, Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(PAGE);
    let mut all: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    while all.len() < limit {
        let target = target(args, PAGE.min(limit - all.len()), cursor.as_deref(), now());
        let page: Page<Value> = document::read(client.get(&target).await?)?;
        all.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(all)
}

fn target(args: &AuditListArgs, limit: usize, cursor: Option<&str>, now: Micros) -> String {
    let mut target = format!("{AUDIT}?limit={limit}");
    let since = args.since.as_ref().map(|since| since.words(now));
    let parameters = [
        ("user", args.user.as_deref()),
        ("action", args.action.as_deref()),
        ("outcome", args.outcome.as_deref()),
        ("object", args.object.as_deref()),
        ("since", since.as_deref()),
        ("cursor", cursor),
    ];
    for (name, value) in parameters {
        if let Some(value) = value {
            _ = write!(target, "&{name}={}", query_text(value));
        }
    }
    target
}

fn list(entries: &[Entry], style: &Style) -> String {
    if entries.is_empty() {
        return "nothing is on record that fits\n".to_owned();
    }
    let or_dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            [
                entry.seq.to_string(),
                span::moment(entry.at),
                who(&entry.actor),
                entry.action.clone(),
                or_dash(entry.object.as_ref()),
                entry.outcome.clone(),
                or_dash(entry.address.as_ref()),
            ]
        })
        .collect();
    let headings = ["SEQ", "AT", "WHO", "WHAT", "OBJECT", "RESULT", "FROM"];
    table::draw(headings, &rows, style)
}

fn who(actor: &Value) -> String {
    let kind = actor["kind"].as_str().unwrap_or("-");
    let which = match kind {
        "local" => actor["uid"].as_i64().map(|uid| uid.to_string()),
        "token" => actor["credential"].as_str().map(str::to_owned),
        "user" => actor["user"].as_str().map(str::to_owned),
        _ => None,
    };
    which.map_or_else(|| kind.to_owned(), |which| format!("{kind} {which}"))
}

/// What all stretches of the chain came to.
#[derive(Debug, Default, serde::Serialize)]
struct Found {
    ok: bool,
    checked: u64,
    last_seq: i64,
    broken: Option<Value>,
}

/// One stretch, as the daemon tells it.
#[derive(Debug, Deserialize)]
struct Stretch {
    ok: bool,
    checked: u64,
    last_seq: i64,
    #[serde(default)]
    broken: Option<Value>,
    #[serde(default)]
    next_cursor: Option<String>,
}

async fn verify(client: &Client) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut target = format!("{AUDIT}/verify");
    for _stretch in 0..STRETCHES {
        let stretch: Stretch = document::read(client.get(&target).await?)?;
        found.ok = stretch.ok;
        found.checked += stretch.checked;
        found.last_seq = stretch.last_seq;
        found.broken = stretch.broken;
        let Some(cursor) = stretch.next_cursor else {
            return Ok(found);
        };
        target = format!("{AUDIT}/verify?cursor={}", query_text(&cursor));
    }
    Err(Failure::failed(
        "the chain is too long to be verified at once",
    ))
}

fn verdict(found: &Found) -> String {
    let Found {
        checked, last_seq, ..
    } = found;
    let place = found.broken.as_ref().map(|broken| {
        let message = broken["message"].as_str().unwrap_or_default();
        format!(
            "the record does not hold: {message}\n{checked} entries before it hold, up to {last_seq}\n\
             Somebody changed the database past the daemon, or it is damaged. Compare it with an export or a backup from before.\n"
        )
    });
    place.unwrap_or_else(|| format!("the record holds: {checked} entries, up to {last_seq}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::events::Since;

    #[test]
    fn the_request_names_all_that_is_asked_for() {
        let args = AuditListArgs {
            user: None,
            action: Some("token.".to_owned()),
            outcome: Some("refused".to_owned()),
            object: Some("/a b".to_owned()),
            since: Since::parse("2h").ok(),
            limit: 50,
            json: false,
        };
        let now: Micros = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(
            target(&args, 7, Some("12"), now),
            "/api/v1/audit?limit=7&action=token.&outcome=refused&object=%2Fa%20b&since=2026-01-31T10%3A00%3A00.000Z&cursor=12"
        );
    }

    #[test]
    fn entries_are_told_in_a_line_each() {
        let entry = json!({
            "seq": 7, "at": "2026-01-31T12:00:00.000Z", "actor": {"kind": "local", "uid": 1000}, "action": "node.restart",
            "object": "/ptys", "outcome": "done", "address": null, "detail": {}, "hash": "00",
        });
        let text = list(&[document::read(entry).unwrap()], &Style::PLAIN);
        assert!(text.contains("local 1000"), "{text}");
        assert!(text.contains("node.restart  /ptys   done"), "{text}");
        assert!(list(&[], &Style::PLAIN).contains("nothing"));
    }

    #[test]
    fn a_broken_record_is_told_with_its_place() {
        let mut found = Found {
            ok: true,
            checked: 12,
            last_seq: 12,
            broken: None,
        };
        assert_eq!(verdict(&found), "the record holds: 12 entries, up to 12\n");
        found.broken =
            Some(json!({"seq": 13, "what": "missing", "message": "entry 13 is missing"}));
        assert!(verdict(&found).starts_with("the record does not hold: entry 13 is missing\n"));
    }
}
