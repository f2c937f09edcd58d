//! Rows for tests.

use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId, StoreId, TillId};
use kopilka_crdt::log::{Head, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{ReceiptKey, Verdict};
use kopilka_hub::store::{Changes, Keys, LogRow, MemberRow, OperationRow, Store};

/// The programme of most tests.
pub const PROGRAMME: ProgrammeId = ProgrammeId(7);
/// A log that no test writes.
pub const NO_LOG: (NodeId, Incarnation) = (NodeId(999), Incarnation(1));

pub fn operation_id(node: u32, sequence: u64) -> OperationId {
    OperationId {
        node: NodeId(node),
        incarnation: Incarnation(1),
        sequence,
    }
}

pub fn operation(node: u32, sequence: u64, member: Option<MemberId>) -> OperationRow {
    OperationRow {
        id: operation_id(node, sequence),
        stamp: Stamp::from_ms(1_700_000_000_000 + sequence),
        member,
        store: Some(StoreId(u32::MAX)),
        kind: "purchase",
        bytes: vec![1, 2, 3, 0, 255],
        head: [9; 16],
        verdict: Verdict::Accepted,
        reason: String::new(),
        taken_in_ms: 1_700_000_000_000 + sequence / 2,
    }
}

pub fn tip(sequence: u64) -> Tip {
    Tip {
        sequence,
        head: Head([u8::try_from(sequence % 251).unwrap(); 32]),
        stamp: Stamp::from_ms(1_700_000_000_000 + sequence),
    }
}

pub fn log_row(sequence: u64) -> LogRow {
    LogRow {
        tip: tip(sequence),
        seal_signature: vec![5; 64],
        frozen: false,
    }
}

pub fn receipt(number: u64) -> ReceiptKey {
    ReceiptKey {
        till: TillId(u32::MAX),
        day: Day(20_000),
        number,
    }
}

pub fn identifier(number: u8) -> IdentifierHash {
    IdentifierHash([number; 16])
}

/// A member that is told from others by its count of purchases.
pub fn member(purchases: i32) -> Member {
    Member {
        purchases,
        ..Member::default()
    }
}

pub fn member_keys(members: &[MemberId]) -> Keys {
    Keys {
        programme: PROGRAMME.0,
        members: members.to_vec(),
        ..Keys::default()
    }
}

/// Writes a member's state without looking at it.
pub async fn put_member(store: &dyn Store, id: MemberId, purchases: i32, due_ms: Option<u64>) {
    let mut decision = |_: &_| Changes {
        members: [(id, (member(purchases), due_ms))].into(),
        ..Changes::default()
    };
    store
        .decide(&member_keys(&[id]), &mut decision)
        .await
        .unwrap();
}

pub async fn stored_member(store: &dyn Store, id: MemberId) -> Option<MemberRow> {
    let found = store.member(PROGRAMME, id, NO_LOG).await.unwrap();
    found.map(|(row, _)| row)
}
