//! Replays, by hand: what an edit would have made of receipts that were sold, and when that is much.

use kopilka_crdt::ids::{AccountId, LotId, PromotionId};
use kopilka_crdt::ledger::{Take, apply};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Applied, Body, Counting, Promoted, Purchase};
use kopilka_crdt::rulebook::RuleBook;
use kopilka_rules::Programme;
use kopilka_rules::pricing::{Wish, quote};
use kopilka_rules::promotion::Occasion;
use kopilka_rules::replay::{
    Both, Earlier, Figures, Given, Large, Past, PromotionGave, Replay, Thresholds,
};
use serde_json::{Value, json};

use crate::given::{TODAY, hours, line, operation, programme, programme_with, sale, stamp};

fn promotion(rules: &mut RuleBook, number: u32, stage: &str, when: &Value, effect: &Value) {
    let promotion = json!({ "name": { "ru": "Акция", "en": "Promotion" }, "stage": stage, "when": when,
        "effects": [effect] });
    let promotion = serde_json::from_value(promotion).expect("the test's promotion is one");
    rules.promotions.insert(PromotionId(number), promotion);
}

fn percent(permille: u32) -> Value {
    json!({ "kind": "discount", "off": { "by": "percent", "permille": permille } })
}

/// A purchase of one unit under the starter rules, by a member whose points and earlier purchases do not matter.
fn bought(price: i64, number: u64) -> Purchase {
    let receipt = [line("", "1", price)];
    let buyer = Member::default();
    let quoted = quote(&programme(), &buyer, &receipt, Wish::Nothing, TODAY);
    let quoted = quoted.expect("a receipt of one line has a price");
    sale(&quoted, number, None)
}

/// Replays purchases that the one member made in this order, one an hour.
fn replay(before: &Programme, after: &Programme, purchases: &[Purchase]) -> Figures {
    let mut member = Member::default();
    let ids: Vec<_> = (1..)
        .take(purchases.len())
        .map(|place| operation(1, place))
        .collect();
    for (id, purchase) in ids.iter().zip(purchases) {
        let body = Body::Purchase(purchase.clone());
        apply(&mut member, *id, stamp(hours(id.sequence)), &body).expect("small sums");
    }
    let mut earlier = Earlier::default();
    let mut replay = Replay::new(before, after);
    for (id, purchase) in ids.iter().zip(purchases).rev() {
        let moment = hours(id.sequence);
        let then = earlier
            .before(&member, purchase, stamp(moment))
            .expect("small sums");
        let Occasion {
            store_day, minute, ..
        } = Occasion::at(moment.today());
        let past = Past {
            id: *id,
            purchase,
            member: &then,
            moment,
            store: None,
            store_groups: Vec::new(),
            store_day,
            minute,
        };
        replay.receipt(&past).expect("small sums");
    }
    replay.figures().clone()
}

fn given(discounts: i64, earned: i64, redeemed: i64) -> Given {
    Given {
        discounts: Minor(discounts),
        earned: Minor(earned),
        redeemed: Minor(redeemed),
    }
}

fn gave(receipts: u64, discounts: i64, points: i64) -> PromotionGave {
    PromotionGave {
        receipts,
        discounts: Minor(discounts),
        points: Minor(points),
    }
}

#[test]
fn twice_the_points_move_five_percent() {
    let after = programme_with(|rules| rules.tiers[0].earn_permille = 100);
    let found = replay(
        &programme(),
        &after,
        &[bought(10_000, 1), bought(30_000, 2)],
    );
    assert_eq!((found.receipts, found.touched, found.lost), (2, 2, 0));
    assert_eq!((found.turnover, found.moved), (Minor(40_000), Minor(2_000)));
    let expected = Both {
        before: given(0, 2_000, 0),
        after: given(0, 4_000, 0),
    };
    assert_eq!(found.given, expected);
    assert_eq!(found.effect_permille(), 50);
    let largest: Vec<_> = found
        .largest
        .iter()
        .map(|one| (one.receipt.number, one.moved.0))
        .collect();
    assert_eq!(largest, [(2, 1_500), (1, 500)]);
}

