//! One table of all sides with ratios, and what of it was wanted.

use std::time::Duration;

use serde_json::Value;

use super::PATIENCE;
use super::drive::BLOCK;
use super::peer::{Crash, Job};
use crate::figures::{Spread, float, median, ms, times};
use crate::goals::Goals;
use crate::table::Table;

/// What all sides told of one measure, a value a round; `None` for who did not finish.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) job: Job,
    pub(super) sides: Vec<Option<Vec<Value>>>,
}

/// What is in a row, and how it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    PerSecond,
    Bytes,
    Micros,
    Millis,
    Mebibytes,
    Percent,
}

/// One figure of every side.
struct Row {
    what: String,
    unit: Unit,
    /// `None`: not finished, or nothing to tell.
    values: Vec<Option<f64>>,
}

/// Prints the table; `names` are those of the sides, ours first.
pub(super) fn print(names: &[&str], all: &[Measured]) {
    let mut head = vec![String::new(), String::new()];
    head.extend(names.iter().map(|&name| name.to_owned()));
    head.extend(names.iter().skip(1).map(|name| format!("to {name}")));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let title = format!(
        "supervision; ratios are ours to the peer's; `-` is nothing to tell, or not within {} s",
        PATIENCE.as_secs()
    );
    let mut table = Table::new(title, &head);
    for row in all.iter().flat_map(rows) {
        table.row(row.cells());
    }
    table.print();
}

/// Holds our side against the goals.
pub(super) fn judge(all: &[Measured], is_beside_otp: bool, goals: &mut Goals) {
    for measured in all {
        for row in rows(measured) {
            let ours = row.values.first().copied().flatten();
            if let Some(limit) = most(measured.job, &row) {
                let name = format!("supervision: {}", row.what);
                // What was not finished is later than any limit.
                goals.at_most(name, limit, ours.unwrap_or(f64::INFINITY), row.unit.name());
            }
            if let Some(limit) = least(measured.job, row.unit) {
                let name = format!("supervision: {}", row.what);
                goals.at_least(name, limit, ours.unwrap_or_default(), row.unit.name());
            }
            if is_beside_otp && matches!(measured.job, Job::Calls(_)) {
                let ratio = row.ratios().last().copied().flatten();
                let name = format!("supervision: {}, to OTP", row.what);
                goals.at_least(name, 2.0, ratio.unwrap_or_default(), "×");
            }
        }
    }
}

fn most(job: Job, row: &Row) -> Option<f64> {
    let is_p50 = row.what.ends_with("p50");
    match (job, row.unit) {
        (Job::Crash(Crash::Error, _), Unit::Micros) => Some(if is_p50 { 10.0 } else { 40.0 }),
        (Job::Crash(Crash::Panic, _), Unit::Micros) => Some(if is_p50 { 25.0 } else { 60.0 }),
        (Job::Storm(_), Unit::Millis) => Some(5.0),
        (Job::Spawn(_), Unit::Bytes) => Some(8192.0),
        (Job::Hung(_), Unit::Mebibytes) => Some(1.0),
        (Job::Hung(_), Unit::Micros) => Some(10.0),
        _ => None,
    }
}

fn least(job: Job, unit: Unit) -> Option<f64> {
    match (job, unit) {
        (Job::Spawn(..50_000), Unit::PerSecond) => Some(120_000.0),
        (Job::Spawn(_), Unit::PerSecond) => Some(150_000.0),
        (Job::Calls(_), Unit::PerSecond) => Some(1_300_000.0),
        _ => None,
    }
}

fn rows(measured: &Measured) -> Vec<Row> {
    let row = |what: String, unit: Unit, figure: &dyn Fn(&[Value]) -> Option<f64>| {
        let values = measured.sides.iter();
        Row {
            what,
            unit,
            values: values
                .map(|side| side.as_deref().and_then(figure))
                .collect(),
        }
    };
    match measured.job {
        Job::Spawn(count) => {
            let what = format!("{count} children");
            vec![
                row(format!("{what}, spawned"), Unit::PerSecond, &rate),
                row(format!("{what}, each"), Unit::Bytes, &bytes_each),
            ]
        }
        Job::Crash(how, _) => {
            let what = format!("{} to first reply", how.name());
            vec![
                row(format!("{what}, p50"), Unit::Micros, &|all| {
                    at(all, 500, 1e6)
                }),
                row(format!("{what}, p99"), Unit::Micros, &|all| {
                    at(all, 990, 1e6)
                }),
            ]
        }
        Job::Storm(_) => {
            let what = format!("{BLOCK} panic at once, until all serve");
            vec![
                row(format!("{what}, p50"), Unit::Millis, &|all| {
                    at(all, 500, 1e3)
                }),
                row(format!("{what}, slowest"), Unit::Millis, &|all| {
                    slowest(all, 1e3)
                }),
            ]
        }
        Job::Calls(_) => vec![row(
            "calls of one caller".to_owned(),
            Unit::PerSecond,
            &rate,
        )],
        Job::Hung(asks) => {
            let what = format!("{asks} asks to a hung actor");
            vec![
                row(format!("{what}, growth"), Unit::Mebibytes, &growth),
                row(format!("{what}, refused"), Unit::Percent, &refused),
                row(format!("{what}, refusal p50"), Unit::Micros, &|all| {
                    refusal(all, "p50")
                }),
                row(format!("{what}, refusal p99"), Unit::Micros, &|all| {
                    refusal(all, "p99")
                }),
            ]
        }
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.what.clone(), self.unit.name().to_owned()];
        cells.extend(self.values.iter().map(|value| self.unit.text(*value)));
        let is_ratio = self.unit != Unit::Percent;
        cells.extend(self.ratios().into_iter().map(|ratio| match ratio {
            Some(ratio) if is_ratio => times(ratio),
            _ => "-".to_owned(),
        }));
        cells
    }

    /// Ours to each peer's.
    fn ratios(&self) -> Vec<Option<f64>> {
        let ours = self.values.first().copied().flatten();
        let peers = self.values.iter().skip(1);
        peers.map(|peer| Some(ours? / (*peer)?)).collect()
    }
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Bytes => "bytes",
            Self::Micros => "µs",
            Self::Millis => "ms",
            Self::Mebibytes => "MiB",
            Self::Percent => "%",
        }
    }

    fn text(self, value: Option<f64>) -> String {
        let Some(value) = value else {
            return "-".to_owned();
        };
        match self {
            Self::PerSecond | Self::Bytes => format!("{value:.0}"),
            Self::Micros | Self::Percent => format!("{value:.1}"),
            Self::Mebibytes => format!("{value:.2}"),
            Self::Millis => ms(Duration::from_secs_f64(value / 1e3)),
        }
    }
}

