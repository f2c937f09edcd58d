//! What a receipt's promotions may ask about the member, the moment and the place.

use std::collections::BTreeMap;

use kopilka_crdt::calendar::MonthDay;
use kopilka_crdt::card::CardKind;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{AccountId, MemberId, PartnerId, PromotionId, StoreId};
use kopilka_crdt::member::{DaySum, Member};
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::TenderKind;
use kopilka_crdt::rulebook::model::condition::SalesChannel;
use kopilka_crdt::rulebook::model::promotion::LimitScope;

use super::explanation::Why;
use super::records::{used_on_record, used_up};
use crate::moment::Moment;
use crate::programme::Programme;

/// Rewards that the member asks for: how often each, or as often as the balance allows.
pub type Rewards = BTreeMap<PromotionId, Option<u32>>;

/// The member, as the till knows them.
#[derive(Debug, Clone, Default)]
pub struct Shopper {
    /// Who; none for a receipt without a card.
    pub member: Option<MemberId>,
    /// Code of the tier.
    pub tier: String,
    /// Kind of the card shown.
    pub card_kind: Option<CardKind>,
    /// Codes of segments and tags.
    pub tags: Vec<String>,
    /// Day of birth, without the year.
    pub birthday: Option<MonthDay>,
    /// When they joined.
    pub joined: Option<Day>,
    /// Purchases before this one.
    pub purchases: u32,
    /// The last of them.
    pub last_purchase: Option<Day>,
    /// What they bought, by day, as far back as some promotion asks.
    pub history: BTreeMap<Day, DaySum>,
    /// What may be spent, by account.
    pub balances: BTreeMap<AccountId, Minor>,
    /// How much of each limit of a promotion (by its place in the list) is used up, in the period that runs.
    pub used: BTreeMap<(PromotionId, usize), u64>,
}

/// The moment and the place.
#[derive(Debug, Clone)]
pub struct Occasion {
    /// The programme's calendar day.
    pub today: Day,
    /// The store's own day.
    pub store_day: Day,
    /// Minutes since midnight on the store's wall clock.
    pub minute: u16,
    /// The store.
    pub store: StoreId,
    /// Groups that it is in.
    pub store_groups: Vec<String>,
    /// Who owns it.
    pub partner: PartnerId,
    /// Through what is sold.
    pub channel: SalesChannel,
    /// Means of payment, as far as they are known.
    pub tenders: Vec<TenderKind>,
    /// Codes entered.
    pub codes: Vec<String>,
    /// Series of valid coupons shown, one entry for each coupon.
    pub coupons: Vec<String>,
    /// Rewards asked for.
    pub rewards: Rewards,
    /// Promotions that this sale does without, and why.
    pub left_out: BTreeMap<PromotionId, Why>,
    /// Whether the hub answers.
    pub online: bool,
}

impl Shopper {
    /// What a member's replicated state says on `today`.
    pub fn of(programme: &Programme, member: &Member, today: Day) -> Result<Self, AmountError> {
        let mut balances = BTreeMap::new();
        for (account, lots) in &member.accounts {
            balances.insert(*account, lots.view(today)?.spendable);
        }
        let looked_back = programme.promotions().look_back().map(|days| {
            let first = Day(today.0.saturating_sub(days.into()));
            member.history.range(first, today).collect()
        });
        let mut shopper = Self {
            tier: programme.tier_of(member, today).code.clone(),
            tags: member.tags_on().map(str::to_owned).collect(),
            birthday: member.shown.birthday,
            purchases: u32::try_from(member.purchases).unwrap_or(0),
            history: looked_back.unwrap_or_default(),
            balances,
            ..Self::default()
        };
        shopper.count_own(programme, member, today)?;
        Ok(shopper)
    }

    /// Limits of the member's own.
    fn count_own(
        &mut self,
        programme: &Programme,
        member: &Member,
        today: Day,
    ) -> Result<(), AmountError> {
        for (id, used) in &member.used {
            let promotion = programme.rules().promotions.get(id);
            let limits = promotion.into_iter().flat_map(|one| &one.limits);
            for (place, limit) in limits.enumerate() {
                if limit.scope == LimitScope::Member {
                    self.used.insert((*id, place), used_up(used, limit, today)?);
                }
            }
        }
        Ok(())
    }

    /// With how much of a limit of the store or of the programme is used up on `today`, by its record (see
    /// [`Programme::limit_records`]). A budget of which the record has nothing left, or has not been given anything yet,
    /// is used up.
    pub fn count_record(
        &mut self,
        programme: &Programme,
        promotion: PromotionId,
        place: usize,
        record: &Member,
        today: Day,
    ) -> Result<(), AmountError> {
        let rules = programme.rules().promotions.get(&promotion);
        let limit = rules.and_then(|rules| rules.limits.get(place));
        if let (Some(rules), Some(limit)) = (rules, limit) {
            let used = used_on_record((promotion, rules), limit, record, today)?;
            self.used.insert((promotion, place), used);
        }
        Ok(())
    }

    /// With the days on which the member joined and last bought, by the programme's calendar.
    #[must_use]
    pub fn since(mut self, member: &Member, moment: Moment) -> Self {
        let day =
            |stamp: Stamp| Some(moment.day_at(stamp.ms())).filter(|_| stamp != Stamp::default());
        self.joined = day(member.enrolled);
        self.last_purchase = day(member.last_purchase);
        self
    }
}

impl Occasion {
    /// A sale at a till on `today` at noon, with nothing else known.
    pub fn at(today: Day) -> Self {
        const NOON: u16 = 12 * 60;
        Self {
            today,
            store_day: today,
            minute: NOON,
            store: StoreId(0),
            store_groups: Vec::new(),
            partner: PartnerId(0),
            channel: SalesChannel::Till,
            tenders: Vec::new(),
            codes: Vec::new(),
            coupons: Vec::new(),
            rewards: Rewards::new(),
            left_out: BTreeMap::new(),
            online: true,
        }
    }
}
