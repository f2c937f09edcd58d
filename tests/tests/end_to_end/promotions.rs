//! A rule book with 200 promotions against the sample: an independent recount comes to the node's kopeck on every receipt,
//! with the hub and without.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use kopilka_tests::{Basket, Chain, ChainPlan, Customer, Engine, Scene, Till, run_to_end, until};
use serde_json::{Value, json};
use tokio::process::Command;

const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/data/online_retail_sample.csv.gz"
);
const MAKE: &str = "data/promotions/make.py";
const BOUND: Duration = Duration::from_secs(30);
/// A node misses a hub that falls silent after half a minute.
const UNTIL_MISSED: Duration = Duration::from_secs(90);
/// Receipts of the sample that are quoted.
const RECEIPTS: usize = 600;
/// One receipt in so many is bought, too.
const BOUGHT_ONE_IN: usize = 10;
/// Of those that are bought, the fewest of which quote and sale must fall into the same minute.
const COMPARED_MIN: usize = 50;
/// Promotions that must give something, so that the replay says something.
const PROMOTIONS_MIN: usize = 50;
/// Receipts that no promotion touches which needs the hub: at least so many are compared.
const SAME_MIN: usize = 100;
const CUSTOMERS: u64 = 12;
/// Bought beforehand in turn, to be in the first, second and third tier, minor units.
const TIER_PRICES: [i64; 3] = [100, 2_000_000, 6_000_000];
/// How often a quote is asked for until its answer comes in the minute of its question.
const QUOTES_MAX: usize = 5;

/// Runs a script of the tests' folder; gives what it printed.
async fn python(script: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("python3");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    command.arg(folder.join(script)).args(arguments);
    let ended = run_to_end(&mut command).await;
    let output =
        ended.context("python3 is needed; where it is missing: apt-get install python3")?;
    let printed = String::from_utf8(output.stdout)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{script}: {printed}{complaint}");
    Ok(printed)
}

