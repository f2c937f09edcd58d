//! Pieces that several bodies share, and the one conversion between them and the domain.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use kopilka_crdt::allowance::Rung;
use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::{CardTag, Identifier, IdentifierKind};
use kopilka_crdt::ids::{IdError, TillId};
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{ReceiptKey, TEXT_BYTES_MAX};
use kopilka_crdt::rulebook::model;
use kopilka_shell::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{App, Balance};

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// An account of a member.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BalanceJson {
    /// The account.
    #[schema(example = "a1")]
    pub account: String,
    /// Its code in the rule book.
    #[schema(example = "points")]
    pub code: String,
    /// Its name.
    pub name: TextJson,
    /// May be redeemed today, minor units; what waiting sales hold is taken off.
    pub spendable: i64,
    /// Credited, not yet active.
    pub pending: i64,
    /// Taken beyond all that was credited.
    pub debt: i64,
    /// The next day after which something runs out.
    #[schema(example = "2027-01-31")]
    pub next_expiry_day: Option<String>,
    /// How much runs out then.
    pub next_expiry_amount: Option<i64>,
}

/// A text in both languages.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TextJson {
    /// Russian.
    pub ru: String,
    /// English.
    pub en: String,
}

impl From<model::Text> for TextJson {
    fn from(text: model::Text) -> Self {
        Self {
            ru: text.ru,
            en: text.en,
        }
    }
}

/// Databases hold signed numbers.
const RECEIPT_NUMBER_MAX: u64 = i64::MAX.unsigned_abs();

/// Names a receipt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiptBody {
    /// The till that printed it; the calling till when not given.
    #[schema(example = "t1")]
    pub till: Option<String>,
    /// The till's business day; today when not given.
    #[schema(example = "2026-11-22")]
    pub day: Option<String>,
    /// The number that the till gave it.
    pub number: u64,
}

impl ReceiptBody {
    pub(super) fn key(&self, app: &App, caller: TillId) -> Result<ReceiptKey, Problem> {
        let till = match &self.till {
            Some(text) => id("till", text)?,
            None => caller,
        };
        let day = match &self.day {
            Some(text) => parse_day("day", text)?,
            None => today(app)?,
        };
        if self.number > RECEIPT_NUMBER_MAX {
            return Err(invalid("number", "a receipt number is below 2⁶³"));
        }
        Ok(ReceiptKey {
            till,
            day,
            number: self.number,
        })
    }
}

/// A receipt's name in an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiptJson {
    /// The till that printed it.
    #[schema(example = "t1")]
    pub till: String,
    /// The till's business day.
    #[schema(example = "2026-11-22")]
    pub day: String,
    /// The number that the till gave it.
    pub number: u64,
}

impl From<ReceiptKey> for ReceiptJson {
    fn from(receipt: ReceiptKey) -> Self {
        Self {
            till: receipt.till.to_string(),
            day: day_text(receipt.day),
            number: receipt.number,
        }
    }
}

/// What a member shows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentifierBody {
    /// card, phone, qr, nfc or track.
    #[schema(value_type = String, example = "card")]
    pub kind: IdentifierKind,
    /// As read or typed.
    #[schema(example = "79927398713")]
    pub value: String,
}

impl IdentifierBody {
    pub(super) fn parse(&self) -> Result<Identifier, Problem> {
        Identifier::parse(self.kind, &self.value)
            .map_err(|error| crate::app::AppError::from(error).into())
    }
}

/// Balances of accounts, with their names under the rules in force.
pub(super) fn balances(app: &App, balances: &[Balance]) -> Result<Vec<BalanceJson>, Problem> {
    let rules = app.rules()?;
    let accounts = &rules.programme.rules().accounts;
    let json = |balance: &Balance| {
        let account = accounts.get(&balance.account);
        BalanceJson {
            account: balance.account.to_string(),
            code: account.map_or_else(String::new, |account| account.code.clone()),
            name: account
                .map(|account| account.name.clone())
                .unwrap_or_default()
                .into(),
            spendable: balance.view.spendable.0,
            pending: balance.view.pending.0,
            debt: balance.view.debt.0,
            next_expiry_day: balance.next_expiry.map(|(day, _)| day_text(day)),
            next_expiry_amount: balance.next_expiry.map(|(_, amount)| amount.0),
        }
    };
    Ok(balances.iter().map(json).collect())
}

