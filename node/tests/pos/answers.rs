//! Answers of the hub against the feed: whichever comes first, what is older never replaces what is newer.

use std::sync::Arc;

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::MemberId;
use kopilka_node::app::{App, AppError, HubLink, LinkError, News};
use kopilka_node::store::faulty::FaultyEngine;
use kopilka_protocol::message::{
    FeedBatch, FeedMember, MemberState, Reply, ReserveRequest, SoldQuery,
};
use serde_json::json;

use crate::common::{
    NOW_MS, Node, batch, card_hash, feed_member, publication, rule_book, sale, state, stranger,
    with,
};
use crate::redemption::with_right;

const ID: MemberId = MemberId(77);
const CARD: &str = "79927398713";

async fn fed(node: &Node, after: u64, upto: u64, points: i64) {
    let members = vec![feed_member(ID, &stranger(points))];
    node.hear(News::Feed(batch(after, upto, 0, true, members)))
        .await;
}

async fn answered(node: &Node, position: u64, points: i64) -> Result<(), AppError> {
    let answer = state(ID, &stranger(points), position, 0);
    node.app.hear(News::Member(answer)).await
}

#[tokio::test]
async fn an_answer_that_the_feed_has_passed_changes_nothing() {
    let node = Node::start().await;
    fed(&node, 0, 5, 4_000).await;
    // The own log stands where it stood, so nothing but the position tells which is older.
    for position in [4, 5] {
        let late = answered(&node, position, 1_000).await;
        assert_eq!(late, Err(AppError::OutOfOrder));
    }
    assert_eq!(node.balance(&ID.to_string()).await, 4_000);
}

#[tokio::test]
async fn an_answer_stands_until_the_feed_has_come_to_it() {
    let node = Node::start().await;
    let id = ID.to_string();
    fed(&node, 0, 1, 1_000).await;
    assert_eq!(answered(&node, 8, 9_000).await, Ok(()));
    assert_eq!(
        answered(&node, 7, 8_000).await,
        Err(AppError::OutOfOrder),
        "answers overtake each other"
    );
    // Read at the hub before the answer was.
    fed(&node, 1, 6, 2_000).await;
    assert_eq!(node.balance(&id).await, 9_000);
    fed(&node, 6, 8, 9_500).await;
    assert_eq!(node.balance(&id).await, 9_500);
    // From here on the feed is alone again.
    fed(&node, 8, 9, 9_700).await;
    assert_eq!(node.balance(&id).await, 9_700);
}

#[tokio::test]
async fn a_page_of_a_snapshot_leaves_a_later_answer_alone() {
    let node = Node::start().await;
    node.hear(News::SnapshotBegins { positions: vec![3] }).await;
    assert_eq!(answered(&node, 8, 9_000).await, Ok(()));
    let page = batch(0, 0, 0, false, vec![feed_member(ID, &stranger(1_000))]);
    node.hear(News::SnapshotPages {
        batches: vec![page],
        last: true,
    })
    .await;
    assert_eq!(node.balance(&ID.to_string()).await, 9_000);
    fed(&node, 3, 8, 9_500).await;
    assert_eq!(node.balance(&ID.to_string()).await, 9_500);
}

/// A hub whose feed arrives before its answer does.
struct QuickFeed {
    app: App,
    feed: FeedBatch,
    answer: MemberState,
}

impl QuickFeed {
    async fn overtake(&self) {
        let feed = News::Feed(self.feed.clone());
        self.app.hear(feed).await.unwrap();
    }
}

#[async_trait::async_trait]
impl HubLink for QuickFeed {
    fn is_connected(&self) -> bool {
        true
    }

    async fn reserve(&self, _request: ReserveRequest) -> Result<Reply, LinkError> {
        self.overtake().await;
        Ok(Reply::Reserved(self.answer.clone()))
    }

    async fn find(&self, _identifier: IdentifierHash) -> Result<Reply, LinkError> {
        self.overtake().await;
        Ok(Reply::Found(Some(self.answer.clone())))
    }

    async fn sold(&self, _query: SoldQuery) -> Result<Reply, LinkError> {
        Err(LinkError::Failed)
    }
}

/// A node in memory that waits long for the hub, with a member who has no rights here.
async fn patient_node() -> Node {
    let node = Node::start_on(Arc::new(FaultyEngine::new()), || NOW_MS).await;
    let mut rules = rule_book();
    rules.offline.hub_deadline_ms = 5_000;
    node.publish(publication(2, &rules)).await;
    fed(&node, 0, 1, 50_000).await;
    node
}

fn quick_feed(node: &Node, member: FeedMember) {
    let answer = MemberState {
        member: member.clone(),
        ..state(ID, &stranger(0), 2, 0)
    };
    node.app.set_hub(Arc::new(QuickFeed {
        app: node.app.clone(),
        feed: batch(1, 2, 0, true, vec![member]),
        answer,
    }));
}

#[tokio::test]
async fn a_right_that_the_feed_brought_before_the_answer_is_used() {
    let redeem = |amount: i64| {
        let body = sale(&ID.to_string(), 1, 100_000);
        with(body, json!({ "redeem": amount }))
    };
    let node = patient_node().await;
    quick_feed(
        &node,
        feed_member(ID, &with_right(stranger(50_000), 10_000)),
    );
    let (status, sold) = node
        .call("POST", "/v1/purchases", "1", redeem(10_000))
        .await;
    assert_eq!((status, &sold["rung"]), (201, &"hub".into()), "{sold}");

    // Spent elsewhere since: the hub's word alone is worth nothing.
    let node = patient_node().await;
    quick_feed(&node, feed_member(ID, &stranger(50_000)));
    let (status, refused) = node
        .call("POST", "/v1/purchases", "1", redeem(10_000))
        .await;
    assert_eq!((status, &refused["code"]), (409, &"offline_limit".into()));
}

#[tokio::test]
async fn a_member_whom_the_feed_brought_before_the_answer_is_found() {
    let node = patient_node().await;
    let mut member = feed_member(ID, &stranger(50_000));
    member.identifiers = vec![card_hash(CARD)];
    quick_feed(&node, member);
    let body = json!({ "kind": "card", "value": CARD });
    let (status, shown) = node.call("POST", "/v1/identify", "-", body).await;
    assert_eq!(
        (status, &shown["member"]["member_id"]),
        (200, &ID.to_string().into())
    );
}
