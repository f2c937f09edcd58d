//! Promotions of one publication in their order, and which of them a receipt has to ask.
//!
//! A promotion that needs something that few receipts have (a code, an article, a segment, a store) is found by that.
//! So the cost of a receipt follows what may match it, and not what exists.

use std::collections::BTreeMap;

use kopilka_crdt::calendar::Date;
use kopilka_crdt::ids::{PromotionId, StoreId};
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::Filter;
use kopilka_crdt::rulebook::model::condition::Condition;
use kopilka_crdt::rulebook::model::promotion::{Choice, Effect, OfflinePolicy, Promotion, Target};

use super::cart::Cart;
use super::facts::{Occasion, Shopper};
use super::records::{LimitRecord, Recorded};

/// Something that a promotion needs; by how few receipts have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Code(String),
    Coupon(String),
    Reward(PromotionId),
    Sku(String),
    Tag(String),
    Store(StoreId),
    Attribute(String, String),
    Group(String),
    StoreGroup(String),
    Tier(String),
}

/// The enabled promotions of a publication, in the order in which they act.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Promotions {
    order: Vec<PromotionId>,
    /// Places in the order.
    by_key: BTreeMap<Key, Vec<u32>>,
    /// Those without a key, with the days on which they may run.
    others: Vec<(u32, Option<Date>, Option<Date>)>,
    /// How many days some of them look back on what the member bought.
    look_back: Option<u16>,
    /// Limits that are no member's.
    recorded: Vec<Recorded>,
}

impl Promotions {
    /// Orders and indexes a rule book's promotions.
    pub(crate) fn new(rules: &RuleBook) -> Self {
        let mut enabled: Vec<_> = rules
            .promotions
            .iter()
            .filter(|(_, promotion)| promotion.enabled)
            .collect();
        enabled.sort_by_key(|(id, promotion)| (promotion.stage, promotion.priority, **id));
        together(rules, &mut enabled);
        let asked = enabled.iter().filter_map(|(_, one)| one.when.as_ref());
        let mut found = Self {
            look_back: asked.filter_map(looks_back).max(),
            recorded: Recorded::all(rules),
            ..Self::default()
        };
        for (place, (id, promotion)) in (0_u32..).zip(enabled) {
            found.order.push(*id);
            let keys = best_keys(*id, promotion);
            if keys.is_empty() {
                let (from, to) = days(promotion.when.as_ref());
                found.others.push((place, from, to));
            }
            for key in keys {
                found.by_key.entry(key).or_default().push(place);
            }
        }
        found
    }

    /// How many days some of them look back on what the member bought; none: none does.
    pub(crate) fn look_back(&self) -> Option<u16> {
        self.look_back
    }

    /// Limits that are no member's, with the records that count them in a store.
    pub(crate) fn records(&self, store: StoreId) -> impl Iterator<Item = LimitRecord> + '_ {
        self.recorded.iter().map(move |one| one.in_store(store))
    }

    /// Those of the given ones that run, in order.
    pub(crate) fn in_order(&self, given: &[PromotionId]) -> Vec<PromotionId> {
        self.order
            .iter()
            .copied()
            .filter(|id| given.contains(id))
            .collect()
    }

    /// Those that may apply, in order.
    pub(crate) fn candidates(
        &self,
        cart: &Cart<'_>,
        shopper: &Shopper,
        occasion: &Occasion,
    ) -> Vec<PromotionId> {
        let mut places: Vec<u32> = Vec::new();
        let today = occasion.today;
        for (place, from, to) in &self.others {
            if from.is_none_or(|from| from.0 <= today) && to.is_none_or(|to| to.0 >= today) {
                places.push(*place);
            }
        }
        let mut ask = |key: Key| {
            if let Some(found) = self.by_key.get(&key) {
                places.extend(found);
            }
        };
        for line in &cart.lines {
            ask(Key::Sku(line.item.sku.clone()));
            for group in &line.lineage {
                ask(Key::Group((*group).to_owned()));
            }
            for (name, value) in &line.item.attributes {
                ask(Key::Attribute(name.clone(), value.clone()));
            }
        }
        occasion
            .codes
            .iter()
            .for_each(|code| ask(Key::Code(code.to_uppercase())));
        occasion
            .coupons
            .iter()
            .for_each(|series| ask(Key::Coupon(series.clone())));
        occasion
            .rewards
            .keys()
            .for_each(|reward| ask(Key::Reward(*reward)));
        occasion
            .store_groups
            .iter()
            .for_each(|group| ask(Key::StoreGroup(group.clone())));
        shopper
            .tags
            .iter()
            .for_each(|tag| ask(Key::Tag(tag.clone())));
        ask(Key::Store(occasion.store));
        ask(Key::Tier(shopper.tier.clone()));
        places.sort_unstable();
        places.dedup();
        let found = places
            .into_iter()
            .filter_map(|place| usize::try_from(place).ok());
        found
            .filter_map(|place| self.order.get(place).copied())
            .collect()
    }
}

