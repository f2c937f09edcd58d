//! Prices and redemptions with what waiting sales bind taken into account. The decisions are in `rules`.

use std::collections::BTreeMap;
use std::sync::Arc;

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, MemberId};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::AccountTakes;
use kopilka_rules::Moment;
use kopilka_rules::pricing::{self, PricingError, Quote};
use kopilka_rules::promotion::{Occasion, Shopper};
use kopilka_rules::redemption::{self, Asking, Authorised, HubAnswer, Refused};

use crate::identity::Identity;
use crate::store::Table;

use super::error::AppError;
use super::keys;
use super::records::{Balance, HoldRecord, decode};
use super::request::{Basket, HOLDS_MAX};
use super::resources::Resources;
use super::rows::Rows;
use super::rules::{Directory, Rules};

/// What a member's waiting sales bind.
#[derive(Debug, Clone, Default)]
pub(super) struct Bound {
    rights: BTreeMap<AllowanceRef, Minor>,
    takes: Vec<AccountTakes>,
}

impl Bound {
    pub(super) fn read(rows: &Rows, member: MemberId) -> Result<Self, AppError> {
        let mut bound = Self::default();
        for (_, bytes) in rows.scan_prefix(Table::Holds, &keys::member(member), HOLDS_MAX)? {
            let hold: HoldRecord = decode(&bytes)?;
            for used in &hold.uses {
                let sum = bound.rights.entry(used.allowance).or_default();
                *sum = sum.plus(used.amount)?;
            }
            bound.takes.extend(hold.takes);
        }
        Ok(bound)
    }

    /// Binds what was authorised just now.
    pub(super) fn bind(&mut self, authorised: &Authorised) -> Result<(), AmountError> {
        for used in &authorised.authority.uses {
            let sum = self.rights.entry(used.allowance).or_default();
            *sum = sum.plus(used.amount)?;
        }
        self.takes.push(authorised.takes.clone());
        Ok(())
    }

    /// Whether a waiting sale draws on the right.
    pub(super) fn draws_on(&self, allowance: &AllowanceRef) -> bool {
        self.rights.contains_key(allowance)
    }

    /// The member as if all waiting sales were confirmed, as far as points spent go.
    pub(super) fn spent(&self, member: &Member) -> Result<Member, AmountError> {
        let mut spent = member.clone();
        for taken in &self.takes {
            let account = spent.accounts.entry(taken.account).or_default();
            for take in &taken.takes {
                let lot = account.lots.entry(take.lot).or_default();
                lot.taken = lot.taken.plus(take.amount)?;
            }
        }
        Ok(spent)
    }

    fn takes_on(&self, account: AccountId) -> Vec<Take> {
        let own = self.takes.iter().filter(|taken| taken.account == account);
        own.flat_map(|taken| taken.takes.iter().copied()).collect()
    }
}

/// What a question about a member is answered from, as read at one moment.
pub(super) struct MemberNow {
    pub rules: Arc<Rules>,
    pub identity: Identity,
    pub member: Member,
    pub bound: Bound,
    pub moment: Moment,
}

impl MemberNow {
    pub(super) fn customer(&self) -> Customer<'_> {
        Customer {
            rules: &self.rules,
            identity: self.identity,
            member: &self.member,
            bound: &self.bound,
            moment: self.moment,
        }
    }
}

/// A member with what their waiting sales bind, at one moment under one publication.
pub(super) struct Customer<'a> {
    pub rules: &'a Rules,
    pub identity: Identity,
    pub member: &'a Member,
    pub bound: &'a Bound,
    pub moment: Moment,
}

