//! New rules over real QUIC, as deltas and in pieces, from a hub that is honest or lies.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_node::sync;
use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{Channel, FeedMessage, Opening, Refusal, Reply};
use kopilka_protocol::publication::{PublicationDelta, TransferError};
use kopilka_protocol::signed::SignedPublication;
use kopilka_shell::frame_io::{read_frame, write_frame};
use kopilka_shell::quic::server_endpoint;
use kopilka_shell::shutdown;
use quinn::{Connection, SendStream};

use crate::common::{Node, hub_key, publication, rule_book};
use crate::sessions::Session;
use kopilka_node::app::AppError;

/// The common rules with another share for the first tier.
fn rules(earn_permille: u32) -> RuleBook {
    let mut rules = rule_book();
    rules.tiers[0].earn_permille = earn_permille;
    rules
}

fn delta(base: &SignedPublication, next: &SignedPublication) -> PublicationDelta {
    PublicationDelta::between(&base.publication, next).unwrap()
}

fn in_force(node: &Node) -> u32 {
    node.app.rules().unwrap().programme.number()
}

async fn say<T: serde::Serialize>(stream: &mut SendStream, message: &T) {
    let frame = encode(message).unwrap();
    write_frame(stream, &frame, FRAME_BYTES_MAX).await.unwrap();
}

/// The number of the publication that the node asks for.
async fn asked(connection: &Connection) -> (u32, SendStream) {
    let (send, mut receive) = connection.accept_bi().await.unwrap();
    let frame = read_frame(&mut receive, FRAME_BYTES_MAX).await.unwrap();
    let Opening::Publication(number) = decode(&frame.unwrap()).unwrap() else {
        panic!("a request for a publication");
    };
    (number, send)
}

/// Waits for rules to be in force, without a bound of its own.
async fn runs(node: &Node, number: u32) {
    while in_force(node) != number {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_delta_that_does_not_fit_is_refused_and_loses_nothing() {
    let node = Node::start().await;
    let (one, two) = (publication(1, &rule_book()), publication(2, &rules(70)));
    let mut lying = delta(&one, &two);
    lying.rules.splices[0].insert = "9".to_owned();
    let refused = node.app.take_delta(lying).await;
    assert!(matches!(
        refused,
        Err(AppError::Transfer(TransferError::Signature(_)))
    ));
    let ahead = delta(&two, &publication(3, &rules(80)));
    assert_eq!(
        node.app.take_delta(ahead.clone()).await,
        Err(AppError::Transfer(TransferError::Base))
    );
    let node = node.restart();
    assert_eq!(
        (in_force(&node), node.app.seen().unwrap().publication),
        (1, 1)
    );

    node.app.take_delta(delta(&one, &two)).await.unwrap();
    assert_eq!(in_force(&node), 2);
    node.app.take_delta(ahead).await.unwrap();
    let node = node.restart();
    assert_eq!(in_force(&node), 3);
    let tiers = &node.app.rules().unwrap().programme.rules().tiers.clone();
    assert_eq!(tiers[0].earn_permille, 80);
}

#[tokio::test]
async fn a_node_asks_for_the_whole_where_a_delta_does_not_help() {
    let node = Node::start().await;
    let hub = server_endpoint("127.0.0.1:0".parse().unwrap(), &hub_key()).unwrap();
    let (_trigger, shutdown) = shutdown::channel();
    let address = hub.local_addr().unwrap().to_string();
    let key = SigningKey::from_bytes(&[2; 32]);
    let dialling = tokio::spawn(sync::run(node.app.clone(), key, address, shutdown));

    let session = Session::accept(&hub).await;
    let mut feed = session.connection.open_uni().await.unwrap();
    say(&mut feed, &Channel::Feed).await;
    let (one, two) = (publication(1, &rule_book()), publication(2, &rules(70)));
    let mut lying = delta(&one, &two);
    lying.rules.splices[0].keep += 1;
    say(&mut feed, &FeedMessage::PublicationDelta(lying)).await;
    let (number, mut answer) = asked(&session.connection).await;
    assert_eq!((number, in_force(&node)), (2, 1));
    let (start, pieces) = two.pieces().unwrap();
    say(&mut answer, &Reply::Publication(start)).await;
    for piece in pieces {
        say(&mut answer, &Reply::Rules(piece.to_vec())).await;
    }
    runs(&node, 2).await;

    let three = publication(3, &rules(80));
    say(
        &mut feed,
        &FeedMessage::PublicationDelta(delta(&two, &three)),
    )
    .await;
    runs(&node, 3).await;

    say(&mut feed, &FeedMessage::PublicationNumber(4)).await;
    let (number, mut answer) = asked(&session.connection).await;
    assert_eq!(number, 4);
    say(&mut answer, &Reply::Refused(Refusal::Unexpected)).await;
    // The session is over, and the node dials again with the rules that it has.
    let _again = Session::accept(&hub).await;
    assert_eq!(in_force(&node), 3);
    dialling.abort();
}
