//! Commands one after the other, each a process of its own.

use serde_json::json;

use super::bench::{Bench, sample};

#[test]
fn a_programme_is_set_up() {
    let bench = Bench::new();
    bench.furnish();
    let programme = json!([{ "id": "p1", "name": "Копилка", "publication": 1 }]);
    assert_eq!(bench.json(&["programme", "list"]), programme);
    let till = bench.json(&["till", "create", "--store", "s1", "--name", "Касса 1"]);
    assert_eq!(
        (&till["id"], till["token"].as_str().unwrap().len()),
        (&json!("t1"), 64)
    );
    let tills = bench.json(&["till", "list", "--store", "s1"]);
    assert_eq!(tills[0].get("token"), None);
    let code = bench.json(&["node", "code", "--store", "s1"]);
    assert!(
        code["code"]
            .as_str()
            .unwrap()
            .starts_with("KOPILKA1-127.0.0.1:0-")
    );
    let key = bench.json(&["key"]);
    assert_eq!(bench.json(&["key"]), key);
    let table = bench.run(&["store", "list", "--programme", "p1"], "");
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.starts_with("ID  PARTNER  NAME    TIME_ZONE"),
        "{table}"
    );
}

#[test]
fn rules_go_round() {
    let bench = Bench::new();
    bench.furnish();
    let patch = r#"[{"op":"replace","path":"/tiers/0/earn_permille","value":70}]"#;
    let edit = [
        "rulebook",
        "edit",
        "--programme",
        "p1",
        "--patch",
        "-",
        "--note",
        "more",
    ];
    assert!(bench.run(&edit, patch).status.success());
    let publish = ["rulebook", "publish", "--programme", "p1", "--note", "more"];
    assert_eq!(bench.json(&publish)["number"], 2);
    let diff = bench.json(&[
        "rulebook",
        "diff",
        "--programme",
        "p1",
        "--from",
        "1",
        "--to",
        "2",
    ]);
    assert_eq!(
        diff["patch"],
        serde_json::from_str::<serde_json::Value>(patch).unwrap()
    );
    let back = [
        "rulebook",
        "roll-back",
        "--programme",
        "p1",
        "--to",
        "1",
        "--note",
        "dear",
    ];
    assert_eq!(bench.json(&back)["number"], 3);
    let spoilt = r#"[{"op":"replace","path":"/tiers/1/from_minor","value":0}]"#;
    assert!(bench.run(&edit, spoilt).status.success());
    let (code, told) = bench.fails(&publish);
    assert_eq!(code, 1);
    assert!(told.contains("/tiers/1/from_minor"), "{told}");
}

#[test]
fn a_rule_book_is_a_file_to_edit_and_bring_back() {
    let bench = Bench::new();
    bench.furnish();
    let export = ["rulebook", "export", "--programme", "p1"];
    let mut edited = bench.json(&export);
    assert_eq!(edited["schema"], 2);
    edited["promotions"]["1"] = json!({
        "name": { "ru": "Вторник", "en": "Tuesday" },
        "stage": "receipt",
        "when": { "kind": "weekdays", "of": ["tuesday"] },
        "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 } }]
    });
    let validate = ["rulebook", "validate", "--file", "-"];
    assert!(bench.run(&validate, &edited.to_string()).status.success());
    let import = [
        "rulebook",
        "import",
        "--programme",
        "p1",
        "--file",
        "-",
        "--note",
        "tuesdays",
    ];
    assert!(bench.run(&import, &edited.to_string()).status.success());
    let mut book = bench.json(&export);
    assert_eq!(book["promotions"]["1"]["when"]["of"][0], "tuesday");
    let publish = [
        "rulebook",
        "publish",
        "--programme",
        "p1",
        "--note",
        "tuesdays",
    ];
    assert_eq!(bench.json(&publish)["number"], 2);
    let published = [
        "rulebook",
        "export",
        "--programme",
        "p1",
        "--publication",
        "2",
    ];
    assert_eq!(bench.json(&published), book);
    book["promotions"]["1"]["effects"][0]["off"]["permille"] = json!(1_001);
    let told = bench.run(&validate, &book.to_string());
    assert_eq!(told.status.code(), Some(1));
    let words = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(words.contains("/promotions/1/effects/0/off"), "{words}");
    for (file, word) in [("{", "JSON"), ("{\"schema\": 9}", "")] {
        let told = bench.run(&validate, file);
        assert_eq!(told.status.code(), Some(1), "{file}");
        assert!(
            String::from_utf8_lossy(&told.stderr).contains(word),
            "{file}"
        );
    }
}

