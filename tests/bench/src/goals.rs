//! What was wanted and what was reached, collected over all benches and printed at the end.

use crate::table::Table;

/// Figures beside their goals.
#[derive(Debug, Default)]
pub(crate) struct Goals {
    rows: Vec<[String; 4]>,
}

impl Goals {
    /// `measured` should be at most `limit`.
    pub(crate) fn at_most(
        &mut self,
        what: impl Into<String>,
        limit: f64,
        measured: f64,
        unit: &str,
    ) {
        self.add(what.into(), ("≤", limit), measured, unit, measured <= limit);
    }

    /// `measured` should be at least `limit`.
    pub(crate) fn at_least(
        &mut self,
        what: impl Into<String>,
        limit: f64,
        measured: f64,
        unit: &str,
    ) {
        self.add(what.into(), ("≥", limit), measured, unit, measured >= limit);
    }

    fn add(
        &mut self,
        what: String,
        (sign, limit): (&str, f64),
        measured: f64,
        unit: &str,
        is_met: bool,
    ) {
        let verdict = if is_met { "met" } else { "missed" };
        self.rows.push([
            what,
            format!("{sign} {limit} {unit}"),
            format!("{measured:.2} {unit}"),
            verdict.to_owned(),
        ]);
    }

    /// Prints all of them.
    pub(crate) fn print(&self) {
        if self.rows.is_empty() {
            return;
        }
        let mut table = Table::new("goals", &["what", "goal", "measured", ""]);
        for row in &self.rows {
            table.row(row.clone());
        }
        table.print();
    }
}
