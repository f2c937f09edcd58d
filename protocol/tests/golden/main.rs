//! Golden bytes of the wire: frames of every message, signed things, pages, enrolment codes; and what a sale costs.
//!
//! Each line of a `*.v1.txt` file is `name = hex`, or `name = text` for codes. A test that finds other bytes prints the
//! whole new text, and writes it under `KOPILKA_REFRESH=1`. Take it over only for a sample that was added: stores run
//! older programs, and bundles lie about for months. A new version of a format gets a file of its own, and the old file
//! stays with its decoding test alone.

mod cost;
mod frames;
// By path: what only tests need is no part of the crate's interface.
#[path = "../../../crdt/tests/golden/text.rs"]
mod text;
mod values;

use kopilka_crdt::ids::ProgrammeId;
use kopilka_protocol::codec;
use kopilka_protocol::enrolment::EnrolmentCode;
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{BlockBatch, FeedMessage, NodeMessage, Reply};
use kopilka_protocol::segment::ForkProof;
use kopilka_protocol::snapshot::SignedPage;

use crate::text::{check, hex, lines, refreshed, stored};
use crate::values::{feed_batch, hub_key, node_key};

const FRAMES: &str = include_str!("frames.v1.txt");
const PAGES: &str = include_str!("pages.v1.txt");
const CODES: &str = include_str!("codes.v1.txt");

fn frame(name: &str) -> Vec<u8> {
    let frame = stored(FRAMES).into_iter().find(|(found, _)| *found == name);
    frame.expect("the sample is stored").1
}

#[test]
fn every_message_has_a_sample() {
    frames::assert_complete();
}

#[test]
fn frames_are_written_as_before() {
    let found = lines(
        frames::samples()
            .iter()
            .map(|sample| (sample.name, hex(&sample.bytes))),
    );
    check("frames.v1.txt", FRAMES, &found);
}

#[test]
fn frames_are_read_as_before() {
    let (frames, samples) = (stored(FRAMES), frames::samples());
    assert_eq!(frames.len(), samples.len());
    for ((name, bytes), sample) in frames.iter().zip(samples) {
        assert_eq!(*name, sample.name);
        (sample.assert_reads)(bytes);
    }
}

#[test]
fn stored_signatures_still_verify() {
    let (hub, node) = (PublicKey::of(&hub_key()), PublicKey::of(&node_key()));
    let NodeMessage::Segment { segment, .. } = codec::decode(&frame("node.segment")).unwrap()
    else {
        panic!("the stored frame carries a segment");
    };
    assert_eq!(segment.verify(&node).unwrap().operations.len(), 2);
    let proof: ForkProof = codec::decode(&frame("fork_proof")).unwrap();
    assert!(proof.holds(&node));
    for name in ["blocks", "stops"] {
        let batch: BlockBatch = codec::decode(&frame(name)).unwrap();
        assert_eq!(batch.orders.len(), 2);
        for order in batch.orders {
            assert_eq!(order.verify(&hub), Ok(()));
        }
    }
    let FeedMessage::Publication(publication) = codec::decode(&frame("feed.publication")).unwrap()
    else {
        panic!("the stored frame carries a publication");
    };
    assert_eq!(publication.verify(&hub), Ok(()));
    let FeedMessage::PublicationDelta(delta) =
        codec::decode(&frame("feed.publication_delta")).unwrap()
    else {
        panic!("the stored frame carries a delta");
    };
    let next = delta.rebuild(&publication.publication, &hub).unwrap();
    assert_eq!(next.publication.rules, "{\"schema\":2}");
}

/// Packed bytes may change with the packer, so only reading is held to the stored bytes.
#[test]
fn pages_are_read_as_before() {
    let hub = PublicKey::of(&hub_key());
    let batch = feed_batch();
    let page = SignedPage::pack(&hub_key(), ProgrammeId(1), &batch, true).unwrap();
    let now = lines([("page", hex(&codec::encode(&Reply::Page(page)).unwrap()))].into_iter());
    if refreshed("pages.v1.txt", &now) {
        return;
    }
    assert!(!PAGES.is_empty(), "pages.v1.txt says nothing");
    for (name, bytes) in stored(PAGES) {
        let Reply::Page(page) = codec::decode(&bytes).unwrap() else {
            panic!("{name} is a page");
        };
        assert_eq!(page.unpack(&hub).as_ref(), Ok(&batch), "{name}");
        assert!(page.last, "{name}");
    }
}

#[test]
fn codes_are_written_and_read_as_before() {
    let code = |hub_address: &str| EnrolmentCode {
        hub_address: hub_address.to_owned(),
        fingerprint: PublicKey::of(&hub_key()).fingerprint(),
        secret: *b"sixteen secrets!",
    };
    let codes = [
        ("name", code("hub.example:7400")),
        ("address", code("[2001:db8::1]:7400")),
    ];
    let found = lines(codes.iter().map(|(name, code)| (*name, code.to_string())));
    check("codes.v1.txt", CODES, &found);
    for (line, (_, code)) in CODES.lines().zip(codes) {
        let (_, text) = line.split_once(" = ").unwrap();
        assert_eq!(text.parse(), Ok(code));
    }
}
