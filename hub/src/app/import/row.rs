//! One row of an import: checked and hashed, but not sealed, so that rows of known members cost little.

use std::collections::{BTreeMap, BTreeSet};

use csv::StringRecord;
use kopilka_crdt::calendar::MonthDay;
use kopilka_crdt::card::{Card, CardKind, CardNumber, CardState};
use kopilka_crdt::identifier::{
    Identifier, IdentifierHash, IdentifierKind, LookupKey, masked_name, masked_phone,
};
use kopilka_crdt::member::Shown;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Channel, ProfileField};
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::sealed::{PLAIN_BYTES_MAX, SealError};

use super::{COLUMN_SHOWN_CHARACTERS_MAX, Fault, ImportError};

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
    consent,
    tags
);

impl Columns {
    /// Finds the columns of a header.
    pub fn read(header: &StringRecord) -> Result<Self, ImportError> {
        let mut columns = Self::default();
        for (index, name) in header.iter().enumerate() {
            // A spreadsheet may have put a byte order mark before the first name.
            let name = name.trim_start_matches('\u{feff}');
            let place = columns.place(name).ok_or_else(|| unknown_column(name))?;
            *place = Some(index);
        }
        if columns.card_number.is_none() && columns.phone.is_none() {
            return Err(ImportError::NoIdentifier);
        }
        Ok(columns)
    }
}

/// A file without a header has personal data where names are looked for, so not much of it is repeated.
fn unknown_column(name: &str) -> ImportError {
    ImportError::Column(name.chars().take(COLUMN_SHOWN_CHARACTERS_MAX).collect())
}

/// A row that can be taken in, if nobody has its card or phone yet.
#[derive(Debug)]
pub struct Applicant {
    /// The row's line.
    pub line: u64,
    /// Their card.
    pub card: Option<(IdentifierHash, Card)>,
    /// Their phone.
    pub phone: Option<IdentifierHash>,
    /// What tills may show.
    pub shown: Shown,
    /// The fields that are filled in, in clear.
    pub questionnaire: Vec<(ProfileField, String)>,
    /// Consents that they gave.
    pub consents: Vec<Channel>,
    /// Tags that they get, each once.
    pub tags: BTreeSet<String>,
    /// Points that they bring.
    pub balance: Minor,
    /// Purchases that count towards tiers.
    pub counted: Minor,
}

impl Applicant {
    /// The hash of their card.
    pub fn card_hash(&self) -> Option<IdentifierHash> {
        self.card.as_ref().map(|(hash, _)| *hash)
    }
}

/// Reads a row.
pub fn read(
    columns: &Columns,
    record: &StringRecord,
    lookup_key: &LookupKey,
    known_tags: &BTreeMap<String, Text>,
) -> Result<Applicant, Fault> {
    let row = Row {
        line: record.position().map_or(0, csv::Position::line),
        columns,
        record,
    };
    let card = row.card(lookup_key)?;
    let phone = row.phone()?;
    if card.is_none() && phone.is_none() {
        return Err(row.fault("card_number", &"the row has neither a card nor a phone"));
    }
    let questionnaire = row.questionnaire(phone.as_ref())?;
    let (given, family) = (row.text(columns.given_name), row.text(columns.family_name));
    Ok(Applicant {
        line: row.line,
        card,
        phone: phone.as_ref().map(|phone| phone.hash(lookup_key)),
        shown: Shown {
            name: masked_name(given, family),
            phone: phone
                .map(|phone| masked_phone(phone.reveal()))
                .unwrap_or_default(),
            birthday: MonthDay::of_birth_date(row.text(columns.birth_date)),
        },
        questionnaire,
        consents: row.consents()?,
        tags: row.tags(known_tags)?,
        balance: row.amount(columns.balance, "balance")?,
        counted: row.amount(columns.purchase_total, "purchase_total")?,
    })
}

struct Row<'a> {
    line: u64,
    columns: &'a Columns,
    record: &'a StringRecord,
}

