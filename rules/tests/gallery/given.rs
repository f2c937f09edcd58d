//! Members, occasions, receipts and sales as the engine takes them, from what an example says.

use kopilka_crdt::calendar::Date;
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{
    CashierId, Incarnation, LotId, MemberId, NodeId, OperationId, PartnerId, TillId,
};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{AccountTakes, Purchase, ReceiptKey, ReturnedLine, Reversal};
use kopilka_rules::Programme;
use kopilka_rules::pricing::{Quote, ReceiptLine, Wish};
use kopilka_rules::promotion::{DaySum, Occasion, Shopper};
use kopilka_rules::reversal::{Counter, ReversalError, reverse};

use crate::example::{Buyer, Case, Line, Returned, Setting, Wanted};

/// A Tuesday.
const DAY: &str = "2026-03-10";

pub fn shopper(programme: &Programme, case: &Case) -> Shopper {
    let Some(buyer) = &case.shopper else {
        return Shopper::default();
    };
    let Buyer {
        member,
        counted,
        tier,
        card_kind,
        tags,
        birthday,
        joined,
        purchases,
        last_purchase,
        history,
        balance,
        balances,
        used,
    } = buyer;
    let reached = || programme.tier(*counted).code.clone();
    let mut balances = balances.clone();
    if let Some(balance) = balance {
        balances.insert(programme.rules().redemption.account, *balance);
    }
    let on_day = |(date, sum): (&Date, &crate::example::BoughtOn)| {
        let sum = DaySum {
            paid: sum.paid,
            visits: sum.visits,
        };
        (date.0, sum)
    };
    Shopper {
        member: Some(MemberId(*member)),
        tier: tier.clone().unwrap_or_else(reached),
        card_kind: *card_kind,
        tags: tags.clone(),
        birthday: *birthday,
        joined: joined.map(|date| date.0),
        purchases: *purchases,
        last_purchase: last_purchase.map(|date| date.0),
        history: history.iter().map(on_day).collect(),
        balances,
        used: used
            .iter()
            .map(|used| ((used.promotion, used.limit), used.amount))
            .collect(),
    }
}

pub fn today(setting: &Setting) -> Day {
    let day: Date = setting
        .day
        .unwrap_or_else(|| DAY.parse().expect("a sound date"));
    day.0
}

pub fn occasion(setting: &Setting) -> Occasion {
    let at = Occasion::at(today(setting));
    Occasion {
        minute: setting.time.map_or(at.minute, |time| time.0),
        store: setting.store.unwrap_or(at.store),
        store_groups: setting.store_groups.clone(),
        partner: setting.partner.unwrap_or(at.partner),
        channel: setting.channel,
        tenders: setting.tenders.clone(),
        codes: setting.codes.clone(),
        coupons: setting.coupons.clone(),
        rewards: setting.rewards.clone(),
        online: !setting.offline,
        ..at
    }
}

fn quantity(text: &str) -> Milli {
    Milli::parse(text).expect("quantities are decimals")
}

pub fn receipt(lines: &[Line]) -> Vec<ReceiptLine> {
    let line = |line: &Line| ReceiptLine {
        sku: line.sku.clone(),
        group: line.group.clone(),
        quantity: quantity(&line.quantity),
        unit_price: line.unit_price,
        discount: line.discount,
        price_min: line.price_min,
        attributes: line.attributes.clone(),
    };
    lines.iter().map(line).collect()
}

pub fn wish(wanted: &Wanted) -> Wish {
    match wanted {
        Wanted::Nothing => Wish::Nothing,
        Wanted::Most => Wish::Most,
        Wanted::Exactly(amount) => Wish::Exactly(*amount),
    }
}

fn operation(sequence: u64) -> OperationId {
    OperationId {
        node: NodeId(1),
        incarnation: Incarnation(1),
        sequence,
    }
}

/// Sells what was quoted, with points out of one lot, and takes it back.
pub fn taken_back(
    programme: &Programme,
    quote: &Quote,
    today: Day,
    returned: &Returned,
) -> Result<Reversal, ReversalError> {
    let lot = LotId {
        operation: operation(1),
        index: 0,
    };
    let takes = AccountTakes {
        account: programme.rules().redemption.account,
        takes: vec![Take {
            lot,
            amount: quote.redeemed,
        }],
    };
    let purchase = Purchase {
        receipt: ReceiptKey {
            till: TillId(1),
            day: today,
            number: 1,
        },
        cashier: CashierId(1),
        member: MemberId(1),
        card: None,
        publication: programme.number(),
        lines: quote.lines.clone(),
        tenders: Vec::new(),
        redeemed: (quote.redeemed > Minor::ZERO).then_some(takes),
        authority: None,
        earned: quote.earned.clone(),
        counted: quote.to_pay,
        promoted: None,
        partner: PartnerId(1),
    };
    let lines = returned.lines.as_ref().map(|lines| {
        let part = |part: &crate::example::ReturnedPart| ReturnedLine {
            line: part.line,
            quantity: quantity(&part.quantity),
        };
        lines.iter().map(part).collect::<Vec<_>>()
    });
    let counter = Counter {
        till: TillId(1),
        cashier: CashierId(1),
    };
    reverse(operation(2), &purchase, &[], lines.as_deref(), counter)
}
