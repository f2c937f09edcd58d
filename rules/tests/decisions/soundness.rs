//! What a rule book may not say of tiers, accounts of their own, names, limits and conditions; each with its place.

use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::model::condition::Condition;
use kopilka_rules::validation::{problems, unpublishable};
use serde_json::{Map, Value, json};

/// A merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let object = target.as_object_mut().expect("made one above");
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn text() -> Value {
    json!({"ru": "Текст", "en": "Text"})
}

/// A book with one of everything.
fn book() -> Value {
    let account = |code: &str| json!({"code": code, "name": text(), "active_after_days": 0, "expires_after_days": 30});
    let pays = |account: u16| json!({"account": account, "share_permille_max": 500, "amount_min_minor": 0, "step_minor": 1});
    json!({
        "accounts": {
            "2": account("extra"), "3": account("s"), "4": account("t"), "5": account("cards"), "6": account("more"),
        },
        "tiering": {"measure": "paid", "window": {"over": "rolling", "days": 366}, "grace_days": 366},
        "payments": [pays(2), pays(6)],
        "referral": {"account": 1, "referrer_minor": 20_000, "friend_minor": 15_000},
        "coupons": {
            "S": {"name": text(), "account": 3, "per_member_max": 1},
            "T": {"name": text(), "account": 4},
        },
        "gift_cards": {"account": 5, "load_min_minor": 100, "balance_max_minor": 100},
        "tags": {"vip": text()},
        "badges": {"crown": text()},
        "gifts": {"tea": text()},
        "promotions": {"1": {
            "name": text(), "stage": "issue", "offline": "allowance",
            "when": {"kind": "all", "of": [
                {"kind": "tags", "of": ["vip"]},
                {"kind": "any", "of": [{"kind": "coupons", "of": ["S"]}, {"kind": "tiers", "of": ["gold"]}]},
                {"kind": "dates", "from": "2026-01-01", "to": "2026-01-31"},
                {"kind": "dates", "from": "2026-01-31"},
            ]},
            "effects": [
                {"kind": "points", "how": {"by": "fixed", "minor": 100}, "account": 2},
                {"kind": "gift", "code": "tea", "count": 1},
                {"kind": "badge", "code": "crown"},
                {"kind": "issue_coupon", "series": "T"},
            ],
            "limits": [
                {"scope": "programme", "most": 1_000},
                {"scope": "member", "period": "day", "most": 1},
                {"scope": "receipt", "count": "points", "most": 500},
            ],
        }},
    })
}

/// The book with changes.
fn changed(change: &Value) -> RuleBook {
    let starter = RuleBook::starter(Text::new("Копилка", "Kopilka"));
    let mut rules = serde_json::to_value(starter).expect("a rule book is JSON");
    merge(&mut rules, &book());
    merge(&mut rules, change);
    serde_json::from_value(rules).expect("the test's book has its form")
}

/// The places of what is wrong in the book with changes.
fn places(change: &Value) -> Vec<String> {
    let found = problems(&changed(change));
    assert!(found.iter().all(|problem| !problem.text.is_empty()));
    found.into_iter().map(|problem| problem.path).collect()
}

fn check(cases: &[(Value, &[&str])]) {
    for (change, expected) in cases {
        assert_eq!(places(change), *expected, "{change}");
    }
}

/// A change of the one promotion.
fn promotion(fields: &Value) -> Value {
    json!({"promotions": {"1": fields}})
}

#[test]
fn one_of_everything_is_sound() {
    check(&[(json!({}), &[])]);
}

#[test]
fn windows_and_grace_are_bounded() {
    let tiering =
        |window: Value, grace: u16| json!({"tiering": {"window": window, "grace_days": grace}});
    let rolling = |days: u16| json!({"over": "rolling", "days": days});
    let year = json!({"over": "year", "days": null});
    let lifetime = json!({"over": "lifetime", "days": null});
    check(&[
        (tiering(rolling(1), 0), &[]),
        (tiering(rolling(0), 0), &["/tiering/window/days"]),
        (tiering(rolling(367), 0), &["/tiering/window/days"]),
        (tiering(year.clone(), 366), &[]),
        (tiering(year, 367), &["/tiering/grace_days"]),
        (tiering(lifetime.clone(), 0), &[]),
        (tiering(lifetime, 1), &["/tiering/grace_days"]),
    ]);
}

