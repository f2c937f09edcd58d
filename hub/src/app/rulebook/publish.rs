//! Publications: a checked draft, replayed, numbered and signed; and going back to an earlier one.

use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::document::Edit;
use kopilka_crdt::rulebook::{Publication, RuleBook};
use kopilka_protocol::signed::SignedPublication;
use kopilka_rules::Programme as Compiled;
use kopilka_rules::replay::{Both, Figures};
use kopilka_rules::validation::unpublishable;
use serde_json::{Value, json};

use super::approval::{self, Proposal, Proposed};
use super::draft::{WHOLE, check_note, message, seconds};
use super::replay::{self, Progress, RECEIPTS_USUAL};
use super::{RuleBookError, parse, saves, value_of};
use crate::app::Hub;
use crate::app::action::{ATTEMPTS_MAX, ActionError, Actor};
use crate::app::catalogue::programmes;
use crate::app::entities::{Programme, PublicationEntity, hex};
use crate::app::kept::{self, Versioned};
use crate::store::{EntityChange, ProposalDecision, ProposalOutcome, Settlement, StoreError};

/// Signs a publication for the store.
pub fn signed(hub: &Hub, publication: Publication, actor: &Actor, note: &str) -> PublicationEntity {
    let (programme, number) = (publication.programme, publication.number);
    let at_ms = publication.valid_from_ms;
    let signed = SignedPublication::sign(&hub.key, publication);
    let bytes = postcard::to_stdvec(&signed).expect("a publication is plain data");
    PublicationEntity {
        programme,
        number,
        signed: hex(&bytes),
        by: actor.name().to_owned(),
        approved_by: None,
        at_ms,
        note: note.to_owned(),
    }
}

/// All publications, oldest first.
pub async fn all(hub: &Hub, programme: ProgrammeId) -> Result<Vec<PublicationEntity>, ActionError> {
    programmes::one(hub, programme).await?;
    Ok(kept::list(&*hub.store, &format!("{programme}/")).await?)
}

/// The rules of one publication.
pub async fn rules(
    hub: &Hub,
    programme: ProgrammeId,
    number: u32,
) -> Result<RuleBook, ActionError> {
    let signed = hub
        .publication(programme, number)
        .await?
        .ok_or_else(|| ActionError::not_found("publication", number))?;
    signed
        .publication
        .rule_book()
        .map_err(|_| StoreError::Damaged("publication").into())
}

/// What became of the wish to publish.
#[derive(Debug)]
pub enum Outcome {
    /// Stores get it.
    Published {
        /// The publication.
        publication: PublicationEntity,
        /// What the replay found.
        figures: Box<Figures>,
    },
    /// A second person has to agree.
    Waiting(Box<Proposal>),
}

/// Publishes the draft, or proposes it when its effect on the newest receipts is large. The number of receipts is not
/// the author's choice: fewer could hide the effect. Open conflicts keep it from both unless they are meant, and then
/// the values count that the draft shows.
pub async fn publish(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    note: &str,
    despite_conflicts: bool,
    progress: Progress<'_>,
) -> Result<Outcome, RuleBookError> {
    check_note(note)?;
    for _ in 0..ATTEMPTS_MAX {
        let mut stored = saves::load(hub, programme, actor.name().as_bytes()).await?;
        stored.publishable(despite_conflicts)?;
        let rules = parse(&stored.document.value()?)?;
        let after = replay::compiled(programme, &rules)?;
        let entity = programmes::one(hub, programme).await?;
        let figures = effect(hub, &entity.value, &after, &mut *progress).await?;
        let large = figures.beyond(entity.value.approval);
        if !large.is_empty() {
            let proposed = Proposed {
                note: note.to_owned(),
                base: entity.value.publication,
                heads: stored.document.heads(),
                rules_hash: approval::rules_hash(&rules),
                large,
                figures,
            };
            let proposal = approval::propose(hub, actor, programme, &proposed).await?;
            return Ok(Outcome::Waiting(Box::new(proposal)));
        }
        // Saved again although unchanged: a draft that does not survive saving is not published, and writing it at
        // its version makes sure that what is published is what is stored.
        let draft = stored.changes(programme)?;
        let details = json!({ "note": note, "despite_conflicts": despite_conflicts,
            "receipts": figures.receipts,
            "touched": figures.touched, "effect_permille": figures.effect_permille() });
        let numbered = Numbered {
            programme: entity,
            rules,
            draft,
            author: actor,
            note,
            action: "rulebook.publish",
            details,
            proposal: None,
        };
        if let Some(publication) = issue(hub, actor, numbered).await? {
            return Ok(Outcome::Published {
                publication,
                figures: Box::new(figures),
            });
        }
    }
    Err(StoreError::Contended.into())
}

