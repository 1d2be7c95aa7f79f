//! The log: to stderr, as text for people or JSON for machines, with a filter that a reload can change.
//!
//! An event is one line, whatever is in it: what a server outside answered, or a client sent, can hold line ends, and must not be able to
//! write lines of its own into the log of whoever reads it.
//!
//! Layout: `sink` how lines get to stderr, `threshold` which do.

mod sink;
mod threshold;

use std::io::{IsTerminal as _, Write};

use anyhow::Context as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{LogConfig, LogFormat};
use threshold::Threshold;

/// Changes the filter of the running log.
///
/// To be kept until the end: what waits to be written is written when it is dropped.
pub(crate) struct LogControl {
    threshold: Threshold,
    _flush: sink::Flush,
}

impl LogControl {
    /// Puts another filter into force.
    pub(crate) fn set_filter(&self, filter: &str) -> anyhow::Result<()> {
        self.threshold.set(parse(filter)?);
        Ok(())
    }
}

/// Starts the log. Once per process.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<LogControl> {
    let threshold = Threshold::new(parse(&config.filter)?);
    let (sink, flush) =
        sink::start(std::io::stderr()).context("the system gives no thread for the log")?;
    let layer = match config.format {
        LogFormat::Json => fmt::layer()
            .json()
            .with_writer(one_line(sink, false))
            .boxed(),
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            fmt::layer()
                .with_ansi(colours)
                .with_writer(one_line(sink, colours))
                .boxed()
        }
    };
    tracing_subscriber::registry()
        .with(threshold.clone())
        .with(layer)
        .try_init()
        .context("the log cannot be started")?;
    Ok(LogControl {
        threshold,
        _flush: flush,
    })
}

const fn one_line<M>(sink: M, has_colours: bool) -> OneLines<M> {
    OneLines { sink, has_colours }
}

/// The actor library tells of every end at info level; the supervisor tells the same with cause and decision.
fn parse(filter: &str) -> anyhow::Result<Targets> {
    let plain: String = filter.split_whitespace().collect();
    format!("ractor=warn,{plain}")
        .parse()
        .with_context(|| format!("log.filter {filter:?} cannot be read"))
}

/// Makes an event one line on its way into a sink.
struct OneLines<M> {
    sink: M,
    has_colours: bool,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for OneLines<M> {
    type Writer = OneLine<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLine {
            into: self.sink.make_writer(),
            has_colours: self.has_colours,
        }
    }
}

/// Writes events, each of which comes whole, as one line each without control characters.
struct OneLine<W> {
    into: W,
    /// Whether colours stay, which the formatter makes of escape sequences.
    has_colours: bool,
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        // Nearly every line is plain, and a look at its bytes is cheap.
        if let Some((b'\n', plain)) = event.split_last()
            && plain.iter().all(|byte| (b' '..=b'~').contains(byte))
        {
            self.into.write_all(event)?;
            return Ok(event.len());
        }
        let text = String::from_utf8_lossy(event);
        let whole = text.strip_suffix('\n');
        let mut rest = whole.unwrap_or(&text);
        let mut line = String::with_capacity(event.len() + 16);
        while let Some(at) = rest.find(char::is_control) {
            let (plain, from) = rest.split_at(at);
            line.push_str(plain);
            let (colour, behind) = from.split_at(if self.has_colours { colour(from) } else { 0 });
            line.push_str(colour);
            rest = behind;
            if colour.is_empty() {
                let mut chars = behind.chars();
                line.extend(chars.next().into_iter().flat_map(char::escape_default));
                rest = chars.as_str();
            }
        }
        line.push_str(rest);
        if whole.is_some() {
            line.push('\n');
        }
        self.into.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.into.flush()
    }
}

/// The bytes of the sequence for a colour that stands here; 0 when it is none.
fn colour(text: &str) -> usize {
    let end = |rest: &str| {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
        rest.get(end..)?.starts_with('m').then_some(end)
    };
    let numbers = text.strip_prefix("\x1b[").and_then(end);
    numbers.map_or(0, |numbers| numbers + 3)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use ground::lock;

    use super::*;

    /// What was written, whoever writes it.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(has_colours: bool, event: impl FnOnce()) -> String {
        let written = Written::default();
        let into = written.clone();
        let sink = one_line(move || into.clone(), has_colours);
        let layer = fmt::layer().with_ansi(has_colours).with_writer(sink);
        let log = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(log, event);
        let bytes = lock(&written.0).clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let forged =
            "gone\n2026-01-01T00:00:00Z  INFO access: request\r\x1b[2J\x07 \u{9b}31m\x1b]0;title";
        for has_colours in [false, true] {
            let text = logged(has_colours, || {
                tracing::warn!(error = %forged, path = forged, "{forged}");
                tracing::info!("the next one");
            });
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2, "{text}");
            assert!(lines[0].contains("gone\\n2026"), "{text}");
            assert!(lines[1].contains("the next one"), "{text}");
            let odd = ["\r", "\x1b[2J", "\x1b]", "\x07", "\u{9b}"];
            assert!(!odd.iter().any(|odd| text.contains(odd)), "{text:?}");
            assert_eq!(text.contains("\x1b["), has_colours, "{text:?}");
        }
    }
}
