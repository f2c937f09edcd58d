//! One row of an import: checked, hashed and sealed, ready to become a member.

use csv::StringRecord;
use kopilka_crdt::card::{Card, CardKind, CardNumber, CardState};
use kopilka_crdt::identifier::{
    Identifier, IdentifierHash, IdentifierKind, masked_name, masked_phone,
};
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::member::Shown;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Adjustment, Channel, Enrolment, ProfileField};
use kopilka_crdt::sealed::{MemberKey, Sealed};
use kopilka_shell::clock;

use super::{Fault, ImportError, Setting};

/// What the history says of brought-in points.
const REASON: &str = "brought in from an earlier system";

macro_rules! columns {
    ($($name:ident),*) => {
        /// Where each column is.
        #[derive(Debug, Clone, Copy, Default)]
        pub struct Columns { $($name: Option<usize>),* }

        impl Columns {
            fn place(&mut self, name: &str) -> Option<&mut Option<usize>> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

columns!(
    card_number,
    card_kind,
    given_name,
    family_name,
    phone,
    email,
    birth_date,
    sex,
    balance,
    purchase_total,
    consent
);

impl Columns {
    /// Finds the columns of a header.
    pub fn read(header: &StringRecord) -> Result<Self, ImportError> {
        let mut columns = Self::default();
        for (index, name) in header.iter().enumerate() {
            // A spreadsheet may have put a byte order mark before the first name.
            let name = name.trim_start_matches('\u{feff}');
            let place = columns
                .place(name)
                .ok_or_else(|| ImportError::Column(name.to_owned()))?;
            *place = Some(index);
        }
        if columns.card_number.is_none() && columns.phone.is_none() {
            return Err(ImportError::NoIdentifier);
        }
        Ok(columns)
    }
}

/// A member about to be.
pub struct Newcomer {
    /// The row's line.
    pub line: u64,
    /// Who they will be.
    pub id: MemberId,
    /// Their key.
    pub key: MemberKey,
    /// Their phone.
    pub phone: Option<IdentifierHash>,
    /// What tills may show.
    pub shown: Shown,
    /// How they join; has their card and sealed questionnaire.
    pub enrolment: Enrolment,
    /// What they bring.
    pub adjustment: Option<Adjustment>,
}

/// Reads a row.
pub fn read(
    columns: &Columns,
    record: &StringRecord,
    setting: &Setting,
) -> Result<Newcomer, Fault> {
    let line = record.position().map_or(0, csv::Position::line);
    let text = |column: Option<usize>| column.and_then(|index| record.get(index)).unwrap_or("");
    let wrong = |field: &'static str, reason: &dyn ToString| Fault {
        line,
        field,
        reason: reason.to_string(),
    };
    let card = card(text(columns.card_number), text(columns.card_kind), setting)
        .map_err(|(field, reason)| wrong(field, &reason))?;
    let phone = match text(columns.phone) {
        "" => None,
        phone => Some(
            Identifier::parse(IdentifierKind::Phone, phone)
                .map_err(|error| wrong("phone", &error))?,
        ),
    };
    if card.is_none() && phone.is_none() {
        return Err(wrong(
            "card_number",
            &"the row has neither a card nor a phone",
        ));
    }
    let (given, family) = (text(columns.given_name), text(columns.family_name));
    let birth_date = text(columns.birth_date);
    if !birth_date.is_empty() && birth_date.parse::<jiff::civil::Date>().is_err() {
        return Err(wrong("birth_date", &"a date is written as 1985-03-17"));
    }
    let sex = text(columns.sex);
    if !matches!(sex, "" | "female" | "male") {
        return Err(wrong("sex", &"is female or male"));
    }
    let consents = consents(text(columns.consent)).map_err(|reason| wrong("consent", &reason))?;
    let balance = amount(text(columns.balance)).map_err(|reason| wrong("balance", &reason))?;
    let total =
        amount(text(columns.purchase_total)).map_err(|reason| wrong("purchase_total", &reason))?;

    let id = MemberId::from_seed(clock::random_bytes());
    let key = MemberKey(clock::random_bytes());
    let questionnaire = [
        (ProfileField::GivenName, given, "given_name"),
        (ProfileField::FamilyName, family, "family_name"),
        (
            ProfileField::Phone,
            phone.as_ref().map_or("", Identifier::reveal),
            "phone",
        ),
        (ProfileField::Email, text(columns.email), "email"),
        (ProfileField::BirthDate, birth_date, "birth_date"),
        (ProfileField::Sex, sex, "sex"),
    ];
    let mut profile = Vec::new();
    for (field, value, column) in questionnaire {
        if !value.is_empty() {
            let sealed = Sealed::seal(&key, id, clock::random_bytes(), value.as_bytes())
                .map_err(|error| wrong(column, &error))?;
            profile.push((field, sealed));
        }
    }
    let phone_hash = phone.as_ref().map(|phone| phone.hash(&setting.lookup_key));
    let enrolment = Enrolment {
        member: id,
        identifiers: phone_hash
            .map(|hash| (IdentifierKind::Phone, hash))
            .into_iter()
            .collect(),
        card,
        profile,
        consents,
        credits: Vec::new(),
        partner: setting.target.partner,
        till: None,
        cashier: None,
    };
    Ok(Newcomer {
        line,
        id,
        key,
        phone: phone_hash,
        shown: Shown {
            name: masked_name(given, family),
            phone: phone
                .map(|phone| masked_phone(phone.reveal()))
                .unwrap_or_default(),
        },
        enrolment,
        adjustment: adjustment(id, balance, total, setting),
    })
}

fn card(
    number: &str,
    kind: &str,
    setting: &Setting,
) -> Result<Option<(IdentifierHash, Card)>, (&'static str, String)> {
    let kind = match kind {
        "" | "standard" => CardKind::Standard,
        "employee" => CardKind::Employee,
        "pensioner" => CardKind::Pensioner,
        "virtual" => CardKind::Virtual,
        _ => {
            let reason = "is standard, employee, pensioner or virtual".to_owned();
            return Err(("card_kind", reason));
        }
    };
    if number.is_empty() {
        return Ok(None);
    }
    let number = CardNumber::parse(number).map_err(|error| ("card_number", error.to_string()))?;
    let card = Card {
        kind,
        tail: number.tail(),
        state: CardState::Active,
    };
    Ok(Some((
        Identifier::card(&number).hash(&setting.lookup_key),
        card,
    )))
}

fn consents(text: &str) -> Result<Vec<Channel>, &'static str> {
    match text {
        "yes" => Ok(vec![Channel::PersonalData]),
        "" | "no" => Ok(Vec::new()),
        _ => Err("is yes or no"),
    }
}

/// Reads a decimal with at most two places; empty is nothing.
fn amount(text: &str) -> Result<Minor, &'static str> {
    const WRONG: &str = "is a number that is not negative, such as 120.50";
    if text.is_empty() {
        return Ok(Minor::ZERO);
    }
    let (whole, places) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(places) || places.len() > 2 {
        return Err(WRONG);
    }
    let whole: i64 = whole.parse().map_err(|_| WRONG)?;
    let places: i64 = format!("{places:0<2}").parse().map_err(|_| WRONG)?;
    let minor = whole
        .checked_mul(100)
        .and_then(|minor| minor.checked_add(places));
    minor.map(Minor).ok_or(WRONG)
}