#[test]
fn members_come_in_and_a_card_is_blocked_once() {
    let bench = Bench::new();
    bench.furnish();
    let file = bench.path("members.csv");
    let mut text = std::fs::read_to_string(sample()).unwrap();
    text.push_str("1234,,,,,,,,,,\n");
    std::fs::write(&file, text).unwrap();
    let import = [
        "import",
        "--programme",
        "p1",
        "--partner",
        "r1",
        file.to_str().unwrap(),
    ];
    assert_eq!(
        bench.json(&import),
        json!({ "imported": 4, "existing": 0, "faulty": 1 })
    );
    let report = std::fs::read_to_string(bench.path("members.csv.faults.csv")).unwrap();
    assert_eq!(
        report,
        "line,field,reason\n6,card_number,a card number has 8 to 19 digits\n"
    );
    assert_eq!(
        bench.json(&import),
        json!({ "imported": 0, "existing": 4, "faulty": 1 })
    );

    let block = [
        "card",
        "block",
        "--programme",
        "p1",
        "--number",
        "7700000000000016",
        "--reason",
        "lost",
        "--key",
        "k1",
    ];
    assert_eq!(bench.json(&block)["number"], 1);
    assert_eq!(bench.json(&block)["repeated"], true);
    let find = [
        "member",
        "find",
        "--programme",
        "p1",
        "--kind",
        "phone",
        "--value",
        "-",
    ];
    let found = bench.run(&find, "+7 916 000-00-01\n");
    assert!(
        String::from_utf8(found.stdout)
            .unwrap()
            .contains("\"blocked\":true")
    );
    let audit = bench.json(&["audit", "--limit", "1"]);
    assert_eq!(
        (&audit[0]["actor"], &audit[0]["action"]),
        (&json!("command line"), &json!("card.block"))
    );
}

#[test]
fn personal_data_are_erased() {
    let bench = Bench::new();
    bench.furnish();
    let file = sample();
    let file = file.to_str().unwrap();
    bench.json(&["import", "--programme", "p1", "--partner", "r1", file]);
    let card = ["--kind", "card", "--value", "7700000000000016"];
    let find = ["member", "find", "--programme", "p1"];
    let found = bench.json(&[&find[..], &card].concat());
    let named = [
        "--programme",
        "p1",
        "--member",
        found["id"].as_str().unwrap(),
    ];
    bench.json(&[&["member", "erase"][..], &named].concat());
    let (code, told) = bench.fails(&[&["member", "profile"][..], &named].concat());
    assert_eq!(code, 1);
    assert!(told.contains("were erased"), "{told}");
    let after = bench.json(&[&find[..], &card].concat());
    assert_eq!((&after["id"], &after["name"]), (&found["id"], &json!("")));
    assert_eq!(after["accounts"], found["accounts"]);
}

#[test]
fn passwords_come_from_outside_the_arguments() {
    let bench = Bench::new();
    let add = ["staff", "add", "--login", "olga", "--role", "owner"];
    assert!(bench.run(&add, "correct horse battery\n").status.success());
    let file = bench.path("password");
    std::fs::write(&file, "another good password\nand nothing of this\n").unwrap();
    let change = [
        "staff",
        "password",
        "--login",
        "olga",
        "--password-file",
        file.to_str().unwrap(),
    ];
    bench.json(&change);
    let short = bench.run(
        &["staff", "add", "--login", "ivan", "--role", "support"],
        "short\n",
    );
    assert_eq!(short.status.code(), Some(1));
    assert_eq!(bench.json(&["staff", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn exit_codes_say_what_was_wrong() {
    let bench = Bench::new();
    let wrong_file = bench.path("wrong.toml");
    std::fs::write(&wrong_file, "http_lisen = 5\n").unwrap();
    let wrong_file = wrong_file.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["till", "create"], 2, "--store"),
        (
            &["till", "list", "--store", "x1"],
            2,
            "not a store identifier",
        ),
        (
            &["till", "list", "--store", "s9"],
            1,
            "there is no store s9",
        ),
        (&["key", "--data-dir", "/proc/nowhere"], 3, "/proc/nowhere"),
        (&["key", "--store-engine", "postgres"], 3, "postgres_url"),
        (&["key", "--log-level", "quinn=loud"], 3, "log level"),
    ];
    for (arguments, expected, says) in cases {
        let (code, told) = bench.fails(arguments);
        assert_eq!(code, expected, "{arguments:?}: {told}");
        assert!(told.contains(says), "{arguments:?}: {told}");
    }
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kopilka-hub"));
    let output = command
        .args(["--config", wrong_file, "key"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("http_lisen"));

    let other = Bench::new();
    std::fs::create_dir_all(other.path("data/hub.sqlite")).unwrap();
    assert_eq!(other.fails(&["programme", "list"]).0, 4);
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let bench = Bench::new();
    let mut command = bench.command(&["run", "--print-config", "--quic-listen", "127.0.0.1:3"]);
    command.env("KOPILKA_HUB_QUIC_LISTEN", "127.0.0.1:2");
    command.env("KOPILKA_HUB_HTTP_LISTEN", "127.0.0.1:2");
    let printed = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(
        printed.contains("quic_listen = \"127.0.0.1:3\""),
        "{printed}"
    );
    assert!(
        printed.contains("http_listen = \"127.0.0.1:2\""),
        "{printed}"
    );
    assert!(!bench.path("data").exists());
}
