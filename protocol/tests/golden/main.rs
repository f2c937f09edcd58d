//! Golden bytes of the wire: frames of every message, signed things, pages, enrolment codes; and what a sale costs.
//!
//! Each line of a `*.v1.txt` file is `name = hex`, or `name = text` for codes. A test that finds other bytes prints the
//! whole new text. Take it over only for a sample that was added: stores run older programs, and bundles lie about for
//! months. A new version of a format gets a file of its own, and the old file stays with its decoding test alone.

mod cost;
mod frames;
mod values;

use std::fmt::Write;

use kopilka_crdt::ids::ProgrammeId;
use kopilka_protocol::codec;
use kopilka_protocol::enrolment::EnrolmentCode;
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{BlockBatch, FeedMessage, NodeMessage, Reply};
use kopilka_protocol::segment::ForkProof;
use kopilka_protocol::snapshot::SignedPage;

use crate::values::{feed_batch, hub_key, node_key};

const FRAMES: &str = include_str!("frames.v1.txt");
const PAGES: &str = include_str!("pages.v1.txt");
const CODES: &str = include_str!("codes.v1.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .expect("golden bytes are hexadecimal")
    };
    let byte = |pair: &[u8]| {
        u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).expect("two digits are a byte")
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

fn stored(text: &str) -> Vec<(&str, Vec<u8>)> {
    text.lines()
        .map(|line| line.split_once(" = ").expect("a line is `name = hex`"))
        .map(|(name, bytes)| (name, unhex(bytes)))
        .collect()
}

fn lines<'a>(found: impl Iterator<Item = (&'a str, String)>) -> String {
    found.fold(String::new(), |mut text, (name, value)| {
        writeln!(text, "{name} = {value}").expect("a string takes any text");
        text
    })
}

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
    assert!(
        found == FRAMES,
        "frames.v1.txt says something else; the text is now:\n{found}"
    );
}

#[test]
fn frames_are_read_as_before() {
    let (lines, samples) = (stored(FRAMES), frames::samples());
    assert_eq!(lines.len(), samples.len());
    for ((name, bytes), sample) in lines.iter().zip(samples) {
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
    let batch: BlockBatch = codec::decode(&frame("blocks")).unwrap();
    assert_eq!(batch.orders.len(), 2);
    for order in batch.orders {
        assert_eq!(order.verify(&hub), Ok(()));
    }
    let FeedMessage::Publication(publication) = codec::decode(&frame("feed.publication")).unwrap()
    else {
        panic!("the stored frame carries a publication");
    };
    assert_eq!(publication.verify(&hub), Ok(()));
}

/// Packed bytes may change with the packer, so only reading is held to the stored bytes.
#[test]
fn pages_are_read_as_before() {
    let hub = PublicKey::of(&hub_key());
    let batch = feed_batch();
    let page = SignedPage::pack(&hub_key(), ProgrammeId(1), &batch, true).unwrap();
    let now = lines([("page", hex(&codec::encode(&Reply::Page(page)).unwrap()))].into_iter());
    assert!(
        !PAGES.is_empty(),
        "pages.v1.txt says something else; the text is now:\n{now}"
    );
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
    assert!(
        found == CODES,
        "codes.v1.txt says something else; the text is now:\n{found}"
    );
    for (line, (_, code)) in CODES.lines().zip(codes) {
        let (_, text) = line.split_once(" = ").unwrap();
        assert_eq!(text.parse(), Ok(code));
    }
}
