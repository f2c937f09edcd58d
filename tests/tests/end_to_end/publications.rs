//! New rules reach stores as what changed, however large the rule book is.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kopilka_protocol::codec::decode;
use kopilka_protocol::message::{Channel, FeedMessage, Opening, Reply};
use kopilka_protocol::publication::Assembly;
use kopilka_protocol::signed::SignedPublication;
use kopilka_shell::frame_io::FrameReader;
use kopilka_tests::{Chain, ChainPlan, Engine, Scene, StoreNode, until};
use quinn::RecvStream;
use serde_json::json;

use crate::peer::{Peer, Talk};

const BOUND: Duration = Duration::from_secs(60);
/// With so many the rules fill several frames.
const PROMOTIONS: u32 = 1_500;
/// Most bytes that one changed field may cost, beside the signature.
const UPDATE_BYTES_MAX: usize = 1_024;
const SIGNATURE_BYTES: usize = 64;
/// In front of each frame.
const LENGTH_BYTES: usize = 4;

/// Publishes the starter rules with many promotions; gives the publication's number.
async fn publish_many(chain: &Chain) -> anyhow::Result<u32> {
    let programme = ["--programme", chain.programme.as_str()];
    let export = ["rulebook", "export"];
    let mut rules = chain.hub().run(&[&export[..], &programme].concat()).await?;
    // As talkative as names get.
    let name = json!({ "ru": "Скидка ".repeat(32), "en": "Discount ".repeat(32) });
    for number in 1..=PROMOTIONS {
        let goods = json!({ "skus": [format!("sku-{number}")] });
        rules["promotions"][number.to_string()] = json!({
            "name": name,
            "stage": "lines",
            "effects": [{
                "kind": "discount",
                "off": { "by": "percent", "permille": 50 },
                "target": { "of": "lines", "goods": goods },
            }],
        });
    }
    let file = chain.hub().data_dir.with_file_name("book.json");
    std::fs::write(&file, rules.to_string())?;
    let file = file.to_string_lossy();
    let many = ["--note", "many", "--programme", &chain.programme];
    let import = ["rulebook", "import", "--file", &file];
    chain.hub().run(&[&import[..], &many].concat()).await?;
    let made = chain
        .hub()
        .run(&[&["rulebook", "publish"], &many[..]].concat())
        .await?;
    Ok(u32::try_from(made["number"].as_u64().context("a number")?)?)
}

/// Changes one field of one promotion and publishes it.
async fn publish_one(chain: &Chain) -> anyhow::Result<u32> {
    let path = format!("/promotions/{}/effects/0/off/permille", PROMOTIONS / 2);
    let patch = json!([{ "op": "replace", "path": path, "value": 75 }]);
    let file = chain.hub().data_dir.with_file_name("patch.json");
    std::fs::write(&file, patch.to_string())?;
    let file = file.to_string_lossy();
    let note = ["--note", "one", "--programme", &chain.programme];
    let edit = ["rulebook", "edit", "--patch", &file];
    chain.hub().run(&[&edit[..], &note].concat()).await?;
    let body = json!({ "note": "one" });
    let made = chain
        .hub()
        .post(&chain.path("/publications"), &body)
        .await?;
    Ok(u32::try_from(made["number"].as_u64().context("a number")?)?)
}

/// The next frame that is about rules, and its bytes with the length in front.
async fn next_rules(feed: &mut FrameReader<RecvStream>) -> anyhow::Result<(FeedMessage, usize)> {
    loop {
        let frame = tokio::time::timeout(BOUND, feed.next())
            .await
            .context("rules come")??;
        let frame = frame.context("the feed goes on")?;
        let message: FeedMessage = decode(&frame)?;
        match message {
            FeedMessage::Members(_) | FeedMessage::Directory(_) => {}
            FeedMessage::Publication(_)
            | FeedMessage::PublicationDelta(_)
            | FeedMessage::PublicationNumber(_) => {
                return Ok((message, LENGTH_BYTES + frame.len()));
            }
        }
    }
}

