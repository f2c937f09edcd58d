//! Coupons shown at a till: a member's own by their series, and bearers' by their numbers.

use std::collections::BTreeMap;

use kopilka_crdt::card::{CardKind, CardNumber};
use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::{CardTag, Identifier, IdentifierError};
use kopilka_crdt::ids::{AccountId, MemberId};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_rules::redemption::Refused;

use super::App;
use super::error::AppError;
use super::ladder::Customer;
use super::request::Basket;
use super::resources::Resources;
use super::rules::InForce;
use super::sale::check_usable;

/// Why a coupon that was shown is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CouponError {
    /// Neither a series nor a number that is known here.
    #[error("no such coupon is known here")]
    Unknown {
        /// Whether the hub was asked.
        connected: bool,
    },
    /// Used up, run out, or not to be used yet.
    #[error("no coupon of the series {series} can be used today")]
    Spent {
        /// The series.
        series: String,
    },
    /// It may be used, but not here and now.
    #[error(transparent)]
    Ladder(#[from] Refused),
}

/// A coupon that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShownCoupon {
    /// One of the member's own.
    Own {
        /// Its series.
        series: String,
    },
    /// A bearer's.
    Bearers {
        /// Its series.
        series: String,
        /// Its record.
        record: MemberId,
        /// The card within it.
        card: CardTag,
    },
}

impl ShownCoupon {
    /// Its series.
    pub fn series(&self) -> &str {
        match self {
            Self::Own { series } | Self::Bearers { series, .. } => series,
        }
    }

    /// Its record, when it has one of its own.
    pub(super) fn record(&self) -> Option<MemberId> {
        match self {
            Self::Own { .. } => None,
            Self::Bearers { record, .. } => Some(*record),
        }
    }
}

/// The series that a bearer's coupon is of: the one whose account its unit was credited to.
fn series_of(rules: &RuleBook, record: &Member) -> Option<String> {
    let mut series = rules.coupons.iter();
    let credited = series.find(|(_, rules)| record.accounts.contains_key(&rules.account));
    credited.map(|(code, _)| code.clone())
}

/// Whether cards of the coupons shown may be used: not blocked, not closed.
pub(super) fn check_cards(
    in_force: &InForce,
    basket: &Basket,
    resources: &Resources,
) -> Result<(), AppError> {
    for shown in &basket.coupons {
        if let ShownCoupon::Bearers { record, card, .. } = shown
            && let Some(resource) = resources.of(*record)
            && let Some(known) = resource.state.cards.get(card)
        {
            check_usable(in_force, &resource.state, *card, known.state)?;
        }
    }
    Ok(())
}

impl App {
    /// What a text names: a series of the member's own coupons, or a bearer's coupon by its number. The hub is asked
    /// for a number that is not known here.
    ///
    /// # Errors
    /// [`CouponError::Unknown`], or when the store cannot be read.
    pub async fn coupon(&self, text: &str) -> Result<ShownCoupon, AppError> {
        let rules = self.rules()?;
        if rules.programme.rules().coupons.contains_key(text) {
            let series = text.to_owned();
            return Ok(ShownCoupon::Own { series });
        }
        let connected = self.hub().is_connected();
        let unknown = || AppError::from(CouponError::Unknown { connected });
        let number = CardNumber::parse(text).map_err(IdentifierError::Card)?;
        let identifier = Identifier::card(&number);
        let card = identifier.hash(&self.directory()?.store.lookup_key).tag();
        let owner = match self.owner(&identifier).await {
            Err(AppError::UnknownMember) => return Err(unknown()),
            owner => owner?,
        };
        let state = self.member_now(owner.member)?.member;
        let known = state.cards.get(&card);
        if known.is_none_or(|card| card.kind != CardKind::Coupon) {
            return Err(unknown());
        }
        Ok(ShownCoupon::Bearers {
            series: series_of(rules.programme.rules(), &state).ok_or_else(unknown)?,
            record: owner.member,
            card,
        })
    }
}

impl Customer<'_> {
    /// The series of the coupons shown, one entry for each, once each was found to be there.
    pub(super) fn valid_coupons(
        &self,
        basket: &Basket,
        resources: &Resources,
    ) -> Result<Vec<String>, AppError> {
        let own = self.bound.spent(self.member)?;
        let mut shown_of: BTreeMap<(Option<MemberId>, AccountId), i64> = BTreeMap::new();
        let mut valid = Vec::with_capacity(basket.coupons.len());
        for shown in &basket.coupons {
            let series = shown.series().to_owned();
            let rules = self.rules.programme.rules().coupons.get(&series);
            let account = rules
                .ok_or(CouponError::Unknown { connected: true })?
                .account;
            let left = match shown.record() {
                None => units(&own, account, self.moment.today())?,
                Some(record) => units(&resources.spent(record)?, account, self.moment.today())?,
            };
            let count = shown_of.entry((shown.record(), account)).or_default();
            *count = count.saturating_add(1);
            if left < Minor(*count) {
                return Err(CouponError::Spent { series }.into());
            }
            valid.push(series);
        }
        Ok(valid)
    }
}

fn units(state: &Member, account: AccountId, today: Day) -> Result<Minor, AppError> {
    let account = state.accounts.get(&account);
    let view = account.map(|account| account.view(today)).transpose()?;
    Ok(view.map_or(Minor::ZERO, |view| view.spendable))
}