/// Writes a file of the test; gives its path.
fn write(scene: &Scene, name: &str, text: &str) -> anyhow::Result<String> {
    let path = scene.folder().join(name);
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

fn seconds_now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// The customers, four in each tier.
async fn customers(till: &Till) -> anyhow::Result<Vec<Customer>> {
    let mut customers = Vec::new();
    for (serial, price) in (1..=CUSTOMERS).zip(TIER_PRICES.into_iter().cycle()) {
        let customer = till.enrol(serial).await?;
        till.sell(&customer, Basket::of(price)).await?;
        customers.push(customer);
    }
    Ok(customers)
}

/// Publishes the starter rules with 200 promotions through the command line; gives the publication as it is exported.
async fn publish(scene: &Scene, chain: &Chain, anna: &Customer) -> anyhow::Result<Value> {
    let programme = chain.programme.as_str();
    let rule_book = async |verb: &str, rest: &[&str]| {
        let command = ["rulebook", verb, "--programme", programme];
        chain.hub().run(&[&command[..], rest].concat()).await
    };
    let starter = rule_book("export", &[]).await?.to_string();
    let starter = write(scene, "starter.json", &starter)?;
    let (most, now) = (RECEIPTS.to_string(), seconds_now()?.to_string());
    let receipts = ["rules", SAMPLE, "--most", &most];
    let on = ["--starter", &starter, "--at", &now];
    let promotions = python(MAKE, &[receipts, on].concat()).await?;
    let file = write(scene, "promotions.json", &promotions)?;
    let note = ["--note", "200 promotions"];
    rule_book("import", &[["--file", &file], note].concat()).await?;
    // Whole new promotions on receipts of minutes ago: nobody else is there to agree to their effect.
    rule_book("approval", &["--effect-permille", "1000000"]).await?;
    let number = rule_book("publish", &note).await?["number"].clone();
    let published = rule_book("export", &["--publication", &number.to_string()]).await?;
    let promotions = published["promotions"].as_object().context("promotions")?;
    let live = promotions.values().filter(|one| one["enabled"] != false);
    ensure!(live.count() == 200, "of {}", promotions.len());

    let till = chain.nodes[0].till();
    let lines = json!([{ "sku": "85123A", "quantity": "1", "unit_price": 255 }]);
    let body = json!({ "member_id": anna.member, "lines": lines });
    until("the store has the promotions", BOUND, async || {
        let (_, quote) = quote(till, &body).await?;
        Ok((quote["publication"] == number).then_some(()))
    })
    .await?;
    Ok(published)
}

/// Prices a receipt; gives the time too, of which the minute is the one that the node saw.
async fn quote(till: &Till, body: &Value) -> anyhow::Result<(u64, Value)> {
    for _ in 0..QUOTES_MAX {
        let asked = seconds_now()?;
        let answer = till.http.post("/v1/quotes", "", body).await?.ok()?;
        if seconds_now()? / 60 == asked / 60 {
            return Ok((asked, answer));
        }
    }
    bail!("no quote within a minute");
}

/// The numbers of the promotions that gave something.
fn gave(quote: &Value) -> anyhow::Result<BTreeSet<String>> {
    let promotions = quote["promotions"].as_array().context("a list")?;
    let gave = promotions.iter().filter(|one| one["reason"].is_null());
    let number = |one: &Value| one["promotion_id"].as_str().map(str::to_owned);
    gave.map(|one| number(one).context("a number")).collect()
}

/// Sells what was quoted; whether it was within the same minute, in which all figures must be the same.
async fn buy(
    till: &Till,
    body: &Value,
    number: usize,
    quoted: (u64, &Value),
) -> anyhow::Result<bool> {
    let (asked, quote) = quoted;
    let mut body = body.clone();
    let fields = body.as_object_mut().context("an object")?;
    fields.insert("cashier".to_owned(), json!(till.cashier));
    fields.insert("receipt".to_owned(), json!({ "number": number }));
    fields.insert(
        "tenders".to_owned(),
        json!([{ "kind": "cash", "amount": quote["to_pay"] }]),
    );
    fields.insert("confirm".to_owned(), json!(true));
    let sold = till
        .post_sale(&format!("sample-{number}"), &body)
        .await?
        .ok()?;
    ensure!(sold["state"] == "confirmed", "{sold}");
    let compared = seconds_now()? / 60 == asked / 60;
    if compared {
        for field in [
            "publication",
            "lines",
            "total",
            "redeemed",
            "to_pay",
            "earned",
        ] {
            ensure!(
                sold[field] == quote[field],
                "{field}: quoted {quote}, sold {sold}"
            );
        }
        let promotions = sold["promotions"].as_array().context("a list")?;
        let named = promotions
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned);
        ensure!(
            named.collect::<BTreeSet<_>>() == gave(quote)?,
            "quoted {quote}, sold {sold}"
        );
    }
    Ok(compared)
}

/// What was asked and answered, and which promotions gave something.
struct Replay {
    /// A JSON line for each receipt.
    answers: String,
    gave: BTreeSet<String>,
    compared: usize,
}

async fn replay(till: &Till, customers: &[Customer], receipts: &[Value]) -> anyhow::Result<Replay> {
    let mut replay = Replay {
        answers: String::new(),
        gave: BTreeSet::new(),
        compared: 0,
    };
    for (place, receipt) in receipts.iter().enumerate() {
        let customer = &customers[place % customers.len()];
        let tier = till.member(customer).await?["tier"]["code"].clone();
        let mut body = receipt.clone();
        body["member_id"] = json!(customer.member);
        body["card"] = json!(customer.card);
        let (seconds, answer) = quote(till, &body).await?;
        if place % BOUGHT_ONE_IN == 0 {
            let compared = buy(till, &body, place + 1, (seconds, &answer)).await?;
            replay.compared += usize::from(compared);
        }
        replay.gave.append(&mut gave(&answer)?);
        let line = json!({
            "receipt": receipt, "seconds": seconds, "tier": tier, "online": true, "answer": answer,
        });
        writeln!(replay.answers, "{line}")?;
    }
    Ok(replay)
}

/// Prices all receipts, and buys none.
async fn price_all(
    till: &Till,
    customers: &[Customer],
    receipts: &[Value],
    online: bool,
) -> anyhow::Result<Vec<Value>> {
    let mut answers = Vec::with_capacity(receipts.len());
    for (place, receipt) in receipts.iter().enumerate() {
        let customer = &customers[place % customers.len()];
        let tier = till.member(customer).await?["tier"]["code"].clone();
        let mut body = receipt.clone();
        body["member_id"] = json!(customer.member);
        body["card"] = json!(customer.card);
        let (seconds, answer) = quote(till, &body).await?;
        answers.push(json!({
            "receipt": receipt, "seconds": seconds, "tier": tier, "online": online, "answer": answer,
        }));
    }
    Ok(answers)
}

