//! A node's real parts in this process, without a hub: what its store and its app cost by themselves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::bail;
use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::Day;
use kopilka_crdt::directory::{StoreDirectory, Till};
use kopilka_crdt::identifier::LookupKey;
use kopilka_crdt::ids::{CashierId, Incarnation, NodeId, PartnerId, ProgrammeId, StoreId, TillId};
use kopilka_crdt::operation::ReceiptKey;
use kopilka_crdt::rulebook::Publication;
use kopilka_node::app::{Action, App, Basket, Call, HubAnswers, News, Outcome, PurchaseId, Sale};
use kopilka_node::identity::Identity;
use kopilka_node::store::{self, CACHE_BYTES_DEFAULT, EngineKind};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{AppliedLog, FeedBatch, FeedMember, Scope};
use kopilka_protocol::signed::SignedPublication;
use kopilka_rules::pricing::Wishes;
use kopilka_rules::promotion::Rewards;
use kopilka_shell::clock;
use tokio::sync::Barrier;

use super::chain::rule_book;
use super::figures::nanos;
use super::load::Observed;
use super::people::{basket, drawn, id, person};

const PROGRAMME: ProgrammeId = ProgrammeId(1);
const STORE: StoreId = StoreId(1);
const TILL: TillId = TillId(1);
/// The token of the only till.
pub const TOKEN: &str = "measured";

/// A node with some members.
pub struct LocalNode {
    /// Its app.
    pub app: App,
    members: u64,
    today: Day,
    calls: AtomicU64,
}

impl LocalNode {
    /// Makes a node in an empty folder.
    pub async fn open(kind: EngineKind, folder: &Path, members: u64) -> anyhow::Result<Self> {
        let hub = SigningKey::from_bytes(&clock::random_bytes());
        let engine = store::open(kind, folder, CACHE_BYTES_DEFAULT)?;
        let identity = Identity {
            node: NodeId(1),
            incarnation: Incarnation(1),
            programme: PROGRAMME,
            store: STORE,
            hub: PublicKey::of(&hub),
        };
        identity.write(engine.as_ref(), "hub.invalid:1")?;
        let key = SigningKey::from_bytes(&clock::random_bytes());
        let app = App::open(engine, key, clock::now_ms)?;
        let lookup = LookupKey(clock::random_bytes());
        app.hear(News::Directory(directory(&lookup))).await?;
        let publication = Publication::new(PROGRAMME, 1, 0, &rule_book());
        app.take_publication(SignedPublication::sign(&hub, publication))
            .await?;
        let today = app.moment()?.today();
        let positions = vec![0];
        app.hear(News::SnapshotBegins { positions }).await?;
        let batch = page(members, &lookup, today);
        app.hear(News::SnapshotPages {
            batches: vec![batch],
            last: true,
        })
        .await?;
        Ok(Self {
            app,
            members,
            today,
            calls: AtomicU64::new(1),
        })
    }

    fn call(&self) -> (u64, Call) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = Call {
            till: TILL,
            cashier: CashierId(1),
            key: format!("in-process-{number}"),
            body: [0; 32],
        };
        (number, call)
    }

    /// A sale that waits for its receipt to be printed.
    async fn authorise(&self) -> anyhow::Result<PurchaseId> {
        let (number, call) = self.call();
        let sale = Sale {
            member: id(drawn(number, self.members)),
            receipt: ReceiptKey {
                till: TILL,
                day: self.today,
                number,
            },
            basket: Basket {
                card: None,
                lines: basket(number),
                tenders: Vec::new(),
                codes: Vec::new(),
                coupons: Vec::new(),
                rewards: Rewards::new(),
                wishes: Wishes::default(),
            },
            online: false,
            confirm: false,
        };
        let action = Action::Authorise(sale, HubAnswers::default());
        match self.app.write(call, action).await? {
            Outcome::Sale(sale) => Ok(sale.id),
            Outcome::Reversed(_)
            | Outcome::Enrolled { .. }
            | Outcome::Recorded { .. }
            | Outcome::GiftCard(_) => bail!("an authorisation answers with a sale"),
        }
    }

    /// Sales for so many tills, all waiting to be confirmed.
    pub async fn held(
        self: &Arc<Self>,
        tills: u64,
        each: u64,
    ) -> anyhow::Result<Vec<Vec<PurchaseId>>> {
        let tasks: Vec<_> = (0..tills)
            .map(|_| {
                let node = Arc::clone(self);
                tokio::spawn(async move {
                    let mut held = Vec::new();
                    for _ in 0..each {
                        held.push(node.authorise().await?);
                    }
                    anyhow::Ok(held)
                })
            })
            .collect();
        let mut held = Vec::new();
        for task in tasks {
            held.push(task.await??);
        }
        Ok(held)
    }

    /// Confirms held sales, one after the other at each till, all tills at once.
    pub async fn confirm(self: &Arc<Self>, held: Vec<Vec<PurchaseId>>) -> anyhow::Result<Observed> {
        let gate = Arc::new(Barrier::new(held.len() + 1));
        let tasks: Vec<_> = held
            .into_iter()
            .map(|purchases| {
                let (node, gate) = (Arc::clone(self), Arc::clone(&gate));
                tokio::spawn(async move {
                    let mut latencies = Vec::with_capacity(purchases.len());
                    gate.wait().await;
                    for purchase in purchases {
                        let asked = Instant::now();
                        let (_, call) = node.call();
                        node.app.write(call, Action::Confirm(purchase)).await?;
                        latencies.push(nanos(asked.elapsed()));
                    }
                    anyhow::Ok(latencies)
                })
            })
            .collect();
        gate.wait().await;
        let started = Instant::now();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await??);
        }
        let elapsed = nanos(started.elapsed());
        Ok(Observed { latencies, elapsed })
    }
}

fn directory(lookup: &LookupKey) -> StoreDirectory {
    let till = Till {
        id: TILL,
        name: "Till".to_owned(),
        token_hash: *blake3::hash(TOKEN.as_bytes()).as_bytes(),
        enabled: true,
    };
    StoreDirectory {
        version: 1,
        programme: PROGRAMME,
        lookup_key: lookup.clone(),
        store: STORE,
        store_name: "Store".to_owned(),
        partner: PartnerId(1),
        time_zone: "Europe/Moscow".to_owned(),
        groups: Vec::new(),
        tills: vec![till],
        cashiers: Vec::new(),
    }
}

fn page(members: u64, lookup: &LookupKey, today: Day) -> FeedBatch {
    let member = |number| {
        let person = person(number, lookup, today);
        FeedMember {
            id: person.id,
            scope: Scope::Programme,
            identifiers: person.identifiers.map(|(_, hash)| hash).to_vec(),
            record: person.member.encode(),
        }
    };
    FeedBatch {
        partition: 0,
        after: 0,
        upto: 0,
        applied: AppliedLog {
            incarnation: Incarnation(1),
            sequence: 0,
        },
        caught_up: false,
        members: (0..members).map(member).collect(),
    }
}
