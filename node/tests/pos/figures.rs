//! What an operator sees: figures change with what tills do, and with nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use ed25519_dalek::SigningKey;
use kopilka_node::store::Engine;
use kopilka_node::store::faulty::{Fault, FaultyEngine};
use kopilka_node::{api, sync};
use kopilka_shell::shutdown;
use kopilka_shell::telemetry::Telemetry;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tower::ServiceExt;

use crate::common::{NOW_MS, Node, sale, with};

const CARD: &str = "79927398713";

/// The values of series, in the order asked for.
fn values(handle: &PrometheusHandle, series: &[&str]) -> Vec<String> {
    let text = handle.render();
    let value = |name: &&str| {
        let line = text.lines().find_map(|line| line.strip_prefix(*name));
        let line = line.unwrap_or_else(|| panic!("no {name} in:\n{text}"));
        line.trim().to_owned()
    };
    series.iter().map(value).collect()
}

#[tokio::test]
async fn what_is_durable_is_counted_and_what_is_refused_is_counted_apart() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let engine = Arc::new(FaultyEngine::new());
    let node = Node::start_on(Arc::clone(&engine) as Arc<dyn Engine>, || NOW_MS).await;
    let written = [
        "kopilka_node_operations_total{kind=\"enrol\"}",
        "kopilka_node_operations_total{kind=\"purchase\"}",
        "kopilka_node_redemptions_total{rung=\"allowance\"}",
        "kopilka_node_redemptions_total{rung=\"hub\"}",
        "kopilka_node_commits_failed_total",
    ];
    assert_eq!(values(&handle, &written), ["0", "0", "0", "0", "0"]);
    let member = node.enrol(CARD).await;
    let body = sale(&member, 1, 10_000);
    engine.fail_commit(0, Fault::Full);
    let refused = node.call("POST", "/v1/purchases", "1", body.clone()).await;
    assert_eq!(refused.0, 507);
    assert_eq!(values(&handle, &written), ["1", "0", "0", "0", "1"]);
    for _ in 0..2 {
        let sold = node.call("POST", "/v1/purchases", "1", body.clone()).await;
        assert_eq!(sold.0, 201, "{}", sold.1);
    }
    assert_eq!(values(&handle, &written), ["1", "1", "0", "0", "1"]);
    let redeem = |points: i64| json!({ "redeem": points });
    let body = with(sale(&member, 2, 100_000), redeem(1_000));
    assert_eq!(node.call("POST", "/v1/purchases", "2", body).await.0, 201);
    let body = with(sale(&member, 3, 1_000_000), redeem(100_000));
    let (_, refused) = node.call("POST", "/v1/purchases", "3", body).await;
    assert_eq!(refused["code"], "redemption_over_limit", "{refused}");
    assert_eq!(values(&handle, &written), ["1", "2", "1", "0", "1"]);
    let refusals = [
        "kopilka_node_refusals_total{code=\"redemption_over_limit\"}",
        "kopilka_node_refusals_total{code=\"storage_full\"}",
    ];
    assert_eq!(values(&handle, &refusals), ["1", "1"]);
    // The rules, the directory, two steps of the snapshot, an enrolment and two sales; a retry writes nothing.
    let commits = [
        "kopilka_node_commit_seconds_count",
        "kopilka_node_commit_requests_count",
        "kopilka_node_commit_requests_sum",
    ];
    assert_eq!(values(&handle, &commits), ["7", "7", "7"]);
}

#[tokio::test]
async fn the_state_of_the_node_is_that_of_the_scrape() {
    static CLOCK: AtomicU64 = AtomicU64::new(NOW_MS);
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let node = Node::start_with_clock(|| CLOCK.load(Ordering::Relaxed)).await;
    let member = node.enrol(CARD).await;
    let state = [
        "kopilka_node_holds_open ",
        "kopilka_node_operations_pending ",
        "kopilka_node_hub_connected ",
        "kopilka_node_hub_contact_age_seconds ",
        "kopilka_node_clock_trusted ",
        "kopilka_node_members ",
    ];
    node.app.observe().unwrap();
    assert_eq!(values(&handle, &state), ["0", "1", "0", "0", "1", "1"]);
    let held = with(sale(&member, 1, 10_000), json!({ "confirm": false }));
    assert_eq!(node.call("POST", "/v1/purchases", "1", held).await.0, 201);
    CLOCK.fetch_add(90_000, Ordering::Relaxed);
    node.enrol("4111111111111111").await;
    node.set_hub(Vec::new());
    node.app.observe().unwrap();
    assert_eq!(values(&handle, &state), ["1", "2", "1", "90", "1", "2"]);
    CLOCK.fetch_add(3 * 86_400_000, Ordering::Relaxed);
    node.app.tick().await.unwrap();
    node.app.observe().unwrap();
    // The hold has stayed: a clock that is not believed moves no time on.
    assert_eq!(values(&handle, &state)[..2], ["1", "3"]);
    assert_eq!(values(&handle, &state)[4], "0");
    assert_ne!(values(&handle, &["kopilka_node_store_bytes "]), ["0"]);
}

#[tokio::test]
async fn attempts_to_reach_the_hub_that_fail_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let node = Node::start().await;
    let (_trigger, shutdown) = shutdown::channel();
    let key = SigningKey::from_bytes(&[2; 32]);
    let nowhere = "no port".to_owned();
    let dialling = sync::run(node.app.clone(), key, nowhere, shutdown);
    let failed = async {
        let series = [
            "kopilka_node_sessions_failed_total",
            "kopilka_node_sessions_total",
        ];
        while values(&handle, &series) == ["0", "0"] {
            tokio::task::yield_now().await;
        }
        assert_eq!(values(&handle, &series)[1], "0");
    };
    tokio::select! {
        () = dialling => panic!("it dials until it is stopped"),
        () = failed => {}
    }
}

#[tokio::test]
async fn the_process_serves_its_figures_with_words() {
    let telemetry = Telemetry::start().unwrap();
    let node = Node::start().await;
    node.enrol(CARD).await;
    let router = api::router(node.app.clone()).merge(api::metrics(&telemetry, node.app.clone()));
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let lines = [
        "# HELP kopilka_node_operations_total Operations written to the node's log, by kind",
        "# TYPE kopilka_node_operations_total counter",
        "# TYPE kopilka_node_commit_seconds histogram",
        "# TYPE kopilka_node_members gauge",
        "kopilka_node_members 1",
        "kopilka_node_sessions_total 0",
    ];
    for line in lines {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
    let undescribed: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !text.contains(&format!("# HELP {name} ")))
        .collect();
    assert!(undescribed.is_empty(), "{undescribed:?}");
}
