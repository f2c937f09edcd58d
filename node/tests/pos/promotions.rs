//! Promotions at the till: priced, explained, sold, and refused without the hub where they say so.

use std::collections::BTreeMap;

use kopilka_crdt::ids::PromotionId;
use kopilka_crdt::rulebook::model::Promotion;
use serde_json::{Value, json};

use crate::common::{Node, order_about, publication, rule_book, sale, with};
use kopilka_node::app::News;
use kopilka_protocol::signed::Subject;

const CARD: &str = "79927398713";

/// The common rule book with these promotions, numbered from 1.
async fn node_with(promotions: Value) -> Node {
    let node = Node::start().await;
    let mut rules = rule_book();
    rules.promotions = numbered(promotions);
    node.publish(publication(2, &rules)).await;
    node
}

/// Promotions, numbered from 1.
pub fn numbered(promotions: Value) -> BTreeMap<PromotionId, Promotion> {
    let promotions: Vec<Promotion> = serde_json::from_value(promotions).unwrap();
    (1..).map(PromotionId).zip(promotions).collect()
}

pub fn promotion(name: &str, stage: &str, more: Value) -> Value {
    with(
        json!({ "name": { "ru": name, "en": name }, "stage": stage }),
        more,
    )
}

pub fn reason<'a>(quote: &'a Value, promotion: &str) -> &'a Value {
    let all = quote["promotions"].as_array().unwrap();
    let found = all.iter().find(|one| one["promotion_id"] == promotion);
    &found.unwrap()["reason"]
}