/// Moves the promotions of a group that chooses the best to the place of the first of them in their stage: the group has
/// one turn, the same whichever of them a receipt asks.
fn together(rules: &RuleBook, order: &mut [(&PromotionId, &Promotion)]) {
    let mut turns = BTreeMap::new();
    for (place, (_, promotion)) in order.iter().enumerate() {
        if let Some(group) = best_group(rules, promotion) {
            turns.entry((promotion.stage, group)).or_insert(place);
        }
    }
    let mut places: BTreeMap<PromotionId, usize> = BTreeMap::new();
    for (place, (id, promotion)) in order.iter().enumerate() {
        let turn = best_group(rules, promotion)
            .and_then(|group| turns.get(&(promotion.stage, group)).copied());
        places.insert(**id, turn.unwrap_or(place));
    }
    order.sort_by_key(|(id, _)| places.get(id).copied());
}

fn best_group<'a>(rules: &RuleBook, promotion: &'a Promotion) -> Option<&'a str> {
    let group = promotion.group.as_deref()?;
    (rules.choices.get(group) == Some(&Choice::Best)).then_some(group)
}

/// The rarest thing that a promotion needs: one of these keys. Empty when nothing is known.
fn best_keys(id: PromotionId, promotion: &Promotion) -> Vec<Key> {
    if promotion.price.is_some() {
        return vec![Key::Reward(id)];
    }
    let mut best: Option<Vec<Key>> = None;
    let mut offer = |keys: Vec<Key>| {
        if !keys.is_empty() && best.as_ref().is_none_or(|best| keys < *best) {
            best = Some(keys);
        }
    };
    // Whoever gets it without the hub needs no tag and no tier.
    let asked = promotion.offline != OfflinePolicy::AnyCardholder;
    let mut wanted: Vec<_> = promotion.when.iter().collect();
    while let Some(condition) = wanted.pop() {
        if let Condition::All { of } = condition {
            wanted.extend(of);
        } else if asked || !matches!(condition, Condition::Tags { .. } | Condition::Tiers { .. }) {
            offer(keys_of(condition));
        }
    }
    if let [effect] = promotion.effects.as_slice()
        && let Some(goods) = goods_of(effect)
    {
        offer(keys_of_goods(goods));
    }
    best.unwrap_or_default()
}

/// The goods without which an effect gives nothing.
fn goods_of(effect: &Effect) -> Option<&Filter> {
    match effect {
        Effect::Discount {
            target: Target::Lines { goods } | Target::Units { goods, .. },
            ..
        } => Some(goods),
        Effect::BuyGet { buy, .. } => Some(buy),
        Effect::Set { parts, .. } => parts.first().map(|part| &part.goods),
        Effect::Points { goods, .. } => goods.as_ref(),
        Effect::Discount {
            target: Target::Receipt,
            ..
        }
        | Effect::GiftGoods { .. }
        | Effect::Gift { .. }
        | Effect::IssueCoupon { .. }
        | Effect::Message { .. }
        | Effect::Badge { .. } => None,
    }
}

