//! Peers that lie, stutter, or have no business here: the hub stays up, and nothing of theirs is counted.

use std::time::Duration;

use anyhow::{Context, ensure};
use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, MemberId, PartnerId};
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::log::Tip;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Adjustment, Body, ClockMark, Credit};
use kopilka_protocol::codec::encode;
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{Hello, HubMessage, Opening, Refusal};
use kopilka_protocol::segment::{Seal, Segment};
use kopilka_shell::quic::server_endpoint;
use kopilka_tests::{Chain, ChainPlan, Customer, Engine, Scene, until};

use crate::peer::{Peer, next};

const BOUND: Duration = Duration::from_secs(20);
const WELCOME: i64 = 25_000;

/// Ten thousand points out of nothing.
fn riches(customer: &Customer) -> anyhow::Result<Body> {
    Ok(Body::Adjust(Adjustment {
        member: customer.member.parse::<MemberId>()?,
        credits: vec![Credit {
            account: AccountId(1),
            amount: Minor(1_000_000),
            active_from: Day(0),
            expires_on: None,
        }],
        taken: None,
        authority: None,
        cause: Cause::Adjustment,
        reason: "because".to_owned(),
        counted: Minor::ZERO,
        partner: PartnerId(1),
    }))
}

fn mark(behind_ms: u64) -> Body {
    Body::ClockMark(ClockMark {
        trusted: true,
        behind_ms,
    })
}

/// A chain with one real node and its customer, and a peer that has enrolled for the same store.
async fn stage(scene: &Scene) -> anyhow::Result<(Chain, Customer, Peer)> {
    let chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
    let customer = chain.nodes[0].till().enrol(1).await?;
    chain.agreed(&[&customer], BOUND).await?;
    let peer = Peer::enrol(&chain.code(0).await?, 7).await?;
    Ok((chain, customer, peer))
}

/// Nothing has changed: neither the customer nor what the hub has of the peer's log.
async fn unmoved(chain: &Chain, customer: &Customer, peer: &Peer, tip: Tip) -> anyhow::Result<()> {
    let (_, durable) = peer.session().await?;
    ensure!(durable == tip, "something of it is durable: {durable:?}");
    let found = chain.agreed(&[customer], BOUND).await?;
    ensure!(found[0].spendable == WELCOME, "{found:?}");
    Ok(())
}

#[tokio::test]
async fn who_is_not_enrolled_or_says_they_are_another_is_refused() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(60), async |scene| {
        let (chain, customer, peer) = stage(scene).await?;
        let genesis = peer.tip();
        let stranger = SigningKey::from_bytes(&[99; 32]);
        let mut talk = peer.connect(&stranger).await?;
        talk.frame(&encode(&Opening::Session(peer.hello()))?)
            .await?;
        ensure!(talk.refusal().await? == Some(Refusal::UnknownKey));
        let victim = chain.nodes[0].till().sync().await?["node"].clone();
        let victim = victim.as_str().context("a node")?.parse()?;
        let cases = [
            (
                Hello {
                    node: victim,
                    ..peer.hello()
                },
                Refusal::WrongNode,
            ),
            (
                Hello {
                    protocol: 99,
                    ..peer.hello()
                },
                Refusal::Protocol,
            ),
        ];
        for (hello, refusal) in cases {
            let (_, answer) = peer.greet(hello).await?;
            ensure!(answer == HubMessage::Refused(refusal), "{answer:?}");
        }
        // A code works once.
        let code = chain.code(0).await?;
        Peer::enrol(&code, 8).await?;
        ensure!(Peer::enrol(&code, 9).await.is_err(), "a code worked twice");
        unmoved(&chain, &customer, &peer, genesis).await
    })
    .await
}

#[tokio::test]
async fn forged_segments_are_refused() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(60), async |scene| {
        let (chain, customer, mut peer) = stage(scene).await?;
        let genesis = peer.tip();
        let honest_tip = peer.tip();
        let segment = peer.write(&[riches(&customer)?])?;
        let written = peer.tip();
        let victim = chain.nodes[0].till().sync().await?["node"].clone();
        let victim = victim.as_str().context("a node")?.parse()?;
        let incarnation = peer.place.incarnation;
        let stranger = SigningKey::from_bytes(&[99; 32]);
        let altered = |place: usize| {
            let mut segment = segment.clone();
            if let Some(byte) = segment.entries[0].get_mut(place) {
                *byte ^= 1;
            }
            segment
        };
        let last = segment.entries[0].len() - 1;
        let signature = Seal::sign(&stranger, peer.place.node, incarnation, written).signature;
        let in_anothers_name = Seal::sign(&peer.key, victim, incarnation, written).signature;
        let forged: Vec<(Segment, Refusal)> = vec![
            (
                Segment {
                    node: victim,
                    signature: in_anothers_name,
                    ..segment.clone()
                },
                Refusal::WrongNode,
            ),
            (
                Segment {
                    incarnation: next(incarnation),
                    ..segment.clone()
                },
                Refusal::WrongNode,
            ),
            (
                Segment {
                    signature,
                    ..segment.clone()
                },
                Refusal::Segment,
            ),
            (
                Segment {
                    entries: Vec::new(),
                    ..segment.clone()
                },
                Refusal::Segment,
            ),
            (altered(last), Refusal::Segment),
            (altered(last / 2), Refusal::Segment),
        ];
        for (number, (segment, refusal)) in forged.into_iter().enumerate() {
            let (mut talk, durable) = peer.session().await?;
            ensure!(durable == honest_tip);
            talk.segment(segment).await?;
            let heard = talk.refusal().await?;
            ensure!(heard == Some(refusal), "forgery {number}: {heard:?}");
        }
        unmoved(&chain, &customer, &peer, genesis).await
    })
    .await
}