#[tokio::test]
async fn a_sale_gives_what_the_quote_promised_and_says_why_not_more() {
    // The node's clock shows a Saturday, 11:26 in Moscow.
    let happy = json!({ "kind": "hours", "of": [{ "from": "10:00", "to": "13:00" }] });
    let node = node_with(json!([
        promotion("Second mug free", "lines", json!({ "effects": [{ "kind": "buy_get", "buy": { "skus": ["mug"] }, "buy_units": 1,
            "get_units": 1, "off_permille": 1000 }] })),
        promotion("From 1,000", "receipt", json!({ "when": { "kind": "total", "measure": "after_discounts", "min": 100_000 },
            "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 } }] })),
        promotion("Happy hours", "earning", json!({ "when": happy,
            "effects": [{ "kind": "points", "how": { "by": "multiply", "permille": 2000 } }] })),
        promotion("Code", "coupons", json!({ "when": { "kind": "promo_codes", "of": ["TEA10"] },
            "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 },
                "target": { "of": "lines", "goods": { "attributes": { "brand": ["Acme"] } } } }] })),
        promotion("A leaflet", "issue", json!({ "effects": [
            { "kind": "gift_goods", "sku": "leaflet", "units": 1 },
            { "kind": "message", "to": "cashier", "text": { "ru": "Отдайте листовку", "en": "Hand out a leaflet" } }] })),
    ]))
    .await;
    let member = node.enrol(CARD).await;
    let lines = json!([
        { "sku": "mug", "quantity": "3", "unit_price": 20_000 },
        { "sku": "tea", "quantity": "1", "unit_price": 10_000, "discount": 1_000, "attributes": { "brand": "Acme" } },
    ]);
    let basket = json!({ "lines": lines, "promo_codes": ["tea10"] });
    let body = with(json!({ "member_id": member }), basket.clone());
    let (status, quote) = node.call("POST", "/v1/quotes", "-", body).await;
    assert_eq!(status, 200, "{quote}");
    // Of three mugs one is free; the tea's 90.00 are 81.00 with the code.
    assert_eq!(quote["total"], 48_100, "{quote}");
    assert_eq!(quote["lines"][0]["discount"], 20_000);
    assert_eq!(quote["lines"][1]["discount"], 1_900);
    assert_eq!(quote["earned"], 4_810, "5 % twice");
    assert_eq!(reason(&quote, "x2")["code"], "total_short");
    assert_eq!(reason(&quote, "x2")["text"]["en"], "add goods for 510.00");
    assert_eq!(quote["gifts"][0]["sku"], "leaflet");
    assert_eq!(quote["messages"][0]["to"], "cashier");

    let body = with(sale(&member, 1, 0), basket);
    let (status, sold) = node.call("POST", "/v1/purchases", "1", body).await;
    assert_eq!(status, 201, "{sold}");
    for field in ["lines", "total", "to_pay", "earned"] {
        assert_eq!(sold[field], quote[field], "{field}");
    }
    assert_eq!(sold["promotions"], json!(["x1", "x3", "x4", "x5"]));

    let purchase = sold["purchase_id"].as_str().unwrap();
    let back = json!({ "cashier": "c7", "purchase_id": purchase, "lines": [{ "line": 0, "quantity": "1" }] });
    let (status, back) = node.call("POST", "/v1/returns", "2", back).await;
    assert_eq!(status, 200, "{back}");
    assert_eq!(back["refund"], 13_333, "a third of what three mugs cost");
}

#[tokio::test]
async fn what_needs_the_hub_waits_for_it() {
    let node = node_with(json!([promotion(
        "Online only",
        "receipt",
        json!({ "offline": "online",
            "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 500 } }] })
    ),]))
    .await;
    let member = node.enrol(CARD).await;
    let body = json!({ "member_id": member, "lines": [{ "sku": "mug", "quantity": "1", "unit_price": 20_000 }] });
    let (_, quote) = node.call("POST", "/v1/quotes", "-", body.clone()).await;
    assert_eq!(quote["total"], 20_000);
    assert_eq!(reason(&quote, "x1")["code"], "offline");
    node.set_hub(Vec::new());
    let (_, quote) = node.call("POST", "/v1/quotes", "-", body).await;
    assert_eq!(quote["total"], 10_000, "{quote}");
}

#[tokio::test]
async fn a_stopped_promotion_gives_nothing_until_it_is_released() {
    let half =
        json!({ "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 500 } }] });
    let promotions = json!([
        promotion("Half", "receipt", half.clone()),
        promotion("Half of a mug", "lines", half)
    ]);
    let node = node_with(promotions).await;
    let member = node.enrol(CARD).await;
    let basket = sale(&member, 1, 20_000);
    let (_, held) = node
        .call(
            "POST",
            "/v1/purchases",
            "held",
            with(basket, json!({ "confirm": false })),
        )
        .await;
    assert_eq!(held["total"], 5_000, "{held}");

    let stop = |number, stopped| order_about(number, Subject::Promotion(PromotionId(1)), stopped);
    node.hear(News::Blocks(vec![stop(7, true)])).await;
    node.hear(News::Blocks(vec![stop(6, false)])).await;
    let node = node.restart();
    let body = json!({ "member_id": member, "lines": sale(&member, 2, 20_000)["lines"] });
    let (_, quote) = node.call("POST", "/v1/quotes", "-", body.clone()).await;
    assert_eq!(quote["total"], 10_000, "{quote}");
    assert_eq!(reason(&quote, "x1")["code"], "stopped");
    assert_eq!(reason(&quote, "x1")["text"]["en"], "stopped by head office");
    let (_, sold) = node
        .call("POST", "/v1/purchases", "sold", sale(&member, 2, 20_000))
        .await;
    assert_eq!(
        (&sold["total"], &sold["promotions"]),
        (&json!(10_000), &json!(["x2"]))
    );
    // What was authorised before stands.
    let path = format!(
        "/v1/purchases/{}/confirm",
        held["purchase_id"].as_str().unwrap()
    );
    let (status, confirmed) = node
        .call("POST", &path, "confirm", json!({ "cashier": "c7" }))
        .await;
    assert_eq!(
        (status, &confirmed["total"]),
        (200, &json!(5_000)),
        "{confirmed}"
    );

    node.hear(News::Blocks(vec![stop(8, false)])).await;
    let (_, quote) = node.call("POST", "/v1/quotes", "-", body).await;
    assert_eq!(quote["total"], 5_000, "{quote}");
}

#[tokio::test]
async fn malformed_codes_and_attributes_are_refused() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let line = |attributes: Value| json!([{ "sku": "mug", "quantity": "1", "unit_price": 1, "attributes": attributes }]);
    let many: serde_json::Map<String, Value> = (0..17)
        .map(|number| (number.to_string(), json!("x")))
        .collect();
    for (more, status) in [
        (json!({ "promo_codes": vec!["A"; 16] }), 200),
        (json!({ "promo_codes": vec!["A"; 17] }), 422),
        (json!({ "promo_codes": [""] }), 422),
        (json!({ "promo_codes": ["x".repeat(65)] }), 422),
        (
            json!({ "lines": line(json!({ "brand": "x".repeat(65) })) }),
            422,
        ),
        (json!({ "lines": line(Value::Object(many)) }), 422),
    ] {
        let body = with(
            json!({ "member_id": member, "lines": line(json!({})) }),
            more.clone(),
        );
        let (found, answer) = node.call("POST", "/v1/quotes", "-", body).await;
        assert_eq!(found, status, "{more}: {answer}");
    }
}
