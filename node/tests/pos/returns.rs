//! Goods that come back from another store, or without the receipt at hand.

use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{CashierId, Incarnation, MemberId, NodeId, PartnerId, TillId};
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{Body, Purchase, PurchaseLine, ReceiptKey, ReturnedLine};
use kopilka_protocol::message::{CameBack, Reply, SoldPage, SoldPurchase, SoldQuery};
use serde_json::{Value, json};

use crate::common::{NOW_MS, Node, sale};

const CARD: &str = "79927398713";
const DAY: &str = "2025-11-22";
const WEEKS_2_MS: u64 = 14 * 86_400_000;

fn receipt() -> ReceiptKey {
    ReceiptKey {
        till: TillId(9),
        day: Day::from_ms(NOW_MS, 0),
        number: 5,
    }
}

/// Two units at 100.00, sold at another store.
fn purchase(member: MemberId) -> Purchase {
    Purchase {
        receipt: receipt(),
        cashier: CashierId(1),
        member,
        card: None,
        publication: 1,
        lines: vec![PurchaseLine {
            sku: "lamp".to_owned(),
            group: String::new(),
            quantity: Milli(2_000),
            unit_price: Minor(10_000),
            discount: Minor::ZERO,
            redeemed: Minor::ZERO,
            earned: Minor::ZERO,
        }],
        tenders: Vec::new(),
        redeemed: None,
        authority: None,
        earned: Vec::new(),
        counted: Minor(20_000),
        promoted: None,
        partner: PartnerId(2),
    }
}

/// As the hub tells of it; so many units have come back.
fn told(member: &str, at_ms: u64, units_back: u64) -> Reply {
    let (node, incarnation) = (NodeId(2), Incarnation(1));
    let genesis = Tip::genesis(node, incarnation);
    let mut log = Log::resume(node, incarnation, genesis, Stamp::default());
    let body = Body::Purchase(purchase(member.parse().unwrap()));
    let appended = log.append(at_ms, &body).unwrap();
    let back = CameBack {
        node: NodeId(3),
        stamp: Stamp::from_ms(at_ms),
        lines: vec![ReturnedLine {
            line: 0,
            quantity: Milli(units_back * 1_000),
        }],
    };
    let sold = SoldPurchase {
        operation: appended.id,
        stamp: appended.stamp,
        entry: appended.bytes,
        returned: if units_back > 0 { vec![back] } else { vec![] },
    };
    Reply::Sold(SoldPage {
        purchases: vec![sold],
        next: None,
    })
}

fn by_receipt() -> Value {
    json!({ "cashier": "c7", "receipt": { "till": "t9", "day": DAY, "number": 5 } })
}

async fn take_back(node: &Node, key: &str, body: Value) -> (u16, Value) {
    node.call("POST", "/v1/returns", key, body).await
}

#[tokio::test]
async fn another_stores_goods_come_back_once_the_hub_has_told_of_them() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let (status, refused) = take_back(&node, "1", by_receipt()).await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &"purchase_out_of_reach".into())
    );
    let words = refused["what_to_do"].as_str().unwrap_or_default();
    let detail = refused["detail"].as_str().unwrap_or_default();
    assert!(
        words.contains("связь") || detail.contains("связи"),
        "{refused}"
    );

    let nothing = Reply::Sold(SoldPage::default());
    let hub = node.set_hub(vec![nothing, told(&member, NOW_MS, 1)]);
    let (status, unknown) = take_back(&node, "2", by_receipt()).await;
    assert_eq!(
        (status, &unknown["code"]),
        (404, &"purchase_unknown".into())
    );

    let (status, back) = take_back(&node, "3", by_receipt()).await;
    assert_eq!(status, 200, "{back}");
    assert_eq!(back["lines"], json!([{ "line": 0, "quantity": "1" }]));
    assert_eq!(
        (&back["refund"], &back["whole"]),
        (&10_000.into(), &true.into())
    );
    let asked = hub.looked_for.lock().unwrap().clone();
    assert_eq!(
        asked,
        [SoldQuery::Receipt(receipt()), SoldQuery::Receipt(receipt())]
    );

    // From here on it is known without the hub, by all its names.
    let node = node.restart();
    let by_operation = json!({ "cashier": "c7", "operation_id": "o2.1.1" });
    for (key, name) in [("4", by_receipt()), ("5", by_operation)] {
        let (status, again) = take_back(&node, key, name).await;
        assert_eq!(
            (status, &again["code"]),
            (409, &"nothing_left_to_return".into())
        );
    }
    let body = with_receipt_of_the_purchase(&member);
    let (status, posted) = node.call("POST", "/v1/purchases", "6", body).await;
    assert_eq!(
        (status, &posted["code"]),
        (409, &"receipt_already_registered".into())
    );
}