impl Row<'_> {
    fn text(&self, column: Option<usize>) -> &str {
        column
            .and_then(|index| self.record.get(index))
            .unwrap_or_default()
    }

    fn fault(&self, field: &'static str, reason: &impl ToString) -> Fault {
        Fault {
            line: self.line,
            field,
            reason: reason.to_string(),
        }
    }

    fn card(&self, lookup_key: &LookupKey) -> Result<Option<(IdentifierHash, Card)>, Fault> {
        let kind = match self.text(self.columns.card_kind) {
            "" | "standard" => CardKind::Standard,
            "employee" => CardKind::Employee,
            "pensioner" => CardKind::Pensioner,
            "virtual" => CardKind::Virtual,
            _ => {
                let reason = "is standard, employee, pensioner or virtual";
                return Err(self.fault("card_kind", &reason));
            }
        };
        let number = self.text(self.columns.card_number);
        if number.is_empty() {
            return Ok(None);
        }
        let number =
            CardNumber::parse(number).map_err(|error| self.fault("card_number", &error))?;
        let card = Card {
            kind,
            tail: number.tail(),
            state: CardState::Active,
        };
        Ok(Some((Identifier::card(&number).hash(lookup_key), card)))
    }

    fn phone(&self) -> Result<Option<Identifier>, Fault> {
        match self.text(self.columns.phone) {
            "" => Ok(None),
            phone => Identifier::parse(IdentifierKind::Phone, phone)
                .map(Some)
                .map_err(|error| self.fault("phone", &error)),
        }
    }

    fn questionnaire(
        &self,
        phone: Option<&Identifier>,
    ) -> Result<Vec<(ProfileField, String)>, Fault> {
        let columns = self.columns;
        let fields = [
            (
                ProfileField::GivenName,
                self.text(columns.given_name),
                "given_name",
            ),
            (
                ProfileField::FamilyName,
                self.text(columns.family_name),
                "family_name",
            ),
            (
                ProfileField::Phone,
                phone.map_or("", Identifier::reveal),
                "phone",
            ),
            (ProfileField::Email, self.text(columns.email), "email"),
            (ProfileField::BirthDate, self.birth_date()?, "birth_date"),
            (ProfileField::Sex, self.sex()?, "sex"),
        ];
        let mut filled = Vec::new();
        for (field, value, column) in fields {
            if value.len() > PLAIN_BYTES_MAX {
                return Err(self.fault(column, &SealError::TooLong));
            }
            if !value.is_empty() {
                filled.push((field, value.to_owned()));
            }
        }
        Ok(filled)
    }

    fn birth_date(&self) -> Result<&str, Fault> {
        let text = self.text(self.columns.birth_date);
        if text.is_empty() || text.parse::<jiff::civil::Date>().is_ok() {
            Ok(text)
        } else {
            Err(self.fault("birth_date", &"a date is written as 1985-03-17"))
        }
    }

    fn sex(&self) -> Result<&str, Fault> {
        match self.text(self.columns.sex) {
            text @ ("" | "female" | "male") => Ok(text),
            _ => Err(self.fault("sex", &"is female or male")),
        }
    }

    fn consents(&self) -> Result<Vec<Channel>, Fault> {
        match self.text(self.columns.consent) {
            "yes" => Ok(vec![Channel::PersonalData]),
            "" | "no" => Ok(Vec::new()),
            _ => Err(self.fault("consent", &"is yes or no")),
        }
    }

    fn tags(&self, known: &BTreeMap<String, Text>) -> Result<BTreeSet<String>, Fault> {
        let listed = self.text(self.columns.tags).split(',').map(str::trim);
        let tags: BTreeSet<String> = listed
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned)
            .collect();
        match tags.iter().find(|tag| !known.contains_key(*tag)) {
            None => Ok(tags),
            Some(_) => Err(self.fault("tags", &"has a tag that is not in the published rule book")),
        }
    }

    fn amount(&self, column: Option<usize>, field: &'static str) -> Result<Minor, Fault> {
        amount(self.text(column)).map_err(|reason| self.fault(field, &reason))
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