fn field(value: &Value, name: &str) -> Option<f64> {
    value.get(name).and_then(Value::as_f64)
}

fn middle(all: &[Value], figure: impl Fn(&Value) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = all.iter().filter_map(figure).collect();
    (!values.is_empty()).then(|| median(&values))
}

fn rate(all: &[Value]) -> Option<f64> {
    middle(all, |one| {
        Some(field(one, "count")? * 1e9 / field(one, "nanos")?)
    })
}

fn bytes_each(all: &[Value]) -> Option<f64> {
    middle(all, |one| Some(field(one, "bytes")? / field(one, "count")?))
}

fn growth(all: &[Value]) -> Option<f64> {
    middle(all, |one| Some(field(one, "bytes")? / float(1 << 20)))
}

fn refused(all: &[Value]) -> Option<f64> {
    middle(all, |one| {
        Some(field(one, "refused")? * 100.0 / field(one, "asks")?)
    })
}

/// Only of who refuses at all.
fn refusal(all: &[Value], name: &str) -> Option<f64> {
    middle(all, |one| {
        let is_refused = field(one, "refused")? > 0.0;
        is_refused.then_some(field(one, name)? / 1e3)
    })
}

/// The middle of the rounds' own ranks, in so many parts of a second: what disturbs one round is not told of all.
fn at(all: &[Value], permille: usize, parts: f64) -> Option<f64> {
    middle(all, |round| {
        let spread = spread(round)?;
        Some(spread.at(permille).as_secs_f64() * parts)
    })
}

/// The longest duration of all rounds.
fn slowest(all: &[Value], parts: f64) -> Option<f64> {
    let longest = all.iter().filter_map(|round| Some(spread(round)?.max()));
    longest.max().map(|span| span.as_secs_f64() * parts)
}

fn spread(round: &Value) -> Option<Spread> {
    let nanos = round.get("nanos")?.as_array()?;
    let spans = nanos.iter().filter_map(Value::as_u64);
    Some(Spread::of(spans.map(Duration::from_nanos).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ranks_are_the_middle_rounds_own() {
        let rounds = vec![
            json!({ "nanos": [1000, 3000, 1000] }),
            json!({ "nanos": [2000, 7000, 1000] }),
            json!({ "nanos": [9000, 9000, 9000] }),
        ];
        assert_eq!(slowest(&rounds, 1e6), Some(9.0));
        let measured = Measured {
            job: Job::Crash(Crash::Error, 1),
            sides: vec![Some(rounds), None],
        };
        let rows = rows(&measured);
        assert_eq!(rows.len(), 2);
        let cells = ["error to first reply, p50", "µs", "2.0", "-", "-"];
        assert_eq!(rows[0].cells(), cells);
        assert_eq!(rows[1].values, [Some(7.0), None]);
    }

    #[test]
    fn rates_are_the_middle_round() {
        let round = |nanos: u64| json!({ "count": 10, "nanos": nanos, "bytes": 5120 });
        let ours = vec![round(2_000_000), round(1_000_000), round(4_000_000)];
        let measured = Measured {
            job: Job::Spawn(10),
            sides: vec![Some(ours), Some(vec![round(4_000_000)])],
        };
        let rows = rows(&measured);
        let cells = ["10 children, spawned", "/s", "5000", "2500", "2.00×"];
        assert_eq!(rows[0].cells(), cells);
        assert_eq!(rows[1].values[0], Some(512.0));
    }

    #[test]
    fn a_refusal_has_a_time_only_where_there_is_one() {
        let side = |refused: u64| vec![json!({ "asks": 4, "refused": refused, "p50": 500 })];
        assert_eq!(refused(&side(3)), Some(75.0));
        assert_eq!(refusal(&side(3), "p50"), Some(0.5));
        assert_eq!(refusal(&side(0), "p50"), None);
    }
}
