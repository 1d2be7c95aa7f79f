//! `drill list|run`: asks the daemon for a fault and waits for what its status made of it.
//!
//! A drill is over when the fault has ended and the diagnosis has been compared with the expected one, so a run that
//! finds a difference exits 1: a drill in a script is a test.

use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Session,
    args::DrillVerb,
    block_on,
    client::{Client, NoAnswer, query_text},
    document::{self, node_path},
    exit::Exit,
    failure::Failure,
    render::table,
    screen::{self, Ink, Style},
    text,
};

const DRILLS: &str = "/api/v1/drills";
/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long a run is waited for beyond the fault itself.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs a `drill` verb.
pub(crate) fn run(session: &Session, verb: DrillVerb) -> Result<Exit, Failure> {
    let client = session.client()?;
    match verb {
        DrillVerb::List { json } => {
            let document = block_on(client.get(DRILLS))?;
            let text = if json {
                document::json_text(&document)
            } else {
                list(document, &session.screen.style())?
            };
            screen::print(&text)?;
            Ok(Exit::Done)
        }
        DrillVerb::Run {
            name,
            target,
            lasting,
            json,
        } => {
            let order = order(target.as_deref(), lasting);
            let id = block_on(begin(&client, &name, &order))?;
            if !json {
                let run = document::read(block_on(look(&client, &id))?)?;
                screen::print(&forecast(&name, &run, &session.screen.style()))?;
            }
            let document = block_on(follow(&client, &id, lasting))?;
            let outcome: Run = document::read(document.clone())?;
            let text = if json {
                document::json_text(&document)
            } else {
                told(&name, &outcome, &session.screen.style())
            };
            screen::print(&text)?;
            Ok(if outcome.matched {
                Exit::Done
            } else {
                Exit::Failed
            })
        }
    }
}

fn order(target: Option<&str>, lasting: Option<Duration>) -> Value {
    let mut order = json!({});
    if let Some(target) = target {
        order["target"] = json!(node_path(target));
    }
    if let Some(lasting) = lasting {
        order["for_ms"] = json!(u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX));
    }
    order
}

/// A drill in the list.
#[derive(Debug, Deserialize)]
struct Drill {
    name: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    targets: Vec<String>,
}

/// A run of a drill.
#[derive(Debug, Deserialize)]
struct Run {
    #[serde(default)]
    target: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    matched: bool,
    #[serde(default)]
    diagnosed_ms: Option<f64>,
    #[serde(default)]
    recovered_ms: Option<f64>,
    #[serde(default)]
    expected: Option<Value>,
    #[serde(default)]
    observed: Option<Value>,
    #[serde(default)]
    forecast: Vec<Hit>,
    #[serde(default)]
    hit: Vec<String>,
    #[serde(default)]
    hit_as_forecast: bool,
}

/// A domain that a drill may hit.
#[derive(Debug, Deserialize)]
struct Hit {
    domain: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    impact: Option<String>,
}

impl Run {
    /// Whether nothing more will come of it.
    fn is_over(&self) -> bool {
        !matches!(self.state.as_str(), "" | "running")
    }
}

fn list(document: Value, style: &Style) -> Result<String, Failure> {
    let items = document.get("items").cloned().unwrap_or(document);
    let drills: Vec<Drill> = document::read(items)?;
    let rows: Vec<_> = drills
        .into_iter()
        .map(|drill| [drill.name, drill.summary, drill.targets.join(" ")])
        .collect();
    Ok(table::draw(
        ["DRILL", "WHAT IT DOES", "TARGETS"],
        &rows,
        style,
    ))
}

/// A JSON value in words: text as it is, an object as `key value, …`.
fn words(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) => values
            .iter()
            .map(|value| words(Some(value)))
            .collect::<Vec<_>>()
            .join("; "),
        Some(Value::Object(members)) => members_words(members),
        Some(other) => other.to_string(),
    }
}

fn members_words(members: &Map<String, Value>) -> String {
    members
        .iter()
        .map(|(key, value)| format!("{key} {}", words(Some(value))))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Orders the drill; the id of its run.
async fn begin(client: &Client, name: &str, order: &Value) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Accepted {
        id: String,
    }
    let name = query_text(name);
    let begun = client
        .ask(Method::POST, &format!("{DRILLS}/{name}"), Some(order))
        .await;
    let accepted: Accepted = document::read(begun.map_err(|error| {
        let is_unknown =
            matches!(&error, NoAnswer::Refused(refusal) if matches!(refusal.status, 404 | 409));
        let failure = client.failure(error);
        if is_unknown {
            failure.next("mainstay drill list names the drills and what each can be aimed at")
        } else {
            failure
        }
    })?)?;
    Ok(accepted.id)
}

/// The run as it is now.
async fn look(client: &Client, id: &str) -> Result<Value, Failure> {
    client
        .get(&format!("{DRILLS}/runs/{}", query_text(id)))
        .await
}

