//! A batch of an import as one decision.

use std::collections::BTreeSet;

use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::Body;

use super::newcomer::Newcomer;
use super::row::Applicant;
use super::{Fault, Setting};
use crate::app::Hub;
use crate::app::action::ActionError;
use crate::app::blocks;
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

/// What a row comes to, by who has its card and phone.
enum Standing {
    New,
    Existing,
    PhoneTaken,
}

fn standing(
    card: Option<IdentifierHash>,
    phone: Option<IdentifierHash>,
    is_taken: impl Fn(&IdentifierHash) -> bool,
) -> Standing {
    let known_by_phone = phone.is_some_and(|phone| is_taken(&phone));
    match card {
        Some(card) if is_taken(&card) => Standing::Existing,
        Some(_) if known_by_phone => Standing::PhoneTaken,
        None if known_by_phone => Standing::Existing,
        Some(_) | None => Standing::New,
    }
}

impl Outcome {
    /// Counts a row that changes nothing.
    fn note(&mut self, line: u64, standing: &Standing) {
        match standing {
            Standing::New => {}
            Standing::Existing => self.existing += 1,
            Standing::PhoneTaken => self.faults.push(Fault {
                line,
                field: "phone",
                reason: "belongs to another member".to_owned(),
            }),
        }
    }
}

/// Brings in those of a batch who are new, all in one transaction. Who is known already is found out first, by reading
/// only: nothing is sealed and nothing is locked for them.
pub async fn commit(
    hub: &Hub,
    setting: &Setting,
    applicants: Vec<Applicant>,
) -> Result<Outcome, ActionError> {
    let shown = applicants
        .iter()
        .flat_map(|applicant| applicant.card_hash().into_iter().chain(applicant.phone));
    let shown: Vec<IdentifierHash> = shown.collect();
    let known = hub.store.owners(setting.target.programme, &shown).await?;
    let mut outcome = Outcome::default();
    let mut newcomers = Vec::new();
    for applicant in applicants {
        let found = standing(applicant.card_hash(), applicant.phone, |hash| {
            known.contains_key(hash)
        });
        outcome.note(applicant.line, &found);
        if matches!(found, Standing::New) {
            newcomers.push(Newcomer::new(applicant, setting));
        }
    }
    if !newcomers.is_empty() {
        let admitted = admit_all(hub, setting, &newcomers).await?;
        outcome.imported += admitted.imported;
        outcome.existing += admitted.existing;
        outcome.faults.extend(admitted.faults);
    }
    Ok(outcome)
}

async fn admit_all(
    hub: &Hub,
    setting: &Setting,
    newcomers: &[Newcomer],
) -> Result<Outcome, ActionError> {
    let identifiers = newcomers
        .iter()
        .flat_map(|newcomer| newcomer.card_hash().into_iter().chain(newcomer.phone));
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
        let card = newcomer.card_hash();
        let found = standing(card, newcomer.phone, |hash| taken.contains(hash));
        outcome.note(newcomer.line, &found);
        if matches!(found, Standing::New) {
            admit(newcomer, rows, &mut log, &mut changes)?;
            taken.extend(card.into_iter().chain(newcomer.phone));
            outcome.imported += 1;
        }
    }
    Ok((changes, outcome))
}

fn admit(
    newcomer: &Newcomer,
    rows: &Rows,
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
        if let Some(mark) = blocks::mark(rows, card)? {
            member.blocks.insert(card.tag(), mark);
        }
    }
    let phone = newcomer
        .phone
        .map(|phone| (phone, IdentifierKind::Phone, newcomer.id));
    changes.identifiers.extend(phone);
    if let Some(adjustment) = &newcomer.adjustment {
        log.make(&mut member, &Body::Adjust(adjustment.clone()), changes)?;
    }
    for tag in &newcomer.tags {
        log.make(&mut member, &Body::Tag(tag.clone()), changes)?;
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
