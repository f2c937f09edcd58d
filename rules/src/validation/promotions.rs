//! What must hold of promotions.

use std::collections::BTreeSet;

use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::Filter;
use kopilka_crdt::rulebook::model::promotion::{
    EFFECTS_MAX, Earn, Effect, Off, PROMOTIONS_MAX, Promotion, SetOff, SetPart, Stage, Target,
};

use super::{Found, conditions, limits, pointer};
use crate::promotion::GROUP_DEPTH_MAX;

const PERMILLE: u32 = 1_000;

/// Everything that is wrong with promotions, and with the tree of product groups that they speak of.
pub(super) fn check(rules: &RuleBook, found: &mut Found) {
    tree(rules, found);
    let bounds = rules.bounds;
    for (field, permille) in [
        ("line_permille_max", bounds.line_permille_max),
        ("receipt_permille_max", bounds.receipt_permille_max),
    ] {
        found.unless(
            permille <= PERMILLE,
            format!("/bounds/{field}"),
            "is at most 1000",
        );
    }
    found.unless(
        rules.promotions.len() <= PROMOTIONS_MAX,
        "/promotions",
        "there are more than 20,000 promotions",
    );
    for (id, promotion) in &rules.promotions {
        let path = format!("/promotions/{}", id.0);
        found.text(&format!("{path}/name"), &promotion.name);
        one(rules, promotion, &path, found);
    }
}

fn tree(rules: &RuleBook, found: &mut Found) {
    for (code, group) in &rules.groups {
        let path = format!("/groups/{}/parent", pointer(code));
        let mut seen = BTreeSet::from([code.as_str()]);
        let mut next = group.parent.as_deref();
        while let Some(parent) = next {
            let Some(above) = rules.groups.get(parent) else {
                found.unless(false, &path, format!("there is no group {parent}"));
                break;
            };
            if !seen.insert(parent) || seen.len() > GROUP_DEPTH_MAX {
                found.unless(
                    false,
                    &path,
                    "groups are a tree at most 16 deep, without circles",
                );
                break;
            }
            next = above.parent.as_deref();
        }
    }
}

fn one(rules: &RuleBook, promotion: &Promotion, path: &str, found: &mut Found) {
    found.unless(
        (1..=EFFECTS_MAX).contains(&promotion.effects.len()),
        format!("{path}/effects"),
        "a promotion has 1 to 16 effects",
    );
    if let Some(group) = &promotion.group {
        found.unless(
            rules.choices.contains_key(group),
            format!("{path}/group"),
            format!("/choices does not say what {group} chooses"),
        );
    }
    if let Some(share) = &promotion.share {
        found.unless(
            share.from_permille < share.to_permille && u32::from(share.to_permille) <= PERMILLE,
            format!("{path}/share"),
            "a share runs from a thousandth to a larger one, at most 1000",
        );
    }
    if let Some(price) = &promotion.price {
        found.unless(
            price.minor > Minor::ZERO,
            format!("{path}/price/minor"),
            "is more than 0",
        );
        let account = price.account.unwrap_or(rules.redemption.account);
        found.account(rules, account, &format!("{path}/price/account"));
    }
    if let Some(condition) = &promotion.when {
        conditions::check(rules, condition, &format!("{path}/when"), 1, found);
    }
    limits::check(promotion, path, found);
    for (place, effect) in promotion.effects.iter().enumerate() {
        let path = format!("{path}/effects/{place}");
        self::effect(rules, effect, &path, found);
        let earning = matches!(promotion.stage, Stage::Earning | Stage::Issue);
        match effect {
            Effect::Points { .. } => found.unless(
                earning,
                &path,
                "points are credited in the stages earning and issue",
            ),
            Effect::Discount { .. } | Effect::BuyGet { .. } | Effect::Set { .. } => found.unless(
                !earning,
                &path,
                "prices are lowered in the stages lines, receipt and coupons",
            ),
            Effect::GiftGoods { .. }
            | Effect::Gift { .. }
            | Effect::IssueCoupon { .. }
            | Effect::Message { .. }
            | Effect::Badge { .. } => {}
        }
    }
}

pub(super) fn filter(rules: &RuleBook, goods: &Filter, path: &str, found: &mut Found) {
    for group in &goods.groups {
        found.unless(
            rules.groups.contains_key(group),
            format!("{path}/groups"),
            format!("there is no group {group}"),
        );
    }
    if let (Some(min), Some(max)) = (goods.price_min, goods.price_max) {
        found.unless(
            min <= max,
            format!("{path}/price_min"),
            "is at most price_max",
        );
    }
    if let Some(except) = &goods.except {
        found.unless(
            except.except.is_none(),
            format!("{path}/except/except"),
            "an exception has no exceptions",
        );
        if except.except.is_none() {
            filter(rules, except, &format!("{path}/except"), found);
        }
    }
}

