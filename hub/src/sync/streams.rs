//! The two streams that the hub opens for a session: block orders, ahead of everything, and the feed.

use std::time::Duration;

use kopilka_protocol::codec::encode;
use kopilka_protocol::limits::{BLOCK_ORDERS_MAX, FRAME_BYTES_MAX};
use kopilka_protocol::message::{BlockBatch, Channel, FeedMessage, Hello};
use kopilka_shell::frame_io::write_frame;
use quinn::{Connection, SendStream};
use serde::Serialize;
use tokio::sync::watch;

use super::StreamError;
use super::publications::{Publications, Step};
use crate::app::Hub;
use crate::app::directory::store_directory;
use crate::app::entities::{Kept, NodeEntity, Programme};
use crate::store::{Heads, StoreError};

/// Block orders go out before anything else.
const BLOCKS_PRIORITY: i32 = 2;
/// The feed waits for the session stream (priority 1) and for block orders.
pub(super) const FEED_PRIORITY: i32 = 0;
/// Least time between two looks at the feed of one node: changes that come close together travel together.
const FEED_INTERVAL: Duration = Duration::from_millis(10);

async fn send(stream: &mut SendStream, message: &impl Serialize) -> Result<(), StreamError> {
    Ok(write_frame(stream, &encode(message)?, FRAME_BYTES_MAX).await?)
}

async fn open(
    connection: &Connection,
    channel: Channel,
    priority: i32,
) -> Result<SendStream, StreamError> {
    let mut stream = connection.open_uni().await?;
    // Fails only for a stream that is already closed.
    let _ = stream.set_priority(priority);
    send(&mut stream, &channel).await?;
    Ok(stream)
}

/// Sends block orders after `number` as they come.
pub(super) async fn blocks(
    hub: Hub,
    connection: Connection,
    node: NodeEntity,
    mut number: u64,
) -> Result<(), StreamError> {
    let mut stream = open(&connection, Channel::Blocks, BLOCKS_PRIORITY).await?;
    let mut news = hub.news();
    loop {
        let known = |heads: &Heads| heads.blocks.get(&node.programme.0).copied().unwrap_or(0);
        let newest = known(&news.borrow_and_update());
        while number < newest {
            let rows = hub
                .store
                .blocks_after(node.programme, number, BLOCK_ORDERS_MAX)
                .await?;
            let Some(last) = rows.last() else { break };
            number = last.number;
            let orders = rows
                .iter()
                .map(|row| {
                    postcard::from_bytes(&row.signed)
                        .map_err(|_| StoreError::Damaged("block order"))
                })
                .collect::<Result<Vec<_>, _>>()?;
            send(&mut stream, &BlockBatch { orders }).await?;
        }
        changed(&mut news).await?;
    }
}

/// Sends rules, the directory and members as they change, to the node that said `hello`.
pub(super) async fn feed(
    hub: Hub,
    publications: Publications,
    connection: Connection,
    node: NodeEntity,
    hello: Hello,
) -> Result<(), StreamError> {
    let Hello {
        incarnation, seen, ..
    } = hello;
    let mut stream = open(&connection, Channel::Feed, FEED_PRIORITY).await?;
    let mut news = hub.news();
    let mut cursors = seen.feed;
    let mut told = vec![0; cursors.len()];
    let mut documents = Documents {
        publications,
        protocol: hello.protocol,
        publication: seen.publication,
        directory: seen.directory,
        entities: None,
    };
    loop {
        let heads = news.borrow_and_update().clone();
        documents.send(&hub, &node, &heads, &mut stream).await?;
        for (partition, (cursor, told)) in (0_u16..).zip(cursors.iter_mut().zip(told.iter_mut())) {
            loop {
                let batch = hub
                    .feed_batch(&node, incarnation, partition, *cursor)
                    .await?;
                // An empty batch is worth sending too: it says how much of its log the node may forget.
                let tells = batch.upto > *cursor || batch.applied.sequence > *told;
                let caught_up = batch.caught_up;
                *cursor = batch.upto;
                *told = batch.applied.sequence;
                if tells {
                    send(&mut stream, &FeedMessage::Members(batch)).await?;
                }
                if caught_up {
                    break;
                }
            }
        }
        tokio::time::sleep(FEED_INTERVAL).await;
        changed(&mut news).await?;
    }
}

async fn changed(news: &mut watch::Receiver<Heads>) -> Result<(), StreamError> {
    news.changed().await.map_err(|_| StreamError::Closed)
}

/// The rules and the directory: sent when newer than what the node has.
struct Documents {
    publications: Publications,
    protocol: u16,
    publication: u32,
    directory: u64,
    entities: Option<u64>,
}

impl Documents {
    async fn send(
        &mut self,
        hub: &Hub,
        node: &NodeEntity,
        heads: &Heads,
        stream: &mut SendStream,
    ) -> Result<(), StreamError> {
        if self.entities == Some(heads.entities) {
            return Ok(());
        }
        if let Some(directory) = store_directory(hub, node.store).await?
            && directory.version > self.directory
        {
            self.directory = directory.version;
            send(stream, &FeedMessage::Directory(directory)).await?;
        }
        let programme = hub
            .store
            .entity(Programme::KIND, &node.programme.to_string())
            .await?;
        if let Some(entity) = programme {
            let number = Programme::from_body(&entity.body)?.publication;
            self.send_rules(node, number, stream).await?;
        }
        self.entities = Some(heads.entities);
        Ok(())
    }

    async fn send_rules(
        &mut self,
        node: &NodeEntity,
        number: u32,
        stream: &mut SendStream,
    ) -> Result<(), StreamError> {
        if number <= self.publication {
            return Ok(());
        }
        let step = Step {
            programme: node.programme,
            from: self.publication,
            to: number,
            protocol: self.protocol,
        };
        match self.publications.frame(step).await? {
            Some(frame) => {
                self.publication = number;
                write_frame(stream, &frame, FRAME_BYTES_MAX).await?;
            }
            None => tracing::warn!(
                node = %node.id,
                number,
                "a publication is too large for this node's version: update the node"
            ),
        }
        Ok(())
    }
}
