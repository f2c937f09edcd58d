//! The format of a worked example; `rules/gallery/README.md` describes it.

use std::collections::BTreeMap;

use kopilka_crdt::calendar::{Date, MonthDay, TimeOfDay};
use kopilka_crdt::card::CardKind;
use kopilka_crdt::ids::{AccountId, PartnerId, PromotionId, StoreId};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::TenderKind;
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::model::condition::SalesChannel;
use serde::Deserialize;
use serde_json::Value;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub about: Text,
    pub source: Source,
    /// A merge patch over the starter rule book.
    pub rule_book: Value,
    /// Why the figures are not those of the source.
    pub differs: Option<String>,
    pub cases: Vec<Case>,
}

/// Where an example is from: rows of the list of features, or a test of another system.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    #[serde(default)]
    pub features: Vec<String>,
    /// What says so when no feature does.
    pub rule: Option<String>,
    pub case: Option<String>,
    pub repository: Option<String>,
    pub path: Option<String>,
    pub test: Option<String>,
    pub commit: Option<String>,
}

impl Source {
    pub fn is_named(&self) -> bool {
        let peer = [
            &self.case,
            &self.repository,
            &self.path,
            &self.test,
            &self.commit,
        ];
        let peers = peer.iter().filter(|part| part.is_some()).count();
        peers == peer.len() || (peers == 0 && (!self.features.is_empty() || self.rule.is_some()))
    }
}

/// One receipt.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub note: String,
    /// A further merge patch, for a variant of the rule.
    #[serde(default = "no_change")]
    pub change: Value,
    /// None: a receipt without a card.
    pub shopper: Option<Buyer>,
    #[serde(default)]
    pub occasion: Setting,
    pub receipt: Vec<Line>,
    #[serde(default)]
    pub wish: Wanted,
    /// From other accounts that pay.
    #[serde(default)]
    pub further: BTreeMap<AccountId, Wanted>,
    pub expect: Expected,
    pub returned: Option<Returned>,
}

fn no_change() -> Value {
    Value::Object(serde_json::Map::new())
}

/// The member. Without a tier: the one that they are in by what they bought.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Buyer {
    pub member: u64,
    pub counted: Minor,
    pub tier: Option<String>,
    pub card_kind: Option<CardKind>,
    pub tags: Vec<String>,
    pub birthday: Option<MonthDay>,
    pub joined: Option<Date>,
    pub purchases: i32,
    pub last_purchase: Option<Date>,
    pub history: BTreeMap<Date, BoughtOn>,
    /// Points that purchases ever earned, all of them spent.
    pub earned: Minor,
    /// On the account that pays.
    pub balance: Option<Minor>,
    pub balances: BTreeMap<AccountId, Minor>,
    pub used: Vec<Used>,
    /// Uses of promotions by day, as limits of the member count them.
    pub uses: Vec<UsedOn>,
}

impl Default for Buyer {
    fn default() -> Self {
        Self {
            member: 1,
            counted: Minor::ZERO,
            tier: None,
            card_kind: None,
            tags: Vec::new(),
            birthday: None,
            joined: None,
            purchases: 0,
            last_purchase: None,
            history: BTreeMap::new(),
            earned: Minor::ZERO,
            balance: None,
            balances: BTreeMap::new(),
            used: Vec::new(),
            uses: Vec::new(),
        }
    }
}

/// What was bought on a day.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoughtOn {
    pub paid: Minor,
    #[serde(default)]
    pub earned: Minor,
    pub visits: i32,
}

/// What a promotion gave on a day.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsedOn {
    pub promotion: PromotionId,
    pub day: Date,
    pub receipts: i32,
    #[serde(default)]
    pub off: Minor,
    #[serde(default)]
    pub points: Minor,
}

/// How much of a limit is used up.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    pub promotion: PromotionId,
    /// Its place in the promotion's list, from 0.
    pub limit: usize,
    pub amount: u64,
}

