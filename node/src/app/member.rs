//! Members: joining, cards, gifts, consents, the questionnaire, points written off by a till.

use kopilka_crdt::card::{Card, CardState};
use kopilka_crdt::identifier::{CardTag, Identifier, IdentifierKind, masked_name, masked_phone};
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{
    Adjustment, Binding, Body, CardChange, Channel, ConsentChange, Enrolment, GiftChange,
    ProfileChange, ProfileField,
};
use kopilka_crdt::sealed::{MemberKey, Sealed};
use kopilka_rules::redemption::HubAnswer;
use kopilka_shell::clock::random_bytes;

use crate::store::Table;

use super::core::Core;
use super::error::AppError;
use super::keys;
use super::ladder::{Bound, Customer};
use super::records::{Balance, Outcome};
use super::referral;
use super::request::{Call, NewIdentifier, NewMember, WriteOff};
use super::sale::{check_card, check_is_members};

impl Core {
    pub(super) fn enrol(
        &mut self,
        call: &Call,
        person: NewMember,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let (rules, directory) = (self.rules()?, self.directory()?);
        let lookup_key = &directory.store.lookup_key;
        if !person.profile.is_empty() && !person.consents.contains(&Channel::PersonalData) {
            return Err(AppError::ConsentMissing);
        }
        let id = MemberId::from_seed(random_bytes());
        let mut identifiers: Vec<_> = person
            .identifiers
            .iter()
            .map(|identifier| (identifier.kind(), identifier.hash(lookup_key)))
            .collect();
        if let Some(phone) = field(&person.profile, &ProfileField::Phone) {
            let phone = Identifier::parse(IdentifierKind::Phone, phone)?;
            identifiers.push((IdentifierKind::Phone, phone.hash(lookup_key)));
        }
        identifiers.sort_unstable();
        identifiers.dedup();
        let card = person.card.as_ref().map(|(number, kind)| {
            let card = Card {
                kind: *kind,
                tail: number.tail(),
                state: CardState::Active,
            };
            (Identifier::card(number).hash(lookup_key), card)
        });
        let hashes = identifiers.iter().map(|(_, hash)| *hash);
        for hash in hashes.chain(card.iter().map(|(hash, _)| *hash)) {
            self.take_identifier(hash, id)?;
        }
        let key = MemberKey(random_bytes());
        let profile = seal_fields(&key, id, &person.profile)?;
        if !profile.is_empty() {
            self.rows.put(Table::Keys, keys::member(id), &key);
        }
        let mut member = Member::default();
        show(&mut member, &person.profile);
        let today = rules.moment(at_ms).today();
        let mut credits = rules.programme.welcome(today);
        if person.referrer.is_some() {
            credits.extend(referral::for_friend(&rules.programme, today));
        }
        let body = Enrolment {
            member: id,
            identifiers,
            card,
            profile,
            consents: person.consents,
            credits,
            partner: directory.store.partner,
            till: Some(call.till),
            cashier: Some(call.cashier),
            referrer: person.referrer,
        };
        let (operation, _) = self.record(at_ms, id, &mut member, Body::Enrol(body))?;
        if let Some(referrer) = person.referrer {
            self.thank(referrer, id, at_ms)?;
        }
        Ok(Outcome::Enrolled {
            member: id,
            operation,
            balances: self.balances(id, &member, at_ms)?,
        })
    }

    fn take_identifier(
        &mut self,
        hash: kopilka_crdt::identifier::IdentifierHash,
        id: MemberId,
    ) -> Result<(), AppError> {
        let key = keys::identifier(hash);
        match self.rows.read::<MemberId>(Table::Identifiers, &key)? {
            Some(_) => Err(AppError::IdentifierTaken),
            None => {
                self.rows.put(Table::Identifiers, key, &id);
                Ok(())
            }
        }
    }

    pub(super) fn bind(
        &mut self,
        request: &NewIdentifier,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let directory = self.directory()?;
        let id = request.member;
        let mut member = self.member(id)?;
        check_is_members(&member)?;
        if request
            .replaces
            .is_some_and(|replaced| !member.cards.contains_key(&replaced))
        {
            return Err(AppError::UnknownCard);
        }
        let hash = request.identifier.hash(&directory.store.lookup_key);
        self.take_identifier(hash, id)?;
        let body = Binding {
            member: id,
            kind: request.identifier.kind(),
            hash,
            card: request.card.clone(),
            replaces: request.replaces,
        };
        self.change(id, &mut member, Body::Bind(body), at_ms)
    }

    pub(super) fn card_state(
        &mut self,
        id: MemberId,
        tag: CardTag,
        state: CardState,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let mut member = self.member(id)?;
        check_is_members(&member)?;
        let card = member.cards.get(&tag).ok_or(AppError::UnknownCard)?;
        if card.state > state {
            return Err(AppError::CardNotActive(card.state));
        }
        if card.state == state {
            return Ok(Outcome::Recorded {
                member: id,
                operation: None,
                balances: self.balances(id, &member, at_ms)?,
            });
        }
        let body = CardChange {
            member: id,
            card: tag,
            state,
        };
        self.change(id, &mut member, Body::CardState(body), at_ms)
    }