#[tokio::test]
async fn a_segment_counts_once_and_in_its_place() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(60), async |scene| {
        let (chain, customer, mut peer) = stage(scene).await?;
        let genesis = peer.tip();
        let first = peer.write(&[mark(1), mark(2)])?;
        let after_first = peer.tip();
        let second = peer.write(&[mark(3)])?;
        let after_second = peer.tip();

        // The second before the first: it fits nowhere.
        let (mut talk, _) = peer.session().await?;
        talk.segment(second.clone()).await?;
        talk.refusal().await?;
        unmoved(&chain, &customer, &peer, genesis).await?;

        let (mut talk, _) = peer.session().await?;
        talk.segment(first.clone()).await?;
        talk.durable(after_first).await?;
        talk.segment(first.clone()).await?;
        talk.durable(after_first).await?;
        talk.segment(second.clone()).await?;
        talk.durable(after_second).await?;
        drop(talk);
        // And in another session.
        let (mut talk, durable) = peer.session().await?;
        ensure!(durable == after_second);
        talk.segment(second).await?;
        talk.durable(after_second).await?;
        unmoved(&chain, &customer, &peer, after_second).await?;
        ensure!(chain.cases().await?.is_empty(), "a repetition is no fork");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn broken_frames_end_their_session_only() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(90), async |scene| {
        let (chain, customer, mut peer) = stage(scene).await?;
        let genesis = peer.tip();
        let whole = encode(&peer.write(&[riches(&customer)?])?)?;
        let length = u32::try_from(whole.len())?;
        let oversized = u32::try_from(FRAME_BYTES_MAX + 1)?;
        let header = |length: u32| length.to_le_bytes().to_vec();
        let cases: [(&str, Vec<u8>); 5] = [
            (
                "truncated",
                [header(length), whole[..whole.len() / 2].to_vec()].concat(),
            ),
            ("half a header", vec![1, 2]),
            ("oversized", [header(oversized), vec![0; 4_096]].concat()),
            ("garbage", [header(64), vec![0xa5; 64]].concat()),
            ("empty", header(0)),
        ];
        for (what, bytes) in &cases {
            // As an opening, and within a session.
            let mut talk = peer.connect(&peer.key).await?;
            talk.send.write_all(bytes).await?;
            talk.send.finish()?;
            ensure!(talk.heard().await?.is_none(), "{what}");
            let (mut talk, _) = peer.session().await?;
            talk.send.write_all(bytes).await?;
            talk.send.finish()?;
            let refusal = talk.refusal().await?;
            ensure!(
                matches!(refusal, None | Some(Refusal::Unexpected)),
                "{what}: {refusal:?}"
            );
        }
        unmoved(&chain, &customer, &peer, genesis).await
    })
    .await
}

#[tokio::test]
async fn a_revoked_node_is_sent_away_and_stays_away() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(60), async |scene| {
        let (chain, customer, mut peer) = stage(scene).await?;
        let genesis = peer.tip();
        let (mut talk, _) = peer.session().await?;
        let path = format!("/v1/nodes/{}/revoke", peer.place.node);
        chain
            .hub()
            .post(&path, &serde_json::json!({ "reason": "stolen" }))
            .await?;
        ensure!(talk.refusal().await? == Some(Refusal::Revoked));
        let riches = peer.write(&[riches(&customer)?])?;
        let (mut talk, answer) = peer.greet(peer.hello()).await?;
        ensure!(
            answer == HubMessage::Refused(Refusal::Revoked),
            "{answer:?}"
        );
        // The hub may have closed the connection by now.
        let _ = talk.segment(riches).await;
        let nodes = chain.hub().get(&chain.path("/nodes")).await?;
        let revoked = nodes["items"].as_array().context("a list")?;
        ensure!(
            revoked
                .iter()
                .filter(|node| node["revoked"] == true)
                .count()
                == 1
        );
        let found = chain.agreed(&[&customer], BOUND).await?;
        ensure!(
            found[0].spendable == WELCOME && peer.tip() != genesis,
            "{found:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_node_refuses_a_hub_with_another_key() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(60), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
        let impostor = server_endpoint("127.0.0.1:0".parse()?, &SigningKey::from_bytes(&[66; 32]))?;
        let node = &mut chain.nodes[0];
        node.line.lead_to(impostor.local_addr()?);
        node.kill().await?;
        node.start().await?;
        let mut turned_away = 0;
        until(
            "the node turns the impostor away twice",
            BOUND,
            async || {
                let incoming = impostor.accept().await.context("the impostor listens")?;
                turned_away += u32::from(incoming.await.is_err());
                Ok((turned_away == 2).then_some(()))
            },
        )
        .await?;
        ensure!(node.till().sync().await?["connected"] == false);
        node.line.lead_to(chain.hubs[0].quic);
        chain.nodes[0].level(BOUND).await?;
        Ok(())
    })
    .await
}