#[test]
fn coupons_and_gift_cards_have_accounts_of_their_own() {
    let series = |account: u16| json!({"coupons": {"S": {"account": account}}});
    let cards = |account: u16| json!({"gift_cards": {"account": account}});
    check(&[
        (series(9), &["/coupons/S/account"]),
        (series(1), &["/coupons/S/account"]),
        (series(2), &["/coupons/S/account"]),
        (series(4), &["/coupons/T/account"]),
        (cards(9), &["/gift_cards/account"]),
        (cards(6), &["/gift_cards/account"]),
        (cards(3), &["/gift_cards/account"]),
        (
            promotion(&json!({"price": {"account": 5, "minor": 100}})),
            &["/gift_cards/account"],
        ),
        (json!({"referral": {"account": 3}}), &["/coupons/S/account"]),
        (
            json!({"coupons": {"S": {"per_member_max": 0}}}),
            &["/coupons/S/per_member_max"],
        ),
        (
            json!({"gift_cards": {"load_min_minor": 0}}),
            &["/gift_cards/load_min_minor"],
        ),
        (
            json!({"gift_cards": {"load_min_minor": 101}}),
            &["/gift_cards/balance_max_minor"],
        ),
        (
            json!({"accounts": {"65535": {"code": "x", "name": text(), "active_after_days": 0}}}),
            &["/accounts/65535"],
        ),
    ]);
}

#[test]
fn accounts_pay_once_and_exist() {
    let pays = |account: u16, step: i64| {
        json!({"payments": [
            {"account": 6, "share_permille_max": 1_000, "amount_min_minor": 0, "step_minor": 1},
            {"account": account, "share_permille_max": 1_000, "amount_min_minor": 0, "step_minor": step},
        ]})
    };
    check(&[
        (pays(2, 1), &[]),
        (pays(2, 0), &["/payments/1/step_minor"]),
        (pays(6, 1), &["/payments/1/account"]),
        (pays(1, 1), &["/payments/1/account"]),
        (pays(9, 1), &["/payments/1/account"]),
        (json!({"referral": {"account": 9}}), &["/referral/account"]),
        (
            json!({"referral": {"referrer_minor": -1}}),
            &["/referral/referrer_minor"],
        ),
        (
            json!({"referral": {"friend_minor": -1}}),
            &["/referral/friend_minor"],
        ),
        (
            json!({"redemption": {"goods": {"groups": ["nothing"]}}}),
            &["/redemption/goods/groups"],
        ),
        (
            json!({"returns": {"restored_days_min": 36_501}}),
            &["/returns/restored_days_min"],
        ),
    ]);
}

#[test]
fn names_exist_and_have_texts() {
    let effect = |effect: Value| promotion(&json!({"effects": [effect]}));
    let when = |when: Value| promotion(&json!({"when": when}));
    check(&[
        (json!({"tags": {"vip": {"ru": " "}}}), &["/tags/vip/ru"]),
        (
            json!({"badges": {"crown": {"en": ""}}}),
            &["/badges/crown/en"],
        ),
        (json!({"gifts": {"tea": {"en": ""}}}), &["/gifts/tea/en"]),
        (
            json!({"coupons": {"S": {"name": {"en": ""}}}}),
            &["/coupons/S/name/en"],
        ),
        (
            json!({"tags": {"a/b~c": {"ru": "", "en": "x"}}}),
            &["/tags/a~1b~0c/ru"],
        ),
        (
            effect(json!({"kind": "gift", "code": "coffee", "count": 1})),
            &["/promotions/1/effects/0/code"],
        ),
        (
            effect(json!({"kind": "badge", "code": "star"})),
            &["/promotions/1/effects/0/code"],
        ),
        (
            effect(json!({"kind": "issue_coupon", "series": "U"})),
            &["/promotions/1/effects/0/series"],
        ),
        (
            when(json!({"kind": "tags", "of": ["vip", "none"]})),
            &["/promotions/1/when/of"],
        ),
        (
            when(json!({"kind": "coupons", "of": ["U"]})),
            &["/promotions/1/when/of"],
        ),
        (
            when(json!({"kind": "not", "of": {"kind": "tiers", "of": ["none"]}})),
            &["/promotions/1/when/of/of"],
        ),
    ]);
}

