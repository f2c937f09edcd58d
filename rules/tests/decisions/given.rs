//! What tests start from: the starter programme, members with lots, receipts, and sales as a node writes them down.

use std::collections::BTreeMap;

use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{
    AccountId, CashierId, Incarnation, LotId, MemberId, NodeId, OperationId, PartnerId,
    ProgrammeId, TillId,
};
use kopilka_crdt::ledger::Lot;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{Purchase, ReceiptKey};
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::{Publication, RuleBook};
use kopilka_rules::pricing::{Quote, ReceiptLine};
use kopilka_rules::redemption::Authorised;
use kopilka_rules::{Moment, Programme};

/// The account that the starter programme earns to and pays from.
pub const POINTS: AccountId = AccountId(1);
/// The day on which tests start.
pub const TODAY: Day = Day(20_000);
/// Milliseconds in an hour.
pub const HOUR_MS: u64 = 3_600_000;

/// The starter programme with changes.
pub fn programme_with(change: impl FnOnce(&mut RuleBook)) -> Programme {
    let mut rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
    change(&mut rules);
    let publication = Publication::new(ProgrammeId(1), 1, 0, &rules);
    Programme::compile(&publication).expect("the test's rule book is sound")
}

/// The starter programme.
pub fn programme() -> Programme {
    programme_with(|_| ())
}

/// So many hours after the start of [`TODAY`], in UTC.
pub fn hours(hours: u64) -> Moment {
    Moment {
        now_ms: u64::from(TODAY.0) * 24 * HOUR_MS + hours * HOUR_MS,
        offset_seconds: 0,
    }
}

/// An operation of a node's first incarnation.
pub fn operation(node: u32, sequence: u64) -> OperationId {
    OperationId {
        node: NodeId(node),
        incarnation: Incarnation(1),
        sequence,
    }
}

/// The lot that [`member`] credits in its `place`-th place, counted from 1.
pub fn lot(place: u64) -> LotId {
    LotId {
        operation: operation(NodeId::HUB.0, place),
        index: 0,
    }
}

/// A member with lots of the hub: (amount, first day, last day), days counted from [`TODAY`].
pub fn member(lots: &[(i64, u32, Option<u32>)]) -> Member {
    let lots = (1..).zip(lots).map(|(place, &(amount, from, last))| {
        let credited = Lot {
            amount: Minor(amount),
            active_from: TODAY.plus(from),
            expires_on: last.map(|last| TODAY.plus(last)),
            ..Lot::default()
        };
        (lot(place), credited)
    });
    let mut member = Member::default();
    member.accounts.entry(POINTS).or_default().lots = lots.collect();
    member
}

/// A line of a receipt without a discount.
pub fn line(group: &str, quantity: &str, unit_price: i64) -> ReceiptLine {
    ReceiptLine {
        sku: "4601234567893".to_owned(),
        group: group.to_owned(),
        quantity: Milli::parse(quantity).expect("the test's quantity is a decimal"),
        unit_price: Minor(unit_price),
        discount: Minor::ZERO,
        price_min: None,
        attributes: std::collections::BTreeMap::new(),
    }
}

/// A priced receipt as a node writes it down.
pub fn sale(quote: &Quote, number: u64, authorised: Option<Authorised>) -> Purchase {
    let (redeemed, authority) = authorised
        .map(|authorised| (authorised.takes, authorised.authority))
        .unzip();
    Purchase {
        receipt: ReceiptKey {
            till: TillId(1),
            day: TODAY,
            number,
        },
        cashier: CashierId(1),
        member: MemberId(1),
        card: None,
        publication: 1,
        lines: quote.lines.clone(),
        tenders: Vec::new(),
        redeemed,
        authority,
        earned: quote.earned.clone(),
        counted: quote.to_pay,
        partner: PartnerId(1),
        promoted: None,
    }
}

/// The first stamp of a moment.
pub fn stamp(moment: Moment) -> Stamp {
    Stamp::from_ms(moment.now_ms)
}

/// Nothing held.
pub fn no_rights() -> BTreeMap<kopilka_crdt::allowance::AllowanceRef, Minor> {
    BTreeMap::new()
}
