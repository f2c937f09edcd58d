//! The hub's side of a session: judges how the node's log stands, passes runs on for intake, and says what is durable.
//!
//! Call order: [`standing`] from what the store knows, [`Listener::new`] with it, then `handle_frame` for each frame
//! of the session stream, and `handle_durable`, `handle_diverged`, `handle_renewal`, `handle_refusal`
//! as the shell learns of them.

use std::collections::VecDeque;

use kopilka_crdt::ids::{Incarnation, MemberId, NodeId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::sealed::MemberKey;

use crate::codec::{decode, encode};
use crate::limits::PROTOCOL_VERSION;
use crate::message::{
    Hello, HubMessage, NodeMessage, Refusal, Renewal, Seen, Standing, VerdictNote, Welcome,
};
use crate::segment::Segment;

/// What the hub's store knows of a node when it says hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The node that the connection's key belongs to.
    pub node: NodeId,
    /// The incarnation that it writes under, by the hub's books.
    pub incarnation: Incarnation,
    /// The hub's tip of the log that the hello names.
    pub tip: Option<Tip>,
    /// That log was frozen.
    pub frozen: bool,
    /// The first half of that log's head after the hello's sequence, where the hub has so much of it.
    pub head_there: Option<[u8; 16]>,
}

/// Judges a hello. `Err` ends the session.
pub fn standing(hello: &Hello, known: &Known) -> Result<Standing, Refusal> {
    if hello.protocol.abs_diff(PROTOCOL_VERSION) > 1 {
        return Err(Refusal::Protocol);
    }
    if hello.node != known.node {
        return Err(Refusal::WrongNode);
    }
    if hello.incarnation.is_adopted() {
        return Err(Refusal::Unexpected);
    }
    let next = Incarnation(
        known
            .incarnation
            .0
            .max(hello.incarnation.0)
            .saturating_add(1),
    );
    let behind = Standing::Behind(Renewal {
        next,
        adopted: None,
    });
    let tip = known
        .tip
        .unwrap_or_else(|| Tip::genesis(hello.node, hello.incarnation));
    let shares_past = known
        .head_there
        .is_some_and(|half| hello.tip.head.0[..16] == half);
    let ended = known.frozen || hello.incarnation < known.incarnation;
    if hello.tip == tip {
        return Ok(if ended {
            behind
        } else {
            Standing::Continue(tip)
        });
    }
    if hello.tip.sequence > tip.sequence {
        // Whether it goes on from the hub's tip shows with the first segment.
        return Ok(if ended {
            Standing::Diverged
        } else {
            Standing::Continue(tip)
        });
    }
    Ok(if shares_past || hello.tip.sequence == 0 {
        behind
    } else {
        Standing::Diverged
    })
}

/// What the shell is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerOutput {
    /// Send a frame on the session stream.
    Send(Vec<u8>),
    /// Take in a run of the log.
    Intake(Segment, Vec<(MemberId, MemberKey)>),
    /// Take over a branch: all runs of it.
    Branch(Vec<(Segment, Vec<(MemberId, MemberKey)>)>),
    /// Note what the node has on disk.
    Seen(Seen),
    /// Close the connection once frames are sent.
    Close,
}

/// Most segments of a branch that are gathered before it is taken over.
const BRANCH_SEGMENTS_MAX: usize = 256;

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    Branching(Vec<(Segment, Vec<(MemberId, MemberKey)>)>),
    Over,
}

/// The machine.
#[derive(Debug)]
pub struct Listener {
    node: NodeId,
    incarnation: Incarnation,
    state: State,
    outputs: VecDeque<ListenerOutput>,
}

impl Listener {
    /// Welcomes a node.
    pub fn new(hello: &Hello, standing: Standing, hub_ms: u64, snapshot_at: Vec<u64>) -> Self {
        let state = match standing {
            Standing::Continue(_) => State::Open,
            Standing::Diverged => State::Branching(Vec::new()),
            Standing::Behind(_) => State::Over,
        };
        let mut listener = Self {
            node: hello.node,
            incarnation: hello.incarnation,
            state,
            outputs: VecDeque::new(),
        };
        let partitions = u16::try_from(snapshot_at.len()).unwrap_or(u16::MAX);
        listener.send(&HubMessage::Welcome(Welcome {
            protocol: hello.protocol.min(PROTOCOL_VERSION),
            hub_ms,
            partitions,
            standing,
            snapshot_at,
        }));
        listener
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<ListenerOutput> {
        self.outputs.pop_front()
    }

    /// Whether nothing more will be said: close the connection once frames are sent.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// A frame came on the session stream.
    pub fn handle_frame(&mut self, frame: &[u8]) {
        let Ok(message) = decode::<NodeMessage>(frame) else {
            return self.handle_refusal(Refusal::Unexpected);
        };
        match (&mut self.state, message) {
            (State::Over, _) => {}
            (_, NodeMessage::Seen(seen)) => self.outputs.push_back(ListenerOutput::Seen(seen)),
            (State::Open, NodeMessage::Segment { segment, keys }) => {
                if (segment.node, segment.incarnation) == (self.node, self.incarnation) {
                    self.outputs
                        .push_back(ListenerOutput::Intake(segment, keys));
                } else {
                    self.handle_refusal(Refusal::WrongNode);
                }
            }
            // Sent before the node knew that its log diverged.
            (State::Branching(_), NodeMessage::Segment { .. }) => {}
            (
                State::Branching(runs),
                NodeMessage::Branch {
                    segment,
                    keys,
                    last,
                },
            ) => {
                let own = (segment.node, segment.incarnation) == (self.node, self.incarnation);
                if !own || runs.len() >= BRANCH_SEGMENTS_MAX {
                    return self.handle_refusal(Refusal::Segment);
                }
                runs.push((segment, keys));
                if last {
                    let runs = std::mem::take(runs);
                    self.outputs.push_back(ListenerOutput::Branch(runs));
                }
            }
            (State::Open, NodeMessage::Branch { .. }) => self.handle_refusal(Refusal::Unexpected),
        }
    }

    /// The log is durable up to here.
    pub fn handle_durable(&mut self, tip: Tip, verdicts: Vec<VerdictNote>) {
        if self.state != State::Over {
            self.send(&HubMessage::Durable {
                incarnation: self.incarnation,
                tip,
                verdicts,
            });
        }
    }

    /// A segment does not go on from what the hub has.
    pub fn handle_diverged(&mut self) {
        if self.state == State::Open {
            self.state = State::Branching(Vec::new());
            self.send(&HubMessage::SendBranch);
        }
    }

    /// The branch was taken over, or the log has ended: the node goes on under another number.
    pub fn handle_renewal(&mut self, renewal: Renewal) {
        self.state = State::Over;
        self.send(&HubMessage::Renew(renewal));
    }

    /// The session ends.
    pub fn handle_refusal(&mut self, refusal: Refusal) {
        self.state = State::Over;
        self.send(&HubMessage::Refused(refusal));
        self.outputs.push_back(ListenerOutput::Close);
    }

    fn send(&mut self, message: &HubMessage) {
        match encode(message) {
            Ok(frame) => self.outputs.push_back(ListenerOutput::Send(frame)),
            Err(_) => self.outputs.push_back(ListenerOutput::Close),
        }
    }
}
