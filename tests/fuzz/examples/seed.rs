//! Writes the seed corpora from the golden bytes of the crates: `cargo run --example seed` in here.

use std::fs;
use std::io;
use std::path::Path;

use kopilka_protocol::codec;
use kopilka_protocol::message::{NodeMessage, Reply};

const ENTRIES: &str = include_str!("../../../crdt/tests/golden/entries.v1.txt");
const MEMBERS: &str = include_str!("../../../crdt/tests/golden/members.v1.txt");
const FRAMES: &str = include_str!("../../../protocol/tests/golden/frames.v1.txt");
const PAGES: &str = include_str!("../../../protocol/tests/golden/pages.v1.txt");
const CODES: &str = include_str!("../../../protocol/tests/golden/codes.v1.txt");

fn lines(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.lines().map(|line| {
        line.split_once(" = ")
            .expect("a golden line is `name = value`")
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let pair =
        |at| u8::from_str_radix(&text[at..at + 2], 16).expect("golden bytes are hexadecimal");
    (0..text.len()).step_by(2).map(pair).collect()
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}

fn main() -> io::Result<()> {
    // An entry's distance from the one before it may start anywhere, so each is an entry by itself.
    for (name, bytes) in lines(ENTRIES).filter(|(name, _)| *name != "head") {
        write("entry_decode", name, &unhex(bytes))?;
    }
    for (name, bytes) in lines(MEMBERS) {
        write("member_decode", name, &unhex(bytes))?;
    }
    for (name, bytes) in lines(FRAMES) {
        let frame = unhex(bytes);
        write("frame_decode", name, &frame)?;
        if let (true, Ok(message)) = (
            name.starts_with("node."),
            codec::decode::<NodeMessage>(&frame),
        ) {
            let (NodeMessage::Segment { segment, .. } | NodeMessage::Branch { segment, .. }) =
                message
            else {
                continue;
            };
            let bytes = postcard::to_stdvec(&segment).expect("a segment encodes");
            write("segment_verify", name, &bytes)?;
        }
    }
    for (name, bytes) in lines(PAGES) {
        let frame = unhex(bytes);
        write("frame_decode", name, &frame)?;
        let Ok(Reply::Page(page)) = codec::decode(&frame) else {
            panic!("{name} is a page");
        };
        write("page_unpack", "packed", &page.packed)?;
        write(
            "page_unpack",
            name,
            &postcard::to_stdvec(&page).expect("a page encodes"),
        )?;
    }
    for (name, text) in lines(CODES) {
        write("enrolment_code", name, text.as_bytes())?;
    }
    Ok(())
}
