//! A seeded node: a publication, a directory with one till, and a hub that answers as it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use ed25519_dalek::SigningKey;
use kopilka_crdt::allowance::Allowance;
use kopilka_crdt::clock::Day;
use kopilka_crdt::directory::{Cashier, StoreDirectory, Till};
use kopilka_crdt::identifier::{Identifier, IdentifierHash, IdentifierKind, LookupKey};
use kopilka_crdt::ids::{
    AccountId, CashierId, Incarnation, LotId, MemberId, NodeId, OperationId, PartnerId,
    ProgrammeId, StoreId, TillId,
};
use kopilka_crdt::ledger::Lot;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::{Publication, RuleBook};
use kopilka_node::api;
use kopilka_node::app::{App, HubLink, LinkError, News};
use kopilka_node::identity::Identity;
use kopilka_node::store::{Engine, EngineKind, open};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{
    AppliedLog, FeedBatch, FeedMember, MemberState, Reply, ReserveRequest, Scope, SoldQuery,
};
use kopilka_protocol::signed::{BlockOrder, SignedBlockOrder, SignedPublication, Subject};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// 2025-11-22T08:26:40Z, in milliseconds.
pub const NOW_MS: u64 = 1_763_800_000_000;
pub const POINTS: AccountId = AccountId(1);
pub const TOKEN: &str = "till-token";
const LOOKUP: LookupKey = LookupKey([9; 32]);

pub struct Node {
    pub app: App,
    pub engine: Arc<dyn Engine>,
    router: Router,
    clock: fn() -> u64,
    folder: Option<TempDir>,
}

pub fn hub_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn node_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub fn rule_book() -> RuleBook {
    let mut rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
    rules.offline.hub_deadline_ms = 50;
    rules
}

pub fn publication(number: u32, rules: &RuleBook) -> SignedPublication {
    let publication = Publication::new(ProgrammeId(1), number, 0, rules);
    SignedPublication::sign(&hub_key(), publication)
}

fn directory() -> StoreDirectory {
    StoreDirectory {
        version: 1,
        programme: ProgrammeId(1),
        lookup_key: LOOKUP,
        store: StoreId(1),
        store_name: "Магазин 1".to_owned(),
        partner: PartnerId(1),
        time_zone: "Europe/Moscow".to_owned(),
        groups: Vec::new(),
        tills: vec![Till {
            id: TillId(1),
            name: "Касса 1".to_owned(),
            token_hash: *blake3::hash(TOKEN.as_bytes()).as_bytes(),
            enabled: true,
        }],
        cashiers: vec![Cashier {
            id: CashierId(7),
            name: "Анна".to_owned(),
            enabled: true,
        }],
    }
}

impl Node {
    /// On redb, with a clock that stands still.
    pub async fn start() -> Self {
        Self::start_with_clock(|| NOW_MS).await
    }

    pub async fn start_with_clock(clock: fn() -> u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(EngineKind::Redb, folder.path(), 1 << 20).unwrap();
        let mut node = Self::start_on(engine, clock).await;
        node.folder = Some(folder);
        node
    }

    pub async fn start_on(engine: Arc<dyn Engine>, clock: fn() -> u64) -> Self {
        let identity = Identity {
            node: NodeId(1),
            incarnation: Incarnation(1),
            programme: ProgrammeId(1),
            store: StoreId(1),
            hub: PublicKey::of(&hub_key()),
        };
        identity.write(engine.as_ref(), "127.0.0.1:1").unwrap();
        let node = Self::open(engine, clock);
        node.publish(publication(1, &rule_book())).await;
        node.hear(News::Directory(directory())).await;
        node.hear(News::SnapshotBegins { positions: vec![0] }).await;
        let batch = batch(0, 0, 0, true, Vec::new());
        node.hear(News::SnapshotPages {
            batches: vec![batch],
            last: true,
        })
        .await;
        node
    }

    fn open(engine: Arc<dyn Engine>, clock: fn() -> u64) -> Self {
        let app = App::open(Arc::clone(&engine), node_key(), clock).unwrap();
        Self {
            router: api::router(app.clone()),
            app,
            engine,
            clock,
            folder: None,
        }
    }

    /// Stops the process and starts it again on the same disk.
    pub fn restart(self) -> Self {
        let Self {
            app,
            engine,
            router,
            clock,
            folder,
        } = self;
        app.stop().unwrap();
        drop((router, app));
        let engine = match &folder {
            Some(folder) => {
                drop(engine);
                open(EngineKind::Redb, folder.path(), 1 << 20).unwrap()
            }
            None => engine,
        };
        Self {
            folder,
            ..Self::open(engine, clock)
        }
    }

    /// Takes in a version of the rules.
    pub async fn publish(&self, signed: SignedPublication) {
        self.app.take_publication(signed).await.unwrap();
    }

    pub async fn hear(&self, news: News) {
        self.app.hear(news).await.unwrap();
    }

