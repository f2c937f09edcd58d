//! Members, occasions, receipts and sales as the engine takes them, from what an example says.

use kopilka_crdt::allowance::Rung;
use kopilka_crdt::calendar::Date;
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{
    AccountId, CashierId, Incarnation, LotId, MemberId, NodeId, OperationId, PartnerId, TillId,
};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{
    AccountTakes, Authority, Purchase, Purpose, ReceiptKey, ReturnedLine, Reversal, Spending,
};
use kopilka_rules::Programme;
use kopilka_rules::pricing::{Quote, ReceiptLine, Wish, Wishes};
use kopilka_rules::promotion::{DaySum, Occasion, Shopper, Why};
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
        left_out: setting
            .no_right
            .iter()
            .map(|promotion| (*promotion, Why::Limit))
            .collect(),
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

fn wish(wanted: &Wanted) -> Wish {
    match wanted {
        Wanted::Nothing => Wish::Nothing,
        Wanted::Most => Wish::Most,
        Wanted::Exactly(amount) => Wish::Exactly(*amount),
    }
}

pub fn wishes(case: &Case) -> Wishes {
    let further = case.further.iter();
    Wishes {
        points: wish(&case.wish),
        further: further
            .map(|(account, wanted)| (*account, wish(wanted)))
            .collect(),
    }
}

fn operation(sequence: u64) -> OperationId {
    OperationId {
        node: NodeId(1),
        incarnation: Incarnation(1),
        sequence,
    }
}

fn lot(index: u8) -> LotId {
    LotId {
        operation: operation(1),
        index,
    }
}

fn takes(account: AccountId, amount: Minor) -> AccountTakes {
    let lot = lot(0);
    AccountTakes {
        account,
        takes: vec![Take { lot, amount }],
    }
}

/// What a store takes from accounts beside the one that usually pays; rights are no matter here.
fn spent(quote: &Quote) -> Vec<Spending> {
    let paying = quote.payments.iter().map(|payment| {
        let shares = payment.shares.clone();
        (Purpose::Payment { shares }, payment.account, payment.amount)
    });
    let promotion = |promotion| Purpose::Promotion {
        promotion,
        comes_back: true,
    };
    let rewards = quote.spent.iter();
    let rewards = rewards.map(|one| (promotion(one.promotion), one.account, one.amount));
    let coupons = quote.coupons.iter();
    let coupons = coupons.map(|one| (promotion(one.promotion), one.account, Minor(1)));
    paying
        .chain(rewards)
        .chain(coupons)
        .filter(|(_, _, amount)| *amount > Minor::ZERO)
        .map(|(purpose, account, amount)| Spending {
            purpose,
            taken: takes(account, amount),
            authority: Authority {
                rung: Rung::Hub,
                uses: Vec::new(),
            },
        })
        .collect()
}

/// Sells what was quoted, with points out of one lot.
pub fn sold(
    programme: &Programme,
    quote: &Quote,
    receipt: &[ReceiptLine],
    occasion: &Occasion,
) -> Purchase {
    let account = programme.rules().redemption.account;
    let mut promoted = quote
        .promoted(programme, receipt, occasion)
        .expect("small amounts");
    if let Some(promoted) = &mut promoted {
        promoted.spent = spent(quote);
    }
    Purchase {
        receipt: ReceiptKey {
            till: TillId(1),
            day: occasion.today,
            number: 1,
        },
        cashier: CashierId(1),
        member: MemberId(1),
        card: None,
        publication: programme.number(),
        lines: quote.lines.clone(),
        tenders: Vec::new(),
        redeemed: (quote.redeemed > Minor::ZERO).then(|| takes(account, quote.redeemed)),
        authority: None,
        earned: quote.earned.clone(),
        counted: quote.to_pay,
        promoted,
        partner: PartnerId(1),
    }
}

/// Takes back what was sold.
pub fn taken_back(purchase: &Purchase, returned: &Returned) -> Result<Reversal, ReversalError> {
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
    reverse(operation(2), purchase, &[], lines.as_deref(), counter)
}
