//! The draft on the command line: conflicts, versions, and books in YAML.

use serde_json::json;

use super::bench::Bench;

const PROGRAMME: [&str; 2] = ["--programme", "p1"];

fn command<'a>(verb: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["rulebook", verb][..], &PROGRAMME, rest].concat()
}

fn text(bench: &Bench, arguments: &[&str], input: &str) -> String {
    let output = bench.run(arguments, input);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

fn set_rate(permille: u32) -> String {
    json!([{ "op": "replace", "path": "/tiers/0/earn_permille", "value": permille }]).to_string()
}

#[test]
fn conflicts_are_listed_and_settled() {
    let bench = Bench::new();
    bench.furnish();
    let on_first = command("edit", &["--patch", "-", "--base", "1", "--note", "rates"]);
    for permille in [60, 70] {
        text(&bench, &on_first, &set_rate(permille));
    }
    let listed = text(&bench, &command("conflicts", &[]), "");
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines[0], "/tiers/0/earn_permille  (Базовый / Base)");
    assert!(lines[1].starts_with("    60  v2, "), "{listed}");
    assert!(lines[2].starts_with("  * 70  v3, "), "{listed}");
    assert!(lines[2].ends_with(", command line: rates"), "{listed}");
    let found = bench.json(&command("conflicts", &[]));
    assert_eq!(found[0]["values"][1]["kept"], true);

    let publish = command("publish", &["--note", "n"]);
    let (code, told) = bench.fails(&publish);
    assert_eq!(code, 1);
    for words in ["/tiers/0/earn_permille", "--despite-conflicts"] {
        assert!(told.contains(words), "{told}");
    }
    let settle = command("edit", &["--patch", "-", "--note", "70 it is"]);
    text(&bench, &settle, &set_rate(70));
    assert_eq!(
        text(&bench, &command("conflicts", &[]), ""),
        "no conflicts\n"
    );
    assert_eq!(bench.json(&publish)["number"], 2);
}

#[test]
fn versions_are_compared_and_gone_back_to() {
    let bench = Bench::new();
    bench.furnish();
    let edit = command("edit", &["--patch", "-", "--note", "more"]);
    text(&bench, &edit, &set_rate(70));
    let diff = command("diff", &["--from", "v1"]);
    let expected = "/tiers/0/earn_permille  (Базовый / Base)\n  - 50\n  + 70\n";
    assert_eq!(text(&bench, &diff, ""), expected);
    let change = &bench.json(&diff)["changes"][0];
    assert_eq!(
        (&change["before"], &change["after"]),
        (&json!(50), &json!(70))
    );
    bench.json(&command("revert", &["--to", "1", "--note", "dear"]));
    assert_eq!(text(&bench, &diff, ""), "no differences\n");
    let history = text(&bench, &command("history", &[]), "");
    let last = history.lines().last().unwrap();
    assert!(
        last.starts_with("3 ") && last.ends_with("back to 1. dear"),
        "{history}"
    );
    let old = bench.json(&command("export", &["--version", "v2"]));
    assert_eq!(old["tiers"][0]["earn_permille"], 70);
    let (code, told) = bench.fails(&command("revert", &["--to", "v9", "--note", "n"]));
    assert_eq!(code, 1);
    assert!(told.contains("versions 1 to 3"), "{told}");
}

#[test]
fn a_book_in_yaml_is_edited_by_hand_and_brought_back() {
    let bench = Bench::new();
    bench.furnish();
    let file = bench.path("rules.yaml");
    let path = file.to_str().unwrap();
    text(&bench, &command("export", &["--file", path]), "");
    let exported = std::fs::read_to_string(&file).unwrap();
    assert!(exported.starts_with("schema: "), "{exported}");
    assert_eq!(
        text(&bench, &command("export", &["--format", "yaml"]), ""),
        exported
    );
    let promotion = "promotions:
  7: # people write numbers without quotes
    name: {ru: Вторник, en: Tuesday}
    stage: receipt
    when: {kind: weekdays, of: [tuesday]}
    effects:
    - kind: discount
      off: {by: percent, permille: 100}
";
    let edited = exported.replace("promotions: {}\n", promotion);
    std::fs::write(&file, &edited).unwrap();
    text(&bench, &["rulebook", "validate", "--file", path], "");
    let import = command(
        "import",
        &["--file", path, "--base", "1", "--note", "tuesdays"],
    );
    text(&bench, &import, "");
    let book = bench.json(&command("export", &[]));
    assert_eq!(book["promotions"]["7"]["when"]["of"], json!(["tuesday"]));

    let wrong = edited.replace("permille: 100}", "permille: 0.5}");
    let validate = ["rulebook", "validate", "--format", "yaml", "--file", "-"];
    let told = bench.run(&validate, &wrong);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("/promotions/7/effects/0"), "{told}");
    let told = bench.run(&validate, "schema: [2");
    assert!(String::from_utf8_lossy(&told.stderr).contains("not YAML"));
    let first = bench.json(&command("export", &["--publication", "1"]));
    assert_eq!(first["promotions"], json!({}));
    let schema = bench.json(&["rulebook", "schema"]);
    assert!(schema["properties"]["promotions"].is_object(), "{schema}");
}
