//! Golden bytes of log entries and member records: what was written once is written the same and read for ever.
//!
//! Each line of a `*.v1.txt` file is `name = hex`. A test that finds other bytes prints the whole new text, and writes it
//! under `KOPILKA_REFRESH=1`. Take it over only for a sample that was added: bytes of an existing name are on disks and
//! in signed chains. A new version of a format gets a file of its own, and the old file stays with its decoding test
//! alone.

mod bodies;
mod limited;
mod text;

use kopilka_crdt::clock::Stamp;
use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::ids::{Incarnation, NodeId};
use kopilka_crdt::ledger::apply;
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::member::{BlockMark, Member, Shown};
use kopilka_crdt::operation::Body;

use text::{check, hex, lines, stored};

const NODE: NodeId = NodeId(7);
const INCARNATION: Incarnation = Incarnation(2);
const FIRST_MS: u64 = 1_790_000_000_000;
const ENTRIES: &str = include_str!("entries.v1.txt");
const MEMBERS: &str = include_str!("members.v1.txt");

/// A member with something in every field.
fn member() -> Member {
    let mut member = Member::default();
    let mut log = Log::resume(
        NODE,
        INCARNATION,
        Tip::genesis(NODE, INCARNATION),
        Stamp::default(),
    );
    for (_, body) in bodies::samples() {
        let entry = log.append(FIRST_MS, &body).expect("a sample fits an entry");
        apply(&mut member, entry.id, entry.stamp, &body).expect("samples are small");
    }
    member.shown = Shown {
        name: "Анна К.".to_owned(),
        phone: "+7 *** ***-45-67".to_owned(),
        birthday: "02-29".parse().ok(),
    };
    let mark = BlockMark {
        order: 12,
        blocked: true,
        at_ms: FIRST_MS,
    };
    member.blocks.insert(CardTag(0x0102_0304), mark);
    member.allowances.extend(bodies::granted());
    member.allowance_last = 3;
    member
}

#[test]
fn every_kind_of_operation_has_a_sample() {
    let samples = bodies::samples();
    let mut kinds: Vec<_> = samples
        .iter()
        .map(|(_, body)| (bodies::place(body), body.kind()))
        .collect();
    kinds.dedup();
    let expected: Vec<_> = Body::KINDS.into_iter().enumerate().collect();
    assert_eq!(kinds, expected);
}

#[test]
fn entries_are_written_as_before() {
    let mut log = Log::resume(
        NODE,
        INCARNATION,
        Tip::genesis(NODE, INCARNATION),
        Stamp::default(),
    );
    let mut found = Vec::new();
    for (step, (name, body)) in (0..).zip(bodies::samples()) {
        let entry = log.append(FIRST_MS + step * 1_000, &body).unwrap();
        found.push((name, hex(&entry.bytes)));
    }
    found.push(("head", hex(&log.tip().head.0)));
    check("entries.v1.txt", ENTRIES, &lines(found.into_iter()));
}

#[test]
fn entries_are_read_as_before() {
    let mut entries = stored(ENTRIES);
    let (name, head) = entries.pop().unwrap();
    assert_eq!(name, "head");
    let mut tip = Tip::genesis(NODE, INCARNATION);
    let samples: Vec<(&str, Body)> = bodies::samples();
    assert_eq!(entries.len(), samples.len());
    for ((name, bytes), (expected_name, expected)) in entries.iter().zip(samples) {
        let (next, stamp, body) = tip.follow(bytes).unwrap();
        assert_eq!((*name, body), (expected_name, expected));
        assert_eq!(
            stamp,
            Stamp::from_ms(FIRST_MS + tip.sequence * 1_000),
            "{name}"
        );
        tip = next;
    }
    assert_eq!(tip.head.0, head.as_slice());
}

#[test]
fn members_are_written_and_read_as_before() {
    let members = [("empty", Member::default()), ("full", member())];
    let found = members
        .iter()
        .map(|(name, member)| (*name, hex(&member.encode())));
    check("members.v1.txt", MEMBERS, &lines(found));
    for ((_, bytes), (name, member)) in stored(MEMBERS).iter().zip(members) {
        assert_eq!(Member::decode(bytes), Ok(member), "{name}");
    }
}
