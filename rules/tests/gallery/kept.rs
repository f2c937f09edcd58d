//! What a purchase keeps of its quote, said a second time: all that was handed out, and whose points are whose.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::ids::{AccountId, MemberId};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::Promoted;
use kopilka_crdt::rulebook::model::condition::Condition;
use kopilka_crdt::rulebook::model::promotion::{LimitScope, OfflinePolicy};
use kopilka_rules::pricing::Quote;
use kopilka_rules::promotion::{Issued, Outcome};

use crate::laws::Priced;

/// What is kept otherwise than the quote has it, in words.
pub fn broken(of: Priced<'_>) -> Vec<String> {
    let kept = of.quote.promoted(of.programme, of.receipt, of.occasion);
    let kept = kept.expect("small amounts");
    let mut found = Vec::new();
    found.extend(only_when_needed(of, kept.as_ref()));
    let kept = kept.unwrap_or_default();
    found.extend(not_positive(of.quote));
    found.extend(applied(of, &kept));
    found.extend(handed_out(of, &kept));
    found.extend(earned(of.quote, &kept));
    found.extend(rung_up(of, &kept));
    found.extend(counted(of));
    found
}

fn unless(holds: bool, what: &str) -> Option<String> {
    (!holds).then(|| format!("a purchase does not keep {what}"))
}

/// An ordinary sale keeps nothing: it has to stay small.
fn only_when_needed(of: Priced<'_>, kept: Option<&Promoted>) -> Option<String> {
    let chosen_goods = of.programme.rules().redemption.goods.is_some();
    let needed = [
        !of.quote.promotions().is_empty(),
        of.receipt.iter().any(|line| line.price_min.is_some()),
        of.quote.payments.iter().any(|one| one.amount > Minor::ZERO),
        chosen_goods && of.quote.redeemed > Minor::ZERO,
    ];
    unless(
        kept.is_some() == needed.contains(&true),
        "what it needs and no more",
    )
}

fn not_positive(quote: &Quote) -> Option<String> {
    let mut amounts = quote.earned.iter().map(|credit| credit.amount);
    unless(
        amounts.all(|amount| amount > Minor::ZERO),
        "lots with something in them only",
    )
}

fn applied(of: Priced<'_>, kept: &Promoted) -> Option<String> {
    let explained = of.quote.explained.iter();
    let gave: BTreeSet<_> = explained
        .filter(|one| matches!(one.outcome, Outcome::Gave { .. }))
        .map(|one| one.promotion)
        .collect();
    let named: BTreeSet<_> = kept.promotions().into_iter().collect();
    let listed: BTreeSet<_> = of.quote.promotions().into_iter().collect();
    unless(gave == named && gave == listed, "the promotions that gave")
}

fn handed_out(of: Priced<'_>, kept: &Promoted) -> Vec<String> {
    let (mut gifts, mut badges) = (BTreeMap::<_, u32>::new(), BTreeSet::new());
    let mut units = BTreeMap::<AccountId, i64>::new();
    for (_, issued) in &of.quote.issued {
        match issued {
            Issued::Gift { code, count } => *gifts.entry(code.clone()).or_default() += count,
            Issued::Badge { code } => {
                badges.insert(code.clone());
            }
            Issued::Coupon { series } => {
                let series = of.programme.rules().coupons.get(series);
                if let Some(series) = series {
                    *units.entry(series.account).or_default() += 1;
                }
            }
            Issued::Goods { .. } | Issued::Message { .. } => {}
        }
    }
    let issued = kept.issued.iter();
    let issued: BTreeMap<_, _> = issued.map(|one| (one.account, one.amount.0)).collect();
    [
        unless(kept.gifts == gifts, "its gifts"),
        unless(kept.badges == badges, "its badges"),
        unless(issued == units, "its coupons"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// With several accounts each has its shares, and they are what it is credited.
fn earned(quote: &Quote, kept: &Promoted) -> Option<String> {
    let credits = quote.earned.iter();
    let credited: BTreeMap<_, _> = credits.map(|one| (one.account, one.amount)).collect();
    let shares = kept.earned_shares.iter();
    let sums: BTreeMap<_, _> = shares
        .map(|(account, shares)| {
            let sum = Minor::sum(shares.iter().copied());
            (*account, sum.expect("small amounts"))
        })
        .collect();
    if credited.len() < 2 {
        return unless(sums.is_empty(), "shares only where they are needed");
    }
    unless(sums == credited, "each account's own shares")
}

/// What the till alone knew: its discounts, floors and attributes, and the codes that were asked for.
fn rung_up(of: Priced<'_>, kept: &Promoted) -> Vec<String> {
    if of.quote.promotions().is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, line) in (0_u16..).zip(of.receipt) {
        let discount = (line.discount > Minor::ZERO).then_some(line.discount);
        let attributes = Some(&line.attributes).filter(|attributes| !attributes.is_empty());
        let same = kept.till_discounts.get(&index).copied() == discount
            && kept.price_floors.get(&index).copied() == line.price_min
            && kept.attributes.get(&index) == attributes;
        found.extend(unless(same, "what the till knew of a line"));
    }
    let entered = &of.occasion.codes;
    let only_entered = kept.codes.iter().all(|code| entered.contains(code));
    let asked = of.quote.promotions().into_iter().flat_map(|number| {
        let rules = &of.programme.rules().promotions[&number];
        let Some(Condition::PromoCodes { of }) = &rules.when else {
            return Vec::new();
        };
        of.iter().map(|code| code.to_uppercase()).collect()
    });
    let asked: Vec<_> = asked.collect();
    let all = entered
        .iter()
        .filter(|code| asked.contains(&code.to_uppercase()))
        .all(|code| kept.codes.contains(code));
    found.extend(unless(only_entered && all, "the codes that were asked for"));
    found
}

/// A store's limit is counted on its record; the programme's where stores need no right to it.
fn counted(of: Priced<'_>) -> Option<String> {
    let store = of.occasion.store;
    let mut expected = BTreeSet::new();
    for number in of.quote.promotions() {
        let rules = &of.programme.rules().promotions[&number];
        let free = match rules.offline {
            OfflinePolicy::Free | OfflinePolicy::AnyCardholder => true,
            OfflinePolicy::Allowance | OfflinePolicy::Online => false,
        };
        for limit in &rules.limits {
            match limit.scope {
                LimitScope::Store => {
                    expected.insert(MemberId::of_limit(number, Some(store)));
                }
                LimitScope::Programme if free => {
                    expected.insert(MemberId::of_limit(number, None));
                }
                LimitScope::Programme | LimitScope::Receipt | LimitScope::Member => {}
            }
        }
    }
    let counts = of.quote.counts(of.programme, store);
    let found: BTreeSet<_> = counts.iter().map(|(record, _)| *record).collect();
    let worth = of.quote.draws(of.programme);
    let worth = worth.iter().all(|draw| draw.amount > Minor::ZERO);
    unless(found == expected && worth, "what its records count")
}
