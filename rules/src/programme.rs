//! A publication made ready to decide with.

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, ProgrammeId, StoreId};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::Credit;
use kopilka_crdt::rulebook::model::{GroupRules, TierRules};
use kopilka_crdt::rulebook::{Publication, PublicationError, RuleBook};

use crate::placement::Portions;
use crate::promotion::{LimitRecord, Promotions};
use crate::validation::{self, Problem};

/// Why a publication cannot be decided with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// It cannot be read.
    #[error(transparent)]
    Publication(#[from] PublicationError),
    /// It contradicts itself.
    #[error("the rule book has {} problems; the first: {}", .0.len(), .0.first().map_or("", |problem| problem.text.as_str()))]
    Invalid(Vec<Problem>),
}

/// The rules of one publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programme {
    id: ProgrammeId,
    number: u32,
    rules: RuleBook,
    promotions: Promotions,
    portions: Portions,
}

/// What groups without rules of their own may do.
static OPEN_GROUP: GroupRules = GroupRules {
    parent: None,
    earns: true,
    redeems: true,
    discounts: true,
};

impl Programme {
    /// Reads and checks a publication.
    pub fn compile(publication: &Publication) -> Result<Self, CompileError> {
        let rules = publication.rule_book()?;
        let problems = validation::problems(&rules);
        if !problems.is_empty() {
            return Err(CompileError::Invalid(problems));
        }
        Ok(Self {
            id: publication.programme,
            number: publication.number,
            promotions: Promotions::new(&rules),
            portions: Portions::new(&rules),
            rules,
        })
    }

    /// The programme.
    pub fn id(&self) -> ProgrammeId {
        self.id
    }

    /// The publication's number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The rules themselves.
    pub fn rules(&self) -> &RuleBook {
        &self.rules
    }

    /// The tier that a sum reaches.
    pub fn tier(&self, counted: Minor) -> &TierRules {
        let reached = self
            .rules
            .tiers
            .iter()
            .rev()
            .find(|tier| tier.from_minor <= counted);
        reached.unwrap_or_else(|| {
            self.rules
                .tiers
                .first()
                .expect("validated: a rule book has a tier")
        })
    }

    /// What goods of a group may do.
    pub fn group(&self, code: &str) -> &GroupRules {
        self.rules.groups.get(code).unwrap_or(&OPEN_GROUP)
    }

    /// The promotions that run, in order and by what they need.
    pub(crate) fn promotions(&self) -> &Promotions {
        &self.promotions
    }

    /// The limits that a receipt in a store may use up beside those of its member, each with the record that counts it.
    pub fn limit_records(&self, store: StoreId) -> Vec<LimitRecord> {
        self.promotions.records(store).collect()
    }

    /// By which measure stores hold rights to accounts.
    pub(crate) fn portions(&self) -> &Portions {
        &self.portions
    }

    /// A credit on `today` with the account's activation and expiry.
    pub fn credit(&self, account: AccountId, amount: Minor, today: Day) -> Credit {
        let rules = self.rules.accounts.get(&account);
        let active_from = today.plus(rules.map_or(0, |rules| rules.active_after_days));
        let days = rules.and_then(|rules| rules.expires_after_days);
        Credit {
            account,
            amount,
            active_from,
            expires_on: days.map(|days| active_from.plus(days.saturating_sub(1))),
        }
    }

    /// Welcome points for someone who joins on `today`.
    pub fn welcome(&self, today: Day) -> Vec<Credit> {
        self.rules
            .welcome
            .iter()
            .filter(|welcome| welcome.amount_minor > Minor::ZERO)
            .map(|welcome| self.credit(welcome.account, welcome.amount_minor, today))
            .collect()
    }
}
