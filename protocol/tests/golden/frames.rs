//! Samples of every frame, with every variant of what is inside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{
    AccountId, Incarnation, MemberId, ProgrammeId, PromotionId, StoreId, TillId,
};
use kopilka_crdt::log::Tip;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{ReceiptKey, ReturnedLine, Verdict};
use kopilka_crdt::rulebook::Publication;
use kopilka_crdt::sealed::MemberKey;
use kopilka_protocol::codec;
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{
    Adoption, AppliedLog, BlockBatch, CameBack, Channel, EnrolRequest, Enrolled, FeedMessage,
    Hello, HubMessage, MemberState, NodeMessage, Opening, Refusal, Renewal, Reply, ReserveRequest,
    Scope, SnapshotRequest, SoldCursor, SoldPage, SoldPurchase, SoldQuery, Standing, VerdictNote,
    Welcome,
};
use kopilka_protocol::publication::PublicationDelta;
use kopilka_protocol::segment::ForkProof;
use kopilka_protocol::signed::{BlockOrder, SignedBlockOrder, SignedPublication, Subject};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::values::{
    INCARNATION, NODE, NOW_MS, directory, feed_batch, feed_member, hash, hub_key, operation, seen,
    segment,
};

/// Decodes a frame and compares.
type Reads = Box<dyn Fn(&[u8])>;

/// A value as a frame.
pub struct Sample {
    /// Kind of message, a point, and the variant.
    pub name: &'static str,
    /// Its frame.
    pub bytes: Vec<u8>,
    /// Number of variants of its kind of message; 0: it has none.
    variants: u8,
    /// Decodes a frame and compares.
    pub assert_reads: Reads,
}

