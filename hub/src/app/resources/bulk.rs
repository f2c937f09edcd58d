//! One deed done to many members, in batches: each batch is one transaction with its note in the audit.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::Arc;

use kopilka_crdt::ids::{MemberId, OperationId, ProgrammeId};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Body, ReceiptKey};
use kopilka_rules::placement::due_ms;
use kopilka_rules::{Moment, Programme};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::people::{self, Name, Place};
use super::{BulkError, Watcher, is_bearers};
use crate::app::Hub;
use crate::app::action::{ActionError, Actor};
use crate::app::hub_log::HubLog;
use crate::app::import::Fault;
use crate::app::members::rules_now;
use crate::store::{Changes, Keys, Rows};

/// Members in one transaction.
const BATCH_MEMBERS: usize = 500;
/// Most members that one call over HTTP names.
pub const CALL_MEMBERS_MAX: usize = BATCH_MEMBERS;

/// What is done to each member.
pub trait Deed: Sync {
    /// A stable word for the audit.
    fn action(&self) -> &'static str;

    /// What the audit says of it.
    fn details(&self) -> Value;

    /// The key under which it is done once to a member; none when doing it twice changes nothing anyway.
    fn request(&self, member: MemberId) -> Option<ReceiptKey>;

    /// The operation that does it; none when there is nothing to do.
    fn body(
        &self,
        id: MemberId,
        member: &Member,
        now: Now<'_>,
    ) -> Result<Option<Body>, ActionError>;

    /// What else becomes of the member then.
    fn afterwards(&self, id: MemberId, member: &mut Member, now: Now<'_>);
}

/// The rules in force and the present moment.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// The rules.
    pub rules: &'a Programme,
    /// The moment.
    pub moment: Moment,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Count {
    /// Members to whom it was done.
    pub changed: u64,
    /// Members to whom it had been done before.
    pub unchanged: u64,
    /// Lines that were not taken.
    pub faulty: u64,
}

/// Keeps the faults of a call that names few members.
#[derive(Debug, Default)]
pub struct Noted(pub Vec<Fault>);

impl Watcher for Noted {
    fn progress(&mut self, _done: u64) {}

    fn fault(&mut self, fault: &Fault) -> io::Result<()> {
        if self.0.len() < CALL_MEMBERS_MAX {
            self.0.push(fault.clone());
        }
        Ok(())
    }
}

/// Who does what in which programme.
pub struct Errand<'a> {
    /// The hub.
    pub hub: &'a Hub,
    /// Who.
    pub actor: &'a Actor,
    /// Where.
    pub programme: ProgrammeId,
    /// What.
    pub deed: &'a dyn Deed,
    rules: Arc<Programme>,
    moment: Moment,
}

/// What a deed came to for one member: the operation, or none when nothing changed.
type Done = Result<Option<OperationId>, ActionError>;

impl<'a> Errand<'a> {
    /// An errand under the rules in force.
    pub async fn new(
        hub: &'a Hub,
        actor: &'a Actor,
        programme: ProgrammeId,
        deed: &'a dyn Deed,
    ) -> Result<Self, ActionError> {
        let (rules, moment) = rules_now(hub, programme).await?;
        Ok(Self {
            hub,
            actor,
            programme,
            deed,
            rules,
            moment,
        })
    }

    /// Does it to one member. Gives the operation; none when it had been done.
    pub async fn to_one(&self, id: MemberId) -> Done {
        let mut outcomes = self.batch(&[id]).await?;
        self.hub.look_for_news().await?;
        outcomes.remove(&id).unwrap_or(Ok(None))
    }

    /// Does it to those whom a list names, line by line; the list is CSV, of which the first column counts.
    pub async fn to_listed(
        &self,
        list: impl Read + Send,
        watcher: &mut (dyn Watcher + Send),
    ) -> Result<Count, BulkError> {
        let key = people::lookup_key(self.hub, self.programme).await?;
        let mut reader = people::reader(list);
        let mut record = csv::StringRecord::new();
        let mut count = Count::default();
        let mut waiting = Vec::with_capacity(BATCH_MEMBERS);
        while reader.read_record(&mut record)? {
            let line = record.position().map_or(0, csv::Position::line);
            // A spreadsheet may have put a byte order mark before the first line.
            let text = record.get(0).unwrap_or_default();
            match Name::read(text.trim_start_matches('\u{feff}'), &key) {
                Some(name) => waiting.push((line, name)),
                None => report(&mut count, watcher, &unreadable(line))?,
            }
            if waiting.len() == BATCH_MEMBERS {
                self.named(&mut waiting, &mut count, watcher).await?;
                watcher.progress(reader.position().byte());
            }
        }
        self.named(&mut waiting, &mut count, watcher).await?;
        watcher.progress(reader.position().byte());
        self.hub.look_for_news().await.map_err(ActionError::from)?;
        Ok(count)
    }

    /// Does it to those who are named, one transaction for all.
    pub async fn to_named(
        &self,
        texts: &[String],
        watcher: &mut (dyn Watcher + Send),
    ) -> Result<Count, BulkError> {
        if texts.len() > CALL_MEMBERS_MAX {
            let reason = format!("names {CALL_MEMBERS_MAX} at most");
            return Err(ActionError::invalid("members", &reason).into());
        }
        let key = people::lookup_key(self.hub, self.programme).await?;
        let mut count = Count::default();
        let mut waiting = Vec::with_capacity(texts.len());
        for (line, text) in (1..).zip(texts) {
            match Name::read(text, &key) {
                Some(name) => waiting.push((line, name)),
                None => report(&mut count, watcher, &unreadable(line))?,
            }
        }
        self.named(&mut waiting, &mut count, watcher).await?;
        self.hub.look_for_news().await.map_err(ActionError::from)?;
        Ok(count)
    }

