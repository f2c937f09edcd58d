//! What the corpora begin with: the golden bytes of the crates, and requests of tills.

use kopilka_protocol::codec;
use kopilka_protocol::message::{NodeMessage, Reply};

use crate::requests;

const ENTRIES: &str = include_str!("../../../crdt/tests/golden/entries.v1.txt");
const MEMBERS: &str = include_str!("../../../crdt/tests/golden/members.v1.txt");
const FRAMES: &str = include_str!("../../../protocol/tests/golden/frames.v1.txt");
const PAGES: &str = include_str!("../../../protocol/tests/golden/pages.v1.txt");
const CODES: &str = include_str!("../../../protocol/tests/golden/codes.v1.txt");

/// A seed: the target, a name, and the bytes.
type Seed = (&'static str, &'static str, Vec<u8>);

/// Every seed.
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    // An entry's distance from the one before it may start anywhere, so each is an entry by itself.
    for (name, bytes) in lines(ENTRIES).filter(|(name, _)| *name != "head") {
        seeds.push(("entry_decode", name, unhex(bytes)));
    }
    for (name, bytes) in lines(MEMBERS) {
        seeds.push(("member_decode", name, unhex(bytes)));
    }
    for (name, bytes) in lines(FRAMES) {
        let frame = unhex(bytes);
        if let Some(segment) = segment(name, &frame) {
            seeds.push(("segment_verify", name, segment));
        }
        seeds.push(("frame_decode", name, frame));
    }
    for (name, bytes) in lines(PAGES) {
        let frame = unhex(bytes);
        let Ok(Reply::Page(page)) = codec::decode(&frame) else {
            panic!("{name} is a page");
        };
        seeds.push((
            "page_unpack",
            name,
            postcard::to_stdvec(&page).expect("a page encodes"),
        ));
        seeds.push(("page_unpack", "packed", page.packed));
        seeds.push(("frame_decode", name, frame));
    }
    for (name, text) in lines(CODES) {
        seeds.push(("enrolment_code", name, text.as_bytes().to_vec()));
    }
    for (name, bytes) in requests::inputs() {
        seeds.push(("pos_json", name, bytes));
    }
    seeds
}

/// The segment in a frame of a node, if there is one.
fn segment(name: &str, frame: &[u8]) -> Option<Vec<u8>> {
    let message = name
        .starts_with("node.")
        .then(|| codec::decode::<NodeMessage>(frame).expect("a golden frame is read"))?;
    let (NodeMessage::Segment { segment, .. } | NodeMessage::Branch { segment, .. }) = message
    else {
        return None;
    };
    Some(postcard::to_stdvec(&segment).expect("a segment encodes"))
}

fn lines(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.lines()
        .map(|line| line.split_once(" = ").expect("a line is `name = value`"))
}

fn unhex(text: &str) -> Vec<u8> {
    let pair =
        |at| u8::from_str_radix(&text[at..at + 2], 16).expect("golden bytes are hexadecimal");
    (0..text.len()).step_by(2).map(pair).collect()
}
