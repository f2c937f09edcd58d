//! Rule books that may not be published, and what a programme refuses to be compiled from.

use kopilka_crdt::ids::{AccountId, ProgrammeId};
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::{Publication, RuleBook};
use kopilka_rules::Programme;
use kopilka_rules::programme::CompileError;
use kopilka_rules::validation::problems;

#[test]
fn each_limit_is_held_on_both_sides() {
    type Change = fn(&mut RuleBook);
    let sound: [Change; 9] = [
        |_| (),
        |rules| rules.tiers[2].earn_permille = 1_000,
        |rules| rules.offline.hub_deadline_ms = 10,
        |rules| rules.offline.hub_deadline_ms = 5_000,
        |rules| rules.offline.hold_seconds = 10,
        |rules| rules.offline.allowance_hours = 24 * 90,
        |rules| rules.offline.allowance_share_permille = 1_000,
        |rules| rules.welcome = None,
        |rules| {
            rules
                .accounts
                .values_mut()
                .for_each(|account| account.expires_after_days = Some(36_500))
        },
    ];
    for change in sound {
        assert_eq!(found(change), [""; 0]);
    }
    let unsound: [(Change, &str); 17] = [
        (|rules| rules.currency = "rub".to_owned(), "/currency"),
        (|rules| rules.time_zone.clear(), "/time_zone"),
        (
            |rules| rules.messages.receipt.ru.clear(),
            "/messages/receipt/ru",
        ),
        (|rules| rules.tiers[0].from_minor = Minor(1), "/tiers"),
        (
            |rules| rules.tiers[1].earn_permille = 1_001,
            "/tiers/1/earn_permille",
        ),
        (|rules| rules.earning.step_minor = 0, "/earning/step_minor"),
        (
            |rules| rules.redemption.step_minor = 0,
            "/redemption/step_minor",
        ),
        (
            |rules| rules.redemption.amount_min_minor = Minor(-1),
            "/redemption/amount_min_minor",
        ),
        (
            |rules| rules.redemption.account = AccountId(2),
            "/redemption/account",
        ),
        (
            |rules| rules.offline.hub_deadline_ms = 9,
            "/offline/hub_deadline_ms",
        ),
        (
            |rules| rules.offline.hub_deadline_ms = 5_001,
            "/offline/hub_deadline_ms",
        ),
        (
            |rules| rules.offline.hold_seconds = 9,
            "/offline/hold_seconds",
        ),
        (
            |rules| rules.offline.allowance_hours = 24 * 90 + 1,
            "/offline/allowance_hours",
        ),
        (
            |rules| rules.offline.allowance_share_permille = 1_001,
            "/offline/allowance_share_permille",
        ),
        (
            |rules| {
                rules.offline.allowance_hours = 1;
                rules.offline.hold_seconds = 3_000;
            },
            "/offline/clock_margin_seconds",
        ),
        (
            |rules| rules.offline.return_days = 0,
            "/offline/return_days",
        ),
        (
            |rules| {
                rules
                    .accounts
                    .values_mut()
                    .for_each(|account| account.expires_after_days = Some(0))
            },
            "/accounts/1/expires_after_days",
        ),
    ];
    for (change, path) in unsound {
        assert_eq!(found(change), [path]);
    }
}

fn found(change: fn(&mut RuleBook)) -> Vec<String> {
    let mut rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
    change(&mut rules);
    problems(&rules)
        .into_iter()
        .map(|problem| problem.path)
        .collect()
}

#[test]
fn only_a_sound_publication_compiles() {
    let mut rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
    rules.tiers.clear();
    let unsound = Publication::new(ProgrammeId(1), 7, 0, &rules);
    let CompileError::Invalid(problems) = Programme::compile(&unsound).unwrap_err() else {
        panic!("the rule book can be read")
    };
    assert_eq!(problems[0].path, "/tiers");
    let torn = Publication {
        rules: "{".to_owned(),
        ..unsound
    };
    assert!(matches!(
        Programme::compile(&torn),
        Err(CompileError::Publication(_))
    ));
}