    /// A write with a key; reads ignore the key.
    pub async fn call(&self, method: &str, path: &str, key: &str, body: Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, "-", Value::Null).await
    }

    pub async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap()
        };
        (status, body)
    }

    /// Enrols a member with welcome points and a card; gives the member's identifier.
    pub async fn enrol(&self, card: &str) -> String {
        let body = json!({ "cashier": "c7", "card_number": card });
        let (status, body) = self
            .call("POST", "/v1/members", &format!("enrol-{card}"), body)
            .await;
        assert_eq!(status, 201, "{body}");
        body["member_id"].as_str().unwrap().to_owned()
    }

    pub async fn balance(&self, member: &str) -> i64 {
        let (status, body) = self.get(&format!("/v1/members/{member}")).await;
        assert_eq!(status, 200, "{body}");
        spendable(&body)
    }

    pub fn set_hub(&self, replies: Vec<Reply>) -> Arc<FakeHub> {
        let hub = Arc::new(FakeHub::default());
        *hub.replies.lock().unwrap() = replies.into();
        hub.connected.store(true, Ordering::Relaxed);
        self.app.set_hub(Arc::clone(&hub) as Arc<dyn HubLink>);
        hub
    }
}

pub fn spendable(body: &Value) -> i64 {
    body["balances"][0]["spendable"].as_i64().unwrap()
}

/// A hub that gives its replies one after the other, and then none in time.
#[derive(Default)]
pub struct FakeHub {
    pub connected: AtomicBool,
    pub replies: Mutex<VecDeque<Reply>>,
    pub asked: Mutex<Vec<ReserveRequest>>,
    pub looked_for: Mutex<Vec<SoldQuery>>,
}

impl FakeHub {
    async fn answer(&self) -> Result<Reply, LinkError> {
        let reply = self.replies.lock().unwrap().pop_front();
        match reply {
            Some(reply) => Ok(reply),
            None => std::future::pending().await,
        }
    }
}

#[async_trait::async_trait]
impl HubLink for FakeHub {
    fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    async fn reserve(&self, request: ReserveRequest) -> Result<Reply, LinkError> {
        self.asked.lock().unwrap().push(request);
        self.answer().await
    }

    async fn find(&self, _identifier: IdentifierHash) -> Result<Reply, LinkError> {
        self.answer().await
    }

    async fn sold(&self, query: SoldQuery) -> Result<Reply, LinkError> {
        self.looked_for.lock().unwrap().push(query);
        self.answer().await
    }
}

/// A sale of one line.
pub fn sale(member: &str, number: u64, price: i64) -> Value {
    json!({
        "cashier": "c7",
        "member_id": member,
        "receipt": { "number": number },
        "lines": [{ "sku": "1", "quantity": "1", "unit_price": price }],
        "confirm": true,
    })
}

/// `value` with members of `more` set.
pub fn with(mut value: Value, more: Value) -> Value {
    let (Some(target), Value::Object(more)) = (value.as_object_mut(), more) else {
        panic!("two objects");
    };
    target.extend(more);
    value
}

pub fn card_hash(number: &str) -> IdentifierHash {
    hash(IdentifierKind::Card, number)
}

pub fn hash(kind: IdentifierKind, value: &str) -> IdentifierHash {
    Identifier::parse(kind, value).unwrap().hash(&LOOKUP)
}

pub fn order(number: u64, card: &str, blocked: bool) -> SignedBlockOrder {
    order_about(number, Subject::Card(card_hash(card)), blocked)
}

pub fn order_about(number: u64, subject: Subject, blocked: bool) -> SignedBlockOrder {
    let order = BlockOrder {
        programme: ProgrammeId(1),
        number,
        subject,
        blocked,
        at_ms: NOW_MS,
        reason: "lost".to_owned(),
    };
    SignedBlockOrder::sign(&hub_key(), order)
}

pub fn applied(sequence: u64) -> AppliedLog {
    AppliedLog {
        incarnation: Incarnation(1),
        sequence,
    }
}

pub fn batch(
    after: u64,
    upto: u64,
    sequence: u64,
    caught_up: bool,
    members: Vec<FeedMember>,
) -> FeedBatch {
    FeedBatch {
        partition: 0,
        after,
        upto,
        applied: applied(sequence),
        caught_up,
        members,
    }
}

pub fn feed_member(id: MemberId, member: &Member) -> FeedMember {
    FeedMember {
        id,
        scope: Scope::Programme,
        identifiers: Vec::new(),
        record: member.encode(),
    }
}

pub fn state(id: MemberId, member: &Member, position: u64, sequence: u64) -> MemberState {
    MemberState {
        position,
        applied: applied(sequence),
        member: feed_member(id, member),
    }
}

/// A right of this node to so much of an account, for a day.
pub fn right(account: AccountId, amount: i64) -> Allowance {
    Allowance {
        account,
        node: NodeId(1),
        incarnation: Incarnation(1),
        amount: Minor(amount),
        used: Minor::ZERO,
        granted_on: Day::default(),
        expires_at_ms: NOW_MS + 86_400_000,
        closed: false,
        recalled: false,
    }
}

/// Puts a lot of another store's making into an account.
pub fn credit_elsewhere(member: &mut Member, account: AccountId, amount: i64) {
    let operation = OperationId {
        node: NodeId(2),
        incarnation: Incarnation(1),
        sequence: u64::from(account.0),
    };
    let lot = Lot {
        amount: Minor(amount),
        issuer: Some(PartnerId(2)),
        ..Lot::default()
    };
    let lots = &mut member.accounts.entry(account).or_default().lots;
    lots.insert(
        LotId {
            operation,
            index: 0,
        },
        lot,
    );
}

/// A member of another store's making, with points that this node holds no right to.
pub fn stranger(points: i64) -> Member {
    let mut member = Member::default();
    credit_elsewhere(&mut member, POINTS, points);
    member
}