#[test]
fn conditions_can_hold() {
    let never = |when: Value| promotion(&json!({"when": when}));
    let dates = |from: &str, to: &str| json!({"kind": "dates", "from": from, "to": to});
    check(&[
        (
            never(json!({"kind": "any", "of": []})),
            &["/promotions/1/when/of"],
        ),
        (
            never(json!({"kind": "all", "of": [
                dates("2026-01-01", "2026-01-31"), dates("2026-02-01", "2026-02-28"),
            ]})),
            &["/promotions/1/when"],
        ),
        (
            never(json!({"kind": "all", "of": [dates("2026-02-02", "2026-02-01")]})),
            &["/promotions/1/when/of/0"],
        ),
        (
            never(json!({"kind": "total", "of": null, "measure": "before_discounts", "max": -1})),
            &["/promotions/1/when"],
        ),
        (
            never(json!({"kind": "spent", "of": null, "days": 367})),
            &["/promotions/1/when/days"],
        ),
    ]);
}

#[test]
fn limits_are_counted_where_the_promotion_runs() {
    let limits =
        |offline: &str, limits: Value| promotion(&json!({"offline": offline, "limits": limits}));
    let limit = |scope: &str, period: &str| json!({"scope": scope, "period": period, "most": 10});
    let period: &[&str] = &["/promotions/1/limits/0/period"];
    check(&[
        (
            limits(
                "free",
                json!([limit("programme", "day"), limit("store", "day")]),
            ),
            &[],
        ),
        (limits("online", json!([limit("programme", "ever")])), &[]),
        (limits("online", json!([])), &[]),
        (
            limits("online", json!([limit("programme", "month")])),
            period,
        ),
        (
            limits("allowance", json!([limit("programme", "year")])),
            period,
        ),
        (
            limits(
                "allowance",
                json!([limit("programme", "ever"), limit("store", "ever")]),
            ),
            &["/promotions/1/limits/1/scope"],
        ),
        (
            limits(
                "online",
                json!([limit("programme", "ever"), limit("programme", "ever")]),
            ),
            &["/promotions/1/limits"],
        ),
        (
            limits("allowance", json!([limit("member", "ever")])),
            &["/promotions/1/offline"],
        ),
        (
            limits("free", json!([{"scope": "member", "most": 0}])),
            &["/promotions/1/limits/0/most"],
        ),
    ]);
}

#[test]
fn a_day_that_does_not_exist_is_no_day() {
    for day in ["02-30", "04-31", "13-01", "00-10"] {
        let yearly = json!({"kind": "yearly", "from": day, "to": "12-31"});
        let parsed = serde_json::from_value::<Condition>(yearly);
        assert!(parsed.is_err(), "{day}");
    }
}

#[test]
fn what_no_till_would_ever_apply_is_not_published() {
    let channels = |of: Value| json!({"kind": "channels", "of": of});
    let web = channels(json!(["web", "app"]));
    for (when, expected) in [
        (channels(json!(["web", "till"])), &[][..]),
        (json!({"kind": "not", "of": web}), &[]),
        (web.clone(), &["/promotions/1/when/of"]),
        (
            json!({"kind": "any", "of": [{"kind": "tags", "of": ["vip"]}, web]}),
            &["/promotions/1/when/of/1/of"],
        ),
    ] {
        let rules = changed(&promotion(&json!({"when": when})));
        let found = unpublishable(&rules).into_iter();
        let found: Vec<_> = found.map(|problem| problem.path).collect();
        assert_eq!(found, expected, "{when}");
    }
}
