//! Values that several samples share.

use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::directory::{Cashier, StoreDirectory, Till};
use kopilka_crdt::identifier::{IdentifierHash, LookupKey};
use kopilka_crdt::ids::{
    CashierId, Incarnation, MemberId, NodeId, OperationId, PartnerId, ProgrammeId, StoreId, TillId,
};
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Body, ClockMark};
use kopilka_protocol::message::{AppliedLog, FeedBatch, FeedMember, Scope, Seen};
use kopilka_protocol::segment::{Seal, Segment};

pub const NODE: NodeId = NodeId(7);
pub const INCARNATION: Incarnation = Incarnation(2);
pub const NOW_MS: u64 = 1_790_000_000_000;

pub fn hub_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub fn node_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub fn hash(byte: u8) -> IdentifierHash {
    IdentifierHash([byte; 16])
}

pub fn operation(sequence: u64) -> OperationId {
    OperationId {
        node: NODE,
        incarnation: INCARNATION,
        sequence,
    }
}

pub fn segment(marks: &[u64]) -> Segment {
    let base = Tip::genesis(NODE, INCARNATION);
    let mut log = Log::resume(NODE, INCARNATION, base, Stamp::default());
    let mut append = |behind_ms: &u64| {
        let mark = Body::ClockMark(ClockMark {
            trusted: true,
            behind_ms: *behind_ms,
        });
        log.append(NOW_MS, &mark)
            .expect("a mark fits an entry")
            .bytes
    };
    let entries = marks.iter().map(&mut append).collect();
    let signature = Seal::sign(&node_key(), NODE, INCARNATION, log.tip()).signature;
    Segment {
        node: NODE,
        incarnation: INCARNATION,
        base,
        entries,
        signature,
    }
}

pub fn seen() -> Seen {
    Seen {
        feed: vec![5, 1_000_000],
        block: 12,
        publication: 17,
        directory: 3,
    }
}

pub fn feed_member(id: u64, scope: Scope) -> FeedMember {
    FeedMember {
        id: MemberId(id),
        scope,
        identifiers: vec![hash(1), hash(2)],
        record: Member::default().encode(),
    }
}

/// Three members, one for each scope.
pub fn feed_batch() -> FeedBatch {
    FeedBatch {
        partition: 1,
        after: 10,
        upto: 1_000_000,
        applied: AppliedLog {
            incarnation: INCARNATION,
            sequence: 300,
        },
        caught_up: true,
        members: vec![
            feed_member(76, Scope::Programme),
            feed_member(77, Scope::Region(4)),
            feed_member(78, Scope::Store(StoreId(31))),
        ],
    }
}

pub fn directory() -> StoreDirectory {
    let till = Till {
        id: TillId(41),
        name: "Касса 1".to_owned(),
        token_hash: [8; 32],
        enabled: true,
    };
    let cashier = Cashier {
        id: CashierId(502),
        name: "Ольга".to_owned(),
        enabled: false,
    };
    StoreDirectory {
        version: 3,
        programme: ProgrammeId(1),
        lookup_key: LookupKey([9; 32]),
        store: StoreId(31),
        store_name: "Тверская, 8".to_owned(),
        partner: PartnerId(3),
        time_zone: "Europe/Moscow".to_owned(),
        groups: vec!["city".to_owned()],
        tills: vec![till],
        cashiers: vec![cashier],
    }
}
