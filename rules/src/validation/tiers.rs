//! What must hold of tiers: thresholds that rise, windows and days of grace that can be kept.

use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::{TierRules, TierWindow};

use super::Found;

/// Longest window and longest grace, in days: as far as purchases are kept by day.
const DAYS_MAX: u16 = 366;

pub(super) fn check(rules: &RuleBook, found: &mut Found) {
    let starts_at_zero = rules
        .tiers
        .first()
        .is_some_and(|tier| tier.from_minor == Minor::ZERO);
    found.unless(starts_at_zero, "/tiers", "the first tier starts at 0");
    let mut before: Option<&TierRules> = None;
    for (index, tier) in rules.tiers.iter().enumerate() {
        one(tier, before, &format!("/tiers/{index}"), found);
        let twice = rules
            .tiers
            .iter()
            .take(index)
            .any(|other| other.code == tier.code);
        found.unless(
            !twice,
            format!("/tiers/{index}/code"),
            "two tiers have one code",
        );
        before = Some(tier);
    }
    tiering(rules, found);
}

fn one(tier: &TierRules, before: Option<&TierRules>, path: &str, found: &mut Found) {
    found.text(&format!("{path}/name"), &tier.name);
    found.unless(
        !tier.code.is_empty(),
        format!("{path}/code"),
        "the tier has no code",
    );
    found.unless(
        before.is_none_or(|before| before.from_minor < tier.from_minor),
        format!("{path}/from_minor"),
        "thresholds must rise from tier to tier",
    );
    found.unless(
        tier.earn_permille <= 1_000,
        format!("{path}/earn_permille"),
        "a tier earns at most 1000 ‰",
    );
}

fn tiering(rules: &RuleBook, found: &mut Found) {
    let grace = rules.tiering.grace_days;
    found.unless(
        grace <= DAYS_MAX,
        "/tiering/grace_days",
        "is at most 366 days",
    );
    match rules.tiering.window {
        TierWindow::Lifetime => found.unless(
            grace == 0,
            "/tiering/grace_days",
            "over a lifetime only returns take a tier away, and they do so at once; say 0, or name a window",
        ),
        TierWindow::Rolling { days } => found.unless(
            (1..=DAYS_MAX).contains(&days),
            "/tiering/window/days",
            "is 1 to 366 days",
        ),
        TierWindow::Month | TierWindow::Quarter | TierWindow::Year => {}
    }
}
