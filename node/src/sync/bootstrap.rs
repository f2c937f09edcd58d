//! A new replica: pages of members from where the last attempt stopped, each on the disk before the next is asked for.

use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{Opening, Reply, SnapshotRequest};
use kopilka_shell::frame_io::{FrameReader, write_frame};
use quinn::Connection;

use super::SessionError;
use crate::app::{App, News, SnapshotProgress};

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
    let started = std::time::Instant::now();
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
    let started = std::time::Instant::now();
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
    loop {
        let frame = frames.next().await?.ok_or(SessionError::Closed)?;
        let page = match decode::<Reply>(&frame)? {
            Reply::Page(page) if page.programme == identity.programme => page,
            Reply::Refused(refusal) => return Err(SessionError::Refused(refusal)),
            Reply::Page(_)
            | Reply::Enrolled(_)
            | Reply::Reserved(_)
            | Reply::Short { .. }
            | Reply::Found(_) => {
                return Err(SessionError::Closed);
            }
        };
        let batch = page.unpack(&identity.hub)?;
        let last = page.last;
        app.hear(News::SnapshotPage { batch, last }).await?;
        if last {
            return Ok(());
        }
    }
}
