//! Publications on their way to nodes: read and compared once for all that want the same.

use std::collections::VecDeque;
use std::sync::Arc;

use kopilka_crdt::ids::ProgrammeId;
use kopilka_protocol::codec::{CodecError, encode};
use kopilka_protocol::limits::PROTOCOL_DELTAS;
use kopilka_protocol::message::FeedMessage;
use kopilka_protocol::publication::PublicationDelta;
use kopilka_protocol::signed::SignedPublication;
use tokio::sync::Mutex;

use super::StreamError;
use crate::app::Hub;

/// Publications kept in memory, of some megabytes each at most.
const WHOLE_MAX: usize = 4;
/// Frames kept: nodes that connect after a time away bring different bases.
const FRAMES_MAX: usize = 64;

/// A step from one publication to another, for nodes that can take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) programme: ProgrammeId,
    /// What the node has; 0: nothing.
    pub(super) from: u32,
    pub(super) to: u32,
    /// The protocol version that the node speaks.
    pub(super) protocol: u16,
}

type Frame = Arc<[u8]>;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Publications {
    hub: Hub,
    kept: Arc<Mutex<Kept>>,
}

/// The lock is held while something is made, so that a thousand nodes that want it wait for one making of it.
#[derive(Default)]
struct Kept {
    whole: VecDeque<Arc<SignedPublication>>,
    frames: VecDeque<(Step, Option<Frame>)>,
}

impl Publications {
    pub(super) fn new(hub: Hub) -> Self {
        Self {
            hub,
            kept: Arc::default(),
        }
    }

    /// A publication; none when there is no such number.
    pub(super) async fn whole(
        &self,
        programme: ProgrammeId,
        number: u32,
    ) -> Result<Option<Arc<SignedPublication>>, StreamError> {
        self.kept
            .lock()
            .await
            .whole(&self.hub, programme, number)
            .await
    }

    /// The frame of the feed that brings a node from one publication to another; none when there is no such
    /// publication, or none that a node of this version can take.
    pub(super) async fn frame(&self, step: Step) -> Result<Option<Frame>, StreamError> {
        let mut kept = self.kept.lock().await;
        if let Some((_, frame)) = kept.frames.iter().find(|(known, _)| *known == step) {
            return Ok(frame.clone());
        }
        let Some(target) = kept.whole(&self.hub, step.programme, step.to).await? else {
            return Ok(None);
        };
        let base = match step.from {
            0 => None,
            from => kept.whole(&self.hub, step.programme, from).await?,
        };
        let made = tokio::task::spawn_blocking(move || made(step, base.as_deref(), &target));
        let frame = made.await.map_err(|_| StreamError::Closed)??;
        keep(&mut kept.frames, (step, frame.clone()), FRAMES_MAX);
        Ok(frame)
    }
}

impl Kept {
    async fn whole(
        &mut self,
        hub: &Hub,
        programme: ProgrammeId,
        number: u32,
    ) -> Result<Option<Arc<SignedPublication>>, StreamError> {
        let is_it = |signed: &&Arc<SignedPublication>| {
            (signed.publication.programme, signed.publication.number) == (programme, number)
        };
        if let Some(known) = self.whole.iter().find(is_it) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(signed) = hub.publication(programme, number).await? else {
            return Ok(None);
        };
        let signed = Arc::new(signed);
        keep(&mut self.whole, Arc::clone(&signed), WHOLE_MAX);
        Ok(Some(signed))
    }
}

/// Keeps the newest.
fn keep<T>(kept: &mut VecDeque<T>, new: T, most: usize) {
    while kept.len() >= most {
        kept.pop_front();
    }
    kept.push_back(new);
}

/// A delta where one is worth it, else the whole, else the number to ask for.
fn made(
    step: Step,
    base: Option<&SignedPublication>,
    target: &SignedPublication,
) -> Result<Option<Frame>, CodecError> {
    let takes_deltas = step.protocol >= PROTOCOL_DELTAS;
    let delta = base
        .filter(|_| takes_deltas)
        .and_then(|base| PublicationDelta::between(&base.publication, target));
    let frame = match delta {
        Some(delta) => encode(&FeedMessage::PublicationDelta(delta)),
        None => encode(&FeedMessage::Publication(target.clone())),
    };
    match frame {
        Ok(frame) => Ok(Some(frame.into())),
        Err(CodecError::TooLarge) if takes_deltas => {
            let number = FeedMessage::PublicationNumber(step.to);
            Ok(Some(encode(&number)?.into()))
        }
        Err(CodecError::TooLarge) => Ok(None),
        Err(error @ (CodecError::Version(_) | CodecError::Malformed)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use kopilka_crdt::rulebook::Publication;
    use kopilka_protocol::codec::decode;
    use kopilka_protocol::limits::FRAME_BYTES_MAX;

    use super::*;

    fn signed(number: u32, rules: String) -> SignedPublication {
        let publication = Publication {
            programme: ProgrammeId(1),
            number,
            valid_from_ms: 0,
            rules,
        };
        SignedPublication::sign(&SigningKey::from_bytes(&[1; 32]), publication)
    }

    fn sent(
        protocol: u16,
        base: Option<&SignedPublication>,
        target: &SignedPublication,
    ) -> Option<FeedMessage> {
        let step = Step {
            programme: ProgrammeId(1),
            from: base.map_or(0, |base| base.publication.number),
            to: target.publication.number,
            protocol,
        };
        let frame = made(step, base, target).unwrap();
        frame.map(|frame| decode(&frame).unwrap())
    }

    #[test]
    fn a_node_gets_what_its_version_takes() {
        let (one, two) = (signed(1, "[1]".to_owned()), signed(2, "[2]".to_owned()));
        let whole = Some(FeedMessage::Publication(two.clone()));
        assert_eq!(sent(1, Some(&one), &two), whole);
        assert_eq!(sent(2, None, &two), whole);
        let delta = PublicationDelta::between(&one.publication, &two).unwrap();
        let delta = Some(FeedMessage::PublicationDelta(delta));
        assert_eq!(sent(2, Some(&one), &two), delta);

        let vast = signed(3, "x".repeat(FRAME_BYTES_MAX));
        let number = Some(FeedMessage::PublicationNumber(3));
        assert_eq!(sent(2, Some(&two), &vast), number);
        assert_eq!(sent(2, None, &vast), number);
        assert_eq!(sent(1, Some(&two), &vast), None);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let mut kept = VecDeque::new();
        for number in 0..10 {
            keep(&mut kept, number, 3);
        }
        assert_eq!(kept, [7, 8, 9]);
    }
}
