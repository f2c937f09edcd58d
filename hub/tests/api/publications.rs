//! Publishing: what is replayed, what has to wait for a second person, and who may be that.

use axum::http::StatusCode;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_hub::app::staff::Role;
use serde_json::{Value, json};

use super::house::House;
use super::sales::sell;

const BOOK: &str = "/v1/programmes/p1/rule-book";
const PUBLICATIONS: &str = "/v1/programmes/p1/publications";
const PROPOSALS: &str = "/v1/programmes/p1/proposals";

/// A house with receipts for 100.00, 200.00 and 300.00, and an owner's token.
async fn with_receipts() -> (House, String) {
    let (house, owner) = House::furnished().await;
    sell(&house.hub, &[10_000, 20_000, 30_000]).await;
    (house, owner)
}

/// Has the lowest tier earn this.
async fn edit(house: &House, token: &str, permille: u32) {
    let patch = json!([{ "op": "replace", "path": "/tiers/0/earn_permille", "value": permille }]);
    let body = json!({ "patch": patch, "note": "points" });
    let (status, draft) = house.call(token, "PATCH", BOOK, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{draft}");
}

async fn publish(house: &House, token: &str) -> (StatusCode, Value) {
    let note = json!({ "note": "spring" });
    house.call(token, "POST", PUBLICATIONS, Some(note)).await
}

/// The marketer's proposal to double the points.
async fn doubled(house: &House, marketer: &str) -> Value {
    edit(house, marketer, 100).await;
    let (status, proposal) = publish(house, marketer).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{proposal}");
    proposal
}

async fn in_force(house: &House) -> (u32, u32) {
    let rules = house.hub.current_rules(ProgrammeId(1)).await.unwrap();
    let rules = rules.unwrap();
    (rules.number(), rules.rules().tiers[0].earn_permille)
}

#[tokio::test]
async fn a_replay_shows_what_an_edit_would_do() {
    let (house, owner) = with_receipts().await;
    edit(&house, &owner, 100).await;
    let replay = house.got(&owner, &format!("{BOOK}/replay")).await;
    for (field, expected) in [
        ("receipts", json!(3)),
        ("touched", json!(3)),
        ("lost", json!(0)),
        ("turnover_minor", json!(60_000)),
        ("moved_minor", json!(3_000)),
        ("effect_permille", json!(50)),
        (
            "before",
            json!({ "discounts_minor": 0, "earned_minor": 3_000, "redeemed_minor": 0 }),
        ),
        (
            "after",
            json!({ "discounts_minor": 0, "earned_minor": 6_000, "redeemed_minor": 0 }),
        ),
        ("promotions", json!([])),
        ("unpriced", json!([])),
    ] {
        assert_eq!(replay[field], expected, "{field}");
    }
    let largest = &replay["largest"][0];
    assert_eq!(
        (&largest["number"], &largest["moved_minor"]),
        (&json!(3), &json!(1_500))
    );
    // The newest only.
    let newest = house
        .got(&owner, &format!("{BOOK}/replay?receipts=1"))
        .await;
    assert_eq!(newest["turnover_minor"], 30_000);
    let same = house.got(&owner, &format!("{BOOK}/replay?against=1")).await;
    assert_eq!(
        (&same["receipts"], &same["touched"]),
        (&json!(3), &json!(0))
    );
    assert_eq!(in_force(&house).await, (1, 50));
    for (query, expected) in [
        ("receipts=0", (422, "invalid_value")),
        ("receipts=100001", (422, "invalid_value")),
        ("against=now", (422, "invalid_value")),
        ("against=9", (404, "not_found")),
    ] {
        let path = format!("{BOOK}/replay?{query}");
        house.refused(&owner, ("GET", &path), None, expected).await;
    }
}

#[tokio::test]
async fn a_small_edit_is_published_at_once() {
    let (house, owner) = with_receipts().await;
    // 10 thousandths of the turnover, which the threshold allows.
    edit(&house, &owner, 60).await;
    let (status, made) = publish(&house, &owner).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["number"], &made["author"]),
        (&json!(2), &json!("owner"))
    );
    assert_eq!(made["replay"]["effect_permille"], 10);
    assert_eq!(
        (&made["approved_by"], in_force(&house).await),
        (&Value::Null, (2, 60))
    );
    assert_eq!(house.got(&owner, PROPOSALS).await["items"], json!([]));
}

