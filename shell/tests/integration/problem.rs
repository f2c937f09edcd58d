//! What a client sees when a request goes wrong, for every way that needs no handler.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use kopilka_shell::problem::{
    ApiJson, ApiPath, ApiQuery, PROBLEM_JSON, Problem, with_problem_responses,
};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

const BODY_BYTES_MAX: usize = 64;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sale {
    amount_minor: u64,
}

#[derive(Deserialize)]
struct Page {
    limit: u32,
}

fn router() -> Router {
    let router = Router::new()
        .route(
            "/sales",
            post(|ApiJson(sale): ApiJson<Sale>| async move { ApiJson(sale) }),
        )
        .route(
            "/sales/{number}",
            get(|ApiPath(number): ApiPath<u32>| async move { number.to_string() }),
        )
        .route(
            "/pages",
            get(|ApiQuery(page): ApiQuery<Page>| async move { page.limit.to_string() }),
        )
        .route("/panic", get(panics));
    with_problem_responses(router, BODY_BYTES_MAX)
}

async fn panics() -> &'static str {
    panic!("card 2200 1234 is secret")
}

fn posted(content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/sales")
        .header(CONTENT_TYPE, content_type)
        .body(body.into())
        .unwrap()
}

fn got(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn every_refusal_is_a_problem_document() {
    const JSON: &str = "application/json";
    let cases = [
        (got("/elsewhere"), 404, "unknown_path"),
        (got("/sales"), 405, "method_not_allowed"),
        (got("/panic"), 500, "internal"),
        (got("/sales/x"), 400, "invalid_path"),
        (got("/pages?limit=-1"), 400, "invalid_query"),
        (posted(JSON, "{\"amount_minor\":"), 400, "malformed_json"),
        (
            posted(JSON, "{\"amount_minor\":\"1\"}"),
            422,
            "invalid_body",
        ),
        (
            posted(JSON, "{\"amount_minor\":1,\"x\":2}"),
            422,
            "invalid_body",
        ),
        (
            posted("text/plain", "{\"amount_minor\":1}"),
            415,
            "body_not_json",
        ),
        (
            posted(JSON, vec![b' '; BODY_BYTES_MAX + 1]),
            413,
            "body_too_large",
        ),
    ];
    for (request, status, code) in cases {
        let response = router().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{code}");
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON, "{code}");
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.status, status);
        assert_eq!(&*problem.code, code);
        assert_eq!(&*problem.type_, format!("urn:kopilka:problem:{code}"));
        assert!(!problem.what_to_do.is_empty());
        assert!(!problem.detail.contains("secret"), "{}", problem.detail);
    }
}

#[tokio::test]
async fn a_wrong_method_learns_the_right_ones() {
    let response = router().oneshot(got("/sales")).await.unwrap();
    assert_eq!(response.headers()[ALLOW], "POST");
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_taken() {
    let json = "{\"amount_minor\":1}";
    let padded = format!("{json:<BODY_BYTES_MAX$}");
    let response = router()
        .oneshot(posted("application/json", padded))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
