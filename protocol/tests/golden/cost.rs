//! What an ordinary sale costs on the wire.

use kopilka_crdt::allowance::{AllowanceRef, AllowanceUse, Rung};
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::ids::{
    AccountId, CashierId, Incarnation, LotId, MemberId, NodeId, OperationId, PartnerId, TillId,
};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{
    AccountTakes, Authority, Body, Credit, Purchase, PurchaseLine, ReceiptKey, Tender, TenderKind,
};
use kopilka_protocol::codec;
use kopilka_protocol::message::NodeMessage;
use kopilka_protocol::segment::{Seal, Segment};

use crate::values::node_key;

/// Most that the entry of a four-line sale may take, in bytes: one without points spent, and the average of a day.
const ENTRY_BYTES_MAX: usize = 120;
/// Most that the entry of a sale with points spent from one lot may take, in bytes.
const REDEEMING_BYTES_MAX: usize = 144;
/// One sale in so many is paid with points.
const REDEEMING_IN: usize = 25;
/// Most that one of 32 sales sent together may take, its share of the segment included, in bytes.
const SENT_BYTES_MAX: usize = 128;
const SALES: usize = 32;
const NODE: NodeId = NodeId(4_017);
const INCARNATION: Incarnation = Incarnation(1);
const DAY: Day = Day(20_717);

/// Four lines with quantities to 12 and prices to 20.00, two tenders, 4 % earned, perhaps points spent from one lot.
fn sale(number: u64, redeems: bool) -> Body {
    let spent = if redeems { 500 } else { 0 };
    let line = |(sku, quantity, price): (&str, u64, i64)| PurchaseLine {
        sku: sku.to_owned(),
        group: String::new(),
        quantity: Milli(quantity * 1_000),
        unit_price: Minor(price),
        discount: Minor::ZERO,
        redeemed: Minor(spent / 4),
        earned: Minor(i64::try_from(quantity).expect("a small number") * price / 25),
    };
    let lines = [
        ("85123A", 6, 255),
        ("71053B", 1, 2_000),
        ("84406G", 12, 339),
        ("22752C", 2, 765),
    ];
    let lot = LotId {
        operation: OperationId {
            node: NodeId(311),
            incarnation: Incarnation(1),
            sequence: 90_210,
        },
        index: 0,
    };
    let uses = vec![AllowanceUse {
        allowance: AllowanceRef::Granted(3),
        amount: Minor(spent),
    }];
    let tender = |kind, amount| Tender {
        kind,
        amount: Minor(amount),
    };
    Body::Purchase(Purchase {
        receipt: ReceiptKey {
            till: TillId(8_035),
            day: DAY,
            number,
        },
        cashier: CashierId(502),
        member: MemberId(0x7123_4567_89ab_cdef),
        card: Some(CardTag(0xf102_0304)),
        publication: 217,
        lines: lines.map(line).to_vec(),
        tenders: vec![
            tender(TenderKind::Cash, 5_000),
            tender(TenderKind::BankCard, 4_128 - spent),
        ],
        redeemed: redeems.then(|| AccountTakes {
            account: AccountId(1),
            takes: vec![Take {
                lot,
                amount: Minor(spent),
            }],
        }),
        authority: redeems.then_some(Authority {
            rung: Rung::Allowance,
            uses,
        }),
        earned: vec![Credit {
            account: AccountId(1),
            amount: Minor(364),
            active_from: DAY,
            expires_on: Some(DAY.plus(365)),
        }],
        counted: Minor(9_128 - spent),
        partner: PartnerId(37),
        promoted: None,
    })
}

/// A segment of sales half a minute apart.
fn segment() -> Segment {
    let key = node_key();
    let genesis = Tip::genesis(NODE, INCARNATION);
    let now_ms = 1_790_000_000_000;
    let base = Tip {
        sequence: 400_000,
        stamp: Stamp::from_ms(now_ms + 999 * 30_000),
        ..genesis
    };
    let mut log = Log::resume(NODE, INCARNATION, base, Stamp::default());
    let append = |(number, place): (u64, usize)| {
        let sale = sale(number, place.is_multiple_of(REDEEMING_IN));
        let entry = log.append(now_ms + number * 30_000, &sale);
        entry.expect("a sale fits an entry").bytes
    };
    let entries = (1_000..).zip(0..SALES).map(append).collect();
    let signature = Seal::sign(&key, NODE, INCARNATION, log.tip()).signature;
    Segment {
        node: NODE,
        incarnation: INCARNATION,
        base,
        entries,
        signature,
    }
}

#[test]
fn a_sale_is_small() {
    let segment = segment();
    let (plain, redeeming) = (segment.entries[1].len(), segment.entries[0].len());
    let entries: usize = segment.entries.iter().map(Vec::len).sum();
    let count = segment.entries.len();
    let frame = codec::encode(&NodeMessage::Segment {
        segment,
        keys: Vec::new(),
    })
    .unwrap();
    let sent = frame.len().div_ceil(count);
    let average = (redeeming + (REDEEMING_IN - 1) * plain).div_ceil(REDEEMING_IN);
    let figures = format!(
        "plain sale {plain} B, with points spent {redeeming} B, {average} B on average; {count} sales are {entries} B of \
         entries in a frame of {} B: {sent} B each",
        frame.len()
    );
    println!("{figures}");
    assert!(plain <= ENTRY_BYTES_MAX, "{figures}");
    assert!(redeeming <= REDEEMING_BYTES_MAX, "{figures}");
    assert!(sent <= SENT_BYTES_MAX, "{figures}");
}
