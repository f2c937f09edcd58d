//! A member about to be: their questionnaire sealed, and what they bring as operations of the hub.

use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::member::Shown;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Adjustment, Enrolment, TagChange};
use kopilka_crdt::sealed::{MemberKey, Sealed};
use kopilka_shell::clock;

use super::Setting;
use super::row::Applicant;

/// What the history says of brought-in points.
const REASON: &str = "brought in from an earlier system";

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
    /// Tags that they get.
    pub tags: Vec<TagChange>,
}

impl Newcomer {
    /// Gives an applicant an identifier and a key, and seals what is personal.
    pub fn new(applicant: Applicant, setting: &Setting) -> Self {
        let id = MemberId::from_seed(clock::random_bytes());
        let key = MemberKey(clock::random_bytes());
        let adjustment = adjustment(id, applicant.balance, applicant.counted, setting);
        let tags = applicant.tags.into_iter().map(|tag| TagChange {
            member: id,
            tag,
            on: true,
        });
        let tags = tags.collect();
        let sealed = applicant.questionnaire.into_iter().map(|(field, value)| {
            let sealed = Sealed::seal(&key, id, clock::random_bytes(), value.as_bytes())
                .expect("a value that is too long was refused with its row");
            (field, sealed)
        });
        let enrolment = Enrolment {
            member: id,
            identifiers: applicant
                .phone
                .map(|hash| (IdentifierKind::Phone, hash))
                .into_iter()
                .collect(),
            card: applicant.card,
            profile: sealed.collect(),
            consents: applicant.consents,
            credits: Vec::new(),
            partner: setting.target.partner,
            till: None,
            cashier: None,
            referrer: None,
        };
        Self {
            line: applicant.line,
            id,
            key,
            phone: applicant.phone,
            shown: applicant.shown,
            enrolment,
            adjustment,
            tags,
        }
    }

    /// The hash of their card.
    pub fn card_hash(&self) -> Option<IdentifierHash> {
        self.enrolment.card.as_ref().map(|(hash, _)| *hash)
    }
}

fn adjustment(
    id: MemberId,
    balance: Minor,
    counted: Minor,
    setting: &Setting,
) -> Option<Adjustment> {
    if (balance, counted) == (Minor::ZERO, Minor::ZERO) {
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
        counted,
        partner: setting.target.partner,
    })
}
