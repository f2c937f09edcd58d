//! A receipt as the till rings it up, and whether it can be priced.

use std::collections::BTreeMap;

use kopilka_crdt::money::{AmountError, Milli, Minor};
use kopilka_crdt::operation::{CODE_BYTES_MAX, RECEIPT_LINES_MAX};

/// Most attributes of one line.
pub const ATTRIBUTES_MAX: usize = 16;

/// A line as the till rings it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptLine {
    /// The article.
    pub sku: String,
    /// Its product group; empty: none.
    pub group: String,
    /// How much of it; positive.
    pub quantity: Milli,
    /// Price of one unit, not negative.
    pub unit_price: Minor,
    /// What the till itself took off the line.
    pub discount: Minor,
    /// The price below which a unit may not be sold, as the law or the maker says; none: no such bound.
    pub price_min: Option<Minor>,
    /// What else is known of the goods, such as `brand`.
    pub attributes: BTreeMap<String, String>,
}

/// Why a receipt cannot be priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// No lines, or too many.
    #[error("a receipt has 1 to 1000 lines")]
    Lines,
    /// A line makes no sense.
    #[error("line {line}: {problem}")]
    Line {
        /// 0-based index.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// More points asked for than the rules allow on this receipt, or than the member has.
    #[error("at most {most:?} points may be redeemed on this receipt")]
    TooManyPoints {
        /// What may be redeemed.
        most: Minor,
    },
    /// Fewer points asked for than the rules allow at once.
    #[error("at least {least:?} points are redeemed at once")]
    TooFewPoints {
        /// What must be redeemed at least.
        least: Minor,
    },
    /// A sum left 64 bits.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// Nothing is sold.
    #[error("the quantity must be more than 0")]
    Quantity,
    /// Negative.
    #[error("the price must not be negative")]
    Price,
    /// Negative.
    #[error("the lowest price must not be negative")]
    PriceMin,
    /// Negative, or more than the line costs.
    #[error("the discount must lie between 0 and the line's amount")]
    Discount,
    /// SKU empty or too long, or group too long.
    #[error(
        "the SKU has 1 to 64 bytes, the group at most 64, and there are at most 16 attributes of as many"
    )]
    Code,
}

/// Whether a receipt can be priced at all.
pub(super) fn check(receipt: &[ReceiptLine]) -> Result<(), PricingError> {
    if receipt.is_empty() || receipt.len() > RECEIPT_LINES_MAX {
        return Err(PricingError::Lines);
    }
    for (line, item) in receipt.iter().enumerate() {
        if let Some(problem) = problem_of(item)? {
            return Err(PricingError::Line { line, problem });
        }
    }
    Ok(())
}

fn problem_of(line: &ReceiptLine) -> Result<Option<LineProblem>, AmountError> {
    let fits = |text: &str| text.len() <= CODE_BYTES_MAX;
    let attributes = line.attributes.len() <= ATTRIBUTES_MAX
        && line
            .attributes
            .iter()
            .all(|(name, value)| fits(name) && fits(value));
    let code = !line.sku.is_empty() && fits(&line.sku) && fits(&line.group) && attributes;
    Ok(if line.quantity == Milli(0) {
        Some(LineProblem::Quantity)
    } else if line.unit_price < Minor::ZERO {
        Some(LineProblem::Price)
    } else if line.price_min.is_some_and(|least| least < Minor::ZERO) {
        Some(LineProblem::PriceMin)
    } else if line.discount < Minor::ZERO || line.discount > line.quantity.price(line.unit_price)? {
        Some(LineProblem::Discount)
    } else if !code {
        Some(LineProblem::Code)
    } else {
        None
    })
}
