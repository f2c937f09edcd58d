//! Publications: a checked draft, numbered and signed; and going back to an earlier one.

use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::document::Edit;
use kopilka_crdt::rulebook::{Publication, RuleBook};
use kopilka_protocol::signed::SignedPublication;
use kopilka_rules::Programme as Compiled;
use kopilka_rules::validation::unpublishable;
use serde_json::{Value, json};

use super::draft::{WHOLE, check_note, message, seconds};
use super::{RuleBookError, parse, saves, value_of};
use crate::app::Hub;
use crate::app::action::{ATTEMPTS_MAX, ActionError, Actor};
use crate::app::catalogue::programmes;
use crate::app::entities::{PublicationEntity, hex};
use crate::app::kept;
use crate::store::{EntityChange, StoreError};

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

/// Publishes the draft; with open conflicts only if that is meant, and then with the values that it shows.
pub async fn publish(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    note: &str,
    despite_conflicts: bool,
) -> Result<PublicationEntity, RuleBookError> {
    check_note(note)?;
    for _ in 0..ATTEMPTS_MAX {
        let mut stored = saves::load(hub, programme, actor.name().as_bytes()).await?;
        stored.publishable(despite_conflicts)?;
        let rules = parse(&stored.document.value()?)?;
        // Saved again although unchanged: a draft that does not survive saving is not published, and writing it at
        // its version makes sure that what is published is what is stored.
        let draft = stored.changes(programme)?;
        let details = json!({ "note": note, "despite_conflicts": despite_conflicts });
        let numbered = Numbered {
            rules,
            draft,
            note,
            action: "rulebook.publish",
            details,
        };
        if let Some(publication) = issue(hub, actor, programme, numbered).await? {
            return Ok(publication);
        }
    }
    Err(StoreError::Contended.into())
}

/// Publishes the content of an earlier publication under a new number, and sets the draft to it.
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
            rules,
            draft,
            note,
            action: "rulebook.roll_back",
            details,
        };
        if let Some(publication) = issue(hub, actor, programme, numbered).await? {
            return Ok(publication);
        }
    }
    Err(StoreError::Contended.into())
}

/// Rules about to get a number.
struct Numbered<'a> {
    rules: RuleBook,
    draft: Vec<EntityChange>,
    note: &'a str,
    action: &'static str,
    details: Value,
}

/// Numbers, signs and stores; nothing when somebody else changed the draft or the programme meanwhile.
async fn issue(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    numbered: Numbered<'_>,
) -> Result<Option<PublicationEntity>, RuleBookError> {
    let found = unpublishable(&numbered.rules);
    if !found.is_empty() {
        return Err(RuleBookError::Problems(found));
    }
    let mut entity = programmes::one(hub, programme).await?;
    let number = entity
        .value
        .publication
        .checked_add(1)
        .ok_or_else(|| ActionError::Conflict("publication numbers are used up".to_owned()))?;
    let now_ms = (hub.clock)();
    let publication = Publication::new(programme, number, now_ms, &numbered.rules);
    // Stores compile it too: what does not compile here must not reach them.
    Compiled::compile(&publication).map_err(|error| ActionError::invalid("rule_book", &error))?;
    let publication = signed(hub, publication, actor, numbered.note);
    entity.value.publication = number;
    let mut changes = numbered.draft;
    changes.extend([entity.change(), kept::create(&publication)]);
    let subject = format!("{programme}/{number}");
    let audit = actor.audit(now_ms, numbered.action, &subject, &numbered.details);
    match hub.store.change_entities(&changes, Some(&audit)).await {
        Ok(()) => {
            hub.look_for_news().await?;
            Ok(Some(publication))
        }
        Err(StoreError::Exists(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
