//! The rule book's schema, version 2.

pub mod condition;
pub mod goods;
pub mod promotion;
pub mod resource;
pub mod tier;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, PromotionId};
use crate::money::Minor;
pub use goods::{Filter, GroupRules};
pub use promotion::Promotion;
pub use resource::{GiftCardRules, ReferralRules, ReturnRules, SeriesRules, Shortfall};
pub use tier::{TierMeasure, TierRules, TierWindow, Tiering};

/// The schema version that this program writes. Version 1 had no promotions, and is read as version 2 without any.
pub const RULE_BOOK_SCHEMA: u16 = 2;

/// A text in the two languages of the system.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Russian.
    pub ru: String,
    /// English.
    pub en: String,
}

impl Text {
    /// A text from its two forms.
    pub fn new(ru: &str, en: &str) -> Self {
        Self {
            ru: ru.to_owned(),
            en: en.to_owned(),
        }
    }
}

/// All rules of one programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleBook {
    /// Schema version.
    #[schemars(range(min = 1, max = RULE_BOOK_SCHEMA))]
    pub schema: u16,
    /// The programme's name.
    pub name: Text,
    /// ISO 4217 code of its money.
    pub currency: String,
    /// IANA name of the zone whose calendar days lots live by.
    pub time_zone: String,
    /// Accounts by number.
    pub accounts: BTreeMap<AccountId, AccountRules>,
    /// Tiers, from the lowest threshold up; the first starts at 0.
    pub tiers: Vec<TierRules>,
    /// What the thresholds are compared with.
    #[serde(default)]
    pub tiering: Tiering,
    /// How purchases earn.
    pub earning: EarningRules,
    /// How points pay.
    pub redemption: RedemptionRules,
    /// How other accounts pay, beside the one above, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<RedemptionRules>,
    /// What becomes of points when goods come back.
    #[serde(default)]
    pub returns: ReturnRules,
    /// Points for bringing friends.
    #[serde(default)]
    pub referral: Option<ReferralRules>,
    /// Series of coupons, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub coupons: BTreeMap<String, SeriesRules>,
    /// Gift cards.
    #[serde(default)]
    pub gift_cards: Option<GiftCardRules>,
    /// Segments and tags that promotions may ask for, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Text>,
    /// Badges and statuses that promotions may award, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub badges: BTreeMap<String, Text>,
    /// Gifts that promotions may credit, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gifts: BTreeMap<String, Text>,
    /// Product groups with rules of their own, by code.
    pub groups: BTreeMap<String, GroupRules>,
    /// Points for joining.
    pub welcome: Option<WelcomeRules>,
    /// What stores may do without the hub.
    pub offline: OfflineRules,
    /// Texts for tills and receipts.
    pub messages: MessageRules,
    /// How amounts are rounded.
    #[serde(default)]
    pub rounding: Rounding,
    /// Bounds that no discount goes beyond.
    #[serde(default)]
    pub bounds: DiscountBounds,
    /// Groups of promotions of which one applies, by code.
    #[serde(default)]
    pub choices: BTreeMap<String, promotion::Choice>,
    /// Promotions by number. A number is never used again, since purchases name it.
    #[serde(default)]
    pub promotions: BTreeMap<PromotionId, Promotion>,
}

/// How a fraction of a minor unit is rounded. 0.5 % of 3.00: 1.5 kopecks become 1, 2 and 2; 0.5 % of 5.00: 2, 3 and 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Down.
    Floor,
    /// Halves up.
    #[default]
    HalfUp,
    /// Halves to the even neighbour.
    HalfEven,
}

/// Bounds that no discount of promotions goes beyond; what is too much is left out, in proportion to what each line was
/// to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiscountBounds {
    /// Most off one line, in thousandths of its price.
    pub line_permille_max: u32,
    /// Most off a receipt, in thousandths of its price.
    pub receipt_permille_max: u32,
}

impl Default for DiscountBounds {
    fn default() -> Self {
        Self {
            line_permille_max: 1_000,
            receipt_permille_max: 1_000,
        }
    }
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRules {
    /// Short code, such as `points`.
    pub code: String,
    /// Its name.
    pub name: Text,
    /// Days after crediting from which points may be spent; 0: at once.
    pub active_after_days: u32,
    /// Days for which points may be spent, the first one included; none: for ever.
    pub expires_after_days: Option<u32>,
}

/// How purchases earn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarningRules {
    /// The account that purchases credit.
    pub account: AccountId,
    /// The receipt's points are rounded down to a multiple of this; 1: to hundredths, 100: to whole points.
    pub step_minor: i64,
    /// Whether a receipt paid partly with points still earns on the rest.
    pub with_redemption: bool,
}

