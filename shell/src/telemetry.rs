//! Metrics in Prometheus text, served by the process's own HTTP router.

use std::fs;
use std::io;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;

use crate::clock;

/// The media type of the text format, version 0.0.4.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Upper ends of the buckets of every histogram, in seconds: from a lookup in memory to a hub that does not answer.
const BUCKETS_SECONDS: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.3, 1.0, 5.0,
    30.0,
];

/// Why metrics cannot start.
#[derive(Debug, Error)]
#[error("cannot start metrics")]
pub struct TelemetryError(#[from] BuildError);

/// The process's metrics; what the `metrics` macros record shows here.
#[derive(Debug, Clone)]
pub struct Telemetry(PrometheusHandle);

impl Telemetry {
    /// Starts recording, once a process. Call it early: what was recorded before is lost.
    pub fn start() -> Result<Self, TelemetryError> {
        let handle = PrometheusBuilder::new()
            .set_buckets(&BUCKETS_SECONDS)?
            .install_recorder()?;
        metrics::describe_gauge!(
            "process_resident_memory_bytes",
            metrics::Unit::Bytes,
            "Resident memory"
        );
        metrics::describe_gauge!(
            "process_start_time_seconds",
            metrics::Unit::Seconds,
            "Start of the process, in seconds since 1970"
        );
        metrics::gauge!("process_start_time_seconds").set(gauge_value(clock::now_ms() / 1000));
        Ok(Self(handle))
    }

    /// All metrics of this moment, in Prometheus text.
    pub fn render(&self) -> String {
        match resident_memory_bytes() {
            Ok(bytes) => metrics::gauge!("process_resident_memory_bytes").set(gauge_value(bytes)),
            Err(error) => tracing::debug!(%error, "cannot read the resident memory"),
        }
        self.0.run_upkeep();
        self.0.render()
    }

    /// `GET /metrics`.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/metrics", get(scrape))
            .with_state(self.clone())
    }
}

async fn scrape(State(telemetry): State<Telemetry>) -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT_FORMAT)], telemetry.render())
}

/// Exact below 2^53, which no count of bytes or seconds here reaches.
fn gauge_value(value: u64) -> f64 {
    value as f64
}

/// From `/proc/self/status` rather than `statm`, whose unit, the page size, differs between machines.
fn resident_memory_bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    resident_kib(&status)
        .and_then(|kib| kib.checked_mul(1024))
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_gauges_and_recorded_metrics_are_rendered() {
        let telemetry = Telemetry::start().unwrap();
        metrics::counter!("sales_total").increment(3);
        let text = telemetry.render();
        assert!(text.lines().any(|line| line == "sales_total 3"), "{text}");
        let gauge = |name: &str| -> u64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..].trim().parse().unwrap()
        };
        assert!(gauge("process_resident_memory_bytes") > 1024 * 1024);
        assert!(gauge("process_start_time_seconds") <= clock::now_ms() / 1000);
    }

    #[test]
    fn the_resident_size_is_found_in_the_status() {
        let status = "Name:\tnode\nVmHWM:\t  9000 kB\nVmRSS:\t   1234 kB\n";
        assert_eq!(resident_kib(status), Some(1234));
        assert_eq!(resident_kib("Name:\tnode\n"), None);
    }
}
