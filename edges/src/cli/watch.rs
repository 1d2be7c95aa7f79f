//! `status --watch`: on a terminal the tree is drawn again in place whenever something changes; in a pipe every change is
//! one line. It outlives the daemon: while that is away it says so, and it goes on where it stopped.
//!
//! The stream is opened before the tree is asked for, so that no change falls between the two, and it is only a hint to ask
//! again: what is drawn is always a whole document. Times and counters move without events, so the tree is also asked for
//! once a second.

use std::{pin::pin, time::Duration};

use futures::future::{Either, select};
use serde_json::Value;
use supervisor::Level;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};

use super::{
    Session,
    client::{Client, EventStream, NoAnswer},
    document::{self, Event, Node},
    exit::Exit,
    failure::Failure,
    render::{
        event,
        tree::{self, level_words},
    },
    screen::{self, Ink, Screen, Style, hint},
    span,
    sse::Sent,
    status::View,
    text,
};

/// Where the daemon tells of changes.
pub(crate) const STREAM: &str = "/api/v1/status/stream";
/// The tree is asked for at least this often.
const TICK: Duration = Duration::from_secs(1);
/// Changes that come together are drawn together.
const GATHER: Duration = Duration::from_millis(40);
/// Pause before the daemon is tried again.
const AWAY: Duration = Duration::from_secs(1);

/// Watches until the reader has had enough (Ctrl-C, or the pipe is closed). Answers with the last level seen.
pub(crate) async fn watch(
    session: &Session,
    client: &Client,
    view: &View,
    json: bool,
) -> Result<Exit, Failure> {
    // Whoever watches something that is not there, or a daemon that is not up, is told at once.
    let stream = client
        .stream(STREAM, None)
        .await
        .map_err(|error| client.failure(error))?;
    let node: Node = document::read(view.document(client).await?)?;
    if session.screen.can_redraw() && !json {
        redraw(&session.screen, client, view, stream, node).await
    } else {
        if !json {
            // On stderr, so that a pipe gets changes alone.
            let now = format!(
                "{} is {}; each change is a line",
                node.path,
                level_words(&node)
            );
            hint(&session.screen.style().clean(&now));
        }
        lines(session, client, view, (stream, None), node.level, json).await
    }
}

/// Tells each event after the one with the id `after`, a line each, until the reader has had enough.
pub(crate) async fn follow(
    session: &Session,
    client: &Client,
    view: &View,
    after: &str,
    json: bool,
) -> Result<Exit, Failure> {
    let stream = client.stream(STREAM, Some(after)).await;
    let stream = stream.map_err(|error| client.failure(error))?;
    let from = (stream, Some(after.to_owned()));
    lines(session, client, view, from, Level::Normal, json).await?;
    Ok(Exit::Done)
}

/// One line a change, from a stream that goes on after an event. A terminal wraps a long one, which is better than an end that
/// nobody can read.
async fn lines(
    session: &Session,
    client: &Client,
    view: &View,
    (mut stream, mut last_id): (EventStream, Option<String>),
    mut level: Level,
    json: bool,
) -> Result<Exit, Failure> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    loop {
        while let Some(sent) = next_or_interrupt(&mut stream, &mut interrupted).await? {
            let Some(sent) = sent else {
                return Ok(Exit::of_level(level));
            };
            last_id = sent.id.clone().or(last_id);
            let Some((change, document)) = read_event(&sent) else {
                continue;
            };
            if change.path == view.path {
                level = change.level;
            }
            if view.covers(&change.path) {
                let line = if json {
                    format!("{document}\n")
                } else {
                    let style = session.screen.style();
                    let width = style.width.map(|_| usize::MAX);
                    event::draw(&change, &Style { width, ..style })
                };
                screen::print(&line)?;
            }
        }
        hint(&format!(
            "{} the daemon is away: waiting for it",
            moment_now()
        ));
        stream = match reopened(client, last_id.as_deref(), &mut interrupted).await? {
            Some(stream) => stream,
            None => return Ok(Exit::of_level(level)),
        };
        hint(&format!("{} the daemon is back", moment_now()));
    }
}

fn moment_now() -> String {
    span::moment(ground::clock::now())
}

/// The next event, `Some(None)` when the user interrupts, `None` at the end of the stream.
async fn next_or_interrupt(
    stream: &mut EventStream,
    interrupted: &mut Signal,
) -> Result<Option<Option<Sent>>, Failure> {
    Ok(
        match select(pin!(stream.next()), pin!(interrupted.recv())).await {
            Either::Left((Some(sent), _)) => Some(Some(sent)),
            Either::Left((None, _)) => None,
            Either::Right(_) => Some(None),
        },
    )
}

/// The stream again, once the daemon is back; `None` when the user interrupts.
async fn reopened(
    client: &Client,
    last_id: Option<&str>,
    interrupted: &mut Signal,
) -> Result<Option<EventStream>, Failure> {
    loop {
        if timeout(AWAY, interrupted.recv()).await.is_ok() {
            return Ok(None);
        }
        match client.stream(STREAM, last_id).await {
            Ok(stream) => return Ok(Some(stream)),
            Err(NoAnswer::Trouble(_)) => {}
            // A daemon that stops or starts refuses for a moment; any other refusal is final.
            Err(NoAnswer::Refused(refusal)) if refusal.status == 503 => {}
            Err(other) => return Err(client.failure(other)),
        }
    }
}

/// The event in what was sent, and its document as it came; `None` for what is no change (a comment, a newer kind).
pub(crate) fn read_event(sent: &Sent) -> Option<(Event, Value)> {
    let document: Value = serde_json::from_str(&sent.data).ok()?;
    let event = serde_json::from_value(document.clone()).ok()?;
    Some((event, document))
}