#[test]
fn nothing_changes_under_the_same_rules() {
    let found = replay(
        &programme(),
        &programme(),
        &[bought(10_000, 1), bought(30_000, 2)],
    );
    assert_eq!(
        (found.receipts, found.touched, found.moved),
        (2, 0, Minor(0))
    );
    assert_eq!((found.effect_permille(), found.largest), (0, Vec::new()));
}

#[test]
fn a_promotion_is_counted_on_the_receipts_that_get_it() {
    let after = programme_with(|rules| {
        let large = json!({ "kind": "total", "measure": "before_discounts", "min": 20_000 });
        promotion(rules, 7, "receipt", &large, &percent(100));
    });
    let purchases = [bought(10_000, 1), bought(30_000, 2)];
    let found = replay(&programme(), &after, &purchases);
    // 30.00 off, and 1.50 points fewer of 5 %.
    let expected = Both {
        before: given(0, 2_000, 0),
        after: given(3_000, 1_850, 0),
    };
    assert_eq!((found.given, found.touched), (expected, 1));
    assert_eq!((found.moved, found.effect_permille()), (Minor(3_150), 79));
    let expected = Both {
        before: gave(0, 0, 0),
        after: gave(1, 3_000, 0),
    };
    assert_eq!(found.promotions, [(PromotionId(7), expected)].into());
    let back = replay(&after, &programme(), &purchases);
    assert_eq!(
        (back.moved, back.given.before),
        (found.moved, found.given.after)
    );
    assert_eq!(back.promotions[&PromotionId(7)].before, gave(1, 3_000, 0));
}

#[test]
fn gains_do_not_hide_losses() {
    let after = programme_with(|rules| {
        rules.tiers[0].earn_permille = 0;
        let small = json!({ "kind": "total", "measure": "before_discounts", "max": 10_000 });
        let fixed = json!({ "kind": "points", "how": { "by": "fixed", "minor": 1_500 } });
        promotion(rules, 1, "earning", &small, &fixed);
    });
    let found = replay(
        &programme(),
        &after,
        &[bought(10_000, 1), bought(20_000, 2)],
    );
    assert_eq!(found.given.before, found.given.after);
    assert_eq!((found.touched, found.moved), (2, Minor(2_000)));
}

#[test]
fn points_pay_as_far_as_the_rules_allow() {
    let after = programme_with(|rules| rules.redemption.share_permille_max = 100);
    let mut purchase = bought(10_000, 1);
    let take = Take {
        lot: LotId {
            operation: operation(9, 1),
            index: 0,
        },
        amount: Minor(3_000),
    };
    purchase.redeemed = Some(AccountTakes {
        account: AccountId(1),
        takes: vec![take],
    });
    let found = replay(&programme(), &after, &[purchase]);
    // 30.00 of 100.00 paid with points, 70.00 earns 3.50; then 10.00, and 90.00 earns 4.50.
    let expected = Both {
        before: given(0, 350, 3_000),
        after: given(0, 450, 1_000),
    };
    assert_eq!((found.given, found.moved), (expected, Minor(2_100)));
}

#[test]
fn codes_count_as_shown_where_they_were() {
    let coded = |permille| {
        programme_with(|rules| {
            let code = json!({ "kind": "promo_codes", "of": ["HELLO"] });
            promotion(rules, 3, "coupons", &code, &percent(permille));
        })
    };
    let mut with_code = bought(10_000, 1);
    with_code.promoted = Some(Promoted {
        applied: vec![Applied {
            promotion: PromotionId(3),
            off: Minor(1_000),
            points: Minor(0),
            counting: Counting::Not,
        }],
        ..Promoted::default()
    });
    // What the promotion took off was no discount of the till.
    with_code.lines[0].discount = Minor(1_000);
    let found = replay(&coded(100), &coded(200), &[with_code, bought(10_000, 2)]);
    let expected = Both {
        before: gave(1, 1_000, 0),
        after: gave(1, 2_000, 0),
    };
    assert_eq!(found.promotions[&PromotionId(3)], expected);
    assert_eq!((found.turnover, found.touched), (Minor(20_000), 1));
}

