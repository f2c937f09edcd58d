//! What must hold for any bytes: one function for each fuzz target, also compiled into the test that replays the corpora.
//!
//! Postcard reads some numbers in more than one spelling, so what decodes need not encode to the same bytes. It must
//! encode to bytes that are no longer and that decode to the same value. Hashes and signatures are over bytes as they
//! came, or over fields, so a second spelling of a frame proves nothing.

pub mod pos;

use std::fmt::Debug;

use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{Incarnation, NodeId, OperationId, ProgrammeId};
use kopilka_crdt::ledger::apply;
use kopilka_crdt::log::{ENTRY_VERSION, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_protocol::codec;
use kopilka_protocol::enrolment::EnrolmentCode;
use kopilka_protocol::key::{Domain, PublicKey, SignatureBytes, sign};
use kopilka_protocol::message::{
    BlockBatch, Channel, FeedMessage, HubMessage, NodeMessage, Opening, Reply,
};
use kopilka_protocol::segment::{ForkProof, Seal, Segment, SegmentError};
use kopilka_protocol::snapshot::{PageError, SignedPage};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use pos::pos_json;

/// A target: its name, which is also its corpus's, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("frame_decode", frame_decode),
    ("segment_verify", segment_verify),
    ("entry_decode", entry_decode),
    ("enrolment_code", enrolment_code),
    ("member_decode", member_decode),
    ("page_unpack", page_unpack),
    ("pos_json", pos_json),
];

/// The hub's key in all samples.
pub fn hub_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// The node's key in all samples.
pub fn node_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Any bytes as a frame of every kind.
pub fn frame_decode(data: &[u8]) {
    decode_one::<Opening>(data);
    decode_one::<NodeMessage>(data);
    decode_one::<HubMessage>(data);
    decode_one::<Reply>(data);
    decode_one::<Channel>(data);
    decode_one::<BlockBatch>(data);
    decode_one::<FeedMessage>(data);
    decode_one::<ForkProof>(data);
}

fn decode_one<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) {
    if let Ok(message) = codec::decode::<T>(data) {
        let bytes = codec::encode(&message).expect("what came in a frame fits a frame");
        assert!(bytes.len() <= data.len(), "encoding grew");
        assert_eq!(codec::decode::<T>(&bytes).as_ref(), Ok(&message));
        assert_eq!(codec::encode(&message), Ok(bytes));
    }
}

/// A postcard segment, as it came and signed by its node.
pub fn segment_verify(data: &[u8]) {
    let Ok(mut segment) = postcard::from_bytes::<Segment>(data) else {
        return;
    };
    let (key, public) = (node_key(), PublicKey::of(&node_key()));
    if let Ok(verified) = segment.clone().verify(&public) {
        let bytes = verified
            .operations
            .into_iter()
            .map(|operation| operation.bytes);
        assert_eq!(bytes.collect::<Vec<_>>(), segment.entries);
    }
    let follow = |tip: Tip, entry: &Vec<u8>| tip.follow(entry).map(|(next, _, _)| next);
    let followed = segment.entries.iter().try_fold(segment.base, follow);
    if let Ok(tip) = followed {
        segment.signature = Seal::sign(&key, segment.node, segment.incarnation, tip).signature;
    }
    let count = segment.entries.len();
    match (segment.verify(&public), followed) {
        (Ok(verified), Ok(tip)) => {
            assert_eq!((verified.seal.tip, verified.operations.len()), (tip, count));
        }
        (Err(SegmentError::Size), _) => {}
        (Err(SegmentError::Entry(error)), Err(expected)) => assert_eq!(error, expected),
        (found, expected) => panic!("{found:?}, though following gave {expected:?}"),
    }
}

