//! What became of promotions on a receipt, as tills show it.

use std::collections::BTreeMap;

use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::promotion::Audience;
use kopilka_rules::pricing::Quote;
use kopilka_rules::promotion::{Explained, Issued, Outcome};
use serde::Serialize;
use utoipa::ToSchema;

use super::json::TextJson;

/// What became of one promotion.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PromotionJson {
    /// Which.
    #[schema(example = "x12")]
    promotion_id: String,
    /// Its name.
    name: TextJson,
    /// Money that it took off, minor units.
    off: i64,
    /// Points that it credits, minor units.
    points: i64,
    /// Its share of each line of the receipt, in order; empty when it took nothing off.
    line_shares: Vec<i64>,
    /// Why it gave nothing; absent when it gave something.
    reason: Option<ReasonJson>,
}

/// Why a promotion gave nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReasonJson {
    /// A stable word.
    #[schema(example = "total_short")]
    code: &'static str,
    /// The reason in words.
    text: TextJson,
}

/// Goods to hand out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GiftGoodsJson {
    /// The article.
    sku: String,
    /// How many.
    units: u32,
    /// The promotion that gives them.
    promotion_id: String,
}

/// A text of a promotion.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageJson {
    /// cashier or receipt.
    #[schema(example = "cashier")]
    to: &'static str,
    /// The text.
    text: TextJson,
}

/// What became of the promotions that were asked, in order of their numbers.
pub(super) fn explained(rules: &RuleBook, quote: &Quote) -> Vec<PromotionJson> {
    let one = |explained: &Explained| {
        let promotion = rules.promotions.get(&explained.promotion)?;
        let (off, points, reason) = match explained.outcome {
            Outcome::Gave { off, points } => (off.0, points.0, None),
            Outcome::Nothing(why) => {
                let reason = ReasonJson {
                    code: why.code(),
                    text: why.text().into(),
                };
                (0, 0, Some(reason))
            }
        };
        let discounts = quote.discounts.iter();
        let mut own = discounts.filter(|discount| discount.promotion == explained.promotion);
        let shares = own.next().map_or(&[][..], |discount| &discount.shares);
        Some(PromotionJson {
            promotion_id: explained.promotion.to_string(),
            name: promotion.name.clone().into(),
            off,
            points,
            line_shares: shares.iter().map(|share| share.0).collect(),
            reason,
        })
    };
    quote.explained.iter().filter_map(one).collect()
}

/// Goods on top of those bought.
pub(super) fn gifts(quote: &Quote) -> Vec<GiftGoodsJson> {
    let issued = quote.issued.iter();
    let goods = issued.filter_map(|(promotion, issued)| match issued {
        Issued::Goods { sku, units } => Some(GiftGoodsJson {
            sku: sku.clone(),
            units: *units,
            promotion_id: promotion.to_string(),
        }),
        Issued::Gift { .. }
        | Issued::Coupon { .. }
        | Issued::Message { .. }
        | Issued::Badge { .. } => None,
    });
    goods.collect()
}

/// Texts for the cashier and for the receipt.
pub(super) fn messages(quote: &Quote) -> Vec<MessageJson> {
    let issued = quote.issued.iter();
    let messages = issued.filter_map(|(_, issued)| match issued {
        Issued::Message { to, text } => Some(MessageJson {
            to: match to {
                Audience::Cashier => "cashier",
                Audience::Receipt => "receipt",
            },
            text: text.clone().into(),
        }),
        Issued::Goods { .. }
        | Issued::Gift { .. }
        | Issued::Coupon { .. }
        | Issued::Badge { .. } => None,
    });
    messages.collect()
}

/// Gifts that are credited to the member.
pub(super) fn gifts_credited(quote: &Quote) -> BTreeMap<String, u32> {
    let mut gifts = BTreeMap::<String, u32>::new();
    for (_, issued) in &quote.issued {
        match issued {
            Issued::Gift { code, count } => {
                let sum = gifts.entry(code.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
            Issued::Goods { .. }
            | Issued::Coupon { .. }
            | Issued::Message { .. }
            | Issued::Badge { .. } => {}
        }
    }
    gifts
}

/// Badges that are awarded.
pub(super) fn badges(quote: &Quote) -> Vec<String> {
    let issued = quote.issued.iter();
    let badges = issued.filter_map(|(_, issued)| match issued {
        Issued::Badge { code } => Some(code.clone()),
        Issued::Goods { .. }
        | Issued::Gift { .. }
        | Issued::Coupon { .. }
        | Issued::Message { .. } => None,
    });
    badges.collect()
}