/// The moment and the place.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Setting {
    pub day: Option<Date>,
    pub time: Option<TimeOfDay>,
    pub store: Option<StoreId>,
    pub store_groups: Vec<String>,
    pub partner: Option<PartnerId>,
    pub channel: SalesChannel,
    pub tenders: Vec<TenderKind>,
    pub codes: Vec<String>,
    pub coupons: Vec<String>,
    /// How often each; null: as often as can be.
    pub rewards: BTreeMap<PromotionId, Option<u32>>,
    pub offline: bool,
    /// Promotions for whose budget the store got no right.
    pub no_right: Vec<PromotionId>,
}

/// A line of the receipt.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub sku: String,
    #[serde(default = "one")]
    pub quantity: String,
    pub unit_price: Minor,
    #[serde(default)]
    pub group: String,
    /// What the till itself took off.
    #[serde(default)]
    pub discount: Minor,
    pub price_min: Option<Minor>,
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

fn one() -> String {
    "1".to_owned()
}

/// How many points the member wants to pay with.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    #[default]
    Nothing,
    Most,
    Exactly(Minor),
}

/// What comes out. Only what is named is compared.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expected {
    pub total: Option<Minor>,
    pub discount: Option<Minor>,
    pub by_sku: BTreeMap<String, Minor>,
    pub by_promotion: BTreeMap<PromotionId, Taken>,
    pub points: BTreeMap<AccountId, Minor>,
    pub points_by_promotion: BTreeMap<PromotionId, Minor>,
    pub lots: Option<Vec<Lot>>,
    pub points_spent: Option<Minor>,
    pub redeemable: Option<Minor>,
    pub redeemed: Option<Minor>,
    pub redeemed_by_sku: BTreeMap<String, Minor>,
    pub to_pay: Option<Minor>,
    /// What other accounts pay.
    pub payments: BTreeMap<AccountId, Minor>,
    /// Coupons used up, by series.
    pub coupons_used: Option<BTreeMap<String, u32>>,
    /// Budgets drawn on, by promotion.
    pub draws: Option<BTreeMap<PromotionId, Minor>>,
    pub goods: Option<BTreeMap<String, u32>>,
    pub gifts: Option<BTreeMap<String, u32>>,
    pub coupons: Option<BTreeMap<String, u32>>,
    pub badges: Option<Vec<String>>,
    pub messages: Option<Vec<Text>>,
    pub why: BTreeMap<PromotionId, String>,
    pub say: BTreeMap<PromotionId, Text>,
    pub refused: Option<Refused>,
    pub tier: Option<String>,
    pub welcome: Option<BTreeMap<AccountId, Minor>>,
}

/// What a promotion took off: in all, or from each article.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Taken {
    Sum(Minor),
    BySku(BTreeMap<String, Minor>),
}

/// A credit with its days.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lot {
    pub account: AccountId,
    pub amount: Minor,
    pub active_from: Date,
    pub expires_on: Option<Date>,
}

/// Why the receipt is not priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    TooManyPoints(Minor),
    TooFewPoints(Minor),
}

/// Goods that come back after the sale.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Returned {
    /// None: all of them.
    pub lines: Option<Vec<ReturnedPart>>,
    pub refund: Minor,
    /// Earned points taken back, by account.
    pub withdrawn: BTreeMap<AccountId, Minor>,
    /// Redeemed points given back.
    pub restored: Minor,
    /// After how many days.
    #[serde(default)]
    pub after_days: u32,
    /// Of the points earned on the receipt, spent elsewhere meanwhile.
    #[serde(default)]
    pub spent_since: Minor,
    /// What the refund is lowered by for them.
    #[serde(default)]
    pub kept_back: Minor,
    /// Redeemed points given anew, as their own had too little time left.
    #[serde(default)]
    pub renewed: Minor,
}

/// Part of a line that comes back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnedPart {
    pub line: u16,
    pub quantity: String,
}