/// A log entry, and the fold of it into an empty member.
pub fn entry_decode(data: &[u8]) {
    let (node, incarnation) = (NodeId(7), Incarnation(2));
    let genesis = Tip::genesis(node, incarnation);
    let Ok((tip, stamp, body)) = genesis.follow(data) else {
        return;
    };
    let bytes =
        postcard::to_extend(&(stamp.0, &body), vec![ENTRY_VERSION]).expect("an operation encodes");
    assert!(bytes.len() <= data.len(), "encoding grew");
    let again = genesis.follow(&bytes).map(|(_, stamp, body)| (stamp, body));
    assert_eq!(again, Ok((stamp, body.clone())));
    let id = OperationId {
        node,
        incarnation,
        sequence: tip.sequence,
    };
    let mut member = Member::default();
    if apply(&mut member, id, stamp, &body).is_ok() {
        ask(&member);
    }
}

/// An enrolment code as somebody types it.
pub fn enrolment_code(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(code) = text.parse::<EnrolmentCode>() {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
}

/// A stored member record.
pub fn member_decode(data: &[u8]) {
    if let Ok(member) = Member::decode(data) {
        ask(&member);
    }
}

/// The questions that are asked of a member; hostile amounts give errors and never panics.
fn ask(member: &Member) {
    assert_eq!(Member::decode(&member.encode()).as_ref(), Ok(member));
    let own = member.for_node(NodeId(7));
    assert!(own.allowances.len() <= member.allowances.len());
    for (id, account) in &member.accounts {
        member.outstanding(*id);
        for day in [Day(0), Day(20_717), Day(u32::MAX)] {
            let until = account.spendable_through(day, day.plus(7));
            let Ok(view) = account.view(day) else {
                continue;
            };
            if let Ok(until) = until {
                assert!(until <= view.spendable);
            }
            if let Ok(Some(takes)) = account.plan(view.spendable, day) {
                assert_eq!(
                    Minor::sum(takes.iter().map(|take| take.amount)),
                    Ok(view.spendable)
                );
                assert!(takes.iter().all(|take| take.amount > Minor::ZERO));
            }
        }
    }
    for allowance in member.allowances.values() {
        assert!(allowance.usable(Stamp::default().ms(), 600_000) <= allowance.open());
    }
}

/// A postcard page as it came; and the same bytes as the packed part of a page that the hub signed.
pub fn page_unpack(data: &[u8]) {
    let (key, public) = (hub_key(), PublicKey::of(&hub_key()));
    if let Ok(page) = postcard::from_bytes::<SignedPage>(data) {
        let signed = signed_page(&key, page.clone());
        if let Ok(batch) = page.unpack(&public) {
            assert_eq!(signed.unpack(&public), Ok(batch));
        }
        unpack_signed(&signed, &public);
    }
    let bare = SignedPage {
        programme: ProgrammeId(1),
        through: None,
        last: true,
        packed: data.to_vec(),
        signature: SignatureBytes([0; 64]),
    };
    unpack_signed(&signed_page(&key, bare), &public);
}

fn unpack_signed(page: &SignedPage, hub: &PublicKey) {
    match page.unpack(hub) {
        Ok(batch) => assert_eq!(batch.members.last().map(|member| member.id), page.through),
        Err(PageError::TooLarge | PageError::Malformed) => {}
        Err(PageError::Signature) => panic!("pages are signed here in another way than by the hub"),
    }
}

/// Signs a page as the hub does, whatever is packed in it.
fn signed_page(key: &SigningKey, page: SignedPage) -> SignedPage {
    let mut hasher = blake3::Hasher::new_derive_key("kopilka 2026 snapshot page");
    hasher.update(&page.programme.0.to_le_bytes());
    hasher.update(&[u8::from(page.through.is_some()), u8::from(page.last)]);
    hasher.update(&page.through.map_or(0, |member| member.0).to_le_bytes());
    hasher.update(&page.packed);
    let signature = sign(key, Domain::Snapshot, hasher.finalize().as_bytes());
    SignedPage { signature, ..page }
}