fn effect(rules: &RuleBook, effect: &Effect, path: &str, found: &mut Found) {
    let goods = |goods: &Filter, field: &str, found: &mut Found| {
        filter(rules, goods, &format!("{path}/{field}"), found);
    };
    match effect {
        Effect::Discount { off, target, .. } => {
            self::off(off, &format!("{path}/off"), found);
            self::target(rules, target, &format!("{path}/target"), found);
        }
        Effect::BuyGet {
            buy,
            buy_units,
            get,
            get_units,
            off_permille,
            ..
        } => {
            goods(buy, "buy", found);
            if let Some(get) = get {
                goods(get, "get", found);
            }
            let counts = *buy_units >= 1 && *get_units >= 1;
            found.unless(counts, path, "buys and gets at least one unit");
            permille(*off_permille, &format!("{path}/off_permille"), found);
        }
        Effect::Set { parts, off, .. } => {
            set(rules, parts, *off, path, found);
        }
        Effect::Points {
            account,
            how,
            goods: picked,
        } => {
            let account = account.unwrap_or(rules.earning.account);
            found.account(rules, account, &format!("{path}/account"));
            if let Some(picked) = picked {
                goods(picked, "goods", found);
            }
            earn(*how, &format!("{path}/how"), found);
        }
        Effect::GiftGoods { sku, units, each } => {
            found.unless(
                !sku.is_empty() && *units >= 1,
                path,
                "gives at least one unit of an article",
            );
            if let Some(each) = each {
                found.unless(
                    each.units >= 1,
                    format!("{path}/each/units"),
                    "is at least 1",
                );
                goods(&each.goods, "each/goods", found);
            }
        }
        Effect::Gift { code, count } => {
            found.unless(*count >= 1, path, "credits at least one gift");
            found.unless(
                rules.gifts.contains_key(code),
                format!("{path}/code"),
                format!("there is no gift {code}"),
            );
        }
        Effect::IssueCoupon { series } => found.unless(
            rules.coupons.contains_key(series),
            format!("{path}/series"),
            format!("there is no series of coupons {series}"),
        ),
        Effect::Badge { code } => found.unless(
            rules.badges.contains_key(code),
            format!("{path}/code"),
            format!("there is no badge {code}"),
        ),
        Effect::Message { text, .. } => found.text(&format!("{path}/text"), text),
    }
}

fn target(rules: &RuleBook, target: &Target, path: &str, found: &mut Found) {
    match target {
        Target::Receipt => {}
        Target::Lines { goods } => filter(rules, goods, &format!("{path}/goods"), found),
        Target::Units {
            goods, group, take, ..
        } => {
            filter(rules, goods, &format!("{path}/goods"), found);
            let counts = *group >= 1 && (1..=*group).contains(take);
            found.unless(counts, path, "takes 1 to all units of a group");
        }
    }
}

fn set(rules: &RuleBook, parts: &[SetPart], off: SetOff, path: &str, found: &mut Found) {
    let counts = !parts.is_empty() && parts.iter().all(|part| part.units >= 1);
    found.unless(
        counts,
        format!("{path}/parts"),
        "a set has parts of at least one unit",
    );
    for (place, part) in parts.iter().enumerate() {
        filter(
            rules,
            &part.goods,
            &format!("{path}/parts/{place}/goods"),
            found,
        );
    }
    match off {
        SetOff::Percent { permille: share } => permille(share, &format!("{path}/off"), found),
        SetOff::Amount { minor, .. } | SetOff::Price { minor } => {
            amount(minor, &format!("{path}/off/minor"), found);
        }
    }
}

fn permille(share: u32, path: &str, found: &mut Found) {
    found.unless(
        (1..=PERMILLE).contains(&share),
        path,
        "is 1 to 1000 thousandths",
    );
}

fn amount(minor: Minor, path: &str, found: &mut Found) {
    found.unless(minor >= Minor::ZERO, path, "is not below 0");
}

fn off(off: &Off, path: &str, found: &mut Found) {
    match off {
        Off::Percent { permille: share } => permille(*share, path, found),
        Off::Steps { steps, .. } => {
            let rising = steps.is_sorted_by(|one, next| one.from < next.from);
            found.unless(
                !steps.is_empty() && rising,
                path,
                "steps rise from one to the next",
            );
            steps
                .iter()
                .for_each(|step| permille(step.permille, path, found));
        }
        Off::Amount { minor, .. } | Off::UnitAmount { minor } | Off::UnitPrice { minor } => {
            amount(*minor, path, found);
        }
        Off::UnitAmounts { minor } => {
            let fits = !minor.is_empty() && minor.iter().all(|one| *one >= Minor::ZERO);
            found.unless(fits, path, "names a sum for the first unit, none below 0");
        }
    }
}

fn earn(how: Earn, path: &str, found: &mut Found) {
    match how {
        Earn::Percent { permille, .. } => {
            found.unless(
                (1..=100 * PERMILLE).contains(&permille),
                path,
                "is 1 to 100,000 thousandths",
            );
        }
        Earn::Multiply { permille } => {
            let more = (PERMILLE + 1..=100 * PERMILLE).contains(&permille);
            found.unless(
                more,
                path,
                "multiplies by more than 1000 and at most 100,000 thousandths",
            );
        }
        Earn::Fixed { minor } | Earn::Unit { minor } => amount(minor, path, found),
        Earn::Stepped { every, minor, .. } => {
            amount(minor, path, found);
            found.unless(every > Minor::ZERO, path, "a step is more than 0");
        }
    }
}