#[tokio::test]
async fn twice_the_points_wait_for_somebody_else() {
    let (house, owner) = with_receipts().await;
    let marketer = house.sign_in(Role::Marketer).await;
    let office = house.sign_in(Role::HeadOffice).await;
    let proposal = doubled(&house, &marketer).await;
    assert_eq!(
        (&proposal["proposal"], &proposal["state"]),
        (&json!(1), &json!("waiting"))
    );
    assert_eq!(
        (&proposal["author"], &proposal["large"]),
        (&json!("marketer"), &json!(["effect"]))
    );
    assert_eq!(proposal["approvers"], json!(["headoffice", "owner"]));
    assert_eq!(proposal["replay"]["effect_permille"], 50);
    assert_eq!(proposal["rules_hash"].as_str().unwrap().len(), 64);
    assert_eq!(in_force(&house).await, (1, 50));
    // Asking again asks for the same.
    assert_eq!(
        publish(&house, &marketer).await,
        (StatusCode::ACCEPTED, proposal.clone())
    );

    let approve = format!("{PROPOSALS}/1/approve");
    let role = (403, "role_refused");
    house
        .refused(&marketer, ("POST", &approve), None, role)
        .await;
    let (status, made) = house.call(&office, "POST", &approve, None).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["number"], &made["note"]),
        (&json!(2), &json!("spring"))
    );
    assert_eq!(
        (&made["author"], &made["approved_by"]),
        (&json!("marketer"), &json!("headoffice"))
    );
    assert_eq!(in_force(&house).await, (2, 100));

    let decided = house.got(&owner, &format!("{PROPOSALS}/1")).await;
    assert_eq!(
        (&decided["state"], &decided["publication"]),
        (&json!("approved"), &json!(2))
    );
    assert_eq!(
        (&decided["decided_by"], &decided["approvers"]),
        (&json!("headoffice"), &json!([]))
    );
    let settled = (409, "proposal_settled");
    house
        .refused(&owner, ("POST", &approve), None, settled)
        .await;
    let audit = house.got(&owner, "/v1/audit?limit=50").await;
    let told: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["actor"].as_str().unwrap(),
                row["action"].as_str().unwrap(),
                row["subject"].as_str().unwrap(),
            )
        })
        .filter(|(_, action, _)| action.starts_with("rulebook."))
        .collect();
    let expected = [
        ("headoffice", "rulebook.approve", "p1/2"),
        ("marketer", "rulebook.propose", "p1/1"),
        ("marketer", "rulebook.edit", "p1"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn nobody_approves_their_own() {
    let (house, owner) = with_receipts().await;
    doubled(&house, &owner).await;
    let approve = format!("{PROPOSALS}/1/approve");
    let own = (403, "own_proposal");
    house.refused(&owner, ("POST", &approve), None, own).await;
    assert_eq!(in_force(&house).await, (1, 50));
    // To take it back is another matter.
    let reject = format!("{PROPOSALS}/1/reject");
    let reason = Some(json!({ "reason": "a slip" }));
    let (status, rejected) = house.call(&owner, "POST", &reject, reason.clone()).await;
    assert_eq!(
        (status, &rejected["state"]),
        (StatusCode::OK, &json!("rejected"))
    );
    assert_eq!(
        (&rejected["decided_by"], &rejected["reason"]),
        (&json!("owner"), &json!("a slip"))
    );
    let settled = (409, "proposal_settled");
    house
        .refused(&owner, ("POST", &reject), reason, settled)
        .await;
}

#[tokio::test]
async fn a_draft_that_moved_on_is_proposed_anew() {
    let (house, owner) = with_receipts().await;
    let marketer = house.sign_in(Role::Marketer).await;
    doubled(&house, &marketer).await;
    edit(&house, &marketer, 200).await;
    let approve = |number: u32| format!("{PROPOSALS}/{number}/approve");
    let stale = (409, "proposal_stale");
    house
        .refused(&owner, ("POST", &approve(1)), None, stale)
        .await;
    let (_, second) = publish(&house, &marketer).await;
    assert_eq!(
        (&second["proposal"], &second["replay"]["effect_permille"]),
        (&json!(2), &json!(150))
    );
    let states: Vec<_> = house.got(&owner, PROPOSALS).await["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["proposal"].clone(), one["state"].clone()))
        .collect();
    assert_eq!(
        states,
        [
            (json!(2), json!("waiting")),
            (json!(1), json!("superseded"))
        ]
    );

    // Other rules in force make it another edit, too.
    let back = format!("{PUBLICATIONS}/1/roll-back");
    house.made(&owner, &back, json!({ "note": "calm" })).await;
    edit(&house, &marketer, 200).await;
    house
        .refused(&owner, ("POST", &approve(2)), None, stale)
        .await;
    assert_eq!(in_force(&house).await, (2, 50));
    publish(&house, &marketer).await;
    house.made(&owner, &approve(3), Value::Null).await;
    assert_eq!(in_force(&house).await, (3, 200));
}

#[tokio::test]
async fn owners_say_what_is_large() {
    let (house, owner) = with_receipts().await;
    let office = house.sign_in(Role::HeadOffice).await;
    let approval = "/v1/programmes/p1/approval";
    let usual = json!({ "effect_permille": 10, "receipts_permille": 1_000 });
    assert_eq!(house.got(&office, approval).await, usual);
    let fifty = json!({ "effect_permille": 50 });
    let refused = (403, "role_refused");
    house
        .refused(&office, ("PATCH", approval), Some(fifty.clone()), refused)
        .await;
    let (status, set) = house.call(&owner, "PATCH", approval, Some(fifty)).await;
    let expected = json!({ "effect_permille": 50, "receipts_permille": 1_000 });
    assert_eq!((status, set), (StatusCode::OK, expected));
    edit(&house, &owner, 100).await;
    assert_eq!(publish(&house, &owner).await.0, StatusCode::CREATED);
    let half = json!({ "receipts_permille": 500 });
    house.call(&owner, "PATCH", approval, Some(half)).await;
    edit(&house, &owner, 101).await;
    let (status, proposal) = publish(&house, &owner).await;
    assert_eq!(
        (status, &proposal["large"]),
        (StatusCode::ACCEPTED, &json!(["receipts"]))
    );
}

#[tokio::test]
async fn without_receipts_nobody_is_asked() {
    let (house, owner) = House::furnished().await;
    edit(&house, &owner, 1_000).await;
    let (status, made) = publish(&house, &owner).await;
    assert_eq!(
        (status, &made["replay"]["receipts"]),
        (StatusCode::CREATED, &json!(0))
    );
}
