//! The log: to stderr, as text for people or JSON for machines, with a filter that a reload can change.
//!
//! Layout: `sink` how lines get to stderr, `threshold` which do.

mod sink;
mod threshold;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::filter::Targets;
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
        LogFormat::Json => fmt::layer().json().with_writer(sink).boxed(),
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            fmt::layer().with_ansi(colours).with_writer(sink).boxed()
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

/// The actor library tells of every end at info level; the supervisor tells the same with cause and decision.
fn parse(filter: &str) -> anyhow::Result<Targets> {
    format!("ractor=warn,{filter}")
        .parse()
        .with_context(|| format!("log.filter {filter:?} cannot be read"))
}
