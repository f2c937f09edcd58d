//! Personal data leave no trace in clear: in no log, no metric, no store.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use kopilka_tests::{Chain, ChainPlan, Engine, Http, Scene, Till, card_number};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(20);

/// A person whose every word is found nowhere else. The given name is part of what tills show, with an initial.
const GIVEN_NAME: &str = "Аполлинария";
const FAMILY_NAME: &str = "Цветкограбская";
const PHONE: &str = "+79167654321";
const EMAIL: &str = "apolzwet@quietmail.example";
const BIRTH_DATE: &str = "1961-07-29";

/// What must not be seen.
fn secrets() -> Vec<Vec<u8>> {
    let phones = [&PHONE[1..], &PHONE[2..], "916 765-43-21", "7654321"];
    let words = [FAMILY_NAME, EMAIL, "apolzwet", "quietmail", BIRTH_DATE];
    let mut secrets: Vec<_> = phones
        .iter()
        .chain(&words)
        .map(|word| word.as_bytes().to_vec())
        .collect();
    secrets.push(card_number(31_337).into_bytes());
    secrets
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

fn clean(place: &str, bytes: &[u8]) -> anyhow::Result<()> {
    for secret in secrets() {
        let word = String::from_utf8_lossy(&secret).into_owned();
        ensure!(!contains(bytes, &secret), "{place} shows {word}");
    }
    Ok(())
}

/// All bytes of all files of a folder; gives whether one of them has `marker`.
fn clean_folder(folder: &Path, marker: &[u8]) -> anyhow::Result<bool> {
    let mut found = false;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found |= clean_folder(&path, marker)?;
        } else {
            let bytes = std::fs::read(&path)?;
            clean(&path.to_string_lossy(), &bytes)?;
            found |= contains(&bytes, marker);
        }
    }
    Ok(found)
}

async fn enrol(till: &Till) -> anyhow::Result<Value> {
    let body = json!({
        "cashier": till.cashier,
        "card_number": card_number(31_337),
        "consents": ["personal_data", "email"],
        "questionnaire": {
            "given_name": GIVEN_NAME, "family_name": FAMILY_NAME, "phone": PHONE, "email": EMAIL,
            "birth_date": BIRTH_DATE, "sex": "female"
        }
    });
    till.http.post("/v1/members", "person", &body).await?.ok()
}

#[tokio::test]
async fn personal_data_are_in_no_log_metric_or_store_on_redb() -> anyhow::Result<()> {
    private(Engine::Redb).await
}

#[tokio::test]
async fn personal_data_are_in_no_log_metric_or_store_on_sled() -> anyhow::Result<()> {
    private(Engine::Sled).await
}

async fn private(engine: Engine) -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(90), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[engine])).await?;
        // With more in the logs than usual.
        let loud = ["env", "KOPILKA_NODE_LOG__LEVEL=debug"].map(str::to_owned);
        chain.nodes[0].wrapper = loud.to_vec();
        chain.nodes[0].stop().await?;
        chain.nodes[0].start().await?;
        let till = chain.nodes[0].till().clone();
        enrol(&till).await?;
        let by_phone = json!({ "kind": "phone", "value": PHONE });
        let found = till.http.post("/v1/identify", "", &by_phone).await?.ok()?;
        ensure!(
            found["member"]["name"] == format!("{GIVEN_NAME} Ц."),
            "{found}"
        );
        let shown = found["member"]["phone"].as_str().context("a phone")?;
        ensure!(
            shown.contains('*') || shown.contains('•'),
            "not masked: {shown}"
        );
        // What is refused must not be logged either.
        let wrong = json!({ "kind": "phone", "value": format!("{PHONE}0000000") });
        ensure!(
            !till
                .http
                .post("/v1/identify", "", &wrong)
                .await?
                .is_success()
        );
        chain.nodes[0].level(BOUND).await?;

        // Head office can open the questionnaire, with its key.
        let member = found["member"]["member_id"].as_str().context("a member")?;
        let profile = chain.path(&format!("/members/{member}/profile"));
        let opened = chain.hub().get(&profile).await?;
        ensure!(opened["fields"]["family_name"] == FAMILY_NAME, "{opened}");

        for address in [chain.nodes[0].address, chain.hub().address] {
            let (_, metrics) = Http::new(address, "")?.text("/metrics").await?;
            clean("metrics", metrics.as_bytes())?;
        }
        chain.nodes[0].stop().await?;
        chain.hubs[0].stop().await?;
        for (name, text) in scene.logs()? {
            clean(&name, text.as_bytes())?;
        }
        // The search would find what is there: both stores keep what tills show.
        let marker = GIVEN_NAME.as_bytes();
        ensure!(
            clean_folder(&chain.nodes[0].data_dir, marker)?,
            "no masked name at the node"
        );
        ensure!(
            clean_folder(&chain.hub().data_dir, marker)?,
            "no masked name at the hub"
        );
        Ok(())
    })
    .await
}
