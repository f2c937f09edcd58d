//! What of a member's past is not what a promotion asks for, and by how much.

use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::Text;

use super::explanation::units;

/// What of a member's past is not what a promotion asks for. Differences are negative when something is missing to what is
/// asked for, and positive when there is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// Nothing is known of it: no card was shown, or nothing was bought before.
    Unknown,
    /// Days of membership.
    Membership(i64),
    /// Days since the last purchase.
    LastPurchase(i64),
    /// It is not this purchase of the member's; the one that it is comes so many purchases later, if one does.
    Number(Option<u32>),
    /// Money spent before.
    Spent(Minor),
    /// Purchases before.
    Visits(i64),
}

impl Past {
    /// The difference in words.
    pub(super) fn text(self) -> Text {
        match self {
            Self::Unknown => Text::new(
                "прежние покупки не известны",
                "earlier purchases are not known",
            ),
            Self::Membership(days) => counted(
                days,
                ("дней до участия в акции", "days of membership are missing"),
                ("лишних дней участия", "days of membership are too many"),
            ),
            Self::LastPurchase(days) => counted(
                days,
                (
                    "дней со времени последней покупки не хватает",
                    "days since the last purchase are missing",
                ),
                (
                    "лишних дней со времени последней покупки",
                    "days since the last purchase are too many",
                ),
            ),
            Self::Number(Some(later)) => Text::new(
                &format!("покупок до акции: {later}"),
                &format!("purchases to go: {later}"),
            ),
            Self::Number(None) => Text::new(
                "не для этой по счёту покупки",
                "not for this purchase in number",
            ),
            Self::Spent(more) if more < Minor::ZERO => {
                let short = units(Minor(more.0.saturating_neg()));
                Text::new(
                    &format!("прежних покупок не хватает на {short}"),
                    &format!("earlier purchases are short by {short}"),
                )
            }
            Self::Spent(more) => Text::new(
                &format!("прежних покупок больше на {}", units(more)),
                &format!("earlier purchases are too large by {}", units(more)),
            ),
            Self::Visits(purchases) => counted(
                purchases,
                (
                    "прежних покупок не хватает",
                    "earlier purchases are missing",
                ),
                ("лишних прежних покупок", "earlier purchases are too many"),
            ),
        }
    }
}

fn counted(difference: i64, short: (&str, &str), over: (&str, &str)) -> Text {
    let (ru, en) = if difference < 0 { short } else { over };
    let number = difference.unsigned_abs();
    Text::new(&format!("{ru}: {number}"), &format!("{en}: {number}"))
}
