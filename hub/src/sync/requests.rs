//! Requests that a node makes on streams of their own.

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_protocol::codec::encode;
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{Refusal, Reply, ReserveRequest, SnapshotRequest, SoldQuery};
use kopilka_shell::frame_io::write_frame;
use quinn::SendStream;

use super::{Context, StreamError, streams};
use crate::app::entities::NodeEntity;

/// Sends one reply and ends the stream.
pub(super) async fn finish(send: &mut SendStream, reply: &Reply) -> Result<(), StreamError> {
    write_frame(send, &encode(reply)?, FRAME_BYTES_MAX).await?;
    let _ = send.finish();
    Ok(())
}

pub(super) async fn reserve(
    context: &Context,
    node: &NodeEntity,
    request: &ReserveRequest,
    mut send: SendStream,
) -> Result<(), StreamError> {
    let reply = context
        .hub
        .reserve(node, request)
        .await
        .unwrap_or_else(|error| {
            tracing::warn!(%error, node = %node.id, "a reservation failed");
            Reply::Refused(Refusal::Busy)
        });
    finish(&mut send, &reply).await
}

pub(super) async fn find(
    context: &Context,
    node: &NodeEntity,
    hash: IdentifierHash,
    mut send: SendStream,
) -> Result<(), StreamError> {
    let found = context.hub.find_for(node, hash).await?;
    finish(&mut send, &Reply::Found(found)).await
}

pub(super) async fn sold(
    context: &Context,
    node: &NodeEntity,
    query: &SoldQuery,
    mut send: SendStream,
) -> Result<(), StreamError> {
    let page = context.hub.sold(node, query).await?;
    finish(&mut send, &Reply::Sold(page)).await
}

/// Sends pages until the partition's last, as fast as the node takes them.
pub(super) async fn snapshot(
    context: &Context,
    node: &NodeEntity,
    request: SnapshotRequest,
    mut send: SendStream,
) -> Result<(), StreamError> {
    let mut after = request.after;
    loop {
        let page = context
            .hub
            .snapshot_page(node, request.partition, after)
            .await?;
        let (last, through) = (page.last, page.through);
        write_frame(&mut send, &encode(&Reply::Page(page))?, FRAME_BYTES_MAX).await?;
        if last {
            let _ = send.finish();
            return Ok(());
        }
        after = through;
    }
}

/// Sends a publication in pieces, as fast as the node takes them.
pub(super) async fn publication(
    context: &Context,
    node: &NodeEntity,
    number: u32,
    mut send: SendStream,
) -> Result<(), StreamError> {
    // Rules are never as urgent as what else a node sends and gets.
    let _ = send.set_priority(streams::FEED_PRIORITY);
    let whole = context.publications.whole(node.programme, number).await?;
    let Some(whole) = whole else {
        return finish(&mut send, &Reply::Refused(Refusal::Unexpected)).await;
    };
    let (start, pieces) = whole.pieces()?;
    let start = encode(&Reply::Publication(start))?;
    write_frame(&mut send, &start, FRAME_BYTES_MAX).await?;
    for piece in pieces {
        let piece = encode(&Reply::Rules(piece.to_vec()))?;
        write_frame(&mut send, &piece, FRAME_BYTES_MAX).await?;
    }
    let _ = send.finish();
    Ok(())
}