fn sample<T>(name: &'static str, variants: u8, value: T) -> Sample
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
{
    Sample {
        name,
        // Unpacked: what zstd makes of a body may change with its version.
        bytes: postcard::to_extend(&value, vec![codec::FRAME_PLAIN])
            .expect("a message is plain data"),
        variants,
        assert_reads: Box::new(move |bytes| {
            assert_eq!(codec::decode::<T>(bytes).as_ref(), Ok(&value), "{name}");
        }),
    }
}

/// All samples.
pub fn samples() -> Vec<Sample> {
    let mut samples = openings();
    samples.extend(node_messages());
    samples.extend(hub_messages());
    samples.extend(replies());
    samples.extend(feed());
    samples.extend(refusals());
    samples
}

/// Every variant of every kind of message is among the samples. A variant's number follows the version byte.
pub fn assert_complete() {
    let mut seen: BTreeMap<&str, (u8, BTreeSet<u8>)> = BTreeMap::new();
    for sample in samples().iter().filter(|sample| sample.variants > 0) {
        let kind = sample.name.split('.').next().unwrap_or_default();
        let (_, places) = seen
            .entry(kind)
            .or_insert((sample.variants, BTreeSet::new()));
        places.insert(sample.bytes[1]);
    }
    for (kind, (variants, places)) in seen {
        assert_eq!(places, (0..variants).collect(), "{kind}");
    }
}

fn openings() -> Vec<Sample> {
    let opening = |name, value: Opening| {
        let variants = match value {
            Opening::Session(_)
            | Opening::Enrol(_)
            | Opening::Reserve(_)
            | Opening::Find(_)
            | Opening::Snapshot(_)
            | Opening::Publication(_)
            | Opening::Sold(_) => 7,
        };
        sample(name, variants, value)
    };
    let hello = Hello {
        protocol: 1,
        program: "0.1.0".to_owned(),
        node: NODE,
        incarnation: INCARNATION,
        tip: Tip {
            sequence: 300,
            ..Tip::genesis(NODE, INCARNATION)
        },
        seen: seen(),
    };
    let reserve = ReserveRequest {
        member: MemberId(77),
        account: AccountId(1),
        amount: Minor(5_000),
        deadline_ms: 300,
    };
    let snapshot = |after| SnapshotRequest {
        partition: 1,
        after,
    };
    let sold = Opening::Sold;
    let receipt = ReceiptKey {
        till: TillId(41),
        day: Day(20_717),
        number: 300,
    };
    let member = |before| SoldQuery::Member {
        member: MemberId(77),
        before,
        limit: 20,
    };
    vec![
        opening("opening.session", Opening::Session(hello)),
        opening(
            "opening.enrol",
            Opening::Enrol(EnrolRequest {
                secret: [5; 16],
                program: "0.1.0".to_owned(),
            }),
        ),
        opening("opening.reserve", Opening::Reserve(reserve)),
        opening("opening.find", Opening::Find(hash(4))),
        opening("opening.snapshot", Opening::Snapshot(snapshot(None))),
        opening(
            "opening.snapshot_rest",
            Opening::Snapshot(snapshot(Some(MemberId(77)))),
        ),
        opening("opening.publication", Opening::Publication(17)),
        opening("opening.sold_receipt", sold(SoldQuery::Receipt(receipt))),
        opening(
            "opening.sold_operation",
            sold(SoldQuery::Operation(operation(9))),
        ),
        opening("opening.sold_member", sold(member(None))),
        opening("opening.sold_member_rest", sold(member(Some(cursor())))),
    ]
}

fn node_messages() -> Vec<Sample> {
    let message = |name, value: NodeMessage| {
        let variants = match value {
            NodeMessage::Segment { .. } | NodeMessage::Branch { .. } | NodeMessage::Seen(_) => 3,
        };
        sample(name, variants, value)
    };
    let keys = vec![(MemberId(77), MemberKey([6; 32]))];
    let branch = NodeMessage::Branch {
        segment: segment(&[9]),
        keys: Vec::new(),
        last: true,
    };
    let proof = ForkProof {
        node: NODE,
        incarnation: INCARNATION,
        first: segment(&[1, 2]),
        second: segment(&[9]),
    };
    vec![
        message(
            "node.segment",
            NodeMessage::Segment {
                segment: segment(&[1, 2]),
                keys,
            },
        ),
        message("node.branch", branch),
        message("node.seen", NodeMessage::Seen(seen())),
        sample("fork_proof", 0, proof),
    ]
}

fn hub_messages() -> Vec<Sample> {
    let message = |name, value: HubMessage| {
        let variants = match value {
            HubMessage::Welcome(_)
            | HubMessage::Durable { .. }
            | HubMessage::Renew(_)
            | HubMessage::Refused(_)
            | HubMessage::SendBranch => 5,
        };
        sample(name, variants, value)
    };
    let welcome = |standing| {
        let snapshot_at = vec![4, 0];
        HubMessage::Welcome(Welcome {
            protocol: 1,
            hub_ms: NOW_MS,
            partitions: 2,
            standing,
            snapshot_at,
        })
    };
    let adopted = Adoption {
        from_sequence: 40,
        incarnation: Incarnation(Incarnation::ADOPTED_FIRST),
    };
    let renewal = |adopted| Renewal {
        next: Incarnation(3),
        adopted,
    };
    let verdicts = [
        Verdict::Accepted,
        Verdict::Duplicate,
        Verdict::Contested,
        Verdict::Overdraft,
        Verdict::Mispriced,
        Verdict::Quarantined,
    ];
    let note = |(sequence, verdict)| VerdictNote {
        operation: operation(sequence),
        verdict,
        reason: "по правилам 17".to_owned(),
    };
    let tip = Tip::genesis(NODE, INCARNATION);
    let durable = HubMessage::Durable {
        incarnation: INCARNATION,
        tip,
        verdicts: (1..).zip(verdicts).map(note).collect(),
    };
    vec![
        message("hub.welcome_continue", welcome(Standing::Continue(tip))),
        message("hub.welcome_diverged", welcome(Standing::Diverged)),
        message(
            "hub.welcome_behind",
            welcome(Standing::Behind(renewal(None))),
        ),
        message("hub.durable", durable),
        message("hub.renew", HubMessage::Renew(renewal(Some(adopted)))),
        message("hub.refused", HubMessage::Refused(Refusal::Frozen)),
        message("hub.send_branch", HubMessage::SendBranch),
    ]
}

fn publication(number: u32, rules: &str) -> SignedPublication {
    let publication = Publication {
        programme: ProgrammeId(1),
        number,
        valid_from_ms: NOW_MS,
        rules: rules.to_owned(),
    };
    SignedPublication::sign(&hub_key(), publication)
}

/// Pages are kept apart: their packed bytes may change.
fn replies() -> Vec<Sample> {
    let reply = |name, value: Reply| {
        let without_pages = match value {
            Reply::Enrolled(_)
            | Reply::Reserved(_)
            | Reply::Short { .. }
            | Reply::Found(_)
            | Reply::Page(_)
            | Reply::Refused(_)
            | Reply::Publication(_)
            | Reply::Rules(_)
            | Reply::Sold(_) => 0,
        };
        sample(name, without_pages, value)
    };
    let state = || MemberState {
        position: 4_000,
        applied: AppliedLog {
            incarnation: INCARNATION,
            sequence: 300,
        },
        member: feed_member(77, Scope::Programme),
    };
    let enrolled = Enrolled {
        node: NODE,
        incarnation: INCARNATION,
        programme: ProgrammeId(1),
        store: StoreId(31),
        hub: PublicKey::of(&hub_key()),
    };
    let whole = publication(17, "{\"schema\":1}");
    let (start, mut pieces) = whole.pieces().expect("a small publication");
    let piece = pieces.next().expect("a piece").to_vec();
    let back = CameBack {
        node: NODE,
        stamp: Stamp::from_ms(NOW_MS),
        lines: vec![ReturnedLine {
            line: 1,
            quantity: Milli(345),
        }],
    };
    let sold = SoldPage {
        purchases: vec![SoldPurchase {
            operation: operation(9),
            stamp: Stamp::from_ms(NOW_MS),
            entry: segment(&[9]).entries.remove(0),
            returned: vec![back],
        }],
        next: Some(cursor()),
    };
    vec![
        reply("reply.enrolled", Reply::Enrolled(enrolled)),
        reply("reply.reserved", Reply::Reserved(state())),
        reply(
            "reply.short",
            Reply::Short {
                available: Minor(120),
                state: state(),
            },
        ),
        reply("reply.found", Reply::Found(Some(state()))),
        reply("reply.not_found", Reply::Found(None)),
        reply("reply.refused", Reply::Refused(Refusal::Code)),
        reply("reply.publication", Reply::Publication(start)),
        reply("reply.rules", Reply::Rules(piece)),
        reply("reply.sold", Reply::Sold(sold)),
        reply("reply.nothing_sold", Reply::Sold(SoldPage::default())),
    ]
}

fn cursor() -> SoldCursor {
    SoldCursor {
        taken_in_ms: NOW_MS,
        operation: operation(9),
    }
}

fn feed() -> Vec<Sample> {
    let message = |name, value: FeedMessage| {
        let variants = match value {
            FeedMessage::Members(_)
            | FeedMessage::Publication(_)
            | FeedMessage::Directory(_)
            | FeedMessage::PublicationDelta(_)
            | FeedMessage::PublicationNumber(_) => 5,
        };
        sample(name, variants, value)
    };
    let channel = |name, value: Channel| {
        let variants = match value {
            Channel::Blocks | Channel::Feed => 2,
        };
        sample(name, variants, value)
    };
    let order = |number, subject, blocked| {
        let order = BlockOrder {
            programme: ProgrammeId(1),
            number,
            subject,
            blocked,
            at_ms: NOW_MS,
            reason: "утеряна".to_owned(),
        };
        SignedBlockOrder::sign(&hub_key(), order)
    };
    let card = Subject::Card(hash(3));
    let promotion = Subject::Promotion(PromotionId(12));
    let base = publication(17, "{\"schema\":1}");
    let next = publication(18, "{\"schema\":2}");
    let delta = PublicationDelta::between(&base.publication, &next).expect("a small delta");
    vec![
        channel("channel.blocks", Channel::Blocks),
        channel("channel.feed", Channel::Feed),
        sample(
            "blocks",
            0,
            BlockBatch {
                orders: vec![order(12, card, true), order(13, card, false)],
            },
        ),
        sample(
            "stops",
            0,
            BlockBatch {
                orders: vec![order(14, promotion, true), order(15, promotion, false)],
            },
        ),
        message("feed.members", FeedMessage::Members(feed_batch())),
        message("feed.publication", FeedMessage::Publication(base)),
        message("feed.directory", FeedMessage::Directory(directory())),
        message(
            "feed.publication_delta",
            FeedMessage::PublicationDelta(delta),
        ),
        message(
            "feed.publication_number",
            FeedMessage::PublicationNumber(18),
        ),
    ]
}

fn refusals() -> Vec<Sample> {
    let refusal = |(name, value): (&'static str, Refusal)| {
        let variants = match value {
            Refusal::UnknownKey
            | Refusal::Revoked
            | Refusal::WrongNode
            | Refusal::Protocol
            | Refusal::Unexpected
            | Refusal::Segment
            | Refusal::Code
            | Refusal::Busy
            | Refusal::Frozen => 9,
        };
        sample(name, variants, value)
    };
    let refusals = [
        ("refusal.unknown_key", Refusal::UnknownKey),
        ("refusal.revoked", Refusal::Revoked),
        ("refusal.wrong_node", Refusal::WrongNode),
        ("refusal.protocol", Refusal::Protocol),
        ("refusal.unexpected", Refusal::Unexpected),
        ("refusal.segment", Refusal::Segment),
        ("refusal.code", Refusal::Code),
        ("refusal.busy", Refusal::Busy),
        ("refusal.frozen", Refusal::Frozen),
    ];
    refusals.map(refusal).into()
}
