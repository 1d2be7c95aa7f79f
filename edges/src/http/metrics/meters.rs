//! Counting requests: a few atomics a route, allocated once, so that counting costs nothing and cannot grow.
//!
//! A metrics library with a global recorder would keep samples until somebody scrapes them and make tests share one
//! state; the set of routes and of statuses is fixed, so plain counters do.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;

use crate::http::routes::{RouteId, TABLE};

/// The statuses that are told apart; others count as the last one of their class.
const STATUSES: &[u16] = &[
    101, 200, 201, 202, 204, 400, 401, 403, 404, 405, 406, 408, 409, 412, 413, 415, 421, 422, 426,
    429, 500, 502, 503, 504,
];
/// Upper bounds of the latency buckets, in seconds.
const BOUNDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Counters of all requests.
#[derive(Debug)]
pub struct Meters {
    routes: Vec<RouteMeter>,
    in_flight: AtomicUsize,
    shed: AtomicU64,
}

#[derive(Debug)]
struct RouteMeter {
    statuses: Vec<AtomicU64>,
    /// One more than bounds: the last holds what is slower than all of them.
    buckets: Vec<AtomicU64>,
    sum_us: AtomicU64,
}

/// A request that runs.
#[derive(Debug)]
pub struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn zeros(count: usize) -> Vec<AtomicU64> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

impl Meters {
    /// All at zero.
    pub fn new() -> Self {
        let meter = || RouteMeter {
            statuses: zeros(STATUSES.len()),
            buckets: zeros(BOUNDS.len() + 1),
            sum_us: AtomicU64::new(0),
        };
        // The last one counts what no route matched.
        let routes = (0..=TABLE.len()).map(|_| meter()).collect();
        Self {
            routes,
            in_flight: AtomicUsize::new(0),
            shed: AtomicU64::new(0),
        }
    }

    /// Counts a request as running until the result is dropped.
    pub fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(&self.in_flight)
    }

    /// Counts a request or stream that was turned away because the server was full.
    pub fn shed(&self) {
        self.shed.fetch_add(1, Relaxed);
    }

    /// Counts an answered request.
    pub fn record(&self, route: Option<RouteId>, status: StatusCode, took: Duration) {
        let Some(meter) = self.routes.get(route.map_or(TABLE.len(), |id| id.0)) else {
            return;
        };
        if let Some(count) = meter.statuses.get(status_index(status)) {
            count.fetch_add(1, Relaxed);
        }
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS
            .iter()
            .position(|bound| seconds <= *bound)
            .unwrap_or(BOUNDS.len());
        if let Some(count) = meter.buckets.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        meter
            .sum_us
            .fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Appends everything in Prometheus' text form.
    ///
    /// # Errors
    /// Only those of writing to `out`.
    pub fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "# HELP mainstay_http_requests_total Requests answered, by route and status."
        )?;
        writeln!(out, "# TYPE mainstay_http_requests_total counter")?;
        for (index, meter) in self.routes.iter().enumerate() {
            meter.write_statuses(&labels(index), out)?;
        }
        writeln!(
            out,
            "# HELP mainstay_http_request_seconds Time to the head of the answer, by route."
        )?;
        writeln!(out, "# TYPE mainstay_http_request_seconds histogram")?;
        for (index, meter) in self.routes.iter().enumerate() {
            meter.write_histogram(&labels(index), out)?;
        }
        writeln!(out, "# HELP mainstay_http_in_flight Requests that run now.")?;
        writeln!(out, "# TYPE mainstay_http_in_flight gauge")?;
        writeln!(
            out,
            "mainstay_http_in_flight {}",
            self.in_flight.load(Relaxed)
        )?;
        writeln!(
            out,
            "# HELP mainstay_http_shed_total Requests and streams turned away because the server was full."
        )?;
        writeln!(out, "# TYPE mainstay_http_shed_total counter")?;
        writeln!(out, "mainstay_http_shed_total {}", self.shed.load(Relaxed))
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}

impl RouteMeter {
    fn write_statuses(&self, labels: &str, out: &mut String) -> std::fmt::Result {
        for (status, count) in STATUSES.iter().zip(&self.statuses) {
            let count = count.load(Relaxed);
            if count > 0 {
                writeln!(
                    out,
                    "mainstay_http_requests_total{{{labels},status=\"{status}\"}} {count}"
                )?;
            }
        }
        Ok(())
    }

    fn write_histogram(&self, labels: &str, out: &mut String) -> std::fmt::Result {
        let name = "mainstay_http_request_seconds";
        let counts: Vec<u64> = self
            .buckets
            .iter()
            .map(|count| count.load(Relaxed))
            .collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return Ok(());
        }
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(&counts) {
            below += count;
            writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}")?;
        }
        writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}")?;
        let sum = Duration::from_micros(self.sum_us.load(Relaxed)).as_secs_f64();
        writeln!(out, "{name}_sum{{{labels}}} {sum}")?;
        writeln!(out, "{name}_count{{{labels}}} {total}")
    }
}

fn labels(index: usize) -> String {
    match TABLE.get(index) {
        Some(route) => format!("method=\"{}\",route=\"{}\"", route.method, route.path),
        None => "method=\"other\",route=\"unmatched\"".to_owned(),
    }
}

fn status_index(status: StatusCode) -> usize {
    let code = status.as_u16();
    let of_class = |known: &u16| known / 100 == code / 100;
    let exact = STATUSES.iter().position(|known| *known == code);
    exact
        .or_else(|| STATUSES.iter().rposition(of_class))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_buckets_add_up() {
        let meters = Meters::new();
        let running = meters.begin();
        meters.record(Some(RouteId(0)), StatusCode::OK, Duration::from_micros(700));
        meters.record(Some(RouteId(0)), StatusCode::OK, Duration::from_mins(1));
        meters.record(None, StatusCode::IM_A_TEAPOT, Duration::ZERO);
        let mut text = String::new();
        meters.write(&mut text).expect("a string");
        for line in [
            "mainstay_http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"} 2",
            "mainstay_http_requests_total{method=\"other\",route=\"unmatched\",status=\"429\"} 1",
            "mainstay_http_request_seconds_bucket{method=\"GET\",route=\"/health\",le=\"0.0005\"} 0",
            "mainstay_http_request_seconds_bucket{method=\"GET\",route=\"/health\",le=\"0.001\"} 1",
            "mainstay_http_request_seconds_bucket{method=\"GET\",route=\"/health\",le=\"10\"} 1",
            "mainstay_http_request_seconds_bucket{method=\"GET\",route=\"/health\",le=\"+Inf\"} 2",
            "mainstay_http_in_flight 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        drop(running);
        assert!(STATUSES.is_sorted() && BOUNDS.is_sorted());
    }
}
