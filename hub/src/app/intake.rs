//! Intake: segments of many sessions are gathered, judged and made durable in one transaction, then acknowledged.

mod batch;
mod branch;
mod ledger;
mod questionnaire;

use std::collections::BTreeMap;
use std::sync::Arc;

use kopilka_crdt::ids::{MemberId, ProgrammeId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::operation::Body;
use kopilka_crdt::sealed::MemberKey;
use kopilka_protocol::message::{Refusal, Renewal, VerdictNote};
use kopilka_protocol::segment::Verified;
use kopilka_rules::Programme;
use tokio::sync::{mpsc, oneshot};

use super::Hub;
use super::entities::NodeEntity;
use crate::store::StoreError;

/// Segments that wait for intake.
const QUEUE_SEGMENTS_MAX: usize = 1_024;
/// Operations that one transaction takes in.
const BATCH_OPERATIONS_MAX: usize = 4_096;
/// How often a batch is tried again when the store is contended or away, before its sessions are told to come back.
const ATTEMPTS_MAX: u32 = 5;

/// A believed run of a node's log.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Whose.
    pub node: NodeEntity,
    /// The run.
    pub run: Verified,
    /// Keys of members that it enrols.
    pub keys: Vec<(MemberId, MemberKey)>,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The log is durable up to this tip.
    Durable(Tip, Vec<VerdictNote>),
    /// The run contradicts what is stored of the log.
    Diverged,
    /// The log is over: go on under another incarnation.
    Ended(Renewal),
    /// The session is to end.
    Refused(Refusal),
}

struct Job {
    arrived: Arrived,
    answer: oneshot::Sender<Taken>,
}

/// A handle to the intake task.
#[derive(Clone)]
pub struct Intake {
    jobs: mpsc::Sender<Job>,
}

impl Intake {
    /// Starts the task.
    pub fn start(hub: Hub) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_SEGMENTS_MAX);
        tokio::spawn(work(hub, queue));
        Self { jobs }
    }

    /// Hands over a run. Runs of one log are taken in in the order of the calls.
    pub async fn submit(&self, arrived: Arrived) -> oneshot::Receiver<Taken> {
        let (answer, result) = oneshot::channel();
        // A closed queue drops the answer, which the session sees.
        let _ = self.jobs.send(Job { arrived, answer }).await;
        result
    }
}

async fn work(hub: Hub, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::new();
    while let Some(first) = queue.recv().await {
        let mut operations = first.arrived.run.operations.len();
        jobs.push(first);
        while operations < BATCH_OPERATIONS_MAX {
            let Ok(job) = queue.try_recv() else { break };
            operations += job.arrived.run.operations.len();
            jobs.push(job);
        }
        let mut by_programme = BTreeMap::<ProgrammeId, Vec<Job>>::new();
        for job in jobs.drain(..) {
            by_programme
                .entry(job.arrived.node.programme)
                .or_default()
                .push(job);
        }
        for (programme, jobs) in by_programme {
            take_in(&hub, programme, jobs).await;
        }
    }
}

async fn take_in(hub: &Hub, programme: ProgrammeId, jobs: Vec<Job>) {
    let (arrived, answers): (Vec<_>, Vec<_>) = jobs
        .into_iter()
        .map(|job| (job.arrived, job.answer))
        .unzip();
    let started = std::time::Instant::now();
    let operations: usize = arrived
        .iter()
        .map(|arrived| arrived.run.operations.len())
        .sum();
    let mut attempt = 0;
    let taken = loop {
        match batch::decide(hub, programme, &arrived).await {
            Ok(taken) => break taken,
            Err(error) => {
                attempt += 1;
                tracing::warn!(%error, attempt, operations, "a batch could not be taken in");
                if attempt >= ATTEMPTS_MAX {
                    break vec![Taken::Refused(Refusal::Busy); arrived.len()];
                }
                tokio::time::sleep(std::time::Duration::from_millis(50 << attempt)).await;
            }
        }
    };
    metrics::counter!("kopilka_hub_intake_operations_total")
        .increment(u64::try_from(operations).unwrap_or(0));
    metrics::histogram!("kopilka_hub_intake_batch_seconds").record(started.elapsed().as_secs_f64());
    for (taken, answer) in taken.into_iter().zip(answers) {
        // The session may be gone; its node will ask again.
        let _ = answer.send(taken);
    }
    if let Err(error) = hub.look_for_news().await {
        tracing::warn!(%error, "news could not be read");
    }
}

/// Whether the store can hold a run's numbers. No honest node writes stamps, members or receipts of 2⁶³ and more, and
/// one run that cannot be stored must not hold up those of others.
pub fn is_storable(run: &Verified) -> bool {
    let fits = |number: u64| i64::try_from(number).is_ok();
    run.operations.iter().all(|operation| {
        let named = match &operation.body {
            Body::Purchase(purchase) => purchase.receipt.number,
            Body::Charge(charge) => charge.receipt.number,
            Body::Cancel(reversal) | Body::Return(reversal) => reversal.purchase.sequence,
            Body::Refund(refund) => refund.charge.sequence,
            Body::Enrol(_)
            | Body::Bind(_)
            | Body::CardState(_)
            | Body::Adjust(_)
            | Body::Gift(_)
            | Body::Profile(_)
            | Body::Consent(_)
            | Body::AllowanceReturn(_)
            | Body::ClockMark(_)
            | Body::IncarnationMark(_)
            | Body::Tag(_) => 0,
        };
        fits(operation.stamp.0)
            && fits(operation.id.sequence)
            && fits(named)
            && operation.body.member().is_none_or(|member| fits(member.0))
    })
}

pub use branch::adopt;
pub(crate) use branch::renew;

/// The publications that runs name, compiled.
async fn programmes_of(
    hub: &Hub,
    programme: ProgrammeId,
    runs: impl Iterator<Item = &Verified>,
) -> Result<BTreeMap<u32, Arc<Programme>>, StoreError> {
    let mut numbers: Vec<u32> = runs
        .flat_map(|run| &run.operations)
        .filter_map(|operation| match &operation.body {
            Body::Purchase(purchase) => Some(purchase.publication),
            Body::Enrol(_)
            | Body::Bind(_)
            | Body::CardState(_)
            | Body::Cancel(_)
            | Body::Return(_)
            | Body::Adjust(_)
            | Body::Gift(_)
            | Body::Profile(_)
            | Body::Consent(_)
            | Body::AllowanceReturn(_)
            | Body::ClockMark(_)
            | Body::IncarnationMark(_)
            | Body::Tag(_)
            | Body::Charge(_)
            | Body::Refund(_) => None,
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut found = BTreeMap::new();
    for number in numbers {
        if let Some(rules) = hub.rules(programme, number).await? {
            found.insert(number, rules);
        }
    }
    Ok(found)
}