fn adjustment(id: MemberId, balance: Minor, total: Minor, setting: &Setting) -> Option<Adjustment> {
    if (balance, total) == (Minor::ZERO, Minor::ZERO) {
        return None;
    }
    let account = setting.rules.rules().earning.account;
    let credit = setting
        .rules
        .credit(account, balance, setting.moment.today());
    Some(Adjustment {
        member: id,
        credits: (balance > Minor::ZERO)
            .then_some(credit)
            .into_iter()
            .collect(),
        taken: None,
        authority: None,
        cause: Cause::Import,
        reason: REASON.to_owned(),
        counted: total,
        partner: setting.target.partner,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_decimals_with_two_places() {
        let cases = [
            ("", Some(0)),
            ("0", Some(0)),
            ("12", Some(1_200)),
            ("12.5", Some(1_250)),
            ("12,05", Some(1_205)),
            ("92233720368547758.07", Some(i64::MAX)),
            ("92233720368547758.08", None),
            ("-1", None),
            ("1.234", None),
            ("1.", None),
            (".5", None),
            ("1e3", None),
        ];
        for (text, expected) in cases {
            assert_eq!(amount(text).ok().map(|minor| minor.0), expected, "{text}");
        }
    }

    #[test]
    fn headers_are_known_and_name_an_identifier() {
        let read = |names: &[&str]| Columns::read(&StringRecord::from(names.to_vec()));
        assert!(read(&["\u{feff}card_number", "balance"]).is_ok());
        assert!(read(&["phone"]).is_ok());
        assert!(matches!(read(&["balance"]), Err(ImportError::NoIdentifier)));
        assert!(matches!(
            read(&["phone", "shoe_size"]),
            Err(ImportError::Column(_))
        ));
    }
}
