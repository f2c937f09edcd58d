//! Sales: quote, authorise, confirm, void, retries, returns, restarts in between.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::common::{NOW_MS, Node, sale, with};

const CARD: &str = "79927398713";

#[tokio::test]
async fn a_sale_costs_and_earns_what_the_quote_said() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let lines = json!([
        { "sku": "milk", "quantity": "2", "unit_price": 8_990, "discount": 500 },
        { "sku": "apples", "quantity": "0.345", "unit_price": 19_990 },
        { "sku": "tobacco", "group": "tobacco", "quantity": "1", "unit_price": 20_000 },
    ]);
    let quote = json!({ "member_id": member, "lines": lines, "redeem_most": true });
    let (status, quote) = node.call("POST", "/v1/quotes", "-", quote).await;
    assert_eq!(status, 200, "{quote}");
    assert!(quote["redeemed"].as_i64().unwrap() > 0);
    let body = with(
        sale(&member, 1, 0),
        json!({ "lines": lines, "redeem_most": true }),
    );
    let (status, sold) = node.call("POST", "/v1/purchases", "1", body).await;
    assert_eq!(status, 201, "{sold}");
    for field in [
        "lines",
        "total",
        "redeemed",
        "to_pay",
        "earned",
        "publication",
    ] {
        assert_eq!(sold[field], quote[field], "{field}");
    }
    assert_eq!(sold["state"], "confirmed");
    assert_eq!(sold["rung"], "allowance");
    let expected = 25_000 - quote["redeemed"].as_i64().unwrap() + quote["earned"].as_i64().unwrap();
    assert_eq!(node.balance(&member).await, expected);
    let id = sold["purchase_id"].as_str().unwrap();
    assert_eq!(
        node.get(&format!("/v1/purchases/{id}")).await,
        (200, sold.clone())
    );
    let (_, history) = node
        .get(&format!("/v1/members/{member}/operations?limit=1"))
        .await;
    assert_eq!(history["items"][0]["kind"], "enrol");
    let cursor = history["next_cursor"].as_str().unwrap();
    let (_, history) = node
        .get(&format!("/v1/members/{member}/operations?cursor={cursor}"))
        .await;
    assert_eq!(history["items"][0]["operation_id"], sold["operation_id"]);
    assert_eq!(history["next_cursor"], Value::Null);
}

#[tokio::test]
async fn held_points_are_free_again_after_a_void_and_spent_after_a_confirm() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let held = json!({ "confirm": false, "redeem_most": true });
    let (_, first) = node
        .call(
            "POST",
            "/v1/purchases",
            "1",
            with(sale(&member, 1, 60_000), held.clone()),
        )
        .await;
    assert_eq!(first["state"], "held", "{first}");
    assert_eq!(node.balance(&member).await, 25_000 - 18_000);
    let (_, second) = node
        .call(
            "POST",
            "/v1/purchases",
            "2",
            with(sale(&member, 2, 60_000), held),
        )
        .await;
    assert_eq!(second["redeemed"], 7_000, "the rest is held");

    // The process dies in between.
    let node = node.restart();
    let path = |sale: &Value, verb: &str| {
        format!(
            "/v1/purchases/{}/{verb}",
            sale["purchase_id"].as_str().unwrap()
        )
    };
    let cashier = json!({ "cashier": "c7" });
    let (status, voided) = node
        .call("POST", &path(&first, "void"), "3", cashier.clone())
        .await;
    assert_eq!((status, &voided["state"]), (200, &"voided".into()));
    let (status, confirmed) = node
        .call("POST", &path(&second, "confirm"), "4", cashier.clone())
        .await;
    assert_eq!((status, &confirmed["state"]), (200, &"confirmed".into()));
    let earned = confirmed["earned"].as_i64().unwrap();
    assert_eq!(node.balance(&member).await, 25_000 - 7_000 + earned);

    let (status, body) = node
        .call("POST", &path(&first, "confirm"), "5", cashier.clone())
        .await;
    assert_eq!((status, &body["code"]), (409, &"purchase_voided".into()));
    let (status, body) = node
        .call("POST", &path(&second, "void"), "6", cashier)
        .await;
    assert_eq!((status, &body["code"]), (409, &"purchase_confirmed".into()));
}