/// What a redemption stood on.
pub(super) fn rung_text(rung: Rung) -> &'static str {
    match rung {
        Rung::Hub => "hub",
        Rung::Allowance => "allowance",
    }
}

/// Reads an opaque identifier.
pub(super) fn id<T: FromStr<Err = IdError>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: IdError| {
        Problem::unprocessable(
            "invalid_identifier",
            format!("`{field}`: {error}."),
            "Send identifiers as this interface gave them.",
        )
    })
}

/// A card within its member.
pub(super) fn card_text(card: CardTag) -> String {
    format!("k{:08x}", card.0)
}

pub(super) fn parse_card(field: &str, text: &str) -> Result<CardTag, Problem> {
    let digits = text.strip_prefix('k').filter(|digits| digits.len() == 8);
    let tag = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    tag.map(CardTag)
        .ok_or_else(|| invalid(field, "is not a card identifier such as k0123abcd"))
}

pub(super) fn quantity(field: &str, text: &str) -> Result<Milli, Problem> {
    Milli::parse(text).map_err(|_| {
        invalid(
            field,
            "is a decimal with at most three places, such as 0.345",
        )
    })
}

pub(super) fn positive(field: &str, amount: i64) -> Result<Minor, Problem> {
    if amount > 0 {
        Ok(Minor(amount))
    } else {
        Err(invalid(field, "must be more than 0"))
    }
}

/// A text of at most [`TEXT_BYTES_MAX`].
pub(super) fn text(field: &str, text: String) -> Result<String, Problem> {
    if text.len() <= TEXT_BYTES_MAX && !text.trim().is_empty() {
        Ok(text)
    } else {
        Err(invalid(field, "has 1 to 400 bytes"))
    }
}

pub(super) fn invalid(field: &str, what: &str) -> Problem {
    Problem::unprocessable(
        "invalid_field",
        format!("`{field}` {what}."),
        "Compare the body with the schema in /openapi.json.",
    )
}

/// A wall time in the store's zone.
pub(super) fn time_text(zone: &TimeZone, ms: u64) -> String {
    let time = i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX);
    time.to_zoned(zone.clone())
        .strftime("%Y-%m-%dT%H:%M:%S%.3f%:z")
        .to_string()
}

pub(super) fn day_text(day: Day) -> String {
    EPOCH
        .checked_add(Span::new().days(i32::try_from(day.0).unwrap_or(i32::MAX).min(DAYS_MAX)))
        .unwrap_or(Date::MAX)
        .to_string()
}

/// More days than the calendar has; spans are limited to about so many.
const DAYS_MAX: i32 = 2_900_000;

fn parse_day(field: &str, text: &str) -> Result<Day, Problem> {
    let wrong = || invalid(field, "is a day such as 2026-11-22");
    let date: Date = text.parse().map_err(|_| wrong())?;
    let days = date.since(EPOCH).map_err(|_| wrong())?.get_days();
    u32::try_from(days).map(Day).map_err(|_| wrong())
}

/// The store's own calendar day.
fn today(app: &App) -> Result<Day, Problem> {
    let moment = app.moment()?;
    let directory = app.directory()?;
    let time = i64::try_from(moment.now_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let offset_seconds = directory.zone.to_offset(time).seconds();
    Ok(Day::from_ms(moment.now_ms, offset_seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_cards_survive_their_text() {
        for day in [0, 1, 20_779, 50_000] {
            let text = day_text(Day(day));
            assert_eq!(parse_day("day", &text).unwrap(), Day(day), "{text}");
        }
        assert_eq!(day_text(Day(20_779)), "2026-11-22");
        let tag = CardTag(0x00ab_cdef);
        assert_eq!(parse_card("card", &card_text(tag)).unwrap(), tag);
        assert!(parse_card("card", "kzzzzzzzz").is_err());
    }

    #[test]
    fn times_carry_the_stores_offset() {
        let moscow = TimeZone::get("Europe/Moscow").unwrap();
        assert_eq!(
            time_text(&moscow, 1_700_000_000_000),
            "2023-11-15T01:13:20.000+03:00"
        );
    }
}