fn keys_of_goods(goods: &Filter) -> Vec<Key> {
    if !goods.skus.is_empty() {
        return goods.skus.iter().cloned().map(Key::Sku).collect();
    }
    if let Some((name, values)) = goods.attributes.first_key_value() {
        return values
            .iter()
            .map(|value| Key::Attribute(name.clone(), value.clone()))
            .collect();
    }
    goods.groups.iter().cloned().map(Key::Group).collect()
}

fn keys_of(condition: &Condition) -> Vec<Key> {
    match condition {
        Condition::PromoCodes { of } => of
            .iter()
            .map(|code| Key::Code(code.to_uppercase()))
            .collect(),
        Condition::Coupons { of } => of.iter().cloned().map(Key::Coupon).collect(),
        Condition::Stores { of } => of.iter().copied().map(Key::Store).collect(),
        Condition::StoreGroups { of } => of.iter().cloned().map(Key::StoreGroup).collect(),
        Condition::Tags { of } => of.iter().cloned().map(Key::Tag).collect(),
        Condition::Tiers { of } => of.iter().cloned().map(Key::Tier).collect(),
        Condition::Goods { goods, .. } => keys_of_goods(goods),
        Condition::Total {
            goods: Some(goods),
            min: Some(min),
            ..
        } if min.0 > 0 => keys_of_goods(goods),
        Condition::All { .. }
        | Condition::Any { .. }
        | Condition::Not { .. }
        | Condition::Dates { .. }
        | Condition::Yearly { .. }
        | Condition::Weekdays { .. }
        | Condition::Hours { .. }
        | Condition::Partners { .. }
        | Condition::Channels { .. }
        | Condition::CardKinds { .. }
        | Condition::Birthday { .. }
        | Condition::MemberFor { .. }
        | Condition::LastPurchase { .. }
        | Condition::PurchaseNumber { .. }
        | Condition::Spent { .. }
        | Condition::Visits { .. }
        | Condition::Total { .. }
        | Condition::Tenders { .. } => Vec::new(),
    }
}

/// How many days a condition looks back on what the member bought.
fn looks_back(condition: &Condition) -> Option<u16> {
    match condition {
        Condition::Spent { days, .. } | Condition::Visits { days, .. } => Some(*days),
        Condition::All { of } | Condition::Any { of } => of.iter().filter_map(looks_back).max(),
        Condition::Not { of } => looks_back(of),
        Condition::Dates { .. }
        | Condition::Yearly { .. }
        | Condition::Weekdays { .. }
        | Condition::Hours { .. }
        | Condition::Stores { .. }
        | Condition::StoreGroups { .. }
        | Condition::Partners { .. }
        | Condition::Channels { .. }
        | Condition::Tiers { .. }
        | Condition::CardKinds { .. }
        | Condition::Tags { .. }
        | Condition::Birthday { .. }
        | Condition::MemberFor { .. }
        | Condition::LastPurchase { .. }
        | Condition::PurchaseNumber { .. }
        | Condition::Total { .. }
        | Condition::Goods { .. }
        | Condition::Tenders { .. }
        | Condition::PromoCodes { .. }
        | Condition::Coupons { .. } => None,
    }
}

/// The days on which all conditions of the top level may hold.
fn days(condition: Option<&Condition>) -> (Option<Date>, Option<Date>) {
    match condition {
        Some(Condition::Dates { from, to }) => (*from, *to),
        Some(Condition::All { of }) => of.iter().fold((None, None), |(first, last), one| {
            let (from, to) = days(Some(one));
            let last = match (last, to) {
                (Some(last), Some(to)) => Some(to.min(last)),
                (last, to) => last.or(to),
            };
            (first.max(from), last)
        }),
        Some(_) | None => (None, None),
    }
}