    pub(super) fn write_off(
        &mut self,
        request: WriteOff,
        hub: HubAnswer,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let (rules, directory) = (self.rules()?, self.directory()?);
        let id = request.member;
        let mut member = self.member(id)?;
        check_card(&self.in_force, &member, None)?;
        let bound = Bound::read(&self.rows, id)?;
        let customer = Customer {
            rules: &rules,
            identity: self.identity,
            member: &member,
            bound: &bound,
            moment: rules.moment(at_ms),
        };
        let granted = customer.authorise(request.account, request.amount, hub)?;
        let body = Adjustment {
            member: id,
            credits: Vec::new(),
            taken: Some(granted.takes),
            authority: Some(granted.authority),
            cause: Cause::Adjustment,
            reason: request.reason,
            counted: Minor::ZERO,
            partner: directory.store.partner,
        };
        self.change(id, &mut member, Body::Adjust(body), at_ms)
    }

    pub(super) fn gift(
        &mut self,
        id: MemberId,
        code: String,
        count: i32,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let mut member = self.member(id)?;
        let waiting = member.gifts.get(&code).copied().unwrap_or_default();
        if waiting.saturating_add(count) < 0 {
            return Err(AppError::GiftsShort(waiting));
        }
        let body = GiftChange {
            member: id,
            code,
            count,
        };
        self.change(id, &mut member, Body::Gift(body), at_ms)
    }

    pub(super) fn consent(
        &mut self,
        id: MemberId,
        channel: Channel,
        given: bool,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let mut member = self.member(id)?;
        let body = ConsentChange {
            member: id,
            channel,
            given,
        };
        self.change(id, &mut member, Body::Consent(body), at_ms)
    }

    pub(super) fn profile(
        &mut self,
        id: MemberId,
        fields: &[(ProfileField, String)],
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let mut member = self.member(id)?;
        if !member.consents_to(Channel::PersonalData) {
            return Err(AppError::ConsentMissing);
        }
        // The member's own key is at the hub alone once it has it; a new one travels beside this change.
        let key = match self.rows.read(Table::Keys, &keys::member(id))? {
            Some(key) => key,
            None => MemberKey(random_bytes()),
        };
        self.rows.put(Table::Keys, keys::member(id), &key);
        show(&mut member, fields);
        let body = ProfileChange {
            member: id,
            fields: seal_fields(&key, id, fields)?,
        };
        self.change(id, &mut member, Body::Profile(body), at_ms)
    }

    fn change(
        &mut self,
        id: MemberId,
        member: &mut Member,
        body: Body,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let (operation, _) = self.record(at_ms, id, member, body)?;
        Ok(Outcome::Recorded {
            member: id,
            operation: Some(operation),
            balances: self.balances(id, member, at_ms)?,
        })
    }

    fn balances(
        &self,
        id: MemberId,
        member: &Member,
        at_ms: u64,
    ) -> Result<Vec<Balance>, AppError> {
        let rules = self.rules()?;
        let customer = Customer {
            rules: &rules,
            identity: self.identity,
            member,
            bound: &Bound::read(&self.rows, id)?,
            moment: rules.moment(at_ms),
        };
        Ok(customer.balances()?)
    }
}

fn field<'a>(fields: &'a [(ProfileField, String)], wanted: &ProfileField) -> Option<&'a str> {
    let found = fields.iter().find(|(field, _)| field == wanted);
    found.map(|(_, value)| value.as_str())
}

/// Keeps what a till may show of new personal data.
fn show(member: &mut Member, fields: &[(ProfileField, String)]) {
    if let Some(given) = field(fields, &ProfileField::GivenName) {
        let family = field(fields, &ProfileField::FamilyName).unwrap_or_default();
        member.shown.name = masked_name(given, family);
    }
    if let Some(phone) = field(fields, &ProfileField::Phone) {
        member.shown.phone = masked_phone(phone);
    }
    if let Some(date) = field(fields, &ProfileField::BirthDate) {
        // `1990-05-17`: the year goes nowhere but under the seal.
        let month_day = date.split_once('-').and_then(|(_, rest)| rest.parse().ok());
        member.shown.birthday = month_day;
    }
}

fn seal_fields(
    key: &MemberKey,
    id: MemberId,
    fields: &[(ProfileField, String)],
) -> Result<Vec<(ProfileField, Sealed)>, AppError> {
    let mut sealed = Vec::with_capacity(fields.len());
    for (field, value) in fields {
        let value = Sealed::seal(key, id, random_bytes(), value.as_bytes())?;
        sealed.push((field.clone(), value));
    }
    Ok(sealed)
}
