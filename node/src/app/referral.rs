//! Friends who bring friends: who they are, and what both get.

use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::{Identifier, IdentifierKind};
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Adjustment, Body, Credit, ProfileField};
use kopilka_rules::Programme;

use super::App;
use super::core::Core;
use super::error::AppError;
use super::request::NewMember;
use super::sale::check_is_members;

/// What a friend gets who was brought, beside the welcome.
pub(super) fn for_friend(programme: &Programme, today: Day) -> Option<Credit> {
    let rules = programme.rules().referral.as_ref()?;
    let amount = rules.friend_minor;
    (amount > Minor::ZERO).then(|| programme.credit(rules.account, amount, today))
}

impl App {
    /// Who brought a new member, by what they showed; the hub is asked when they are not known here.
    ///
    /// # Errors
    /// [`AppError::UnknownReferrer`], [`AppError::OwnReferrer`], or when the store cannot be read.
    pub async fn referrer(
        &self,
        shown: &Identifier,
        newcomer: &NewMember,
    ) -> Result<MemberId, AppError> {
        let lookup_key = self.directory()?.store.lookup_key.clone();
        let card = newcomer.card.as_ref();
        let mut own: Vec<_> = newcomer
            .identifiers
            .iter()
            .map(|identifier| identifier.hash(&lookup_key))
            .chain(card.map(|(number, _)| Identifier::card(number).hash(&lookup_key)))
            .collect();
        for (field, value) in &newcomer.profile {
            if *field == ProfileField::Phone {
                let phone = Identifier::parse(IdentifierKind::Phone, value)?;
                own.push(phone.hash(&lookup_key));
            }
        }
        if own.contains(&shown.hash(&lookup_key)) {
            return Err(AppError::OwnReferrer);
        }
        match self.identify(shown).await {
            Err(AppError::UnknownMember) => Err(AppError::UnknownReferrer),
            found => Ok(found?.member),
        }
    }
}

impl Core {
    /// Credits whoever brought a new member, as far as the rules do.
    pub(super) fn thank(
        &mut self,
        referrer: MemberId,
        friend: MemberId,
        at_ms: u64,
    ) -> Result<(), AppError> {
        let (rules, directory) = (self.rules()?, self.directory()?);
        let mut member = match self.member(referrer) {
            Err(AppError::UnknownMember) => return Err(AppError::UnknownReferrer),
            member => member?,
        };
        check_is_members(&member)?;
        let referral = rules.programme.rules().referral.as_ref();
        let Some(referral) = referral.filter(|rules| rules.referrer_minor > Minor::ZERO) else {
            return Ok(());
        };
        let today = rules.moment(at_ms).today();
        let amount = referral.referrer_minor;
        let body = Adjustment {
            member: referrer,
            credits: vec![rules.programme.credit(referral.account, amount, today)],
            taken: None,
            authority: None,
            cause: Cause::Referral,
            reason: format!("brought {friend}"),
            counted: Minor::ZERO,
            partner: directory.store.partner,
        };
        self.record(at_ms, referrer, &mut member, Body::Adjust(body))?;
        Ok(())
    }
}