/// How points pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedemptionRules {
    /// The account that pays.
    pub account: AccountId,
    /// Most that points may pay of a receipt, in thousandths.
    pub share_permille_max: u32,
    /// Least that may be redeemed at once; 0: any amount.
    pub amount_min_minor: Minor,
    /// Redemptions are rounded down to a multiple of this.
    pub step_minor: i64,
    /// For which goods; all that points may pay for when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goods: Option<Filter>,
}

/// Points for joining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WelcomeRules {
    /// The account credited.
    pub account: AccountId,
    /// How much.
    pub amount_minor: Minor,
}

/// What stores may do without the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfflineRules {
    /// How long a till waits for the hub to reserve, milliseconds.
    pub hub_deadline_ms: u32,
    /// How long an authorised sale is held before it is voided, seconds.
    pub hold_seconds: u32,
    /// Share of what is spendable that one store may hold as an allowance, in thousandths.
    pub allowance_share_permille: u32,
    /// Most that one allowance may be.
    pub allowance_max_minor: Minor,
    /// How long an allowance lives, hours.
    pub allowance_hours: u32,
    /// How far before its end a store stops using it, seconds.
    pub clock_margin_seconds: u32,
    /// How long goods may be returned, days.
    pub return_days: u32,
}

/// Texts for tills and receipts. `{balance}`, `{earned}`, `{redeemed}`, `{tier}` and `{name}` are filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageRules {
    /// Printed below the receipt.
    pub receipt: Text,
}

impl RuleBook {
    /// The Base/Gold/Platinum programme that a new programme starts from.
    pub fn starter(name: Text) -> Self {
        let points = AccountId(1);
        let tier = |code: &str, ru: &str, en: &str, from: i64, permille: u32| TierRules {
            code: code.to_owned(),
            name: Text::new(ru, en),
            from_minor: Minor(from),
            earn_permille: permille,
        };
        let account = AccountRules {
            code: "points".to_owned(),
            name: Text::new("Баллы", "Points"),
            active_after_days: 0,
            expires_after_days: Some(365),
        };
        let closed = GroupRules {
            parent: None,
            earns: false,
            redeems: false,
            discounts: false,
        };
        Self {
            schema: RULE_BOOK_SCHEMA,
            name,
            currency: "RUB".to_owned(),
            time_zone: "Europe/Moscow".to_owned(),
            accounts: BTreeMap::from([(points, account)]),
            tiers: vec![
                tier("base", "Базовый", "Base", 0, 50),
                tier("gold", "Золотой", "Gold", 1_000_001, 100),
                tier("platinum", "Платиновый", "Platinum", 3_000_001, 150),
            ],
            tiering: Tiering::default(),
            earning: EarningRules {
                account: points,
                step_minor: 1,
                with_redemption: true,
            },
            redemption: RedemptionRules {
                account: points,
                share_permille_max: 300,
                amount_min_minor: Minor::ZERO,
                step_minor: 1,
                goods: None,
            },
            payments: Vec::new(),
            returns: ReturnRules::default(),
            referral: None,
            coupons: BTreeMap::new(),
            gift_cards: None,
            tags: BTreeMap::new(),
            badges: BTreeMap::new(),
            gifts: BTreeMap::new(),
            groups: BTreeMap::from([
                ("tobacco".to_owned(), closed.clone()),
                ("gift_card".to_owned(), closed),
            ]),
            welcome: Some(WelcomeRules {
                account: points,
                amount_minor: Minor(25_000),
            }),
            offline: OfflineRules {
                hub_deadline_ms: 300,
                hold_seconds: 900,
                allowance_share_permille: 500,
                allowance_max_minor: Minor(100_000),
                allowance_hours: 168,
                clock_margin_seconds: 600,
                return_days: 14,
            },
            messages: MessageRules {
                receipt: Text::new(
                    "Начислено баллов: {earned}. Баланс: {balance}.",
                    "Points earned: {earned}. Balance: {balance}.",
                ),
            },
            rounding: Rounding::default(),
            bounds: DiscountBounds::default(),
            choices: BTreeMap::new(),
            promotions: BTreeMap::new(),
        }
    }
}
