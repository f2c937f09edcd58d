//! The node's side of a session: brings its log up, keeps a window of segments in flight, obeys the hub's word.
//!
//! Call order: [`Dialer::new`], then `handle_frame` for each frame of the session stream, `handle_log` when the log
//! grew, `handle_loaded` in answer to [`DialerOutput::Load`], `handle_seen` when hub state reached the disk, and
//! `handle_timeout` when the moment of `poll_timeout` has come.

use std::collections::VecDeque;

use kopilka_crdt::ids::{Incarnation, MemberId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::sealed::MemberKey;

use crate::codec::{decode, encode};
use crate::limits::{PROTOCOL_VERSION, SEGMENTS_IN_FLIGHT_MAX};
use crate::message::{
    Hello, HubMessage, NodeMessage, Opening, Refusal, Renewal, Seen, Standing, VerdictNote,
};
use crate::segment::Segment;

/// How long a hub may take to answer a hello, in milliseconds.
const WELCOME_MS_MAX: u64 = 10_000;

/// What the shell is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialerOutput {
    /// Send a frame on the session stream.
    Send(Vec<u8>),
    /// Load the run of the log after a sequence, and call [`Dialer::handle_loaded`].
    Load(Wanted),
    /// The session stands. Without a feed cursor, fetch a snapshot first; the feed then starts at these positions.
    Welcomed {
        /// The hub's wall time, milliseconds since 1970.
        hub_ms: u64,
        /// Feed positions to note before the first page of a snapshot.
        snapshot_at: Vec<u64>,
    },
    /// The hub has this much of the log on its disk.
    Durable {
        /// Of which incarnation.
        incarnation: Incarnation,
        /// Up to where.
        tip: Tip,
        /// What it found.
        verdicts: Vec<VerdictNote>,
    },
    /// Begin the next incarnation on disk, then dial again.
    Renew(Renewal),
    /// Close the connection: the hub refused, or did not keep to the protocol.
    Close(Refusal),
}

/// A run of the log that the machine wants to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// What follows this sequence, up to a seal.
    After(u64),
    /// What follows this sequence of all that is left; `None`: from the first entry that is left.
    Branch(Option<u64>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting { until_ms: u64 },
    Open,
    Branching,
    Over,
}

/// The machine.
#[derive(Debug)]
pub struct Dialer {
    incarnation: Incarnation,
    state: State,
    sealed: u64,
    sent: u64,
    durable: u64,
    in_flight: VecDeque<u64>,
    loading: bool,
    outputs: VecDeque<DialerOutput>,
}

impl Dialer {
    /// Greets the hub.
    pub fn new(hello: Hello, now_ms: u64) -> Self {
        let mut dialer = Self {
            incarnation: hello.incarnation,
            state: State::Greeting {
                until_ms: now_ms.saturating_add(WELCOME_MS_MAX),
            },
            sealed: hello.tip.sequence,
            sent: 0,
            durable: 0,
            in_flight: VecDeque::new(),
            loading: false,
            outputs: VecDeque::new(),
        };
        dialer.send(&Opening::Session(hello));
        dialer
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<DialerOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<u64> {
        match self.state {
            State::Greeting { until_ms } => Some(until_ms),
            State::Open | State::Branching | State::Over => None,
        }
    }

    /// The moment of [`Self::poll_timeout`] may have come.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        if let State::Greeting { until_ms } = self.state
            && now_ms >= until_ms
        {
            self.close(Refusal::Busy);
        }
    }

    /// Whether everything that is sealed is durable at the hub.
    pub fn is_level(&self) -> bool {
        self.state == State::Open && self.durable >= self.sealed
    }