/// Waits for the end of the run.
async fn follow(client: &Client, id: &str, lasting: Option<Duration>) -> Result<Value, Failure> {
    let deadline = Instant::now() + PATIENCE + lasting.unwrap_or_default();
    loop {
        let document = look(client, id).await?;
        let run: Run = document::read(document.clone())?;
        if run.is_over() {
            return Ok(document);
        }
        if Instant::now() >= deadline {
            return Err(Failure::failed(format!(
                "the drill has not come to an end; it is {}",
                run.state
            ))
            .next("mainstay status tells what is not well"));
        }
        sleep(LOOK).await;
    }
}

/// What the run may hit, told before its outcome.
fn forecast(name: &str, run: &Run, style: &Style) -> String {
    let mut out = format!(
        "{} on {} may hit, at worst:\n",
        style.clean(name),
        style.clean(&run.target)
    );
    for hit in &run.forecast {
        let impact = hit.impact.as_deref().unwrap_or("nothing is lost");
        let line = format!(
            "  {}{}{}",
            text::left(&hit.domain, 11),
            text::left(&hit.level, 10),
            style.clean(impact)
        );
        out.push_str(&style.fit(&line));
        out.push('\n');
    }
    if run.forecast.is_empty() {
        out.push_str("  nothing\n");
    }
    out
}

/// Who was hit, and whether that was foreseen.
fn struck(run: &Run) -> String {
    let whom = if run.hit.is_empty() {
        "no domain for long enough to be told".to_owned()
    } else {
        run.hit.join(", ")
    };
    let foreseen = if run.hit_as_forecast {
        "as forecast"
    } else {
        "more than was forecast"
    };
    format!("{whom}; {foreseen}")
}

fn told(name: &str, run: &Run, style: &Style) -> String {
    let ms = |value: Option<f64>| {
        value.map_or_else(|| "not seen".to_owned(), |ms| format!("{ms:.0} ms"))
    };
    let verdict = match (run.matched, &run.observed) {
        (true, _) => style.paint(Ink::Good, "diagnosed as expected"),
        (false, Some(_)) => style.paint(Ink::Worst, "diagnosed otherwise than expected"),
        (false, None) => style.paint(Ink::Worst, "not diagnosed"),
    };
    let mut out = format!(
        "{} on {}: {verdict}\n",
        style.clean(name),
        style.clean(&run.target)
    );
    let lines = [
        ("diagnosed", ms(run.diagnosed_ms)),
        ("recovered", ms(run.recovered_ms)),
        ("expected", words(run.expected.as_ref())),
        ("observed", words(run.observed.as_ref())),
        ("hit", struck(run)),
    ];
    for (label, words) in lines.into_iter().filter(|(_, words)| words != "-") {
        let line = format!("  {}{}", text::left(label, 11), style.clean(&words));
        out.push_str(&style.fit(&line));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_what_was_given() {
        assert_eq!(order(None, None), json!({}));
        let full = order(Some("ptys/manager"), Some(Duration::from_secs(2)));
        assert_eq!(full, json!({"target": "/ptys/manager", "for_ms": 2_000}));
    }

    #[test]
    fn drills_are_listed_in_either_form() {
        let drills = json!([
            {"name": "panic-actor", "summary": "the actor's handler panics", "targets": ["/ptys/manager", "/store/writer"],
             "expected": {"path": "/ptys/manager", "level": "OFFLINE", "cause_code": "actor.panicked"}},
            {"name": "store-down"}
        ]);
        let bare = list(drills.clone(), &Style::PLAIN).unwrap();
        assert_eq!(
            list(json!({"items": drills, "next_cursor": null}), &Style::PLAIN).unwrap(),
            bare
        );
        insta::assert_snapshot!(bare);
    }

    #[test]
    fn a_run_is_told_with_its_verdict() {
        let run = |value: Value| {
            told(
                "panic-actor",
                &document::read(value).unwrap(),
                &Style::PLAIN,
            )
        };
        let good = run(
            json!({"state": "done", "target": "/ptys/manager", "matched": true, "diagnosed_ms": 3, "recovered_ms": 12.4,
            "expected": {"path": "/a", "level": "CRITICAL"}, "observed": {"path": "/a", "level": "CRITICAL"},
            "hit": ["a", "b"], "hit_as_forecast": true}),
        );
        let silent = run(
            json!({"state": "done", "target": "/ptys/manager", "matched": false, "observed": null}),
        );
        let other = run(
            json!({"state": "done", "target": "/ptys/manager", "matched": false, "diagnosed_ms": 3,
            "observed": {"path": "/b", "level": "OFFLINE"}}),
        );
        insta::assert_snapshot!(format!("{good}\n{silent}\n{other}"));
    }

    #[test]
    fn a_forecast_names_who_may_be_hit() {
        let run =
            |value: Value| forecast("store-down", &document::read(value).unwrap(), &Style::PLAIN);
        let some = run(json!({"target": "/store/database", "forecast": [
            {"domain": "store", "level": "CRITICAL", "impact": "nothing can be saved"},
            {"domain": "ptys", "level": "DEGRADED", "impact": null}]}));
        let none = run(json!({"target": "/"}));
        insta::assert_snapshot!(format!("{some}\n{none}"));
    }

    #[test]
    fn a_run_under_way_is_not_over() {
        let run = |state: &str| document::read::<Run>(json!({"state": state})).unwrap();
        assert!(!run("running").is_over() && !run("").is_over());
        assert!(run("done").is_over() && run("failed").is_over());
    }
}
