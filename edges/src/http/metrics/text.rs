//! One metric in Prometheus' text form: its head once, then its values.

use std::fmt::{Display, Result, Write as _};

/// What sort of number a metric is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// A metric whose head is written before its first value.
#[derive(Debug)]
pub(super) struct Metric {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    has_head: bool,
}

impl Metric {
    pub(super) fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self {
            name,
            kind,
            help,
            has_head: false,
        }
    }

    /// Writes a value without labels.
    pub(super) fn value(&mut self, value: impl Display, out: &mut String) -> Result {
        self.head(out)?;
        writeln!(out, "{} {value}", self.name)
    }

    /// Writes a value with labels, already in the form `name="value",…`.
    pub(super) fn labelled(
        &mut self,
        labels: &str,
        value: impl Display,
        out: &mut String,
    ) -> Result {
        self.head(out)?;
        writeln!(out, "{}{{{labels}}} {value}", self.name)
    }

    fn head(&mut self, out: &mut String) -> Result {
        if std::mem::replace(&mut self.has_head, true) {
            return Ok(());
        }
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        writeln!(
            out,
            "# HELP {} {}\n# TYPE {} {kind}",
            self.name, self.help, self.name
        )
    }
}

/// A label's value as the text form wants it.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_comes_once() {
        let mut out = String::new();
        let mut metric = Metric::new("some_total", Kind::Counter, "Some.");
        metric
            .labelled(&format!("a=\"{}\"", escaped("x\"\\\n")), 1, &mut out)
            .expect("a string");
        metric.value(2.5, &mut out).expect("a string");
        assert_eq!(
            out,
            "# HELP some_total Some.\n# TYPE some_total counter\nsome_total{a=\"x\\\"\\\\\\n\"} 1\nsome_total 2.5\n"
        );
    }
}
