//! The text below a receipt: the publication's template, filled in.

use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::Purchase;
use kopilka_crdt::rulebook::model::{Text, TierRules};

use super::records::Balance;
use super::rules::Rules;

/// The text for a purchase, or for a member between purchases, in a tier.
pub(super) fn receipt(
    rules: &Rules,
    member: &Member,
    tier: &TierRules,
    purchase: Option<&Purchase>,
    balances: &[Balance],
) -> Text {
    let book = rules.programme.rules();
    let balance = balances
        .iter()
        .find(|balance| balance.account == book.redemption.account)
        .map_or(Minor::ZERO, |balance| balance.view.spendable);
    let sum = |part: fn(&kopilka_crdt::operation::PurchaseLine) -> Minor| {
        let lines = purchase.map_or(&[][..], |purchase| &purchase.lines);
        Minor(
            lines
                .iter()
                .fold(0, |sum, line| part(line).0.saturating_add(sum)),
        )
    };
    let (earned, redeemed) = (sum(|line| line.earned), sum(|line| line.redeemed));
    let fill = |template: &str, tier: &str| {
        template
            .replace("{balance}", &points(balance))
            .replace("{earned}", &points(earned))
            .replace("{redeemed}", &points(redeemed))
            .replace("{tier}", tier)
            .replace("{name}", &member.shown.name)
    };
    let template = &book.messages.receipt;
    Text {
        ru: fill(&template.ru, &tier.name.ru),
        en: fill(&template.en, &tier.name.en),
    }
}

/// Hundredths of a point as people read them: `12`, `12.50`.
pub fn points(amount: Minor) -> String {
    let sign = if amount.0 < 0 { "-" } else { "" };
    let (whole, rest) = (amount.0.unsigned_abs() / 100, amount.0.unsigned_abs() % 100);
    match rest {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_read_as_people_write_them() {
        for (minor, text) in [(0, "0"), (100, "1"), (1_205, "12.05"), (-50, "-0.50")] {
            assert_eq!(points(Minor(minor)), text);
        }
    }
}
