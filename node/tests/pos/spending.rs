//! Points of several accounts, rewards, and the same price on both sides of an outage.

use kopilka_crdt::ids::AccountId;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::{AccountRules, RedemptionRules, Text};
use serde_json::{Value, json};

use crate::common::{Node, publication, rule_book, sale, with};
use crate::promotions::{numbered, promotion};

const CARD: &str = "79927398713";
const BONUS: AccountId = AccountId(2);

/// A second account that pays up to half, credited with 50.00 a receipt; and a mug for 100 points.
fn rules() -> RuleBook {
    let mut rules = rule_book();
    let account = AccountRules {
        code: "bonus".to_owned(),
        name: Text::new("Бонусы", "Bonus"),
        active_after_days: 0,
        expires_after_days: Some(30),
    };
    rules.accounts.insert(BONUS, account);
    rules.payments.push(RedemptionRules {
        account: BONUS,
        share_permille_max: 500,
        amount_min_minor: Minor::ZERO,
        step_minor: 1,
        goods: None,
    });
    rules
        .gifts
        .insert("mug".to_owned(), Text::new("Кружка", "Mug"));
    rules.promotions = numbered(json!([
        promotion(
            "Bonus",
            "earning",
            json!({ "effects": [{ "kind": "points", "account": 2, "how": { "by": "fixed", "minor": 5_000 } }] })
        ),
        promotion(
            "A mug",
            "issue",
            json!({ "price": { "minor": 10_000 }, "effects": [{ "kind": "gift", "code": "mug", "count": 1 }] })
        ),
    ]));
    rules
}

async fn start() -> (Node, String) {
    let node = Node::start().await;
    node.publish(publication(2, &rules())).await;
    let member = node.enrol(CARD).await;
    let (status, sold) = node
        .call("POST", "/v1/purchases", "0", sale(&member, 9, 10_000))
        .await;
    assert_eq!(status, 201, "{sold}");
    (node, member)
}

#[tokio::test]
async fn two_accounts_pay_and_a_reward_costs_points() {
    let (node, member) = start().await;
    let wishes = json!({ "redeem_most": true, "redeem_from": { "bonus": 4_000 }, "rewards": [{ "promotion_id": "x2", "times": 1 }] });
    let quote = json!({ "member_id": member, "lines": sale(&member, 1, 40_000)["lines"] });
    let (status, quoted) = node
        .call(
            "POST",
            "/v1/quotes",
            "-",
            with(quote.clone(), wishes.clone()),
        )
        .await;
    assert_eq!(status, 200, "{quoted}");
    // 30 % of 400.00 are less than the 255.00 there are, less 100.00 for the mug.
    assert_eq!(
        (&quoted["redeemed"], &quoted["to_pay"]),
        (&16_000.into(), &24_000.into())
    );
    assert_eq!(quoted["payments"][0]["redeemed"], 4_000);
    assert_eq!(quoted["payments"][0]["redeemable_now"], 5_000);
    assert_eq!(
        quoted["rewards"],
        json!([{ "promotion_id": "x2", "account": "a1", "amount": 10_000 }])
    );
    assert_eq!(quoted["gifts_credited"], json!({ "mug": 1 }));

    let held = with(
        with(sale(&member, 1, 40_000), wishes),
        json!({ "confirm": false }),
    );
    let (status, held) = node.call("POST", "/v1/purchases", "1", held).await;
    assert_eq!(status, 201, "{held}");
    for field in [
        "lines",
        "redeemed",
        "to_pay",
        "rewards",
        "gifts_credited",
        "earned",
    ] {
        assert_eq!(held[field], quoted[field], "{field}");
    }
    assert_eq!(held["payments"][0]["rung"], "allowance");
    let node = node.restart();
    let balances = |view: &Value| {
        let all = view["balances"].as_array().unwrap();
        let one = |account: &str| {
            let found = all.iter().find(|one| one["account"] == account);
            found.unwrap()["spendable"].as_i64().unwrap()
        };
        (one("a1"), one("a2"))
    };
    let path = format!("/v1/members/{member}");
    let (_, view) = node.get(&path).await;
    assert_eq!(
        balances(&view),
        (25_500 - 22_000, 1_000),
        "the hold binds both accounts"
    );

    let confirm = format!(
        "/v1/purchases/{}/confirm",
        held["purchase_id"].as_str().unwrap()
    );
    let (status, sold) = node
        .call("POST", &confirm, "2", json!({ "cashier": "c7" }))
        .await;
    assert_eq!(status, 200, "{sold}");
    let (_, view) = node.get(&path).await;
    let earned = held["earned"].as_i64().unwrap() - 5_000;
    assert_eq!(balances(&view), (3_500 + earned, 6_000));
    assert_eq!(view["gifts"], json!({ "mug": 1 }));

    let unknown = with(quote, json!({ "redeem_from": { "gold": "most" } }));
    let (status, _) = node.call("POST", "/v1/quotes", "-", unknown).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn the_price_is_the_same_with_and_without_the_hub() {
    let mut prices = Vec::new();
    for online in [false, true] {
        let (node, member) = start().await;
        if online {
            node.set_hub(Vec::new());
        }
        let mut seen = Vec::new();
        for (number, more) in [
            (1, json!({})),
            (
                2,
                json!({ "redeem": 3_000, "redeem_from": { "bonus": "most" } }),
            ),
            (3, json!({ "rewards": [{ "promotion_id": "x2" }] })),
        ] {
            let body = with(sale(&member, number, 33_333), more);
            let (status, sold) = node
                .call("POST", "/v1/purchases", &number.to_string(), body)
                .await;
            assert_eq!(status, 201, "{sold}");
            let fields = [
                "lines",
                "total",
                "redeemed",
                "to_pay",
                "earned",
                "promotions",
                "rewards",
            ];
            seen.push(fields.map(|field| sold[field].clone()));
        }
        prices.push(seen);
    }
    assert_eq!(prices[0], prices[1]);
}
