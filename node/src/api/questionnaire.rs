//! The questionnaire, as it comes from a till.

use std::collections::BTreeMap;

use jiff::civil::Date;
use kopilka_crdt::identifier::{Identifier, IdentifierKind};
use kopilka_crdt::operation::ProfileField;
use kopilka_shell::problem::Problem;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::AppError;

use super::json::{invalid, text};

/// Most fields of the partner's own.
const OWN_FIELDS_MAX: usize = 32;
/// Longest name of an own field, in bytes.
const OWN_NAME_BYTES_MAX: usize = 64;

/// Personal data; each field may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QuestionnaireBody {
    /// First name.
    given_name: Option<String>,
    /// Last name.
    family_name: Option<String>,
    /// Phone, E.164; members are found by it.
    #[schema(example = "+79161234567")]
    phone: Option<String>,
    /// E-mail address.
    email: Option<String>,
    /// Date of birth.
    #[schema(example = "1990-05-17")]
    birth_date: Option<String>,
    /// female or male.
    sex: Option<String>,
    /// The partner's own fields, by name; at most 32.
    own: BTreeMap<String, String>,
}

impl QuestionnaireBody {
    /// The fields that are given, checked.
    pub(super) fn fields(self) -> Result<Vec<(ProfileField, String)>, Problem> {
        let mut fields = Vec::new();
        let named = [
            (ProfileField::GivenName, "given_name", self.given_name),
            (ProfileField::FamilyName, "family_name", self.family_name),
            (ProfileField::Email, "email", self.email),
        ];
        for (field, name, value) in named {
            if let Some(value) = value {
                fields.push((field, text(name, value)?));
            }
        }
        if let Some(phone) = self.phone {
            let phone = Identifier::parse(IdentifierKind::Phone, &phone).map_err(AppError::from)?;
            fields.push((ProfileField::Phone, phone.reveal().to_owned()));
        }
        if let Some(date) = self.birth_date {
            let date: Date = date
                .parse()
                .map_err(|_| invalid("birth_date", "is a day such as 1990-05-17"))?;
            fields.push((ProfileField::BirthDate, date.to_string()));
        }
        if let Some(sex) = self.sex {
            if !matches!(sex.as_str(), "female" | "male") {
                return Err(invalid("sex", "is female or male"));
            }
            fields.push((ProfileField::Sex, sex));
        }
        if self.own.len() > OWN_FIELDS_MAX {
            return Err(invalid("own", "has at most 32 fields"));
        }
        for (name, value) in self.own {
            if name.is_empty() || name.len() > OWN_NAME_BYTES_MAX {
                return Err(invalid("own", "has names of 1 to 64 bytes"));
            }
            fields.push((ProfileField::Own(name), text("own", value)?));
        }
        Ok(fields)
    }
}
