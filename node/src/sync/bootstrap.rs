//! A new replica: pages of members from where the last attempt stopped.
//!
//! Identifiers are hashes, so each page touches all of their tree. Several pages therefore share a commit, and the next
//! ones are fetched and checked while it goes to the disk.

use std::time::{Duration, Instant};

use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{FeedBatch, Opening, Reply, SnapshotRequest};
use kopilka_shell::frame_io::{FrameReader, write_frame};
use quinn::Connection;
use tokio::task::JoinHandle;

use super::SessionError;
use crate::app::{App, AppError, News, SnapshotProgress};
use crate::identity::Identity;

/// Pages that share a commit: with pages of 4,096 members some 20 MB of rows, twice over while the next are fetched.
const PAGES_GATHERED_MAX: usize = 16;
/// How long pages are gathered for a commit: what came over a slow line is soon safe from a power loss.
const GATHERING_TIME: Duration = Duration::from_millis(500);

/// Fetches what is missing of a snapshot. `positions`: where the feed stands now, by partition.
pub(super) async fn run(
    app: App,
    connection: Connection,
    positions: Vec<u64>,
) -> Result<(), SessionError> {
    let partitions = positions.len();
    if app
        .snapshot_progress()?
        .is_none_or(|progress| progress.positions.len() != partitions)
    {
        app.hear(News::SnapshotBegins { positions }).await?;
    }
    let started = Instant::now();
    while let Some(progress) = app.snapshot_progress()? {
        fetch(&app, &connection, &progress).await?;
    }
    tracing::info!(
        seconds = started.elapsed().as_secs_f32(),
        "the snapshot is complete"
    );
    // A tree that was filled in many commits is twice as large as it need be. The feed does not wait for this.
    tokio::task::spawn_blocking(move || compact(&app));
    Ok(())
}

fn compact(app: &App) {
    let started = Instant::now();
    match app.compact() {
        Ok(()) => tracing::info!(
            seconds = started.elapsed().as_secs_f32(),
            "the store is compact"
        ),
        Err(error) => tracing::warn!(%error, "the store could not be compacted"),
    }
}

/// Reads one partition to its end.
async fn fetch(
    app: &App,
    connection: &Connection,
    progress: &SnapshotProgress,
) -> Result<(), SessionError> {
    let request = SnapshotRequest {
        partition: progress.partition,
        after: progress.after,
    };
    let (mut send, receive) = connection.open_bi().await?;
    write_frame(
        &mut send,
        &encode(&Opening::Snapshot(request))?,
        FRAME_BYTES_MAX,
    )
    .await?;
    let _ = send.finish();
    let mut frames = FrameReader::new(receive, FRAME_BYTES_MAX);
    let identity = app.identity();
    let mut writing: Option<JoinHandle<Result<(), AppError>>> = None;
    loop {
        let mut batches = Vec::new();
        let fetched = gather(&mut frames, &identity, &mut batches).await;
        if let Some(before) = writing.take() {
            before.await??;
        }
        // What came before a cut need not come again.
        let last = matches!(fetched, Ok(true));
        let written = app.clone();
        writing = Some(tokio::spawn(async move {
            written.hear(News::SnapshotPages { batches, last }).await
        }));
        if !matches!(fetched, Ok(false)) {
            if let Some(before) = writing.take() {
                before.await??;
            }
            return fetched.map(|_| ());
        }
    }
}

/// Fetches pages until enough are there for a commit. Gives whether the last of the partition is among them; on an
/// error, `batches` has those that came before it.
async fn gather(
    frames: &mut FrameReader<quinn::RecvStream>,
    identity: &Identity,
    batches: &mut Vec<FeedBatch>,
) -> Result<bool, SessionError> {
    let started = Instant::now();
    while batches.len() < PAGES_GATHERED_MAX && started.elapsed() < GATHERING_TIME {
        let frame = frames.next().await?.ok_or(SessionError::Closed)?;
        let page = match decode::<Reply>(&frame)? {
            Reply::Page(page) if page.programme == identity.programme => page,
            Reply::Refused(refusal) => return Err(SessionError::Refused(refusal)),
            Reply::Page(_)
            | Reply::Enrolled(_)
            | Reply::Reserved(_)
            | Reply::Short { .. }
            | Reply::Found(_)
            | Reply::Publication(_)
            | Reply::Rules(_)
            | Reply::Sold(_) => return Err(SessionError::Closed),
        };
        batches.push(page.unpack(&identity.hub)?);
        if page.last {
            return Ok(true);
        }
    }
    Ok(false)
}
