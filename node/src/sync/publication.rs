//! A publication that is too large for a frame, or whose delta did not fit: asked for as a whole, in pieces.

use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{Opening, Reply};
use kopilka_protocol::publication::Assembly;
use kopilka_shell::frame_io::{FrameReader, write_frame};
use quinn::{Connection, RecvStream};

use super::SessionError;
use crate::app::App;

/// Fetches a publication by its number.
pub(super) async fn fetch(
    app: &App,
    connection: &Connection,
    number: u32,
) -> Result<(), SessionError> {
    let (mut send, receive) = connection.open_bi().await?;
    let opening = encode(&Opening::Publication(number))?;
    write_frame(&mut send, &opening, FRAME_BYTES_MAX).await?;
    let _ = send.finish();
    let mut frames = FrameReader::new(receive, FRAME_BYTES_MAX);
    let Reply::Publication(start) = reply(&mut frames).await? else {
        return Err(SessionError::Closed);
    };
    let mut assembly = Assembly::begin(start)?;
    while !assembly.is_complete() {
        let Reply::Rules(piece) = reply(&mut frames).await? else {
            return Err(SessionError::Closed);
        };
        assembly.take(&piece)?;
    }
    let signed = assembly.finish(&app.identity().hub)?;
    Ok(app.take_publication(signed).await?)
}

async fn reply(frames: &mut FrameReader<RecvStream>) -> Result<Reply, SessionError> {
    let frame = frames.next().await?.ok_or(SessionError::Closed)?;
    let reply = decode(&frame)?;
    if let Reply::Refused(refusal) = reply {
        return Err(SessionError::Refused(refusal));
    }
    Ok(reply)
}
