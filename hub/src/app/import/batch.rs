//! A batch of an import as one decision.

use std::collections::BTreeSet;

use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::Body;

use super::row::Newcomer;
use super::{Fault, Setting};
use crate::app::Hub;
use crate::app::action::ActionError;
use crate::app::hub_log::HubLog;
use crate::store::{Changes, Keys, ProfileRow, Rows};

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Members brought in.
    pub imported: u64,
    /// Rows of members who are here already.
    pub existing: u64,
    /// Rows not taken.
    pub faults: Vec<Fault>,
}

/// Brings in the members of a batch, all in one transaction.
pub async fn commit(
    hub: &Hub,
    setting: &Setting,
    newcomers: &[Newcomer],
) -> Result<Outcome, ActionError> {
    let identifiers = newcomers.iter().flat_map(|newcomer| {
        let card = newcomer.enrolment.card.as_ref().map(|(hash, _)| *hash);
        card.into_iter().chain(newcomer.phone)
    });
    let keys = Keys {
        programme: setting.target.programme.0,
        members: newcomers.iter().map(|newcomer| newcomer.id).collect(),
        identifiers: identifiers.collect(),
        counters: true,
        ..Keys::default()
    };
    let mut outcome = Ok(Outcome::default());
    let mut decision = |rows: &Rows| match decide(rows, setting, newcomers) {
        Ok((changes, done)) => {
            outcome = Ok(done);
            changes
        }
        Err(error) => {
            outcome = Err(error);
            Changes::default()
        }
    };
    hub.store.decide(&keys, &mut decision).await?;
    outcome
}

fn decide(
    rows: &Rows,
    setting: &Setting,
    newcomers: &[Newcomer],
) -> Result<(Changes, Outcome), ActionError> {
    let mut log = HubLog::resume(rows, &setting.rules, setting.moment);
    let mut taken: BTreeSet<IdentifierHash> = rows.identifiers.keys().copied().collect();
    let (mut changes, mut outcome) = (Changes::default(), Outcome::default());
    for newcomer in newcomers {
        let card = newcomer.enrolment.card.as_ref().map(|(hash, _)| *hash);
        let known_by_phone = newcomer.phone.is_some_and(|phone| taken.contains(&phone));
        match card {
            Some(card) if taken.contains(&card) => outcome.existing += 1,
            None if known_by_phone => outcome.existing += 1,
            Some(_) if known_by_phone => outcome.faults.push(Fault {
                line: newcomer.line,
                field: "phone",
                reason: "belongs to another member".to_owned(),
            }),
            Some(_) | None => {
                admit(newcomer, setting, &mut log, &mut changes)?;
                taken.extend(card.into_iter().chain(newcomer.phone));
                outcome.imported += 1;
            }
        }
    }
    Ok((changes, outcome))
}

fn admit(
    newcomer: &Newcomer,
    setting: &Setting,
    log: &mut HubLog<'_>,
    changes: &mut Changes,
) -> Result<(), ActionError> {
    let mut member = Member {
        shown: newcomer.shown.clone(),
        ..Member::default()
    };
    let enrolment = &newcomer.enrolment;
    let (operation, _) = log.make(&mut member, &Body::Enrol(enrolment.clone()), changes)?;
    let enrolled = member.enrolled;
    if let Some((card, _)) = &enrolment.card {
        changes
            .identifiers
            .push((*card, IdentifierKind::Card, newcomer.id));
        if let Some(mark) = setting.blocks.get(card) {
            member.blocks.insert(card.tag(), *mark);
        }
    }
    let phone = newcomer
        .phone
        .map(|phone| (phone, IdentifierKind::Phone, newcomer.id));
    changes.identifiers.extend(phone);
    if let Some(adjustment) = &newcomer.adjustment {
        log.make(&mut member, &Body::Adjust(adjustment.clone()), changes)?;
    }
    changes.keys.push((newcomer.id, newcomer.key.clone()));
    changes
        .profiles
        .extend(enrolment.profile.iter().map(|(field, sealed)| ProfileRow {
            member: newcomer.id,
            field: field.clone(),
            written: (enrolled, operation),
            sealed: sealed.clone(),
        }));
    changes.members.insert(newcomer.id, (member, None));
    Ok(())
}