impl Customer<'_> {
    /// Prices a basket at a moment and place.
    pub(super) fn price(
        &self,
        id: MemberId,
        basket: &Basket,
        occasion: &Occasion,
        resources: &Resources,
    ) -> Result<Quote, PricingError> {
        let spent = self.bound.spent(self.member)?;
        let today = self.moment.today();
        let programme = &self.rules.programme;
        let mut shopper = Shopper::of(programme, &spent, today)?.since(&spent, self.moment);
        for limit in programme.limit_records(occasion.store) {
            let record = resources.spent(limit.record)?;
            shopper.count_record(programme, limit.promotion, limit.place, &record, today)?;
        }
        let card = basket.card.and_then(|tag| self.member.cards.get(&tag));
        shopper.member = Some(id);
        shopper.card_kind = card.map(|card| card.kind);
        pricing::price(programme, &shopper, occasion, &basket.lines, &basket.wishes)
    }

    /// The moment and the place of a sale in this store; `online`: the hub answers.
    ///
    /// [`CouponError`](super::coupon::CouponError) when a coupon that was shown is not there.
    pub(super) fn occasion(
        &self,
        basket: &Basket,
        store: &Directory,
        online: bool,
        resources: &Resources,
    ) -> Result<Occasion, AppError> {
        let (store_day, minute) = store.wall_clock(self.moment.now_ms);
        Ok(Occasion {
            store_day,
            minute,
            store: store.store.store,
            store_groups: store.store.groups.clone(),
            partner: store.store.partner,
            tenders: basket.tenders.iter().map(|tender| tender.kind).collect(),
            codes: basket.codes.clone(),
            coupons: self.valid_coupons(basket, resources)?,
            rewards: basket.rewards.clone(),
            online,
            ..Occasion::at(self.moment.today())
        })
    }

    pub(super) fn authorise(
        &self,
        account: AccountId,
        amount: Minor,
        hub: HubAnswer,
    ) -> Result<Authorised, Refused> {
        let takes = self.bound.takes_on(account);
        let asking = self.asking(account, amount, &takes);
        redemption::authorise(self.member, &asking, hub, self.moment)
    }

    /// What the hub would have to grant before so much may be redeemed here.
    pub(super) fn missing_rights(&self, account: AccountId, amount: Minor) -> Minor {
        let asking = self.asking(account, amount, &[]);
        let usable = redemption::usable_rights(self.member, &asking, self.moment);
        Minor(amount.0.saturating_sub(usable.0).max(0))
    }

    fn asking<'b>(&'b self, account: AccountId, amount: Minor, takes: &'b [Take]) -> Asking<'b> {
        Asking {
            node: self.identity.node,
            incarnation: self.identity.incarnation,
            account,
            amount,
            held_rights: &self.bound.rights,
            held_takes: takes,
            margin_ms: self.rules.margin_ms(),
        }
    }

    /// What is in one account today, waiting sales taken off.
    pub(super) fn balance(&self, account: AccountId) -> Result<Balance, AmountError> {
        let spent = self.bound.spent(self.member)?;
        balance(&spent, account, self.moment.today())
    }

    /// What the member has today, account by account, waiting sales taken off.
    pub(super) fn balances(&self) -> Result<Vec<Balance>, AmountError> {
        let spent = self.bound.spent(self.member)?;
        balances(self.rules, &spent, self.moment.today())
    }
}

fn balances(rules: &Rules, member: &Member, today: Day) -> Result<Vec<Balance>, AmountError> {
    let known = rules.programme.rules().accounts.keys();
    let numbers: std::collections::BTreeSet<_> =
        known.chain(member.accounts.keys()).copied().collect();
    let balances = numbers.into_iter();
    balances
        .map(|account| balance(member, account, today))
        .collect()
}

fn balance(member: &Member, number: AccountId, today: Day) -> Result<Balance, AmountError> {
    let account = member.account(number);
    let mut next_expiry: Option<(Day, Minor)> = None;
    for lot in account.lots.values().filter(|lot| !lot.is_expired(today)) {
        let (Some(last), left) = (lot.expires_on, lot.remaining()?) else {
            continue;
        };
        if left <= Minor::ZERO {
            continue;
        }
        next_expiry = Some(match next_expiry {
            Some((day, sum)) if day == last => (day, sum.plus(left)?),
            Some((day, sum)) if day < last => (day, sum),
            Some(_) | None => (last, left),
        });
    }
    Ok(Balance {
        account: number,
        view: account.view(today)?,
        next_expiry,
    })
}