fn with_receipt_of_the_purchase(member: &str) -> Value {
    let mut body = sale(member, 5, 20_000);
    body["receipt"] = json!({ "till": "t9", "day": DAY, "number": 5 });
    body
}

#[tokio::test]
async fn a_purchase_is_named_in_one_way_and_may_be_too_old() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    node.set_hub(vec![told(&member, NOW_MS - WEEKS_2_MS - 1, 0)]);
    let by_operation = json!({ "cashier": "c7", "operation_id": "o2.1.1" });
    let (status, late) = take_back(&node, "1", by_operation).await;
    assert_eq!((status, &late["code"]), (404, &"purchase_unknown".into()));
    let mut both = by_receipt();
    both["operation_id"] = json!("o2.1.1");
    let (status, body) = take_back(&node, "2", both).await;
    assert_eq!((status, &body["code"]), (422, &"invalid_field".into()));
}

#[tokio::test]
async fn what_came_back_elsewhere_does_not_come_back_to_its_seller() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let (_, sold) = node
        .call("POST", "/v1/purchases", "1", sale(&member, 1, 10_000))
        .await;
    let Reply::Sold(mut elsewhere) = told(&member, NOW_MS, 1) else {
        panic!("the hub tells of a sale");
    };
    elsewhere.purchases[0].operation = sold["operation_id"].as_str().unwrap().parse().unwrap();
    node.set_hub(vec![Reply::Sold(elsewhere)]);
    let body = json!({ "cashier": "c7", "purchase_id": sold["purchase_id"] });
    let (status, refused) = take_back(&node, "2", body).await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &"nothing_left_to_return".into())
    );
}

fn numbers(list: &Value) -> Vec<u64> {
    let items = list["items"].as_array().unwrap();
    let number = |item: &Value| item["receipt"]["number"].as_u64().unwrap();
    items.iter().map(number).collect()
}

#[tokio::test]
async fn without_the_receipt_the_cashier_picks_from_what_was_bought() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    for number in [11, 12, 13] {
        let key = format!("sale-{number}");
        let body = sale(&member, number, 10_000);
        let (status, sold) = node.call("POST", "/v1/purchases", &key, body).await;
        assert_eq!(status, 201, "{sold}");
    }
    let path = format!("/v1/members/{member}/purchases");
    let (status, first) = node.get(&format!("{path}?limit=2")).await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(
        (numbers(&first), &first["other_stores"]),
        (vec![13, 12], &false.into())
    );
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, rest) = node.get(&format!("{path}?limit=2&cursor={cursor}")).await;
    assert_eq!(
        (numbers(&rest), &rest["next_cursor"]),
        (vec![11], &Value::Null)
    );

    // The cashier picks the last one.
    let operation = &rest["items"][0]["operation_id"];
    let body = json!({ "cashier": "c7", "operation_id": operation });
    let (status, back) = take_back(&node, "back", body).await;
    assert_eq!((status, &back["refund"]), (200, &10_000.into()), "{back}");
    let (_, rest) = node.get(&format!("{path}?limit=2&cursor={cursor}")).await;
    assert_eq!(rest["items"][0]["lines"][0]["left"], "0");

    // With the hub, what other stores sold is there too, and what has not reached the hub.
    node.set_hub(vec![told(&member, NOW_MS, 1)]);
    let (_, all) = node.get(&path).await;
    assert_eq!(
        (numbers(&all), &all["other_stores"]),
        (vec![13, 12, 11, 5], &true.into())
    );
    let other = &all["items"][3];
    assert_eq!(other["purchase_id"], Value::Null);
    assert_eq!(other["lines"][0]["left"], "1");
}

#[tokio::test]
async fn a_page_of_the_hubs_list_needs_the_hub() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let path = format!("/v1/members/{member}/purchases?cursor=h17_o2.1.1");
    let (status, refused) = node.get(&path).await;
    assert_eq!(
        (status, &refused["code"]),
        (503, &"hub_out_of_reach".into())
    );
    let (status, refused) = node
        .get(&format!("/v1/members/{member}/purchases?cursor=x"))
        .await;
    assert_eq!((status, &refused["code"]), (422, &"invalid_field".into()));
}
