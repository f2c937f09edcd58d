//! Members, occasions, receipts and sales as the engine takes them, from what an example says.

use kopilka_crdt::allowance::Rung;
use kopilka_crdt::calendar::Date;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{
    AccountId, CashierId, Incarnation, LotId, MemberId, NodeId, OperationId, PartnerId, TillId,
};
use kopilka_crdt::ledger::{Cause, Lot, Take, apply};
use kopilka_crdt::member::{DaySum, Member, Register, Usage};
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{
    AccountTakes, Authority, Body, Purchase, Purpose, ReceiptKey, ReturnedLine, Reversal, Spending,
};
use kopilka_rules::Programme;
use kopilka_rules::pricing::{Quote, ReceiptLine, Wish, Wishes};
use kopilka_rules::promotion::{Occasion, Shopper, Why};
use kopilka_rules::reversal::{Counter, Present, ReversalError, Sold, reverse};

use crate::example::{Buyer, Case, Line, Returned, Setting, Wanted};

/// A Tuesday.
const DAY: &str = "2026-03-10";

/// The shopper that the member's state makes, with what an example says of them beside it.
pub fn shopper(programme: &Programme, case: &Case) -> Shopper {
    let Some(buyer) = &case.shopper else {
        return Shopper::default();
    };
    let state = state(programme, buyer);
    let of_state = Shopper::of(programme, &state, today(&case.occasion)).expect("small amounts");
    let mut used = of_state.used;
    used.extend(
        buyer
            .used
            .iter()
            .map(|used| ((used.promotion, used.limit), used.amount)),
    );
    Shopper {
        member: Some(MemberId(buyer.member)),
        tier: buyer.tier.clone().unwrap_or(of_state.tier),
        card_kind: buyer.card_kind,
        joined: buyer.joined.map(|date| date.0),
        last_purchase: buyer.last_purchase.map(|date| date.0),
        used,
        ..of_state
    }
}

fn state(programme: &Programme, buyer: &Buyer) -> Member {
    let rules = programme.rules();
    let on = |tag: &String| {
        let written = (Stamp::default(), operation(1));
        let value = true;
        (tag.clone(), Register { written, value })
    };
    let mut member = Member {
        counted: buyer.counted,
        purchases: buyer.purchases,
        tags: buyer.tags.iter().map(on).collect(),
        ..Member::default()
    };
    member.shown.birthday = buyer.birthday;
    for (day, bought) in &buyer.history {
        let sum = DaySum {
            paid: bought.paid,
            earned: bought.earned,
            visits: bought.visits,
        };
        member.history.add(day.0, sum).expect("small amounts");
    }
    for once in &buyer.uses {
        let used = member.used.entry(once.promotion).or_default();
        let usage = Usage {
            receipts: once.receipts,
            off: once.off,
            points: once.points,
        };
        used.add(once.day.0, usage).expect("small amounts");
    }
    let mut balances = buyer.balances.clone();
    balances.extend(
        buyer
            .balance
            .map(|balance| (rules.redemption.account, balance)),
    );
    for (account, amount) in balances {
        put(&mut member, account, amount, Minor::ZERO, Cause::Welcome);
    }
    let (account, earned) = (rules.earning.account, buyer.earned);
    put(&mut member, account, earned, earned, Cause::Purchase);
    member
}

/// Credits a lot, of which some is spent already.
fn put(member: &mut Member, account: AccountId, amount: Minor, taken: Minor, cause: Cause) {
    let lots = &mut member.accounts.entry(account).or_default().lots;
    let sequence = u64::try_from(lots.len()).expect("few");
    let id = LotId {
        operation: operation(sequence),
        index: 0,
    };
    let lot = Lot {
        amount,
        taken,
        cause,
        ..Lot::default()
    };
    lots.insert(id, lot);
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
pub fn taken_back(
    programme: &Programme,
    purchase: &Purchase,
    returned: &Returned,
) -> Result<Reversal, ReversalError> {
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
    let today = purchase.receipt.day;
    let stamp = Stamp::from_ms(u64::from(today.0) * 86_400_000);
    let sold = Sold {
        operation: operation(2),
        stamp,
        purchase,
        returned: &[],
    };
    let present = Present {
        member: &bought(programme, purchase, stamp, returned.spent_since),
        rules: &programme.rules().returns,
        today: today.plus(returned.after_days),
    };
    reverse(&sold, lines.as_deref(), counter, &present)
}

/// Who bought: with all that was taken credited on the same day, and so much of what was earned spent since.
fn bought(programme: &Programme, purchase: &Purchase, stamp: Stamp, spent_since: Minor) -> Member {
    let mut member = Member::default();
    let promoted = purchase.promoted.iter();
    let spent = promoted.flat_map(|promoted| &promoted.spent);
    let taken = purchase.redeemed.iter();
    for taken in taken.chain(spent.map(|spending| &spending.taken)) {
        let amount = Minor::sum(taken.takes.iter().map(|take| take.amount)).expect("small");
        let credit = programme.credit(taken.account, amount, purchase.receipt.day);
        let lots = &mut member.accounts.entry(taken.account).or_default().lots;
        let credited = lots.entry(lot(0)).or_default();
        credited.amount = credited.amount.plus(amount).expect("small");
        credited.active_from = credit.active_from;
        credited.expires_on = credit.expires_on;
    }
    let body = Body::Purchase(purchase.clone());
    apply(&mut member, operation(2), stamp, &body).expect("small");
    if let Some(credit) = purchase.earned.first() {
        let earned = LotId {
            operation: operation(2),
            index: 0,
        };
        let lots = &mut member.accounts.entry(credit.account).or_default().lots;
        lots.entry(earned).or_default().taken = spent_since;
    }
    member
}
