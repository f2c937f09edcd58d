//! Requests of a till as it really makes them; each seed is carried out by the node from its first line to its last.

use serde_json::{Value, json};

use crate::fuzz::pos::{CARD, MEMBER, ROUTES, statuses};

const OTHER_CARD: &str = "4111111111111111";
const CONFIRM: &str = "/v1/purchases/{purchase}/confirm";
const PURCHASES: &str = "/v1/purchases";

type Seed = (&'static str, Vec<(&'static str, Value)>);

/// Name and bytes of every seed.
pub fn inputs() -> Vec<(&'static str, Vec<u8>)> {
    let seeds = sales().into_iter().chain(members());
    seeds
        .map(|(name, requests)| {
            let bytes = lines(&requests);
            let statuses = statuses(&bytes);
            let done = statuses.iter().all(|status| (200..300).contains(status));
            assert!(done, "{name}: the node answers {statuses:?}");
            (name, bytes)
        })
        .collect()
}

fn lines(requests: &[(&str, Value)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (path, body) in requests {
        let route = ROUTES.iter().position(|(_, route)| route == path);
        let letter = (b'a'..).nth(route.expect("the route takes a body"));
        bytes.push(letter.expect("routes are few"));
        bytes.extend_from_slice(body.to_string().as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

fn cashier() -> Value {
    json!({ "cashier": "c7" })
}

fn basket() -> Value {
    json!([
        { "sku": "4601234567890", "quantity": "2", "unit_price": 8_990, "discount": 500 },
        { "sku": "apples", "group": "fruit", "quantity": "0.345", "unit_price": 19_990 },
    ])
}

fn sale(confirm: bool) -> Value {
    json!({
        "cashier": "c7",
        "member_id": MEMBER.to_string(),
        "receipt": { "till": "t1", "day": "2025-11-22", "number": 1 },
        "lines": basket(),
        "tenders": [{ "kind": "bank_card", "amount": 20_000 }],
        "redeem": 1_000,
        "confirm": confirm,
    })
}

fn sales() -> Vec<Seed> {
    let quote = |wish: &str, wanted: Value| {
        let mut body = json!({ "member_id": MEMBER.to_string(), "lines": basket() });
        body[wish] = wanted;
        vec![("/v1/quotes", body)]
    };
    let part = json!({ "cashier": "c7", "receipt": { "number": 1 }, "lines": [{ "line": 0, "quantity": "1" }] });
    let rest = json!({ "cashier": "c7", "receipt": { "number": 1 } });
    vec![
        ("quote", quote("redeem_most", json!(true))),
        ("quote_exactly", quote("redeem", json!(1_000))),
        (
            "sale",
            vec![
                (PURCHASES, sale(true)),
                ("/v1/purchases/{purchase}/cancel", cashier()),
            ],
        ),
        (
            "held_confirmed",
            vec![(PURCHASES, sale(false)), (CONFIRM, cashier())],
        ),
        (
            "held_voided",
            vec![
                (PURCHASES, sale(false)),
                ("/v1/purchases/{purchase}/void", cashier()),
            ],
        ),
        (
            "returns",
            vec![
                (PURCHASES, sale(true)),
                ("/v1/returns", part),
                ("/v1/returns", rest),
            ],
        ),
    ]
}

fn members() -> Vec<Seed> {
    const CONSENT: &str = "/v1/members/{member}/consents/personal_data";
    let person = json!({
        "cashier": "c7",
        "questionnaire": {
            "given_name": "Анна", "family_name": "Петрова", "phone": "8 916 123-45-67", "email": "anna@example.com",
            "birth_date": "1990-05-17", "sex": "female", "own": { "shoe_size": "38" },
        },
        "consents": ["personal_data", "sms"],
        "card_number": OTHER_CARD,
        "card_kind": "pensioner",
        "identifiers": [{ "kind": "qr", "value": "token-0123456789" }],
    });
    let given = json!({ "cashier": "c7", "given": true });
    let profile = json!({ "cashier": "c7", "questionnaire": { "given_name": "Олег" } });
    let write_off = json!({ "cashier": "c7", "account": "a1", "amount": 500, "reason": "приз" });
    let gifts = |count: i32| json!({ "cashier": "c7", "code": "mug", "count": count });
    let identifier = json!({ "kind": "card", "value": OTHER_CARD });
    let new_card =
        json!({ "cashier": "c7", "identifier": identifier, "kind": "employee", "inactive": true });
    let new_phone =
        json!({ "cashier": "c7", "identifier": { "kind": "phone", "value": "+79161234567" } });
    let card = json!({ "cashier": "c7", "number": OTHER_CARD });
    vec![
        (
            "identify",
            vec![("/v1/identify", json!({ "kind": "card", "value": CARD }))],
        ),
        ("enrol", vec![("/v1/members", person)]),
        (
            "profile",
            vec![(CONSENT, given), ("/v1/members/{member}/profile", profile)],
        ),
        (
            "write_off",
            vec![("/v1/members/{member}/write-offs", write_off)],
        ),
        (
            "gifts",
            vec![
                ("/v1/members/{member}/gifts", gifts(2)),
                ("/v1/members/{member}/gifts", gifts(-1)),
            ],
        ),
        (
            "cards",
            vec![
                ("/v1/members/{member}/cards", new_card),
                ("/v1/cards/activate", card.clone()),
                ("/v1/cards/close", card),
            ],
        ),
        ("phone", vec![("/v1/members/{member}/cards", new_phone)]),
    ]
}
