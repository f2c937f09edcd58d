//! Both machines against each other, and against what a peer must not say.

use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{Incarnation, NodeId};
use kopilka_crdt::log::{Head, Log, Tip};
use kopilka_crdt::operation::{Body, ClockMark};

use super::*;
use crate::codec::encode;
use crate::key::PublicKey;
use crate::limits::{PROTOCOL_VERSION, SEGMENTS_IN_FLIGHT_MAX};
use crate::message::{Hello, HubMessage, Refusal, Renewal, Seen, Standing};
use crate::segment::{Seal, Segment};

const NODE: NodeId = NodeId(3);
const FIRST: Incarnation = Incarnation(1);

fn hello(tip: Tip) -> Hello {
    let seen = Seen::default();
    Hello {
        protocol: PROTOCOL_VERSION,
        program: "test".to_owned(),
        node: NODE,
        incarnation: FIRST,
        tip,
        seen,
    }
}

fn known(tip: Option<Tip>) -> Known {
    Known {
        node: NODE,
        incarnation: FIRST,
        tip,
        frozen: false,
        head_there: None,
    }
}

/// A log of one-operation segments.
fn segments(count: u64) -> (Vec<Segment>, Tip) {
    let key = SigningKey::from_bytes(&[1; 32]);
    let mut log = Log::resume(NODE, FIRST, Tip::genesis(NODE, FIRST), Stamp::default());
    let mut found = Vec::new();
    for step in 0..count {
        let base = log.tip();
        let body = Body::ClockMark(ClockMark {
            trusted: true,
            behind_ms: step,
        });
        let entries = vec![log.append(step, &body).unwrap().bytes];
        let signature = Seal::sign(&key, NODE, FIRST, log.tip()).signature;
        found.push(Segment {
            node: NODE,
            incarnation: FIRST,
            base,
            entries,
            signature,
        });
    }
    (found, log.tip())
}

#[test]
fn a_log_goes_up_in_order_within_the_window() {
    let (log, tip) = segments(40);
    let public = PublicKey::of(&SigningKey::from_bytes(&[1; 32]));
    let mut dialer = Dialer::new(hello(tip), 0);
    let standing = standing(&hello(tip), &known(None)).unwrap();
    let mut listener = Listener::new(&hello(tip), standing, 5, vec![0]);
    let mut durable = Tip::genesis(NODE, FIRST);
    let mut waiting = std::collections::VecDeque::new();
    let mut opened = false;
    while !dialer.is_level() {
        while let Some(output) = dialer.poll_output() {
            match output {
                // The opening frame is the shell's to read.
                DialerOutput::Send(_) if !opened => opened = true,
                DialerOutput::Send(frame) => listener.handle_frame(&frame),
                DialerOutput::Load(Wanted::After(after)) => {
                    let index = usize::try_from(after).unwrap();
                    dialer.handle_loaded(log.get(index).map(|run| (run.clone(), vec![])), false);
                }
                DialerOutput::Welcomed { .. } | DialerOutput::Durable { .. } => {}
                DialerOutput::Load(Wanted::Branch(_))
                | DialerOutput::Renew(_)
                | DialerOutput::Close(_) => panic!("the session stands"),
            }
        }
        let mut taken = 0;
        while let Some(output) = listener.poll_output() {
            match output {
                ListenerOutput::Send(frame) => dialer.handle_frame(&frame),
                ListenerOutput::Intake(segment, _) => {
                    assert_eq!(
                        segment.base.sequence,
                        durable.sequence + u64::try_from(waiting.len()).unwrap()
                    );
                    waiting.push_back(segment.verify(&public).unwrap().seal.tip);
                    taken += 1;
                }
                ListenerOutput::Branch(_) | ListenerOutput::Seen(_) | ListenerOutput::Close => {
                    panic!("nothing but segments was sent")
                }
            }
        }
        assert!(waiting.len() <= SEGMENTS_IN_FLIGHT_MAX);
        if taken == 0
            && let Some(tip) = waiting.pop_front()
        {
            durable = tip;
            listener.handle_durable(tip, vec![]);
        }
    }
    assert_eq!(durable, tip);
}

