//! What a priced sale takes from accounts: points that pay, coupons, rewards, budgets. And what stands behind it.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::ids::{AccountId, CashierId, MemberId, PromotionId};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Charge, Purpose, ReceiptKey, Spending};
use kopilka_crdt::rulebook::RuleBook;
use kopilka_rules::pricing::{Draw, Quote};
use kopilka_rules::redemption::{Authorised, HubAnswer, Refused};

use super::coupon::{CouponError, ShownCoupon};
use super::error::AppError;
use super::ladder::{Bound, Customer};
use super::request::Basket;
use super::resources::Resources;

/// What the hub said of each account that it was asked for, by record. Of others nothing: it was not asked.
#[derive(Debug, Clone, Default)]
pub struct HubAnswers(BTreeMap<(MemberId, AccountId), HubAnswer>);

impl HubAnswers {
    pub(super) fn insert(&mut self, record: MemberId, account: AccountId, answer: HubAnswer) {
        self.0.insert((record, account), answer);
    }

    fn of(&self, record: MemberId, account: AccountId) -> HubAnswer {
        let answer = self.0.get(&(record, account));
        answer.copied().unwrap_or(HubAnswer::Unreachable)
    }
}

/// Something that a sale takes from an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// The member, or a record of its own.
    pub record: MemberId,
    pub account: AccountId,
    pub amount: Minor,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// Points that pay, from the account that usually does.
    Points,
    /// Points that pay, from another account.
    Payment { shares: Vec<Minor> },
    /// A reward's price.
    Reward { promotion: PromotionId },
    /// A coupon of the member's own.
    OwnCoupon {
        promotion: PromotionId,
        comes_back: bool,
    },
    /// A bearer's coupon.
    BearersCoupon { card: CardTag },
    /// A promotion's budget.
    Budget { promotion: PromotionId },
}

/// All that a sale to a member takes at this price.
pub(super) fn needs(
    rules: &RuleBook,
    draws: &[Draw],
    quote: &Quote,
    (member, basket): (MemberId, &Basket),
) -> Vec<Need> {
    let own = |account, amount, what| Need {
        record: member,
        account,
        amount,
        what,
    };
    let mut needs = vec![own(rules.redemption.account, quote.redeemed, What::Points)];
    needs.extend(quote.payments.iter().map(|payment| {
        let shares = payment.shares.clone();
        own(payment.account, payment.amount, What::Payment { shares })
    }));
    needs.extend(quote.spent.iter().map(|spent| {
        let promotion = spent.promotion;
        own(spent.account, spent.amount, What::Reward { promotion })
    }));
    needs.extend(coupons(rules, quote, (member, basket)));
    needs.extend(draws.iter().map(|draw| Need {
        record: draw.record,
        account: AccountId::BUDGET,
        amount: draw.amount,
        what: What::Budget {
            promotion: draw.promotion,
        },
    }));
    needs.retain(|need| need.amount > Minor::ZERO);
    needs
}

/// The coupons that were used: of those shown of a series, the first ones.
fn coupons(rules: &RuleBook, quote: &Quote, (member, basket): (MemberId, &Basket)) -> Vec<Need> {
    let mut unused: Vec<_> = basket.coupons.iter().collect();
    let mut needs = Vec::with_capacity(quote.coupons.len());
    for used in &quote.coupons {
        let place = unused.iter().position(|one| one.series() == used.series);
        let Some(place) = place else {
            continue;
        };
        let series = rules.coupons.get(&used.series);
        let (record, what) = match unused.remove(place) {
            ShownCoupon::Own { .. } => {
                let what = What::OwnCoupon {
                    promotion: used.promotion,
                    comes_back: series.is_none_or(|series| series.comes_back),
                };
                (member, what)
            }
            ShownCoupon::Bearers { record, card, .. } => {
                (*record, What::BearersCoupon { card: *card })
            }
        };
        needs.push(Need {
            record,
            account: used.account,
            amount: Minor(1),
            what,
        });
    }
    needs
}

/// What stands behind a sale.
#[derive(Debug, Default)]
pub(super) struct Granted {
    /// Points that pay, from the account that usually does.
    pub points: Option<Authorised>,
    /// What else is taken from the member.
    pub spent: Vec<Spending>,
    /// What is taken from other records.
    pub charges: Vec<Charge>,
    /// Promotions whose budgets gave no right: the sale has to be priced without them.
    pub short: BTreeSet<PromotionId>,
}

/// Climbs the ladder for each need, one after the other, with what the earlier ones bind taken into account.
pub(super) fn grant(
    customer: &Customer<'_>,
    resources: &Resources,
    needs: Vec<Need>,
    hub: &HubAnswers,
    (receipt, cashier): (ReceiptKey, CashierId),
) -> Result<Granted, AppError> {
    let mut bounds: BTreeMap<MemberId, Bound> = BTreeMap::new();
    let mut granted = Granted::default();
    for need in needs {
        let resource = resources.of(need.record);
        let (state, held) = resource.map_or((customer.member, customer.bound), |resource| {
            (&resource.state, &resource.bound)
        });
        let bound = bounds.entry(need.record).or_insert_with(|| held.clone());
        let asking = Customer {
            rules: customer.rules,
            identity: customer.identity,
            member: state,
            bound,
            moment: customer.moment,
        };
        let answer = hub.of(need.record, need.account);
        match asking.authorise(need.account, need.amount, answer) {
            Ok(authorised) => {
                bound.bind(&authorised)?;
                granted.keep(need, authorised, (receipt, cashier));
            }
            Err(refused) => granted.lack(&need, refused)?,
        }
    }
    Ok(granted)
}

impl Granted {
    fn keep(
        &mut self,
        need: Need,
        authorised: Authorised,
        (receipt, cashier): (ReceiptKey, CashierId),
    ) {
        let purpose = match need.what {
            What::Points => {
                self.points = Some(authorised);
                return;
            }
            What::BearersCoupon { .. } | What::Budget { .. } => {
                self.charges.push(Charge {
                    member: need.record,
                    card: need.what.card(),
                    receipt,
                    cashier,
                    taken: Some(authorised.takes),
                    authority: Some(authorised.authority),
                    counted: None,
                });
                return;
            }
            What::Payment { shares } => Purpose::Payment { shares },
            What::Reward { promotion } => Purpose::Promotion {
                promotion,
                comes_back: true,
            },
            What::OwnCoupon {
                promotion,
                comes_back,
            } => Purpose::Promotion {
                promotion,
                comes_back,
            },
        };
        self.spent.push(Spending {
            purpose,
            taken: authorised.takes,
            authority: authorised.authority,
        });
    }

    /// A budget without a right costs its promotion; anything else was asked for by somebody who is told why not.
    fn lack(&mut self, need: &Need, refused: Refused) -> Result<(), AppError> {
        match &need.what {
            What::Budget { promotion } => {
                self.short.insert(*promotion);
                Ok(())
            }
            What::OwnCoupon { .. } | What::BearersCoupon { .. } => {
                Err(CouponError::Ladder(refused).into())
            }
            What::Points | What::Payment { .. } | What::Reward { .. } => Err(refused.into()),
        }
    }
}

impl What {
    fn card(&self) -> Option<CardTag> {
        match self {
            Self::BearersCoupon { card } => Some(*card),
            Self::Points
            | Self::Payment { .. }
            | Self::Reward { .. }
            | Self::OwnCoupon { .. }
            | Self::Budget { .. } => None,
        }
    }
}