#[test]
fn members_are_taken_back_to_before_their_purchase() {
    let after = programme_with(|rules| {
        let first = json!({ "kind": "purchase_number", "of": [1] });
        promotion(rules, 1, "receipt", &first, &percent(100));
        let back_soon = json!({ "kind": "last_purchase", "days_max": 14 });
        promotion(rules, 2, "receipt", &back_soon, &percent(10));
    });
    // The first makes a gold member of whoever buys it: 10 % for the second.
    let purchases = [bought(1_000_100, 1), bought(10_000, 2), bought(20_000, 3)];
    let found = replay(&programme(), &after, &purchases);
    assert_eq!(found.given.before.earned, Minor(50_005 + 1_000 + 2_000));
    assert_eq!(found.promotions[&PromotionId(1)].after, gave(1, 100_010, 0));
    assert_eq!(found.promotions[&PromotionId(2)].after, gave(2, 300, 0));
}

#[test]
fn receipts_may_lose_their_price() {
    let after = programme_with(|rules| {
        let large = json!({ "kind": "total", "measure": "before_discounts", "min": 20_000 });
        let endless = json!({ "kind": "points", "how": { "by": "fixed", "minor": i64::MAX } });
        promotion(rules, 1, "earning", &large, &endless);
    });
    let purchases = [bought(10_000, 1), bought(30_000, 2)];
    let found = replay(&programme(), &after, &purchases);
    let counted = (found.lost, found.unpriced, found.touched);
    let expected = Both {
        before: 0,
        after: 1,
    };
    assert_eq!(counted, (1, expected, 1));
    // The other one alone is in the sums.
    assert_eq!((found.turnover, found.moved), (Minor(10_000), Minor(0)));
    let named = &found.unpriced_named[0];
    assert_eq!(
        (named.receipt.number, named.reason.before.as_str()),
        (2, "")
    );
    assert_eq!(named.reason.after, "amount out of range");
    let never = Thresholds {
        effect_permille: u32::MAX,
        receipts_permille: u32::MAX,
    };
    assert_eq!(found.beyond(never), [Large::Unpriced]);
    assert_eq!(replay(&after, &programme(), &purchases).beyond(never), []);
}

#[test]
fn thresholds_are_crossed_and_not_reached() {
    let found = |turnover: i64, moved: i64, receipts: u64, touched: u64| Figures {
        receipts,
        touched,
        turnover: Minor(turnover),
        moved: Minor(moved),
        ..Figures::default()
    };
    let at = |effect_permille, receipts_permille| Thresholds {
        effect_permille,
        receipts_permille,
    };
    let usual = Thresholds::default();
    assert_eq!(usual, at(10, 1_000));
    for (figures, thresholds, expected) in [
        (found(100_000, 1_000, 10, 10), usual, vec![]),
        (found(100_000, 1_001, 10, 10), usual, vec![Large::Effect]),
        (found(0, 0, 0, 0), at(0, 0), vec![]),
        (found(0, 1, 1, 1), usual, vec![Large::Effect]),
        (found(100_000, 0, 10, 3), at(0, 300), vec![]),
        (found(100_000, 0, 10, 4), at(0, 300), vec![Large::Receipts]),
        (
            found(i64::MAX, i64::MAX, 9, 9),
            at(999, 999),
            vec![Large::Effect, Large::Receipts],
        ),
    ] {
        assert_eq!(figures.beyond(thresholds), expected, "{figures:?}");
    }
}
