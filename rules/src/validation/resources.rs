//! What must hold of coupons, gift cards, accounts that pay, referrals, and of the names that promotions use.

use std::collections::BTreeMap;

use kopilka_crdt::ids::AccountId;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::promotion::Effect;
use kopilka_crdt::rulebook::model::{RedemptionRules, Text};

use super::promotions::filter;
use super::{DAYS_MAX, Found, pointer};

pub(super) fn check(rules: &RuleBook, found: &mut Found) {
    found.unless(
        !rules.accounts.contains_key(&AccountId::BUDGET),
        format!("/accounts/{}", AccountId::BUDGET.0),
        "this number is kept for budgets of promotions",
    );
    payments(rules, found);
    referral(rules, found);
    series(rules, found);
    gift_cards(rules, found);
    own_accounts(rules, found);
    names("/tags", &rules.tags, found);
    names("/badges", &rules.badges, found);
    names("/gifts", &rules.gifts, found);
    found.unless(
        rules.returns.restored_days_min <= DAYS_MAX,
        "/returns/restored_days_min",
        "is at most 100 years",
    );
}

fn names(path: &str, texts: &BTreeMap<String, Text>, found: &mut Found) {
    for (code, text) in texts {
        found.unless(!code.is_empty(), path, "a code is missing");
        found.text(&format!("{path}/{}", pointer(code)), text);
    }
}

fn payments(rules: &RuleBook, found: &mut Found) {
    payment(rules, &rules.redemption, "/redemption", found);
    for (place, further) in rules.payments.iter().enumerate() {
        let path = format!("/payments/{place}");
        payment(rules, further, &path, found);
        let before = rules.payments.iter().take(place);
        let twice = further.account == rules.redemption.account
            || before.into_iter().any(|one| one.account == further.account);
        found.unless(
            !twice,
            format!("{path}/account"),
            "an account pays in one place only",
        );
    }
}

fn payment(rules: &RuleBook, payment: &RedemptionRules, path: &str, found: &mut Found) {
    found.account(rules, payment.account, &format!("{path}/account"));
    found.unless(
        payment.step_minor >= 1,
        format!("{path}/step_minor"),
        "a step is at least 1",
    );
    found.unless(
        payment.share_permille_max <= 1_000,
        format!("{path}/share_permille_max"),
        "points pay at most 1000 ‰ of a receipt",
    );
    found.unless(
        payment.amount_min_minor >= Minor::ZERO,
        format!("{path}/amount_min_minor"),
        "the least redemption is not negative",
    );
    if let Some(goods) = &payment.goods {
        filter(rules, goods, &format!("{path}/goods"), found);
    }
}

fn referral(rules: &RuleBook, found: &mut Found) {
    let Some(referral) = &rules.referral else {
        return;
    };
    found.account(rules, referral.account, "/referral/account");
    for (field, amount) in [
        ("referrer_minor", referral.referrer_minor),
        ("friend_minor", referral.friend_minor),
    ] {
        found.unless(
            amount >= Minor::ZERO,
            format!("/referral/{field}"),
            "is not negative",
        );
    }
}

fn series(rules: &RuleBook, found: &mut Found) {
    for (code, series) in &rules.coupons {
        let path = format!("/coupons/{}", pointer(code));
        found.unless(!code.is_empty(), "/coupons", "a code is missing");
        found.text(&format!("{path}/name"), &series.name);
        found.account(rules, series.account, &format!("{path}/account"));
        found.unless(
            series.per_member_max.is_none_or(|most| most >= 1),
            format!("{path}/per_member_max"),
            "a member may hold at least 1, or nobody ever gets one",
        );
    }
}

fn gift_cards(rules: &RuleBook, found: &mut Found) {
    let Some(cards) = &rules.gift_cards else {
        return;
    };
    found.account(rules, cards.account, "/gift_cards/account");
    found.unless(
        cards.load_min_minor > Minor::ZERO,
        "/gift_cards/load_min_minor",
        "is more than 0",
    );
    found.unless(
        cards.balance_max_minor >= cards.load_min_minor,
        "/gift_cards/balance_max_minor",
        "is at least load_min_minor, or no card can be sold",
    );
}

/// Units of a series and money on gift cards are no points: nothing else may credit or take them.
fn own_accounts(rules: &RuleBook, found: &mut Found) {
    let mut owners = other_uses(rules);
    let series = rules.coupons.iter();
    let series =
        series.map(|(code, one)| (format!("/coupons/{}/account", pointer(code)), one.account));
    let cards = rules.gift_cards.iter();
    let cards = cards.map(|cards| ("/gift_cards/account".to_owned(), cards.account));
    for (path, account) in series.chain(cards) {
        match owners.get(&account) {
            Some(other) => {
                let text = format!("account {account} is that of {other}; name one of its own");
                found.unless(false, path, text);
            }
            None => {
                owners.insert(account, path);
            }
        }
    }
}

/// Where accounts are earned, spent or given away, by account.
fn other_uses(rules: &RuleBook) -> BTreeMap<AccountId, String> {
    let mut uses = BTreeMap::new();
    let mut add = |account: Option<AccountId>, path: String| {
        if let Some(account) = account {
            uses.entry(account).or_insert(path);
        }
    };
    add(Some(rules.earning.account), "/earning/account".to_owned());
    add(
        Some(rules.redemption.account),
        "/redemption/account".to_owned(),
    );
    for (place, payment) in rules.payments.iter().enumerate() {
        add(Some(payment.account), format!("/payments/{place}/account"));
    }
    let welcome = rules.welcome.as_ref().map(|welcome| welcome.account);
    add(welcome, "/welcome/account".to_owned());
    let referral = rules.referral.as_ref().map(|referral| referral.account);
    add(referral, "/referral/account".to_owned());
    for (id, promotion) in &rules.promotions {
        let price = promotion.price.and_then(|price| price.account);
        add(price, format!("/promotions/{}/price/account", id.0));
        for (place, effect) in promotion.effects.iter().enumerate() {
            let path = format!("/promotions/{}/effects/{place}/account", id.0);
            match effect {
                Effect::Points { account, .. } => add(*account, path),
                Effect::Discount { .. }
                | Effect::BuyGet { .. }
                | Effect::Set { .. }
                | Effect::GiftGoods { .. }
                | Effect::Gift { .. }
                | Effect::IssueCoupon { .. }
                | Effect::Message { .. }
                | Effect::Badge { .. } => {}
            }
        }
    }
    uses
}
