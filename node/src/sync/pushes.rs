//! What the hub pushes: block orders and the feed, each on a stream of its own, each straight to the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::member::Member;
use kopilka_protocol::codec::decode;
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{BlockBatch, Channel, FeedBatch, FeedMessage};
use kopilka_shell::frame_io::FrameReader;
use quinn::{Connection, RecvStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{SessionError, publication};
use crate::app::{App, AppError, News};

/// Accepts the hub's streams until the connection ends or one of them breaks. `stored` is told of each change on disk.
pub(super) async fn run(
    app: App,
    connection: Connection,
    stored: Arc<Notify>,
) -> Result<(), SessionError> {
    let mut readers = JoinSet::new();
    loop {
        tokio::select! {
            stream = connection.accept_uni() => {
                readers.spawn(read(
                    app.clone(),
                    connection.clone(),
                    stream?,
                    Arc::clone(&stored),
                ));
            }
            Some(ended) = readers.join_next() => ended.map_err(|_| SessionError::Closed)??,
        }
    }
}

async fn read(
    app: App,
    connection: Connection,
    stream: RecvStream,
    stored: Arc<Notify>,
) -> Result<(), SessionError> {
    let mut frames = FrameReader::new(stream, FRAME_BYTES_MAX);
    let Some(first) = frames.next().await? else {
        return Err(SessionError::Closed);
    };
    let channel: Channel = decode(&first)?;
    while let Some(frame) = frames.next().await? {
        match channel {
            Channel::Blocks => {
                let BlockBatch { orders } = decode(&frame)?;
                app.hear(News::Blocks(orders)).await?;
            }
            Channel::Feed => feed(&app, &connection, decode(&frame)?).await?,
        }
        stored.notify_one();
    }
    Err(SessionError::Closed)
}

async fn feed(
    app: &App,
    connection: &Connection,
    message: FeedMessage,
) -> Result<(), SessionError> {
    match message {
        FeedMessage::Members(batch) => {
            let recalled = recalled(app, &batch);
            app.hear(News::Feed(batch)).await?;
            for (member, allowances) in recalled {
                app.hear(News::Recall { member, allowances }).await?;
            }
        }
        FeedMessage::Publication(signed) => app.take_publication(signed).await?,
        FeedMessage::PublicationDelta(delta) => {
            let number = delta.head.number;
            match app.take_delta(delta).await {
                Err(AppError::Transfer(error)) => {
                    tracing::warn!(%error, number, "a delta of the rules does not fit: fetching all of them");
                    publication::fetch(app, connection, number).await?;
                }
                result => result?,
            }
        }
        FeedMessage::PublicationNumber(number) => {
            publication::fetch(app, connection, number).await?;
        }
        FeedMessage::Directory(directory) => app.hear(News::Directory(directory)).await?,
    }
    Ok(())
}

/// This node's rights that the hub wants back. Records that do not read are refused with the batch.
fn recalled(app: &App, batch: &FeedBatch) -> BTreeMap<MemberId, Vec<AllowanceRef>> {
    let identity = app.identity();
    let mut found = BTreeMap::<MemberId, Vec<AllowanceRef>>::new();
    for state in &batch.members {
        let Ok(member) = Member::decode(&state.record) else {
            continue;
        };
        for (name, allowance) in &member.allowances {
            let own =
                (allowance.node, allowance.incarnation) == (identity.node, identity.incarnation);
            if own && allowance.recalled && !allowance.closed {
                found.entry(state.id).or_default().push(*name);
            }
        }
    }
    found
}