#[tokio::test]
async fn a_hold_lapses_and_a_late_confirm_is_honoured() {
    static CLOCK: AtomicU64 = AtomicU64::new(NOW_MS);
    let node = Node::start_with_clock(|| CLOCK.load(Ordering::Relaxed)).await;
    let member = node.enrol(CARD).await;
    let body = with(
        sale(&member, 1, 60_000),
        json!({ "confirm": false, "redeem": 10_000 }),
    );
    let (_, held) = node.call("POST", "/v1/purchases", "1", body).await;
    let path = format!("/v1/purchases/{}", held["purchase_id"].as_str().unwrap());
    CLOCK.store(NOW_MS + 899_999, Ordering::Relaxed);
    node.app.tick().await.unwrap();
    assert_eq!(node.get(&path).await.1["state"], "held");
    CLOCK.store(NOW_MS + 900_000, Ordering::Relaxed);
    node.app.tick().await.unwrap();
    assert_eq!(node.get(&path).await.1["state"], "lapsed");
    assert_eq!(node.balance(&member).await, 25_000);
    let (status, late) = node
        .call(
            "POST",
            &format!("{path}/confirm"),
            "2",
            json!({ "cashier": "c7" }),
        )
        .await;
    assert_eq!((status, &late["state"]), (200, &"confirmed".into()));
    assert_eq!(node.balance(&member).await, 25_000 - 10_000 + 2_500);

    // What was kept for the return period goes after it.
    CLOCK.store(NOW_MS + 12 * 3_600_000, Ordering::Relaxed);
    for day in 1..=15 {
        CLOCK.store(NOW_MS + day * 86_400_000, Ordering::Relaxed);
        node.app.tick().await.unwrap();
    }
    assert_eq!(node.get(&path).await.0, 404);
}

#[tokio::test]
async fn a_retry_gets_the_same_answer_and_another_body_none() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let body = sale(&member, 1, 10_000);
    let first = node.call("POST", "/v1/purchases", "1", body.clone()).await;
    assert_eq!(first.0, 201);
    let node = node.restart();
    let again = node.call("POST", "/v1/purchases", "1", body).await;
    assert_eq!(first, again);
    assert_eq!(node.balance(&member).await, 25_500, "counted once");

    let other = sale(&member, 2, 10_000);
    let (status, body) = node.call("POST", "/v1/purchases", "1", other).await;
    assert_eq!(
        (status, &body["code"]),
        (409, &"idempotency_key_reused".into())
    );
    let twice = sale(&member, 1, 20_000);
    let (status, body) = node.call("POST", "/v1/purchases", "2", twice).await;
    assert_eq!(
        (status, &body["code"]),
        (409, &"receipt_already_registered".into())
    );
    let detail = body["detail"].as_str().unwrap();
    assert!(
        detail.contains(first.1["purchase_id"].as_str().unwrap()),
        "{detail}"
    );
}

#[tokio::test]
async fn partial_returns_and_a_cancel_add_up_to_the_sale() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let body = with(
        sale(&member, 1, 0),
        json!({
            "redeem": 5_001,
            "lines": [
                { "sku": "a", "quantity": "3", "unit_price": 9_999 },
                { "sku": "b", "quantity": "0.777", "unit_price": 12_345 },
            ],
        }),
    );
    let (_, sold) = node.call("POST", "/v1/purchases", "1", body).await;
    let id = sold["purchase_id"].as_str().unwrap();
    let part =
        json!({ "cashier": "c7", "purchase_id": id, "lines": [{ "line": 0, "quantity": "1" }] });
    let (status, one) = node.call("POST", "/v1/returns", "2", part.clone()).await;
    assert_eq!((status, &one["whole"]), (200, &false.into()), "{one}");
    let by_receipt = json!({ "cashier": "c7", "receipt": { "number": 1 }, "lines": [{ "line": 1, "quantity": "0.777" }] });
    let (status, two) = node.call("POST", "/v1/returns", "3", by_receipt).await;
    assert_eq!(status, 200, "{two}");
    let cashier = json!({ "cashier": "c7" });
    let cancel = format!("/v1/purchases/{id}/cancel");
    let (status, rest) = node.call("POST", &cancel, "4", cashier.clone()).await;
    assert_eq!((status, &rest["whole"]), (200, &true.into()), "{rest}");
    for (given_back, sold_as) in [
        ("refund", "to_pay"),
        ("restored", "redeemed"),
        ("withdrawn", "earned"),
    ] {
        let sum: i64 = [&one, &two, &rest]
            .iter()
            .map(|part| part[given_back].as_i64().unwrap())
            .sum();
        assert_eq!(sum, sold[sold_as].as_i64().unwrap(), "{given_back}");
    }
    assert_eq!(node.balance(&member).await, 25_000);
    let (status, body) = node.call("POST", &cancel, "5", cashier).await;
    assert_eq!(
        (status, &body["code"]),
        (409, &"nothing_left_to_return".into())
    );
    let (status, body) = node.call("POST", "/v1/returns", "6", part).await;
    assert_eq!((status, &body["code"]), (409, &"return_too_large".into()));
}
