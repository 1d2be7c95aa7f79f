//! `status --waits`: which parts wait for which others at this moment.

use serde::Deserialize;

use super::{
    Session, block_on,
    client::Client,
    document,
    exit::Exit,
    failure::Failure,
    render::table,
    screen::{self, Style},
};

const WAITS: &str = "/api/v1/status/waits";

#[derive(Deserialize)]
struct Waits {
    #[serde(default)]
    items: Vec<Wait>,
}

#[derive(Deserialize)]
struct Wait {
    caller: String,
    callee: String,
    #[serde(default)]
    working_on: Option<String>,
    #[serde(default)]
    for_ms: u64,
    #[serde(default)]
    in_circle: bool,
}

/// Prints them; the exit code is 0 also when there is a circle, since the status has it as a cause.
pub(crate) fn show(session: &Session, client: &Client, as_json: bool) -> Result<Exit, Failure> {
    let answer = block_on(client.get(WAITS))?;
    if as_json {
        screen::print(&document::json_text(&answer))?;
        return Ok(Exit::Done);
    }
    let waits: Waits = document::read(answer)?;
    screen::print(&draw(&waits.items, &session.screen.style()))?;
    Ok(Exit::Done)
}

fn draw(waits: &[Wait], style: &Style) -> String {
    if waits.is_empty() {
        return "nobody waits for anybody\n".to_owned();
    }
    let rows: Vec<_> = waits
        .iter()
        .map(|wait| {
            [
                wait.caller.clone(),
                wait.callee.clone(),
                wait.working_on.clone().unwrap_or_else(|| "-".to_owned()),
                format!("{} ms", wait.for_ms),
                if wait.in_circle { "in a circle" } else { "" }.to_owned(),
            ]
        })
        .collect();
    table::draw(
        ["WHO WAITS", "FOR WHOM", "WORKING ON", "FOR", ""],
        &rows,
        style,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_a_table_and_none_is_a_sentence() {
        let style = Style::PLAIN;
        assert_eq!(draw(&[], &style), "nobody waits for anybody\n");
        let waits = [Wait {
            caller: "/a/manager".to_owned(),
            callee: "/b/manager".to_owned(),
            working_on: Some("Open".to_owned()),
            for_ms: 1_200,
            in_circle: true,
        }];
        let drawn = draw(&waits, &style);
        let row = drawn.lines().nth(1).unwrap();
        assert!(
            row.contains("/b/manager") && row.contains("1200 ms") && row.contains("in a circle"),
            "{row}"
        );
    }
}