    /// A frame came on the session stream.
    pub fn handle_frame(&mut self, frame: &[u8]) {
        match (self.state, decode::<HubMessage>(frame)) {
            (State::Over, _) => {}
            (_, Err(_)) => self.close(Refusal::Unexpected),
            (State::Greeting { .. }, Ok(HubMessage::Welcome(welcome))) => {
                if welcome.protocol.abs_diff(PROTOCOL_VERSION) > 1 {
                    return self.close(Refusal::Protocol);
                }
                let (hub_ms, snapshot_at) = (welcome.hub_ms, welcome.snapshot_at);
                self.outputs.push_back(DialerOutput::Welcomed {
                    hub_ms,
                    snapshot_at,
                });
                self.stand(welcome.standing);
            }
            (_, Ok(HubMessage::Refused(refusal))) => self.close(refusal),
            (
                State::Open,
                Ok(HubMessage::Durable {
                    incarnation,
                    tip,
                    verdicts,
                }),
            ) => {
                self.durable(incarnation, tip, verdicts);
            }
            (State::Open, Ok(HubMessage::SendBranch)) => self.branch(),
            (State::Open | State::Branching, Ok(HubMessage::Renew(renewal))) => self.renew(renewal),
            // What the hub sent before it knew of the branch.
            (State::Branching, Ok(HubMessage::Durable { .. } | HubMessage::SendBranch)) => {}
            (State::Greeting { .. } | State::Open | State::Branching, Ok(_)) => {
                self.close(Refusal::Unexpected)
            }
        }
    }

    /// The log has a seal at this sequence now.
    pub fn handle_log(&mut self, sealed: u64) {
        self.sealed = self.sealed.max(sealed);
        self.want();
    }

    /// The run asked for by [`DialerOutput::Load`]; `None` when there is none. `last`: nothing is left after it.
    pub fn handle_loaded(
        &mut self,
        run: Option<(Segment, Vec<(MemberId, MemberKey)>)>,
        last: bool,
    ) {
        self.loading = false;
        match (self.state, run) {
            (State::Open, Some((segment, keys))) => {
                let count = u64::try_from(segment.entries.len()).unwrap_or(u64::MAX);
                self.sent = segment.base.sequence.saturating_add(count);
                self.in_flight.push_back(self.sent);
                self.send(&NodeMessage::Segment { segment, keys });
                self.want();
            }
            (State::Branching, Some((segment, keys))) => {
                let count = u64::try_from(segment.entries.len()).unwrap_or(u64::MAX);
                let through = segment.base.sequence.saturating_add(count);
                self.send(&NodeMessage::Branch {
                    segment,
                    keys,
                    last,
                });
                if !last {
                    self.loading = true;
                    self.outputs
                        .push_back(DialerOutput::Load(Wanted::Branch(Some(through))));
                }
            }
            (State::Branching, None) => self.close(Refusal::Frozen),
            (State::Open | State::Greeting { .. } | State::Over, _) => {}
        }
    }

    /// State from the hub reached the disk.
    pub fn handle_seen(&mut self, seen: Seen) {
        if matches!(self.state, State::Open | State::Branching) {
            self.send(&NodeMessage::Seen(seen));
        }
    }

    fn stand(&mut self, standing: Standing) {
        self.state = State::Open;
        match standing {
            Standing::Continue(tip) => {
                self.sent = tip.sequence;
                self.durable(self.incarnation, tip, Vec::new());
            }
            Standing::Diverged => self.branch(),
            Standing::Behind(renewal) => self.renew(renewal),
        }
    }

    fn durable(&mut self, incarnation: Incarnation, tip: Tip, verdicts: Vec<VerdictNote>) {
        if incarnation == self.incarnation {
            self.durable = self.durable.max(tip.sequence);
            while self
                .in_flight
                .front()
                .is_some_and(|end| *end <= self.durable)
            {
                self.in_flight.pop_front();
            }
        }
        self.outputs.push_back(DialerOutput::Durable {
            incarnation,
            tip,
            verdicts,
        });
        self.want();
    }

    fn want(&mut self) {
        let room = self.in_flight.len() < SEGMENTS_IN_FLIGHT_MAX;
        if self.state == State::Open && !self.loading && room && self.sent < self.sealed {
            self.loading = true;
            self.outputs
                .push_back(DialerOutput::Load(Wanted::After(self.sent)));
        }
    }

    fn branch(&mut self) {
        self.state = State::Branching;
        self.loading = true;
        self.outputs
            .push_back(DialerOutput::Load(Wanted::Branch(None)));
    }

    fn renew(&mut self, renewal: Renewal) {
        self.state = State::Over;
        self.outputs.push_back(DialerOutput::Renew(renewal));
    }

    fn close(&mut self, refusal: Refusal) {
        self.state = State::Over;
        self.outputs.push_back(DialerOutput::Close(refusal));
    }

    fn send(&mut self, message: &impl serde::Serialize) {
        match encode(message) {
            Ok(frame) => self.outputs.push_back(DialerOutput::Send(frame)),
            Err(_) => self.close(Refusal::Unexpected),
        }
    }
}
