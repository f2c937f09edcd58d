//! What an operation weighs: as an entry, in a segment, and in the datagrams of a real connection.

use std::io::Write;

use anyhow::ensure;
use ed25519_dalek::SigningKey;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use kopilka_hub::store::StoreSettings;
use kopilka_protocol::codec;
use kopilka_protocol::message::{HubMessage, NodeMessage};
use kopilka_protocol::segment::Segment;
use kopilka_shell::clock;

use super::Bench;
use super::chain::Chain;
use super::figures::{Figure, Table, times};
use super::sales::Seller;
use super::session::Session;

const MEMBERS: u64 = 10_000;
const ENTRY_BYTES_MAX: u64 = 120;
/// Operations of a segment: a busy minute, and a backlog.
const SEGMENT_SALES: [u64; 2] = [32, 256];
/// Operations sent over the connection for each size.
const SENT_SALES: u64 = 8_192;
/// Segments under way; a real node sends up to eight.
const IN_FLIGHT: usize = 4;
/// Bytes before each frame.
const FRAME_HEADER_BYTES: usize = 4;
const ENTRY: &str = "The articles' codes, quantities and prices of the four lines are most of it.";

/// Measures.
pub async fn measure(bench: &Bench) -> anyhow::Result<Table> {
    let folder = bench.folder("wire")?;
    let path = folder.path().join("hub.db");
    let chain = Chain::open(&StoreSettings::Sqlite { path }).await?;
    let keys = [(); 2].map(|()| SigningKey::from_bytes(&clock::random_bytes()));
    let nodes = chain.enrol(&keys).await?;
    let serving = chain.serve()?;
    let mut figures = Vec::new();
    for ((node, key), sales) in nodes.into_iter().zip(&keys).zip(SEGMENT_SALES) {
        let mut seller = Seller::new(&chain, node, key.clone(), MEMBERS).await?;
        let segments = (0..SENT_SALES / sales).map(|_| seller.segment(sales));
        let segments: Vec<Segment> = segments.collect::<Result<_, _>>()?;
        let entries: usize = segments
            .iter()
            .flat_map(|segment| &segment.entries)
            .map(Vec::len)
            .sum();
        let entries = u64::try_from(entries)?;
        if figures.is_empty() {
            figures.push(entry_figure(&segments, entries)?);
        }
        let framed = framed_bytes(&segments)?;
        let mut session =
            Session::open(&seller.node, key, &chain.hub.public_key(), serving.address).await?;
        let (up, down) = send_all(&mut session, segments).await?;
        let each = |bytes: u64| {
            format!(
                "{}.{} bytes",
                bytes / SENT_SALES,
                bytes * 10 / SENT_SALES % 10
            )
        };
        let limit = format!("entries alone: {}", each(entries));
        let figure = Figure::new(
            format!(
                "per operation in segments of {sales}: signature and base, packed as one frame"
            ),
            each(framed),
        );
        figures.push(figure.limit(&limit, times(framed, entries)));
        let what = format!(
            "the same, all UDP payload of a real connection: up, and down for the answers (segments of {sales})"
        );
        let measured = format!("{} up, {} down", each(up), each(down));
        figures.push(Figure::new(what, measured).limit(&limit, times(up, entries)));
    }
    serving.stop().await?;
    Ok(Table {
        title: "Bytes on the wire",
        method: format!(
            "{SENT_SALES} purchases of four lines by {MEMBERS} members, each with a card, one tender and points earned, sent in a \
             session over QUIC; datagrams as quinn counts them, without the 28 bytes of IP and UDP each."
        ),
        figures,
    })
}

fn entry_figure(segments: &[Segment], entries: u64) -> anyhow::Result<Figure> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    for entry in segments.iter().flat_map(|segment| &segment.entries) {
        encoder.write_all(entry)?;
    }
    let deflated = u64::try_from(encoder.finish()?.len())?;
    let mean = entries / SENT_SALES;
    let limit = format!(
        "all of them deflated together: {} bytes",
        deflated / SENT_SALES
    );
    Ok(Figure::new(
        "a purchase of four lines as an entry",
        format!("{mean} bytes"),
    )
    .target("≤ 120 bytes", mean <= ENTRY_BYTES_MAX)
    .limit(limit, times(entries, deflated))
    .obstacle(ENTRY))
}

fn framed_bytes(segments: &[Segment]) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for segment in segments {
        let message = NodeMessage::Segment {
            segment: segment.clone(),
            keys: Vec::new(),
        };
        bytes += codec::encode(&message)?.len() + FRAME_HEADER_BYTES;
    }
    Ok(u64::try_from(bytes)?)
}

/// Bytes of UDP payload up and down until everything is durable.
async fn send_all(session: &mut Session, segments: Vec<Segment>) -> anyhow::Result<(u64, u64)> {
    let before = session.connection.stats();
    let mut under_way = 0;
    for segment in segments {
        if under_way == IN_FLIGHT {
            durable(session).await?;
            under_way -= 1;
        }
        let keys = Vec::new();
        session
            .send(&NodeMessage::Segment { segment, keys })
            .await?;
        under_way += 1;
    }
    for _ in 0..under_way {
        durable(session).await?;
    }
    let after = session.connection.stats();
    let up = after.udp_tx.bytes - before.udp_tx.bytes;
    let down = after.udp_rx.bytes - before.udp_rx.bytes;
    Ok((up, down))
}

async fn durable(session: &mut Session) -> anyhow::Result<()> {
    let answer = session.receive().await?;
    let accepted = matches!(&answer, HubMessage::Durable { verdicts, .. } if verdicts.is_empty());
    ensure!(
        accepted,
        "every sale is accepted, but the hub answered {answer:?}"
    );
    Ok(())
}