    /// Does it to all who have a tag.
    pub async fn to_tagged(
        &self,
        tag: &str,
        watcher: &mut (dyn Watcher + Send),
    ) -> Result<Count, BulkError> {
        let mut count = Count::default();
        let mut from = Some(Place::default());
        let mut looked_at = 0_u64;
        while let Some(place) = from {
            let walked = people::tagged(self.hub, self.programme, tag, place, BATCH_MEMBERS).await;
            let walked = walked.map_err(ActionError::from)?;
            let lines: Vec<(u64, MemberId)> = walked.members.iter().map(|id| (0, *id)).collect();
            self.members(&lines, &mut count, watcher).await?;
            looked_at = looked_at.saturating_add(u64::try_from(walked.looked_at).unwrap_or(0));
            watcher.progress(looked_at);
            from = walked.next;
        }
        self.hub.look_for_news().await.map_err(ActionError::from)?;
        Ok(count)
    }

    async fn named(
        &self,
        waiting: &mut Vec<(u64, Name)>,
        count: &mut Count,
        watcher: &mut (dyn Watcher + Send),
    ) -> Result<(), BulkError> {
        let (lines, names): (Vec<u64>, Vec<Name>) = std::mem::take(waiting).into_iter().unzip();
        let found = people::resolve(self.hub, self.programme, &names).await;
        let found = found.map_err(ActionError::from)?;
        let mut members = Vec::with_capacity(found.len());
        for (line, member) in lines.into_iter().zip(found) {
            match member {
                Some(member) => members.push((line, member)),
                None => report(count, watcher, &fault(line, &"is nobody's"))?,
            }
        }
        self.members(&members, count, watcher).await
    }

    async fn members(
        &self,
        members: &[(u64, MemberId)],
        count: &mut Count,
        watcher: &mut (dyn Watcher + Send),
    ) -> Result<(), BulkError> {
        let ids: Vec<MemberId> = members.iter().map(|(_, id)| *id).collect();
        let mut outcomes = self.batch(&ids).await?;
        for (line, id) in members {
            // A member who is named twice in a batch is taken once.
            match outcomes.remove(id).unwrap_or(Ok(None)) {
                Ok(Some(_)) => count.changed += 1,
                Ok(None) => count.unchanged += 1,
                Err(refusal) => report(count, watcher, &fault(*line, &refusal))?,
            }
        }
        Ok(())
    }

    /// Does it to members in one transaction.
    async fn batch(&self, ids: &[MemberId]) -> Result<BTreeMap<MemberId, Done>, ActionError> {
        let ids: BTreeSet<MemberId> = ids.iter().copied().collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let keys = Keys {
            programme: self.programme.0,
            members: ids.iter().copied().collect(),
            receipts: ids.iter().filter_map(|id| self.deed.request(*id)).collect(),
            counters: true,
            ..Keys::default()
        };
        let mut outcomes = BTreeMap::new();
        let mut decision = |rows: &Rows| {
            let (changes, done) = self.decide(rows, &ids);
            outcomes = done;
            changes
        };
        self.hub.store.decide(&keys, &mut decision).await?;
        Ok(outcomes)
    }

    fn decide(&self, rows: &Rows, ids: &BTreeSet<MemberId>) -> (Changes, BTreeMap<MemberId, Done>) {
        let mut log = HubLog::resume(rows, &self.rules, self.moment);
        let mut changes = Changes::default();
        let done: BTreeMap<MemberId, Done> = ids
            .iter()
            .map(|id| (*id, self.act(rows, *id, &mut log, &mut changes)))
            .collect();
        let changed = changes.members.len();
        if changed > 0 {
            let at_ms = self.moment.now_ms;
            let mut details = self.deed.details();
            details["changed"] = json!(changed);
            let action = self.deed.action();
            changes.audit = Some(match (ids.first(), ids.len()) {
                (Some(one), 1) => self.actor.audit(at_ms, action, *one, &details),
                (Some(_) | None, _) => self.actor.audit(at_ms, action, self.programme, &details),
            });
        }
        (changes, done)
    }

    fn act(&self, rows: &Rows, id: MemberId, log: &mut HubLog<'_>, changes: &mut Changes) -> Done {
        let row = rows
            .members
            .get(&id)
            .ok_or_else(|| ActionError::not_found("member", id))?;
        if is_bearers(&row.member) {
            let text = "is a gift card or a bearer's coupon, and no member";
            return Err(ActionError::Conflict(text.to_owned()));
        }
        let request = self.deed.request(id);
        if request.is_some_and(|request| rows.receipts.contains_key(&request)) {
            return Ok(None);
        }
        let now = Now {
            rules: &self.rules,
            moment: self.moment,
        };
        let Some(body) = self.deed.body(id, &row.member, now)? else {
            return Ok(None);
        };
        let mut member = row.member.clone();
        let (operation, _) = log.make(&mut member, &body, changes)?;
        self.deed.afterwards(id, &mut member, now);
        let due = due_ms(&member);
        changes.members.insert(id, (member, due));
        changes
            .receipts
            .extend(request.map(|request| (request, operation)));
        Ok(Some(operation))
    }
}

fn fault(line: u64, reason: &impl ToString) -> Fault {
    Fault {
        line,
        field: "member",
        reason: reason.to_string(),
    }
}

fn unreadable(line: u64) -> Fault {
    fault(
        line,
        &"is not a card number, a phone or a member's identifier",
    )
}

fn report(
    count: &mut Count,
    watcher: &mut (dyn Watcher + Send),
    fault: &Fault,
) -> Result<(), BulkError> {
    count.faulty += 1;
    watcher.fault(fault).map_err(BulkError::Write)
}