/// Asks for a publication as a whole.
async fn whole(peer: &Peer, talk: &Talk, number: u32) -> anyhow::Result<SignedPublication> {
    let mut answers = talk.asked(&Opening::Publication(number)).await?;
    let mut assembly: Option<Assembly> = None;
    while let Some(frame) = answers.next().await? {
        match (decode::<Reply>(&frame)?, &mut assembly) {
            (Reply::Publication(start), None) => assembly = Some(Assembly::begin(start)?),
            (Reply::Rules(piece), Some(assembly)) => assembly.take(&piece)?,
            (other, _) => bail!("not an answer: {other:?}"),
        }
    }
    Ok(assembly.context("an answer")?.finish(&peer.place.hub)?)
}

async fn runs(node: &StoreNode, number: u32) -> anyhow::Result<()> {
    until("the store has the rules", BOUND, async || {
        let status = node.till().sync().await?;
        Ok((status["publication"] == number).then_some(()))
    })
    .await
}

#[tokio::test]
async fn one_changed_field_costs_less_than_a_kilobyte() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(240), async |scene| {
        let chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
        let peer = Peer::enrol(&chain.code(0).await?, 9).await?;
        let number = publish_many(&chain).await?;
        runs(&chain.nodes[0], number).await?;

        // A new node is told the number, and fetches what no frame would hold.
        let (talk, _) = peer.session().await?;
        let mut feed = talk.pushed(Channel::Feed).await?;
        let (message, _) = next_rules(&mut feed).await?;
        let too_large = message == FeedMessage::PublicationNumber(number);
        ensure!(too_large, "a frame held the rules");
        let base = whole(&peer, &talk, number).await?.publication;
        ensure!(base.rules.len() > 1024 * 1024, "{} bytes", base.rules.len());
        drop(talk);

        // One that has it, also after a time away, gets what differs.
        let mut hello = peer.hello();
        hello.seen.publication = number;
        let (talk, _) = peer.greet(hello.clone()).await?;
        let mut feed = talk.pushed(Channel::Feed).await?;
        let next = publish_one(&chain).await?;
        let published = Instant::now();
        let (message, bytes) = next_rules(&mut feed).await?;
        let FeedMessage::PublicationDelta(delta) = message else {
            bail!("not a delta: {message:?}");
        };
        ensure!(bytes <= UPDATE_BYTES_MAX + SIGNATURE_BYTES, "{bytes} bytes");
        let rebuilt = delta.rebuild(&base, &peer.place.hub)?;
        ensure!(rebuilt.publication.number == next);
        let rules = rebuilt.publication.rule_book()?;
        ensure!(rules.promotions.len() == usize::try_from(PROMOTIONS)?);
        runs(&chain.nodes[0], next).await?;
        eprintln!(
            "{bytes} bytes; in force at the store {:?} after the answer",
            published.elapsed()
        );
        drop(talk);
        let (talk, _) = peer.greet(hello).await?;
        let mut feed = talk.pushed(Channel::Feed).await?;
        let (again, _) = next_rules(&mut feed).await?;
        ensure!(again == FeedMessage::PublicationDelta(delta), "{again:?}");

        // A node that runs the version before the next takes it whole, where a frame holds it.
        let mut old = peer.hello();
        old.protocol = 1;
        old.seen.publication = number;
        drop(talk);
        let back = [
            "rulebook",
            "roll-back",
            "--programme",
            &chain.programme,
            "--to",
            "1",
        ];
        let made = chain
            .hub()
            .run(&[&back[..], &["--note", "few"]].concat())
            .await?;
        let (talk, _) = peer.greet(old).await?;
        let mut feed = talk.pushed(Channel::Feed).await?;
        let (message, _) = next_rules(&mut feed).await?;
        let FeedMessage::Publication(signed) = message else {
            bail!("not whole: {message:?}");
        };
        ensure!(made["number"] == signed.publication.number, "{made}");
        signed.verify(&peer.place.hub)?;
        Ok(())
    })
    .await
}
