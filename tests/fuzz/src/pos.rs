//! The node's interface for tills: any bytes as bodies of requests to the real router, over a store in memory.
//!
//! An input is lines, and a line is a request: its first byte chooses the route, the rest is the body. Every input
//! meets the node as it was at first, so that it does the same each time; identifiers that the node draws are filled into
//! paths.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use kopilka_crdt::allowance::{Allowance, AllowanceRef};
use kopilka_crdt::card::{Card, CardKind, CardNumber, CardState};
use kopilka_crdt::clock::Day;
use kopilka_crdt::directory::{Cashier, StoreDirectory, Till};
use kopilka_crdt::identifier::{Identifier, IdentifierHash, LookupKey};
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
use kopilka_node::app::{App, News};
use kopilka_node::identity::Identity;
use kopilka_node::store::faulty::{Fault, FaultyEngine};
use kopilka_node::store::{Batch, Engine, Table};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{AppliedLog, FeedBatch, FeedMember, Scope};
use kopilka_protocol::signed::SignedPublication;
use kopilka_shell::problem::{PROBLEM_JSON, Problem};
use serde_json::Value;
use tokio::runtime::Builder;
use tower::ServiceExt;

use super::{hub_key, node_key};

/// The routes that take a body: `a` is the first, and after the last one they begin anew.
///
/// `{member}` is [`MEMBER`], `{purchase}` the sale of the last answer that named one.
pub const ROUTES: [(&str, &str); 15] = [
    ("POST", "/v1/identify"),
    ("POST", "/v1/quotes"),
    ("POST", "/v1/purchases"),
    ("POST", "/v1/purchases/{purchase}/confirm"),
    ("POST", "/v1/purchases/{purchase}/void"),
    ("POST", "/v1/purchases/{purchase}/cancel"),
    ("POST", "/v1/returns"),
    ("POST", "/v1/members"),
    ("PATCH", "/v1/members/{member}/profile"),
    ("PUT", "/v1/members/{member}/consents/personal_data"),
    ("POST", "/v1/members/{member}/write-offs"),
    ("POST", "/v1/members/{member}/gifts"),
    ("POST", "/v1/members/{member}/cards"),
    ("POST", "/v1/cards/activate"),
    ("POST", "/v1/cards/close"),
];

/// What is asked in the end, of whatever the bodies left behind.
const QUESTIONS: [&str; 5] = [
    "/v1/members/{member}",
    "/v1/members/{member}/operations",
    "/v1/members/{member}/message",
    "/v1/purchases/{purchase}",
    "/v1/sync",
];

/// The member whom the node knows from the start, with points and a right to spend some of them.
pub const MEMBER: MemberId = MemberId(77);
/// Their card.
pub const CARD: &str = "79927398713";

/// Requests of one input; further lines are not sent.
const REQUESTS_MAX: usize = 8;
/// Longest answer, in bytes: a sale of 1,000 lines with long names.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// 2025-11-22T08:26:40Z, in milliseconds.
const NOW_MS: u64 = 1_763_800_000_000;
const UNKNOWN_PURCHASE: &str = "u0000000000000000";
const POINTS: AccountId = AccountId(1);
const TOKEN: &str = "till-token";
const LOOKUP: LookupKey = LookupKey([9; 32]);

/// A request that is not refused for its form is answered once and for all, and nothing ends in a fault of the node.
pub fn pos_json(data: &[u8]) {
    statuses(data);
}

/// The statuses of the requests of an input.
pub fn statuses(data: &[u8]) -> Vec<u16> {
    // Building a router takes longer than all else that an input does.
    static NODE: Mutex<Option<Node>> = Mutex::new(None);
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("the system gives a runtime its timer");
    let mut kept = NODE.lock().expect("no input has failed before");
    runtime.block_on(async {
        if kept.is_none() {
            *kept = Some(Node::start().await);
        }
        let node = kept.as_mut().expect("the node has started");
        let statuses = node.serve(data).await;
        node.put_back().await;
        statuses
    })
}

/// A node, as its tills see it.
struct Node {
    engine: Arc<FaultyEngine>,
    app: App,
    router: Router,
    /// Its rows before any input.
    first: Batch,
    purchase: String,
}

/// An answer of the kind that tills may get.
#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    body: Value,
}

impl Node {
    /// An enrolled node that has heard from its hub.
    async fn start() -> Self {
        let engine = Arc::new(FaultyEngine::new());
        let identity = Identity {
            node: NodeId(1),
            incarnation: Incarnation(1),
            programme: ProgrammeId(1),
            store: StoreId(1),
            hub: PublicKey::of(&hub_key()),
        };
        let written = identity.write(engine.as_ref(), "127.0.0.1:1");
        written.expect("memory takes every row");
        let shared = Arc::<FaultyEngine>::clone(&engine);
        let app = App::open(shared, node_key(), || NOW_MS).expect("the node is enrolled");
        let rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
        let publication = Publication::new(ProgrammeId(1), 1, 0, &rules);
        app.take_publication(SignedPublication::sign(&hub_key(), publication))
            .await
            .expect("the hub's rules can be run");
        let news = [
            News::Directory(directory()),
            News::SnapshotBegins { positions: vec![0] },
            News::SnapshotPages {
                batches: vec![snapshot()],
                last: true,
            },
        ];
        for news in news {
            app.hear(news).await.expect("the hub's news are in order");
        }
        let mut first = Batch::new();
        for (table, key, value) in rows(&engine) {
            first.put(table, key, value);
        }
        Self {
            router: api::router(app.clone()),
            engine,
            app,
            first,
            purchase: UNKNOWN_PURCHASE.to_owned(),
        }
    }

