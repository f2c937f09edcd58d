//! The generated contract against its stored copy, and what every route does alike.

use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use kopilka_node::api;

use crate::common::{Node, TOKEN, sale};

/// `KOPILKA_REFRESH=1 cargo test -p kopilka-node --test pos contract` writes the stored copy anew.
#[test]
fn the_interface_is_the_stored_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = api::contract().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("KOPILKA_REFRESH").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(
        stored == generated,
        "node/openapi.json differs from the interface; see this test's documentation"
    );
}

#[tokio::test]
async fn the_node_serves_its_contract_and_its_health() {
    let node = Node::start().await;
    let (status, document) = node.get("/openapi.json").await;
    assert_eq!(status, 200);
    assert!(document["paths"]["/v1/purchases"]["post"].is_object());
    assert_eq!(node.get("/healthz").await.0, 204);
    assert_eq!(node.get("/readyz").await.0, 204);
    let (status, sync) = node.get("/v1/sync").await;
    assert_eq!(status, 200);
    assert_eq!(sync["publication"], 1);
    assert_eq!(sync["connected"], false);
}

#[tokio::test]
async fn how_the_node_stands_is_told_to_tills_only() {
    let node = Node::start().await;
    let ask = |token: Option<&str>| {
        let mut request = Request::get("/v1/sync");
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        request.body(Body::empty()).unwrap()
    };
    refused(&node, ask(None), 401, "token_missing").await;
    refused(&node, ask(Some("Bearer x")), 401, "token_unknown").await;
    let good = format!("Bearer {TOKEN}");
    assert_eq!(node.send(ask(Some(&good))).await.0, 200);
    for open in ["/healthz", "/readyz"] {
        let request = Request::get(open).body(Body::empty()).unwrap();
        assert_eq!(node.send(request).await.0, 204, "{open}");
    }
}

async fn refused(node: &Node, request: Request<Body>, status: u16, code: &str) {
    let (found, body) = node.send(request).await;
    assert_eq!((found, &body["code"]), (status, &code.into()), "{body}");
}

#[tokio::test]
async fn calls_without_a_right_or_a_form_are_refused() {
    let node = Node::start().await;
    let member = node.enrol("79927398713").await;
    let post = |token: &str, key: Option<&str>, body: String| {
        let mut request = Request::post("/v1/purchases").header("authorization", token);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        request.body(Body::from(body)).unwrap()
    };
    let good = format!("Bearer {TOKEN}");
    let body = sale(&member, 1, 100).to_string();
    refused(
        &node,
        post("Basic x", Some("1"), body.clone()),
        401,
        "token_missing",
    )
    .await;
    refused(
        &node,
        post("Bearer x", Some("1"), body.clone()),
        401,
        "token_unknown",
    )
    .await;
    refused(
        &node,
        post(&good, None, body.clone()),
        400,
        "idempotency_key_missing",
    )
    .await;
    let long = "k".repeat(129);
    refused(
        &node,
        post(&good, Some(&long), body.clone()),
        400,
        "idempotency_key_missing",
    )
    .await;
    refused(
        &node,
        post(&good, Some("1"), "{".to_owned()),
        400,
        "malformed_json",
    )
    .await;
    refused(
        &node,
        post(&good, Some("1"), "{}".to_owned()),
        422,
        "invalid_body",
    )
    .await;
    let stranger = body.replace("c7", "c8");
    refused(
        &node,
        post(&good, Some("1"), stranger),
        403,
        "cashier_unknown",
    )
    .await;
    let large = " ".repeat(api::BODY_BYTES_MAX + 1);
    refused(&node, post(&good, Some("1"), large), 413, "body_too_large").await;
    let full = body + &" ".repeat(api::BODY_BYTES_MAX - 400);
    assert_eq!(node.send(post(&good, Some("1"), full)).await.0, 201);
}
