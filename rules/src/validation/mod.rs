//! What must hold in a rule book before it is published: problems with their place and reason.

mod conditions;
mod limits;
mod promotions;
mod resources;
mod tiers;
mod tills;

use tills::beyond_tills;

use kopilka_crdt::ids::AccountId;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::Text;
use serde::Serialize;

/// Longest life of a lot or allowance that a rule book may state, in days.
const DAYS_MAX: u32 = 36_500;

/// Something wrong in a rule book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// JSON pointer to the place.
    pub path: String,
    /// What is wrong, in words.
    pub text: String,
}

/// Everything that is wrong; empty when the book may be published.
pub fn problems(rules: &RuleBook) -> Vec<Problem> {
    let mut found = Found::default();
    found.text("/name", &rules.name);
    found.text("/messages/receipt", &rules.messages.receipt);
    let currency =
        rules.currency.len() == 3 && rules.currency.bytes().all(|byte| byte.is_ascii_uppercase());
    found.unless(
        currency,
        "/currency",
        "a currency is three capital letters, such as RUB",
    );
    found.unless(
        !rules.time_zone.is_empty(),
        "/time_zone",
        "a time zone is missing",
    );
    accounts(rules, &mut found);
    tiers::check(rules, &mut found);
    earning(rules, &mut found);
    resources::check(rules, &mut found);
    offline(rules, &mut found);
    promotions::check(rules, &mut found);
    found.0
}

/// Why a rule book may not be published now: what is wrong in it, and what stores of this version would never apply.
pub fn unpublishable(rules: &RuleBook) -> Vec<Problem> {
    let mut found = problems(rules);
    found.extend(beyond_tills(rules));
    found
}

/// A name as a JSON pointer writes it (RFC 6901).
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn unless(&mut self, holds: bool, path: impl Into<String>, text: impl Into<String>) {
        if !holds {
            self.0.push(Problem {
                path: path.into(),
                text: text.into(),
            });
        }
    }

    fn account(&mut self, rules: &RuleBook, account: AccountId, path: &str) {
        let known = rules.accounts.contains_key(&account);
        self.unless(known, path, format!("there is no account {account}"));
    }

    fn text(&mut self, path: &str, text: &Text) {
        self.unless(
            !text.ru.trim().is_empty(),
            format!("{path}/ru"),
            "the Russian text is missing",
        );
        self.unless(
            !text.en.trim().is_empty(),
            format!("{path}/en"),
            "the English text is missing",
        );
    }
}

fn accounts(rules: &RuleBook, found: &mut Found) {
    for (id, account) in &rules.accounts {
        let path = format!("/accounts/{}", id.0);
        found.text(&format!("{path}/name"), &account.name);
        found.unless(
            !account.code.is_empty(),
            format!("{path}/code"),
            "the account has no code",
        );
        let days = account
            .expires_after_days
            .is_none_or(|days| (1..=DAYS_MAX).contains(&days));
        found.unless(
            days,
            format!("{path}/expires_after_days"),
            "points live from 1 day to 100 years",
        );
        let delay = account.active_after_days <= DAYS_MAX;
        found.unless(
            delay,
            format!("{path}/active_after_days"),
            "points become active within 100 years",
        );
    }
}

fn earning(rules: &RuleBook, found: &mut Found) {
    found.account(rules, rules.earning.account, "/earning/account");
    found.unless(
        rules.earning.step_minor >= 1,
        "/earning/step_minor",
        "a step is at least 1",
    );
    if let Some(welcome) = &rules.welcome {
        found.account(rules, welcome.account, "/welcome/account");
        found.unless(
            welcome.amount_minor >= Minor::ZERO,
            "/welcome/amount_minor",
            "welcome points are not negative",
        );
    }
}

fn offline(rules: &RuleBook, found: &mut Found) {
    let offline = &rules.offline;
    let deadline = (10..=5_000).contains(&offline.hub_deadline_ms);
    found.unless(
        deadline,
        "/offline/hub_deadline_ms",
        "a till waits 10 to 5000 ms for the hub",
    );
    let hold = (10..=86_400).contains(&offline.hold_seconds);
    found.unless(
        hold,
        "/offline/hold_seconds",
        "a sale is held for 10 seconds to a day",
    );
    let share = offline.allowance_share_permille <= 1_000;
    found.unless(
        share,
        "/offline/allowance_share_permille",
        "a store holds at most 1000 ‰",
    );
    let most = offline.allowance_max_minor >= Minor::ZERO;
    found.unless(
        most,
        "/offline/allowance_max_minor",
        "an allowance is not negative",
    );
    let hours = (1..=24 * 90).contains(&offline.allowance_hours);
    found.unless(
        hours,
        "/offline/allowance_hours",
        "an allowance lives for 1 hour to 90 days",
    );
    let margin = offline
        .clock_margin_seconds
        .saturating_add(offline.hold_seconds)
        < offline.allowance_hours.saturating_mul(3_600);
    found.unless(
        margin,
        "/offline/clock_margin_seconds",
        "the clock margin and the hold of a sale are together shorter than an allowance's life",
    );
    let days = (1..=DAYS_MAX).contains(&offline.return_days);
    found.unless(
        days,
        "/offline/return_days",
        "goods may be returned for at least a day",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spoil: impl FnOnce(&mut RuleBook), expected: &[&str]) {
        let mut rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
        spoil(&mut rules);
        let paths: Vec<_> = problems(&rules)
            .into_iter()
            .map(|problem| problem.path)
            .collect();
        assert_eq!(paths, expected);
    }

    #[test]
    fn problems_name_their_place() {
        check(|_| (), &[]);
        check(|rules| rules.tiers.clear(), &["/tiers"]);
        check(
            |rules| rules.tiers[2].from_minor = Minor(5),
            &["/tiers/2/from_minor"],
        );
        check(
            |rules| rules.tiers[1].code = "base".to_owned(),
            &["/tiers/1/code"],
        );
        check(
            |rules| rules.earning.account = AccountId(9),
            &["/earning/account"],
        );
        check(|rules| rules.name.en.clear(), &["/name/en"]);
        check(
            |rules| rules.redemption.share_permille_max = 1_001,
            &["/redemption/share_permille_max"],
        );
        check(
            |rules| rules.offline.allowance_hours = 0,
            &["/offline/allowance_hours", "/offline/clock_margin_seconds"],
        );
    }
}
