//! Members and cards brought in from an earlier system, from CSV, a thousand rows at a time.
//!
//! A row that cannot be taken is reported with its line, field and reason, and the import goes on. A second import of
//! the same file finds every identifier taken and changes nothing. The command line and the HTTP interface share it.

mod batch;
mod newcomer;
mod row;

use std::io::Read;
use std::sync::Arc;

use kopilka_crdt::identifier::LookupKey;
use kopilka_crdt::ids::{PartnerId, ProgrammeId};
use kopilka_rules::{Moment, Programme};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::Hub;
use crate::app::action::{ActionError, Actor};
use crate::app::catalogue::programmes;
use crate::app::members::rules_now;
use row::{Applicant, Columns};

/// Rows in one transaction.
const BATCH_ROWS: usize = 1_000;
/// How much of a column's unknown name an error repeats.
const COLUMN_SHOWN_CHARACTERS_MAX: usize = 64;

/// The columns, as `--help` shows them.
pub const COLUMNS_HELP: &str = "\
The file is CSV in UTF-8 with a header; columns may come in any order and all are optional, but each row needs a
card_number or a phone:
  card_number     8 to 19 digits, the last one a Luhn check digit
  card_kind       standard (also when empty), employee, pensioner, virtual
  given_name      sealed with the member's own key, as are the next five
  family_name
  phone           +79161234567 or 8 916 123-45-67
  email
  birth_date      1985-03-17; tills see the day without the year
  sex             female or male
  balance         points, such as 120.50; credited as one lot
  purchase_total  money spent so far, such as 15300.00; counts towards tiers
  consent         yes or no: to the processing of personal data
  tags            codes from the published rule book, separated by commas";

/// Why an import stops. What was taken in before stays.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The action itself cannot be done.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// The file cannot be read, or the report cannot be written.
    #[error("cannot read the file: {0}")]
    Csv(#[from] csv::Error),
    /// The report cannot be written.
    #[error("cannot write the report: {0}")]
    Report(#[source] std::io::Error),
    /// The header has a column that is not known.
    #[error("the header has an unknown column {0:?}")]
    Column(String),
    /// Neither cards nor phones.
    #[error("the header has neither card_number nor phone")]
    NoIdentifier,
}

/// A row that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Its line in the file, the header being 1.
    pub line: u64,
    /// Which column.
    pub field: &'static str,
    /// Why; never the value itself, which may be personal data.
    pub reason: String,
}

/// What came of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Tally {
    /// Members brought in.
    pub imported: u64,
    /// Rows whose card or phone belongs to a member already.
    pub existing: u64,
    /// Rows that were not taken.
    pub faulty: u64,
}

/// Who the members belong to.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The programme.
    pub programme: ProgrammeId,
    /// The partner that owes for brought-in points.
    pub partner: PartnerId,
}

/// What rows are read with.
struct Setting {
    target: Target,
    lookup_key: LookupKey,
    rules: Arc<Programme>,
    moment: Moment,
}

/// Follows an import.
pub trait Watcher {
    /// Bytes of the file read so far, and the tally.
    fn progress(&mut self, bytes: u64, tally: &Tally);

    /// A row was not taken.
    fn fault(&mut self, fault: &Fault) -> std::io::Result<()>;
}

/// Takes in a file.
pub async fn import(
    hub: &Hub,
    actor: &Actor,
    target: Target,
    file: impl Read + Send,
    watcher: &mut (dyn Watcher + Send),
) -> Result<Tally, ImportError> {
    programmes::require_partner(hub, target.programme, target.partner).await?;
    let mut tally = Tally::default();
    let taken = take_in(hub, target, file, &mut tally, watcher).await;
    // Batches that are in stay in, so the audit has them also when the rest of the file is not taken.
    if taken.is_ok() || tally.imported > 0 {
        let whole = taken.is_ok();
        let details =
            json!({ "partner": target.partner.to_string(), "tally": tally, "whole": whole });
        let audit = actor.audit((hub.clock)(), "member.import", target.programme, &details);
        let noted = hub.store.change_entities(&[], Some(&audit)).await;
        noted.map_err(ActionError::from)?;
        hub.look_for_news().await.map_err(ActionError::from)?;
    }
    taken.map(|()| tally)
}

async fn take_in(
    hub: &Hub,
    target: Target,
    file: impl Read + Send,
    tally: &mut Tally,
    watcher: &mut (dyn Watcher + Send),
) -> Result<(), ImportError> {
    let setting = setting(hub, target).await?;
    let tags = &setting.rules.rules().tags;
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(file);
    let columns = Columns::read(reader.headers()?)?;
    let mut waiting: Vec<Applicant> = Vec::with_capacity(BATCH_ROWS);
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        match row::read(&columns, &record, &setting.lookup_key, tags) {
            Ok(applicant) => waiting.push(applicant),
            Err(fault) => report(&fault, tally, watcher)?,
        }
        if waiting.len() == BATCH_ROWS {
            commit(hub, &setting, &mut waiting, tally, watcher).await?;
            watcher.progress(reader.position().byte(), tally);
        }
    }
    commit(hub, &setting, &mut waiting, tally, watcher).await?;
    watcher.progress(reader.position().byte(), tally);
    Ok(())
}

async fn setting(hub: &Hub, target: Target) -> Result<Setting, ActionError> {
    let (rules, moment) = rules_now(hub, target.programme).await?;
    Ok(Setting {
        target,
        lookup_key: programmes::one(hub, target.programme)
            .await?
            .value
            .lookup_key,
        rules,
        moment,
    })
}

async fn commit(
    hub: &Hub,
    setting: &Setting,
    waiting: &mut Vec<Applicant>,
    tally: &mut Tally,
    watcher: &mut (dyn Watcher + Send),
) -> Result<(), ImportError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let outcome = batch::commit(hub, setting, std::mem::take(waiting)).await?;
    tally.imported += outcome.imported;
    tally.existing += outcome.existing;
    for fault in &outcome.faults {
        report(fault, tally, watcher)?;
    }
    Ok(())
}

fn report(
    fault: &Fault,
    tally: &mut Tally,
    watcher: &mut (dyn Watcher + Send),
) -> Result<(), ImportError> {
    tally.faulty += 1;
    watcher.fault(fault).map_err(ImportError::Report)
}
