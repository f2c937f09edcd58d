//! Why a promotion gave something, or nothing: in words that a cashier can read out.

use kopilka_crdt::ids::PromotionId;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::rulebook::model::Text;

use super::past::Past;

/// What became of one promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Which.
    pub promotion: PromotionId,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It applied.
    Gave {
        /// Money off.
        off: Minor,
        /// Points credited, over all accounts.
        points: Minor,
    },
    /// It did not.
    Nothing(Why),
}

/// The first reason for which a promotion does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Not on this day.
    Day,
    /// Not at this hour.
    Hour,
    /// Not in this store or channel.
    Place,
    /// Not for this member: tier, segment, card.
    Audience,
    /// Not around the member's birthday; it begins so many days later, if the birthday is known.
    Birthday(Option<u32>),
    /// The member's past is not what it asks for.
    History(Past),
    /// The total is too small by so much.
    TotalShort(Minor),
    /// The total is too large by so much.
    TotalOver(Minor),
    /// Goods are missing, so much of them.
    GoodsShort(Milli),
    /// Not for the means of payment.
    Tender,
    /// No code or coupon of it was given.
    Code,
    /// What must not be is there.
    Unless,
    /// Another promotion of its group applied.
    Group(PromotionId),
    /// It is used up.
    Limit,
    /// It needs a connection to the hub.
    Offline,
    /// The member is in the group that it is compared with.
    Control,
    /// The member did not ask for this reward.
    NotAsked,
    /// The reward costs more points than there are, by so many.
    PointsShort(Minor),
    /// Head office stopped it.
    Stopped,
    /// It found nothing to give.
    Empty,
}

/// An amount in units, with a decimal point: `340.00`.
pub(super) fn units(amount: Minor) -> String {
    let sign = if amount.0 < 0 { "-" } else { "" };
    let minor = amount.0.unsigned_abs();
    format!("{sign}{}.{:02}", minor / 100, minor % 100)
}

impl Why {
    /// A stable word for APIs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Place => "place",
            Self::Audience => "audience",
            Self::Birthday(_) => "birthday",
            Self::History(_) => "history",
            Self::TotalShort(_) => "total_short",
            Self::TotalOver(_) => "total_over",
            Self::GoodsShort(_) => "goods_short",
            Self::Tender => "tender",
            Self::Code => "code",
            Self::Unless => "unless",
            Self::Group(_) => "group",
            Self::Limit => "limit",
            Self::Offline => "offline",
            Self::Control => "control",
            Self::NotAsked => "not_asked",
            Self::PointsShort(_) => "points_short",
            Self::Stopped => "stopped",
            Self::Empty => "empty",
        }
    }

    /// The reason in words.
    pub fn text(self) -> Text {
        match self {
            Self::Day => Text::new("не в этот день", "not on this day"),
            Self::Hour => Text::new("не в это время", "not at this hour"),
            Self::Place => Text::new("не в этом магазине", "not in this store"),
            Self::Audience => Text::new(
                "не для этого участника или карты",
                "not for this member or card",
            ),
            Self::Birthday(None) => Text::new(
                "день рождения участника не известен",
                "the member's birthday is not known",
            ),
            Self::Birthday(Some(later)) => Text::new(
                &format!("ко дню рождения, начнётся через дней: {later}"),
                &format!("around the birthday, days to go: {later}"),
            ),
            Self::History(past) => past.text(),
            Self::TotalShort(short) => Text::new(
                &format!("добавьте товаров на {}", units(short)),
                &format!("add goods for {}", units(short)),
            ),
            Self::TotalOver(over) => Text::new(
                &format!("сумма больше на {}", units(over)),
                &format!("the total is too large by {}", units(over)),
            ),
            Self::GoodsShort(short) => Text::new(
                &format!("не хватает товара: {short}"),
                &format!("goods are missing: {short}"),
            ),
            Self::Tender => Text::new(
                "не для этого способа оплаты",
                "not for this means of payment",
            ),
            Self::Code => Text::new(
                "нужен промокод или купон",
                "a promo code or coupon is needed",
            ),
            Self::Unless => Text::new(
                "исключено условием акции",
                "excluded by the promotion's conditions",
            ),
            Self::Group(other) => Text::new(
                &format!("действует другая акция группы: {other}"),
                &format!("another promotion of the group applies: {other}"),
            ),
            Self::Limit => Text::new("лимит исчерпан", "the limit is used up"),
            Self::Offline => {
                Text::new("нужна связь с центром", "a connection to the hub is needed")
            }
            Self::Control => Text::new(
                "участник в контрольной группе",
                "the member is in the control group",
            ),
            Self::NotAsked => Text::new(
                "участник не выбрал эту награду",
                "the member did not ask for this reward",
            ),
            Self::PointsShort(short) => Text::new(
                &format!("не хватает баллов: {}", units(short)),
                &format!("points are missing: {}", units(short)),
            ),
            Self::Stopped => Text::new("остановлена центром", "stopped by head office"),
            Self::Empty => Text::new(
                "нет подходящих товаров",
                "there are no goods that it could apply to",
            ),
        }
    }
}
