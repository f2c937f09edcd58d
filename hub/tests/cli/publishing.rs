//! Publishing on the command line: replays, and the second person's word.

use kopilka_hub::app::Hub;
use kopilka_hub::store::{self, StoreSettings};
use kopilka_shell::{clock, key_file};
use serde_json::{Value, json};

use super::bench::Bench;
use super::sales::sell;

const PASSWORD: &str = "correct horse battery\n";

/// Programme p1 with receipts for 100.00, 200.00 and 300.00, and two members of staff.
async fn furnished() -> Bench {
    let bench = Bench::new();
    bench.furnish();
    for (login, role) in [("anna", "head_office"), ("olga", "owner")] {
        let add = ["staff", "add", "--login", login, "--role", role];
        assert!(bench.run(&add, PASSWORD).status.success());
    }
    let path = bench.path("data/hub.sqlite");
    let store = store::open(&StoreSettings::Sqlite { path }).await.unwrap();
    let key = key_file::load_or_create(&bench.path("data/hub.key")).unwrap();
    sell(
        &Hub::new(store, key, clock::now_ms),
        &[10_000, 20_000, 30_000],
    )
    .await;
    bench
}

fn rulebook<'a>(verb: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["rulebook", verb, "--programme", "p1"], rest].concat()
}

fn edit(bench: &Bench, permille: u32) {
    let patch = json!([{ "op": "replace", "path": "/tiers/0/earn_permille", "value": permille }]);
    let edit = rulebook("edit", &["--patch", "-", "--note", "points"]);
    assert!(bench.run(&edit, &patch.to_string()).status.success());
}

/// The words of a command that succeeds.
fn words(bench: &Bench, arguments: &[&str]) -> String {
    let output = bench.run(arguments, "");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_effect_takes_two() {
    let bench = furnished().await;
    edit(&bench, 100);
    let replay = bench.json(&rulebook("replay", &["--receipts", "2"]));
    assert_eq!(
        (&replay["receipts"], &replay["moved_minor"]),
        (&json!(2), &json!(2_500))
    );
    let told = words(&bench, &rulebook("replay", &["--against", "1"]));
    assert!(told.starts_with("3 receipts, 0 touched"), "{told}");

    let publish = rulebook("publish", &["--note", "spring"]);
    let told = words(&bench, &publish);
    for part in [
        "3 receipts, 3 touched",
        "(50 ‰)",
        "points earned 3000 -> 6000",
        "Proposal 1 waits for a second person: anna, olga",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let waiting = bench.json(&publish);
    assert_eq!(
        (&waiting["proposal"], &waiting["author"]),
        (&json!(1), &json!("command line"))
    );
    let approve = rulebook("approve", &["1", "--login", "anna"]);
    let (code, told) = bench.fails(&approve);
    assert_eq!(code, 1);
    assert!(told.contains("login or the password is wrong"), "{told}");
    let made = bench.run(&[&approve[..], &["--json"]].concat(), PASSWORD);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(
        (&made["number"], &made["approved_by"]),
        (&json!(2), &json!("anna"))
    );
    let listed = bench.json(&rulebook("proposals", &[]));
    assert_eq!(listed[0]["state"], "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_is_turned_down_and_the_bar_is_moved() {
    let bench = furnished().await;
    edit(&bench, 100);
    let publish = rulebook("publish", &["--note", "spring"]);
    assert_eq!(bench.json(&publish)["state"], "waiting");
    let reject = rulebook("reject", &["1", "--login", "olga", "--reason", "too dear"]);
    let told = bench.run(&reject, PASSWORD);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(
        told.contains("rejected") && told.contains("too dear"),
        "{told}"
    );
    let shown = bench.json(&rulebook("approval", &[]));
    assert_eq!(
        shown,
        json!({ "effect_permille": 10, "receipts_permille": 1_000 })
    );
    bench.json(&rulebook("approval", &["--effect-permille", "50"]));
    let made = bench.json(&publish);
    assert_eq!(
        (&made["number"], &made["replay"]["effect_permille"]),
        (&json!(2), &json!(50))
    );
}
