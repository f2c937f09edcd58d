//! What a till sends of a receipt, and its lines as they are answered.

use std::collections::BTreeMap;

use kopilka_crdt::ids::AccountId;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{
    CODE_BYTES_MAX, PurchaseLine, RECEIPT_LINES_MAX, Tender, TenderKind,
};
use kopilka_rules::pricing::{ReceiptLine, Wish, Wishes};
use kopilka_rules::promotion::Rewards;
use kopilka_shell::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{App, AppError, ShownCoupon, TENDERS_MAX};

use super::json::{id, invalid, quantity};

/// Promo codes on one receipt.
const PROMO_CODES_MAX: usize = 16;

/// Coupons on one receipt.
const COUPONS_MAX: usize = 16;
/// Different rewards on one receipt.
const REWARDS_MAX: usize = 16;

/// A line as rung up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LineBody {
    /// The article.
    #[schema(example = "4601234567890")]
    sku: String,
    /// Its product group.
    group: Option<String>,
    /// A decimal with at most three places.
    #[schema(example = "0.345")]
    quantity: String,
    /// Price of one unit, minor units.
    unit_price: i64,
    /// What the till took off the line, minor units.
    discount: Option<i64>,
    /// The price below which a unit may not be sold, minor units.
    price_min: Option<i64>,
    /// What else is known of the goods, such as `brand`: promotions may ask for it. At most 16.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// A means of payment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TenderBody {
    /// cash, bank_card, fast_payment, gift_card or other.
    #[schema(value_type = String, example = "bank_card")]
    kind: TenderKind,
    /// Paid, minor units.
    amount: i64,
}

/// A reward that the member takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RewardBody {
    /// The promotion that gives it.
    #[schema(example = "x12")]
    promotion_id: String,
    /// How often; as often as the points last when not given.
    times: Option<u32>,
}

/// What an account is to pay.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum WishBody {
    /// So much, minor units.
    Exactly(i64),
    /// As the word says.
    Word(WishWord),
}

/// A word for an amount.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WishWord {
    /// As much as may be.
    Most,
}

/// A line with its shares.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineJson {
    /// The article.
    sku: String,
    /// Its product group.
    group: String,
    /// How much of it.
    quantity: String,
    /// Price of one unit.
    unit_price: i64,
    /// Taken off the line.
    discount: i64,
    /// Before points.
    amount: i64,
    /// Points redeemed on it.
    redeemed: i64,
    /// Points earned by it.
    earned: i64,
    /// How much of it has come back.
    returned: String,
}

/// What is to be spent, account by account.
pub(super) fn wishes(
    app: &App,
    (redeem, most): (Option<i64>, Option<bool>),
    from: &BTreeMap<String, WishBody>,
) -> Result<Wishes, Problem> {
    let rules = app.rules()?;
    let accounts = &rules.programme.rules().accounts;
    let mut further: BTreeMap<AccountId, Wish> = BTreeMap::new();
    for (code, wish) in from {
        let mut known = accounts.iter();
        let account = known.find(|(_, account)| account.code == *code);
        let (account, _) =
            account.ok_or_else(|| invalid("redeem_from", "names an account that there is not"))?;
        let wish = match wish {
            WishBody::Word(WishWord::Most) => Wish::Most,
            WishBody::Exactly(amount) if *amount >= 0 => Wish::Exactly(Minor(*amount)),
            WishBody::Exactly(_) => return Err(invalid("redeem_from", "is 0 or more")),
        };
        further.insert(*account, wish);
    }
    let points = wish(redeem, most)?;
    Ok(Wishes { points, further })
}

fn wish(redeem: Option<i64>, most: Option<bool>) -> Result<Wish, Problem> {
    match (redeem, most.unwrap_or_default()) {
        (None, false) => Ok(Wish::Nothing),
        (None, true) => Ok(Wish::Most),
        (Some(amount), false) if amount >= 0 => Ok(Wish::Exactly(Minor(amount))),
        (Some(_), _) => Err(invalid(
            "redeem",
            "is 0 or more, and is not given together with `redeem_most`",
        )),
    }
}

pub(super) fn tenders(tenders: &[TenderBody]) -> Result<Vec<Tender>, Problem> {
    if tenders.len() > TENDERS_MAX || tenders.iter().any(|tender| tender.amount < 0) {
        return Err(invalid("tenders", "are at most 16, none below 0"));
    }
    let tender = |tender: &TenderBody| Tender {
        kind: tender.kind,
        amount: Minor(tender.amount),
    };
    Ok(tenders.iter().map(tender).collect())
}

pub(super) fn promo_codes(codes: Vec<String>) -> Result<Vec<String>, Problem> {
    let fits = |code: &String| (1..=CODE_BYTES_MAX).contains(&code.len());
    if codes.len() > PROMO_CODES_MAX || !codes.iter().all(fits) {
        return Err(invalid(
            "promo_codes",
            "are at most 16, each of 1 to 64 bytes",
        ));
    }
    Ok(codes)
}

pub(super) fn receipt_lines(lines: Vec<LineBody>) -> Result<Vec<ReceiptLine>, Problem> {
    if lines.len() > RECEIPT_LINES_MAX {
        return Err(invalid("lines", "are at most 1,000"));
    }
    let mut receipt = Vec::with_capacity(lines.len());
    for line in lines {
        receipt.push(ReceiptLine {
            quantity: quantity("quantity", &line.quantity)?,
            sku: line.sku,
            group: line.group.unwrap_or_default(),
            unit_price: Minor(line.unit_price),
            discount: Minor(line.discount.unwrap_or_default()),
            price_min: line.price_min.map(Minor),
            attributes: line.attributes,
        });
    }
    Ok(receipt)
}

pub(super) fn line_json(
    lines: &[PurchaseLine],
    returned: &[Milli],
) -> Result<Vec<LineJson>, Problem> {
    let mut json = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        json.push(LineJson {
            sku: line.sku.clone(),
            group: line.group.clone(),
            quantity: line.quantity.to_string(),
            unit_price: line.unit_price.0,
            discount: line.discount.0,
            amount: line.amount().map_err(AppError::from)?.0,
            redeemed: line.redeemed.0,
            earned: line.earned.0,
            returned: returned.get(index).copied().unwrap_or_default().to_string(),
        });
    }
    Ok(json)
}

/// The rewards asked for.
pub(super) fn rewards(asked: &[RewardBody]) -> Result<Rewards, Problem> {
    if asked.len() > REWARDS_MAX || asked.iter().any(|reward| reward.times == Some(0)) {
        return Err(invalid(
            "rewards",
            "are at most 16, each taken at least once",
        ));
    }
    let mut rewards = Rewards::new();
    for reward in asked {
        rewards.insert(id("promotion_id", &reward.promotion_id)?, reward.times);
    }
    Ok(rewards)
}

/// The coupons that were shown; the hub is asked for numbers that are not known here.
pub(super) async fn shown_coupons(
    app: &App,
    texts: &[String],
) -> Result<Vec<ShownCoupon>, Problem> {
    if texts.len() > COUPONS_MAX {
        return Err(invalid("coupons", "are at most 16"));
    }
    let mut shown = Vec::with_capacity(texts.len());
    for text in texts {
        shown.push(app.coupon(text).await?);
    }
    Ok(shown)
}