/// The tree, drawn in place.
async fn redraw(
    screen: &Screen,
    client: &Client,
    view: &View,
    stream: EventStream,
    mut node: Node,
) -> Result<Exit, Failure> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut ended = signal(SignalKind::terminate())?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut stream = Some(stream);
    let mut away: Option<String> = None;
    let canvas = Canvas::open(screen)?;
    loop {
        canvas.draw(&node, away.as_deref())?;
        tokio::select! {
            _ = interrupted.recv() => return Ok(Exit::of_level(node.level)),
            _ = ended.recv() => return Ok(Exit::of_level(node.level)),
            _ = resized.recv() => Canvas::clear()?,
            open = changed(&mut stream) => if open { sleep(GATHER).await } else { stream = None },
            () = sleep(TICK) => {}
        }
        match view.document(client).await.and_then(document::read) {
            Ok(newer) => (node, away) = (newer, None),
            Err(failure) => away = Some(failure.message),
        }
        if stream.is_none() && away.is_none() {
            stream = client.stream(STREAM, None).await.ok();
        }
    }
}

/// Waits for the next change; false when the stream has ended. Without a stream it waits for ever.
async fn changed(stream: &mut Option<EventStream>) -> bool {
    match stream {
        Some(stream) => stream.next().await.is_some(),
        None => std::future::pending().await,
    }
}

/// The part of the terminal that is drawn on. The cursor comes back however the watching ends.
struct Canvas<'s> {
    screen: &'s Screen,
}

impl<'s> Canvas<'s> {
    fn open(screen: &'s Screen) -> Result<Self, Failure> {
        screen::print("\u{1b}[?25l\u{1b}[2J")?;
        Ok(Self { screen })
    }

    fn clear() -> Result<(), Failure> {
        Ok(screen::print("\u{1b}[2J")?)
    }

    fn draw(&self, node: &Node, away: Option<&str>) -> Result<(), Failure> {
        let style = self.screen.style();
        let rows = self.screen.size().map_or(24, |(_, rows)| rows.max(3));
        let now = ground::clock::now();
        let (ink, words) = if let Some(reason) = away {
            (Ink::Worst, style.clean(reason))
        } else {
            let time = span::time_of_day(now);
            let seconds = time.split('.').next().unwrap_or_default();
            (Ink::Faint, format!("{seconds} UTC, Ctrl-C ends"))
        };
        let footer = style.paint(ink, &style.fit(&words)).into_owned();
        Ok(screen::print(&frame(
            &tree::draw(node, now, &style),
            &footer,
            rows,
            &style,
        ))?)
    }
}

impl Drop for Canvas<'_> {
    fn drop(&mut self) {
        let _nobody_to_tell = screen::print("\u{1b}[?25h\n");
    }
}

/// What puts `text` and `footer` on a terminal of `rows` rows, in place of what was there.
fn frame(text: &str, footer: &str, rows: usize, style: &Style) -> String {
    // One row for the footer, one above it left empty.
    let room = rows.saturating_sub(2).max(1);
    let count = text.lines().count();
    let shown = if count > room { room - 1 } else { count };
    let mut out = "\u{1b}[H".to_owned();
    for line in text.lines().take(shown) {
        out.push_str(line);
        out.push_str("\u{1b}[K\r\n");
    }
    if count > shown {
        let more = format!("{} {} more lines", style.ellipsis(), count - shown);
        let width = style.width.unwrap_or(usize::MAX);
        out.push_str(&style.paint(Ink::Faint, &text::cut(&more, width, "")));
        out.push_str("\u{1b}[K\r\n");
    }
    out.push_str("\u{1b}[K\r\n");
    out.push_str(footer);
    out.push_str("\u{1b}[K\u{1b}[J");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows_of(frame: &str) -> Vec<String> {
        frame
            .trim_start_matches("\u{1b}[H")
            .split("\r\n")
            .map(|row| row.replace("\u{1b}[K", "").replace("\u{1b}[J", ""))
            .collect()
    }

    #[test]
    fn a_tree_that_fits_is_shown_whole() {
        assert_eq!(
            rows_of(&frame("a\nb\n", "now", 10, &Style::PLAIN)),
            ["a", "b", "", "now"]
        );
        assert_eq!(
            rows_of(&frame("a\nb\nc\n", "now", 5, &Style::PLAIN)),
            ["a", "b", "c", "", "now"]
        );
    }

    #[test]
    fn a_tree_that_does_not_fit_says_how_much_is_missing_and_never_scrolls() {
        assert_eq!(
            rows_of(&frame("a\nb\nc\nd\n", "now", 5, &Style::PLAIN)),
            ["a", "b", "... 2 more lines", "", "now"]
        );
        assert_eq!(
            rows_of(&frame("a\nb\nc\n", "now", 3, &Style::PLAIN)),
            ["... 3 more lines", "", "now"]
        );
    }

    #[test]
    fn what_is_no_change_is_passed_over() {
        let sent = |data: &str| Sent {
            data: data.to_owned(),
            ..Sent::default()
        };
        assert!(read_event(&sent("{\"hello\":1}")).is_none());
        assert!(read_event(&sent("not json")).is_none());
        let change =
            "{\"id\":1,\"path\":\"/a\",\"state\":\"running\",\"level\":\"NORMAL\",\"new\":2}";
        assert_eq!(
            read_event(&sent(change)).map(|(_, document)| document.to_string()),
            Some(change.to_owned())
        );
    }
}