    /// Makes the node what it was before the input: a commit that fails has it read its rows anew.
    async fn put_back(&mut self) {
        let mut gone = Batch::new();
        for (table, key, _) in rows(&self.engine) {
            gone.delete(table, key);
        }
        for batch in [&gone, &self.first] {
            let written = self.engine.commit(batch);
            written.expect("memory takes every row");
        }
        self.engine.fail_commit(0, Fault::Io);
        let heard = self.app.hear(News::Directory(directory())).await;
        heard.expect_err("this commit fails");
        UNKNOWN_PURCHASE.clone_into(&mut self.purchase);
    }

    async fn serve(&mut self, data: &[u8]) -> Vec<u16> {
        let mut statuses = Vec::new();
        let lines = data.split(|byte| *byte == b'\n');
        let requests = lines.filter_map(|line| line.split_first());
        for (key, (letter, body)) in (0..REQUESTS_MAX).zip(requests) {
            let route = usize::from(letter.wrapping_sub(b'a')) % ROUTES.len();
            let (method, path) = ROUTES[route];
            let answer = self.ask(method, path, key, body).await;
            let again = self.ask(method, path, key, body).await;
            assert_eq!(again, answer, "a retry of {method} {path}");
            if let Some(purchase) = answer.body["purchase_id"].as_str() {
                purchase.clone_into(&mut self.purchase);
            }
            statuses.push(answer.status.as_u16());
        }
        for path in QUESTIONS {
            self.ask("GET", path, 0, &[]).await;
        }
        statuses
    }

    async fn ask(&self, method: &str, path: &str, key: usize, body: &[u8]) -> Answer {
        let path = path.replace("{member}", &MEMBER.to_string());
        let path = path.replace("{purchase}", &self.purchase);
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", key.to_string())
            .body(Body::from(body.to_vec()))
            .expect("paths and headers of this file are well-formed");
        let Ok(response) = self.router.clone().oneshot(request).await;
        let status = response.status();
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let body = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await;
        let body = body.expect("an answer is of a bounded size");
        let text = String::from_utf8_lossy(&body);
        if !status.is_success() {
            assert!(status.is_client_error(), "{method} {path}: {status} {text}");
            assert_eq!(content_type.expect("a problem has a type"), PROBLEM_JSON);
            let problem: Problem = serde_json::from_slice(&body).expect("a problem document");
            assert_eq!(problem.status, status.as_u16(), "{text}");
        }
        Answer {
            status,
            body: serde_json::from_slice(&body).expect("every answer is JSON"),
        }
    }
}

fn rows(engine: &FaultyEngine) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let of_table = |table| {
        let entries = engine.scan(table, &[], None, usize::MAX);
        let entries = entries.expect("memory is readable").into_iter();
        entries.map(move |(key, value)| (table, key, value))
    };
    Table::ALL.into_iter().flat_map(of_table).collect()
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

/// The only page of the snapshot: one member.
fn snapshot() -> FeedBatch {
    let number = CardNumber::parse(CARD).expect("the sample's check digit is right");
    let card = Identifier::card(&number).hash(&LOOKUP);
    FeedBatch {
        partition: 0,
        after: 0,
        upto: 0,
        applied: AppliedLog {
            incarnation: Incarnation(1),
            sequence: 0,
        },
        caught_up: true,
        members: vec![FeedMember {
            id: MEMBER,
            scope: Scope::Programme,
            identifiers: vec![card],
            record: member(card, number.tail()).encode(),
        }],
    }
}

/// A member of another store's making: 500 points, of which this node may let 100 be spent offline.
fn member(card: IdentifierHash, tail: u16) -> Member {
    let mut member = Member::default();
    let lot = LotId {
        operation: OperationId {
            node: NodeId(2),
            incarnation: Incarnation(1),
            sequence: 1,
        },
        index: 0,
    };
    let points = Lot {
        amount: Minor(50_000),
        issuer: Some(PartnerId(2)),
        ..Lot::default()
    };
    let account = member.accounts.entry(POINTS).or_default();
    account.lots.insert(lot, points);
    let right = Allowance {
        account: POINTS,
        node: NodeId(1),
        incarnation: Incarnation(1),
        amount: Minor(10_000),
        used: Minor::ZERO,
        granted_on: Day::default(),
        expires_at_ms: NOW_MS + 86_400_000,
        closed: false,
        recalled: false,
    };
    member.allowances.insert(AllowanceRef::Granted(1), right);
    let card_state = Card {
        kind: CardKind::default(),
        tail,
        state: CardState::Active,
    };
    member.cards.insert(card.tag(), card_state);
    member
}