fn check(hello: &Hello, known: Known, expected: &Result<Standing, Refusal>) {
    assert_eq!(
        &standing(hello, &known),
        expected,
        "{hello:?} against {known:?}"
    );
}

#[test]
fn standings() {
    let (_, tip) = segments(5);
    let (_, longer) = segments(9);
    let half = |tip: Tip| {
        let mut half = [0; 16];
        half.copy_from_slice(&tip.head.0[..16]);
        Some(half)
    };
    let other = Tip {
        head: Head([9; 32]),
        ..tip
    };
    let genesis = Tip::genesis(NODE, FIRST);
    let renewal = |next| {
        Standing::Behind(Renewal {
            next: Incarnation(next),
            adopted: None,
        })
    };
    check(&hello(tip), known(None), &Ok(Standing::Continue(genesis)));
    check(&hello(tip), known(Some(tip)), &Ok(Standing::Continue(tip)));
    check(
        &hello(longer),
        known(Some(tip)),
        &Ok(Standing::Continue(tip)),
    );
    check(
        &hello(tip),
        Known {
            head_there: half(tip),
            ..known(Some(longer))
        },
        &Ok(renewal(2)),
    );
    check(
        &hello(other),
        Known {
            head_there: half(tip),
            ..known(Some(longer))
        },
        &Ok(Standing::Diverged),
    );
    check(
        &hello(other),
        Known {
            head_there: half(tip),
            ..known(Some(tip))
        },
        &Ok(Standing::Diverged),
    );
    check(&hello(genesis), known(Some(tip)), &Ok(renewal(2)));
    check(
        &hello(tip),
        Known {
            frozen: true,
            ..known(Some(tip))
        },
        &Ok(renewal(2)),
    );
    check(
        &hello(longer),
        Known {
            frozen: true,
            ..known(Some(tip))
        },
        &Ok(Standing::Diverged),
    );
    check(
        &hello(tip),
        Known {
            incarnation: Incarnation(4),
            ..known(Some(tip))
        },
        &Ok(renewal(5)),
    );
    check(
        &hello(tip),
        Known {
            node: NodeId(4),
            ..known(None)
        },
        &Err(Refusal::WrongNode),
    );
    check(
        &Hello {
            protocol: 9,
            ..hello(tip)
        },
        known(None),
        &Err(Refusal::Protocol),
    );
}

#[test]
fn a_silent_or_confused_hub_is_left() {
    let (_, tip) = segments(1);
    let last = |dialer: &mut Dialer| std::iter::from_fn(|| dialer.poll_output()).last();
    let mut silent = Dialer::new(hello(tip), 0);
    let until = silent.poll_timeout().unwrap();
    silent.handle_timeout(until - 1);
    assert!(matches!(last(&mut silent), Some(DialerOutput::Send(_))));
    silent.handle_timeout(until);
    assert_eq!(last(&mut silent), Some(DialerOutput::Close(Refusal::Busy)));
    for frame in [
        vec![],
        vec![7, 7, 7],
        encode(&HubMessage::SendBranch).unwrap(),
    ] {
        let mut dialer = Dialer::new(hello(tip), 0);
        dialer.handle_frame(&frame);
        assert_eq!(
            last(&mut dialer),
            Some(DialerOutput::Close(Refusal::Unexpected))
        );
    }
}

#[test]
fn a_segment_in_anothers_name_ends_the_session() {
    let (log, tip) = segments(1);
    let mut listener = Listener::new(&hello(tip), Standing::Continue(tip), 0, vec![0]);
    let forged = Segment {
        node: NodeId(8),
        ..log[0].clone()
    };
    listener.handle_frame(
        &encode(&crate::message::NodeMessage::Segment {
            segment: forged,
            keys: vec![],
        })
        .unwrap(),
    );
    let outputs: Vec<_> = std::iter::from_fn(|| listener.poll_output()).collect();
    let refused = encode(&HubMessage::Refused(Refusal::WrongNode)).unwrap();
    assert!(outputs.contains(&ListenerOutput::Send(refused)));
    assert_eq!(outputs.last(), Some(&ListenerOutput::Close));
}