/// What a version does to the newest receipts; nothing where nothing was published before.
async fn effect(
    hub: &Hub,
    programme: &Programme,
    after: &Compiled,
    progress: Progress<'_>,
) -> Result<Figures, ActionError> {
    let Some(before) = hub.rules(programme.id, programme.publication).await? else {
        return Ok(Figures::default());
    };
    let both = Both {
        before: &*before,
        after,
    };
    replay::replayed(hub, both, RECEIPTS_USUAL, progress).await
}

/// Publishes the content of an earlier publication under a new number, and sets the draft to it. It waits for nobody:
/// what comes back was agreed to when it was new, and a mistake in force has to end at once.
pub async fn roll_back(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    to: u32,
    note: &str,
) -> Result<PublicationEntity, RuleBookError> {
    check_note(note)?;
    let rules = rules(hub, programme, to).await?;
    for _ in 0..ATTEMPTS_MAX {
        let mut stored = saves::load(hub, programme, actor.name().as_bytes()).await?;
        let text = message(actor, &format!("back to publication {to}. {note}"));
        let base = stored.document.version();
        stored.document.edit(Edit {
            base,
            value: &value_of(&rules),
            named: &[WHOLE.to_owned()],
            at_seconds: seconds((hub.clock)()),
            message: &text,
        })?;
        let draft = stored.changes(programme)?;
        let rules = rules.clone();
        let details = json!({ "note": note, "to": to });
        let numbered = Numbered {
            programme: programmes::one(hub, programme).await?,
            rules,
            draft,
            author: actor,
            note,
            action: "rulebook.roll_back",
            details,
            proposal: None,
        };
        if let Some(publication) = issue(hub, actor, numbered).await? {
            return Ok(publication);
        }
    }
    Err(StoreError::Contended.into())
}

/// Rules about to get a number.
pub(super) struct Numbered<'a> {
    /// The programme as it was when the rules were looked at.
    pub programme: Versioned<Programme>,
    pub rules: RuleBook,
    /// Write the draft at the version that it was read at.
    pub draft: Vec<EntityChange>,
    pub author: &'a Actor,
    pub note: &'a str,
    pub action: &'static str,
    pub details: Value,
    /// The proposal that is approved so.
    pub proposal: Option<u64>,
}

/// Numbers, signs and stores; nothing when somebody else changed the draft or the programme meanwhile.
pub(super) async fn issue(
    hub: &Hub,
    actor: &Actor,
    numbered: Numbered<'_>,
) -> Result<Option<PublicationEntity>, RuleBookError> {
    let found = unpublishable(&numbered.rules);
    if !found.is_empty() {
        return Err(RuleBookError::Problems(found));
    }
    let mut entity = numbered.programme;
    let programme = entity.value.id;
    let number = entity
        .value
        .publication
        .checked_add(1)
        .ok_or_else(|| ActionError::Conflict("publication numbers are used up".to_owned()))?;
    let now_ms = (hub.clock)();
    let publication = Publication::new(programme, number, now_ms, &numbered.rules);
    // Stores compile it too: what does not compile here must not reach them.
    Compiled::compile(&publication).map_err(|error| ActionError::invalid("rule_book", &error))?;
    let mut publication = signed(hub, publication, numbered.author, numbered.note);
    publication.approved_by = numbered.proposal.map(|_| actor.name().to_owned());
    entity.value.publication = number;
    let mut changes = numbered.draft;
    changes.extend([entity.change(), kept::create(&publication)]);
    let subject = format!("{programme}/{number}");
    let audit = actor.audit(now_ms, numbered.action, &subject, &numbered.details);
    let stored = match numbered.proposal {
        None => hub.store.change_entities(&changes, Some(&audit)).await,
        Some(proposal) => {
            let decision = ProposalDecision {
                outcome: ProposalOutcome::Approved {
                    publication: number,
                },
                by: actor.name().to_owned(),
                at_ms: now_ms,
            };
            let settlement = Settlement {
                programme,
                number: proposal,
                decision,
            };
            hub.store.settle(&settlement, &changes, &audit).await
        }
    };
    match stored {
        Ok(()) => {
            hub.look_for_news().await?;
            Ok(Some(publication))
        }
        Err(StoreError::Exists(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
