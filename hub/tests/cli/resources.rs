//! Cards issued, tags put on and coupons given by commands.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::bench::{Bench, sample};

const IN_P1: [&str; 2] = ["--programme", "p1"];

/// A bench with the sample's members under rules with a series of coupons, gift cards and a tag.
fn furnished() -> Bench {
    let bench = Bench::new();
    bench.furnish();
    let mut book = bench.json(&["rulebook", "export", "--programme", "p1"]);
    for (number, code) in [("2", "coupons"), ("3", "gift_cards")] {
        book["accounts"][number] = json!({
            "code": code, "name": { "ru": code, "en": code },
            "active_after_days": 0, "expires_after_days": 30,
        });
    }
    book["coupons"] = json!({
        "next": { "name": { "ru": "Купон", "en": "Coupon" }, "account": 2 },
    });
    book["gift_cards"] =
        json!({ "account": 3, "load_min_minor": 100, "balance_max_minor": 500_000 });
    book["tags"] = json!({ "parents": { "ru": "Родители", "en": "Parents" } });
    let import = [
        "rulebook",
        "import",
        "--programme",
        "p1",
        "--file",
        "-",
        "--note",
        "coupons",
    ];
    assert!(bench.run(&import, &book.to_string()).status.success());
    bench.json(&[
        "rulebook",
        "publish",
        "--programme",
        "p1",
        "--note",
        "coupons",
    ]);
    let members = sample();
    bench.json(&[
        "import",
        "--programme",
        "p1",
        "--partner",
        "r1",
        members.to_str().unwrap(),
    ]);
    bench
}

#[test]
fn numbers_go_to_a_new_file_that_only_its_owner_reads() {
    let bench = furnished();
    let path = bench.path("cards.csv");
    let out = ["--out", path.to_str().unwrap()];
    let cards = [
        "--partner",
        "r1",
        "--count",
        "1200",
        "--value-minor",
        "5000",
    ];
    let issue = [&["gift-card", "issue"][..], &IN_P1, &cards, &out].concat();
    assert!(bench.run(&issue, "").status.success());
    let text = std::fs::read_to_string(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("number"));
    let numbers: BTreeSet<&str> = lines.collect();
    assert_eq!(numbers.len(), 1_200);
    let last = numbers.last().unwrap();
    let find = [
        &["member", "find"][..],
        &IN_P1,
        &["--kind", "card", "--value", last],
    ]
    .concat();
    assert_eq!(bench.json(&find)["gift_card"]["balance_minor"], 5_000);
    let (code, told) = bench.fails(&issue);
    assert!(code == 1 && told.contains("cards.csv"), "{told}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let other = bench.path("other.csv");
    let refused = [
        "--count",
        "1",
        "--value-minor",
        "1",
        "--out",
        other.to_str().unwrap(),
    ];
    let refused = [
        &["gift-card", "issue", "--partner", "r1"][..],
        &IN_P1,
        &refused,
    ]
    .concat();
    let (code, told) = bench.fails(&refused);
    assert!(code == 1 && told.contains("100 to 500000"), "{told}");
    assert!(!other.exists(), "a refused order leaves no file behind");
}

#[test]
fn a_tagged_crowd_gets_a_coupon_each_and_once() {
    let bench = furnished();
    let list = bench.path("list.txt");
    std::fs::write(&list, "7700000000000016\n+79160000004\nnobody\n").unwrap();
    let parents = ["--tag", "parents"];
    let file = ["--file", list.to_str().unwrap()];
    let add = [&["tag", "add"][..], &IN_P1, &parents, &file].concat();
    let count = json!({ "changed": 2, "unchanged": 0, "faulty": 1 });
    assert_eq!(bench.json(&add), count);
    let report = std::fs::read_to_string(bench.path("list.txt.faults.csv")).unwrap();
    assert!(report.contains("3,member,"), "{report}");

    let crowd = ["--with-tag", "parents", "--key", "spring"];
    let series = ["--series", "next", "--partner", "r1"];
    let give = [&["coupon", "give"][..], &IN_P1, &series, &crowd].concat();
    assert_eq!(bench.json(&give)["changed"], 2);
    assert_eq!(bench.json(&give)["unchanged"], 2, "the key gives each one");
    let members = bench.json(&[&["tag", "members"][..], &IN_P1, &parents].concat());
    assert_eq!(members.as_array().unwrap().len(), 2);
    let [one, other] = [0, 1].map(|place| members[place]["id"].as_str().unwrap());
    let list_of =
        |member| bench.json(&[&["coupon", "list"][..], &IN_P1, &["--member", member]].concat());
    assert_eq!(list_of(one)[0]["series"], "next");
    let remove = [&["tag", "remove"][..], &IN_P1, &parents, &["--member", one]].concat();
    assert_eq!(bench.json(&remove), json!({ "changed": 1 }));
    let between = ["--from", one, "--to", other, "--series", "next"];
    let (code, told) = bench.fails(&[&["coupon", "transfer"][..], &IN_P1, &between].concat());
    assert!(code == 1 && told.contains("may not be given"), "{told}");
}

#[test]
fn numbers_come_as_json_for_programs() {
    let bench = furnished();
    let coupons = [
        "--partner",
        "r1",
        "--series",
        "next",
        "--count",
        "3",
        "--json",
    ];
    let output = bench.run(&[&["coupon", "issue"][..], &IN_P1, &coupons].concat(), "");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0]["number"].as_str().unwrap().starts_with("92"));
}
