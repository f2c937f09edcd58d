//! Members brought in from CSV.

use kopilka_crdt::ids::{PartnerId, ProgrammeId};
use kopilka_hub::app::action::Actor;
use kopilka_hub::app::import::{Fault, ImportError, Tally, Target, Watcher, import};
use kopilka_hub::app::staff::Role;
use serde_json::json;

use super::house::{CARDS, House};

/// The file that the package shows.
pub const SAMPLE: &str = include_str!("../../packaging/import-sample.csv");

const IMPORT: &str = "/v1/programmes/p1/members/import?partner=r1";

#[derive(Default)]
struct Notes {
    faults: Vec<Fault>,
}

impl Watcher for Notes {
    fn progress(&mut self, _: u64, _: &Tally) {}

    fn fault(&mut self, fault: &Fault) -> std::io::Result<()> {
        self.faults.push(fault.clone());
        Ok(())
    }
}

/// Imports a text and tells what came of it.
pub async fn take_in(house: &House, text: &str) -> (Tally, Vec<(u64, &'static str)>) {
    let mut notes = Notes::default();
    let tally = try_import(house, text, &mut notes).await.unwrap();
    let places = notes.faults.iter().map(|fault| (fault.line, fault.field));
    (tally, places.collect())
}

async fn try_import(house: &House, text: &str, notes: &mut Notes) -> Result<Tally, ImportError> {
    let target = Target {
        programme: ProgrammeId(1),
        partner: PartnerId(1),
    };
    import(
        &house.hub,
        &Actor::command_line(),
        target,
        text.as_bytes(),
        notes,
    )
    .await
}

fn tally(imported: u64, existing: u64, faulty: u64) -> Tally {
    Tally {
        imported,
        existing,
        faulty,
    }
}

#[tokio::test]
async fn a_second_import_changes_nothing() {
    let (house, _) = House::furnished().await;
    assert_eq!(take_in(&house, SAMPLE).await, (tally(4, 0, 0), vec![]));
    let before = house.hub.store.heads().await.unwrap();
    assert_eq!(take_in(&house, SAMPLE).await, (tally(0, 4, 0), vec![]));
    let after = house.hub.store.heads().await.unwrap();
    assert_eq!((before.feed, before.blocks), (after.feed, after.blocks));
}

#[tokio::test]
async fn faulty_rows_are_named_and_the_rest_goes_on() {
    let (house, _) = House::furnished().await;
    let mut file = "phone,card_number,balance,birth_date,consent\n".to_owned();
    let rows = [
        ("+79160000001", CARDS[0], "10", "", "yes"),
        ("", "7700000000000017", "", "", ""),
        ("12345", CARDS[1], "", "", ""),
        ("", CARDS[1], "1.999", "", ""),
        ("", CARDS[1], "", "17.03.1985", ""),
        ("", CARDS[1], "", "", "perhaps"),
        ("", "", "", "", ""),
        ("+79160000001", CARDS[1], "", "", ""),
        ("", CARDS[0], "", "", ""),
        ("", CARDS[2], "3,5", "1985-03-17", "no"),
    ];
    for (phone, card, balance, birth, consent) in rows {
        file.push_str(&format!("{phone},{card},\"{balance}\",{birth},{consent}\n"));
    }
    let (counted, faults) = take_in(&house, &file).await;
    let expected = [
        (3, "card_number"),
        (4, "phone"),
        (5, "balance"),
        (6, "birth_date"),
        (7, "consent"),
        (8, "card_number"),
        (9, "phone"),
    ];
    assert_eq!(
        (counted, faults.as_slice()),
        (tally(2, 1, 7), expected.as_slice())
    );
}

#[tokio::test]
async fn more_rows_than_a_batch_holds_are_taken() {
    let (house, _) = House::furnished().await;
    let mut file = "phone\n".to_owned();
    for number in 0..2_500 {
        file.push_str(&format!("+7916000{number:04}\n"));
    }
    assert_eq!(take_in(&house, &file).await, (tally(2_500, 0, 0), vec![]));
    assert_eq!(take_in(&house, &file).await, (tally(0, 2_500, 0), vec![]));
}

#[tokio::test]
async fn a_file_of_another_shape_is_refused_whole() {
    let (house, _) = House::furnished().await;
    let mut notes = Notes::default();
    let refused = try_import(&house, "phone,shoe_size\n", &mut notes).await;
    assert!(matches!(refused, Err(ImportError::Column(name)) if name == "shoe_size"));
    let refused = try_import(&house, "balance\n5\n", &mut notes).await;
    assert!(matches!(refused, Err(ImportError::NoIdentifier)));
}

#[tokio::test]
async fn a_file_comes_over_http_like_on_the_command_line() {
    let (house, owner) = House::furnished().await;
    let support = house.sign_in(Role::Support).await;
    let file = format!("{SAMPLE}7700000000000017,,,,,,,,,,\n");
    let (status, first) = house.post_text(&support, IMPORT, "text/csv", &file).await;
    assert_eq!(status, 200, "{first}");
    let fault =
        json!({ "line": 6, "field": "card_number", "reason": first["faults"][0]["reason"] });
    assert_eq!(
        first,
        json!({ "imported": 4, "existing": 0, "faulty": 1, "faults": [fault] })
    );
    let charset = "text/csv; charset=utf-8";
    let (_, again) = house.post_text(&support, IMPORT, charset, &file).await;
    assert_eq!(
        (&again["imported"], &again["existing"]),
        (&json!(0), &json!(4))
    );
    let audit = house.got(&owner, "/v1/audit?limit=2").await;
    for (item, imported) in audit["items"].as_array().unwrap().iter().zip([0, 4]) {
        assert_eq!(
            (&item["actor"], &item["action"]),
            (&json!("support"), &json!("member.import"))
        );
        assert_eq!(item["details"]["tally"]["imported"], imported, "{item}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_taken_over_http_is_refused_with_a_reason() {
    let (house, owner) = House::furnished().await;
    let auditor = house.sign_in(Role::Auditor).await;
    let large = format!("phone\n{}", "1".repeat(33 * 1024 * 1024));
    let stranger = IMPORT.replace("r1", "r9");
    let cases = [
        (&auditor, IMPORT, "text/csv", SAMPLE, (403, "role_refused")),
        (
            &owner,
            IMPORT,
            "application/json",
            SAMPLE,
            (415, "body_not_csv"),
        ),
        (
            &owner,
            IMPORT,
            "text/csv",
            "phone,shoe_size\n",
            (422, "csv_header"),
        ),
        (
            &owner,
            IMPORT,
            "text/csv",
            "balance\n5\n",
            (422, "csv_header"),
        ),
        (&owner, IMPORT, "text/csv", &large, (413, "body_too_large")),
        (&owner, &stranger, "text/csv", SAMPLE, (404, "not_found")),
    ];
    for (token, path, content_type, text, expected) in cases {
        let (status, problem) = house.post_text(token, path, content_type, text).await;
        let found = (
            status.as_u16(),
            problem["code"].as_str().unwrap_or_default(),
        );
        assert_eq!(found, expected, "{problem}");
    }
    let audit = house.got(&owner, "/v1/audit").await;
    assert!(!audit.to_string().contains("member.import"));
}

#[tokio::test]
async fn what_came_in_before_a_file_broke_off_is_in_the_audit() {
    let (house, owner) = House::furnished().await;
    let mut file = b"phone\n".to_vec();
    for number in 0..6_000 {
        file.extend(format!("+7916000{number:04}\n").bytes());
    }
    file.extend(b"\xff\n");
    let target = Target {
        programme: ProgrammeId(1),
        partner: PartnerId(1),
    };
    let mut notes = Notes::default();
    let outcome = import(
        &house.hub,
        &Actor::command_line(),
        target,
        &*file,
        &mut notes,
    )
    .await;
    assert!(matches!(outcome, Err(ImportError::Csv(_))), "{outcome:?}");
    let audit = house.got(&owner, "/v1/audit?limit=1").await;
    let details = &audit["items"][0]["details"];
    assert_eq!(details["whole"], false, "{audit}");
    assert!(
        details["tally"]["imported"].as_u64().unwrap() > 0,
        "{audit}"
    );
}
