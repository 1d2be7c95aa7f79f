//! `status events`: what happened, a line an event, from the ledger and so from before the daemon was last started, too.
//!
//! A person wants the newest, in the order in which they happened: they are asked for newest first and turned round.

use std::{fmt::Write as _, time::Duration};

use ground::{Micros, clock::now};
use http::Method;
use serde_json::Value;

use super::{
    Session,
    args::EventsArgs,
    block_on,
    client::{Client, NoAnswer, query_text},
    document::{self, Event, Page, node_path},
    exit::Exit,
    failure::Failure,
    render::event,
    screen, span,
    status::View,
    watch,
};

/// The most events that the daemon tells at once.
const PAGE: usize = 200;

/// From when on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// For so long.
    Ago(Duration),
    /// From this time on.
    At(Micros),
    /// After this event.
    Id(u64),
}

impl Since {
    /// Reads a span like `2h`, a time like `2026-01-31T12:00:00Z`, or an event's id.
    ///
    /// # Errors
    /// A sentence that tells what is expected, for the usage error.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        span::parse(text).map(Self::Ago).map_err(|_| {
            format!(
                "`{text}` is no point in time: expected a span like 2h, a time like 2026-01-31T12:00:00Z, or an event's id"
            )
        })
    }

    /// The same without ids, where there are none.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn parse_time(text: &str) -> Result<Self, String> {
        match Self::parse(text)? {
            Self::Id(_) => Err(format!(
                "`{text}` is no point in time: expected a span like 2h, or a time like 2026-01-31T12:00:00Z"
            )),
            time => Ok(time),
        }
    }

    /// As the daemon is asked.
    pub(crate) fn words(&self, now: Micros) -> String {
        match self {
            Self::Ago(span) => (now - *span).to_string(),
            Self::At(at) => at.to_string(),
            Self::Id(id) => id.to_string(),
        }
    }
}

/// Which events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Of this node and those below it.
    pub(crate) path: Option<String>,
    /// As the daemon is asked.
    pub(crate) since: Option<String>,
}

/// `status events`.
pub(crate) fn run(session: &Session, args: &EventsArgs) -> Result<Exit, Failure> {
    let client = session.client()?;
    let asked = Asked {
        path: args.path.as_deref().map(node_path),
        since: args.since.as_ref().map(|since| since.words(now())),
    };
    let limit = usize::try_from(args.limit).unwrap_or(PAGE);
    block_on(async {
        // What happens between the two questions is in the list; the stream goes on behind both.
        let before = newest(&client, &Asked::default(), 1).await;
        let before = before.map_err(|error| client.failure(error))?;
        let told = newest(&client, &asked, limit).await;
        let told = told.map_err(|error| client.failure(error))?;
        let last = before.iter().chain(&told).filter_map(id_of).max();
        print(session, told, args.json)?;
        if !args.follow {
            return Ok(Exit::Done);
        }
        let view = View {
            path: asked.path.unwrap_or_else(|| "/".to_owned()),
            depth: None,
        };
        let after = last.unwrap_or(0).to_string();
        watch::follow(session, &client, &view, &after, args.json).await
    })
}

fn id_of(event: &Value) -> Option<u64> {
    event.get("id")?.as_u64()
}

fn print(session: &Session, told: Vec<Value>, json: bool) -> Result<(), Failure> {
    if json {
        let mut lines = String::new();
        for event in &told {
            _ = writeln!(lines, "{event}");
        }
        return Ok(screen::print(&lines)?);
    }
    let events = told
        .into_iter()
        .map(document::read)
        .collect::<Result<Vec<Event>, _>>()?;
    let text = event::history(&events, now(), &session.screen.style());
    Ok(screen::print(&text)?)
}

/// The newest `limit` events that are asked for, oldest first.
pub(crate) async fn newest(
    client: &Client,
    asked: &Asked,
    limit: usize,
) -> Result<Vec<Value>, NoAnswer> {
    let mut all: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    while all.len() < limit {
        let target = target(asked, PAGE.min(limit - all.len()), cursor.as_deref());
        let page = client.ask(Method::GET, &target, None).await?;
        let page: Page<Value> = document::read(page).map_err(NoAnswer::Garbled)?;
        all.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    all.reverse();
    Ok(all)
}

fn target(asked: &Asked, limit: usize, cursor: Option<&str>) -> String {
    let mut target = format!("/api/v1/status/events?order=desc&limit={limit}");
    let parameters = [
        ("path", asked.path.as_deref()),
        ("since", asked.since.as_deref()),
        ("cursor", cursor),
    ];
    for (name, value) in parameters {
        if let Some(value) = value {
            _ = write!(target, "&{name}={}", query_text(value));
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_read_and_asked_for() {
        let now: Micros = "2026-01-31T12:00:00.000Z".parse().unwrap();
        for (text, words) in [
            ("2h", "2026-01-31T10:00:00.000Z"),
            ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000Z"),
            ("1700000000000001", "1700000000000001"),
        ] {
            assert_eq!(Since::parse(text).unwrap().words(now), words);
        }
        for text in ["yesterday", "", "-1", "2026-01-31"] {
            let refusal = Since::parse(text).unwrap_err();
            assert!(refusal.contains("expected"), "{refusal}");
        }
    }

    #[test]
    fn the_request_names_all_that_is_asked_for() {
        let asked = Asked {
            path: Some("/a b".to_owned()),
            since: Some("2026-01-31T10:00:00.000Z".to_owned()),
        };
        assert_eq!(
            target(&asked, 7, Some("12")),
            "/api/v1/status/events?order=desc&limit=7&path=%2Fa%20b&since=2026-01-31T10%3A00%3A00.000Z&cursor=12"
        );
        assert_eq!(
            target(&Asked::default(), 200, None),
            "/api/v1/status/events?order=desc&limit=200"
        );
    }
}