/// Whether all of the answers fall into one hour, in which no promotion begins or ends.
fn in_one_hour(answers: &[&Value]) -> bool {
    let hours = answers
        .iter()
        .filter_map(|one| one["seconds"].as_u64())
        .map(|seconds| seconds / 3_600);
    hours.collect::<BTreeSet<_>>().len() == 1
}

/// Prices all receipts with the hub and then without: the same, but for promotions that say that they need it.
async fn same_without_hub(
    scene: &Scene,
    chain: &Chain,
    customers: &[Customer],
    receipts: &[Value],
    published: &Value,
) -> anyhow::Result<()> {
    let (node, till) = (&chain.nodes[0], chain.nodes[0].till());
    let (online, offline) = loop {
        let online = price_all(till, customers, receipts, true).await?;
        node.line.cut();
        node.offline(UNTIL_MISSED).await?;
        let offline = price_all(till, customers, receipts, false).await?;
        node.line.mend();
        node.synced("online again", BOUND, |status| status["connected"] == true)
            .await?;
        if in_one_hour(&online.iter().chain(&offline).collect::<Vec<_>>()) {
            break (online, offline);
        }
    };
    let needs_hub = |id: &String| {
        let number = id.trim_start_matches('x');
        published["promotions"][number]["offline"] == "online"
    };
    let (mut same, mut without) = (0, 0);
    for (with, cut) in online.iter().zip(&offline) {
        if gave(&with["answer"])?.iter().any(needs_hub) {
            without += 1;
            ensure!(!gave(&cut["answer"])?.iter().any(needs_hub), "{cut}");
        } else {
            same += 1;
            for field in ["total", "to_pay", "redeemable", "earned", "lines"] {
                let (with, cut) = (&with["answer"][field], &cut["answer"][field]);
                ensure!(with == cut, "{field}: {with} with the hub, {cut} without");
            }
        }
    }
    ensure!(
        same >= SAME_MIN && without > 0,
        "{same} alike, {without} not"
    );
    let answers: Vec<_> = offline.iter().map(ToString::to_string).collect();
    recount(scene, published, &answers.join("\n"), receipts.len()).await
}

async fn recount(
    scene: &Scene,
    published: &Value,
    answers: &str,
    receipts: usize,
) -> anyhow::Result<()> {
    let book = write(scene, "published.json", &published.to_string())?;
    let answers = write(scene, "answers.jsonl", answers)?;
    let said = python("tools/recount.py", &[&book, &answers]).await?;
    let expected = format!("{receipts} receipts, 0 differences");
    ensure!(said.trim() == expected, "{said}");
    Ok(())
}

#[tokio::test]
async fn a_recount_agrees_on_every_receipt_under_200_promotions() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(300), async |scene| {
        let chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
        let till = chain.nodes[0].till();
        let customers = customers(till).await?;
        let published = publish(scene, &chain, &customers[0]).await?;
        let receipts = ["receipts", SAMPLE, "--most", &RECEIPTS.to_string()];
        let receipts = python(MAKE, &receipts).await?;
        let receipts: Vec<Value> = receipts
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        ensure!(receipts.len() == RECEIPTS, "{} receipts", receipts.len());

        let replay = replay(till, &customers, &receipts).await?;
        recount(scene, &published, &replay.answers, RECEIPTS).await?;
        ensure!(replay.gave.len() >= PROMOTIONS_MIN, "{:?}", replay.gave);
        ensure!(replay.compared >= COMPARED_MIN, "{}", replay.compared);

        let all: Vec<&Customer> = customers.iter().collect();
        let standings = chain.agreed(&all, BOUND).await?;
        let bought: i64 = standings.iter().map(|standing| standing.purchases).sum();
        ensure!(bought == i64::try_from(RECEIPTS / BOUGHT_ONE_IN + customers.len())?);
        for customer in &customers {
            for operation in chain.operations(customer).await? {
                ensure!(operation["verdict"] == "accepted", "{operation}");
            }
        }
        same_without_hub(scene, &chain, &customers, &receipts, &published).await?;
        Ok(())
    })
    .await
}
