//! One node's session: the machine of `protocol::session` between a stream, intake and the store.

use kopilka_crdt::ids::{Incarnation, MemberId};
use kopilka_crdt::sealed::MemberKey;
use kopilka_protocol::limits::{FRAME_BYTES_MAX, SEGMENTS_IN_FLIGHT_MAX};
use kopilka_protocol::message::{Hello, Refusal, Seen, Standing};
use kopilka_protocol::segment::{Segment, Verified};
use kopilka_protocol::session::{Known, Listener, ListenerOutput, standing};
use kopilka_shell::frame_io::{FrameReader, write_frame};
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Context, StreamError, close_after, still_welcome, streams};
use crate::app::entities::{DeliveryEntity, NodeEntity};
use crate::app::intake::{Arrived, Taken, adopt, is_storable, renew};
use crate::store::StoreError;

/// The session stream's priority: below block orders, above the feed.
const SESSION_PRIORITY: i32 = 1;

pub(super) async fn run(
    context: &Context,
    connection: &Connection,
    mut node: NodeEntity,
    hello: Hello,
    send: SendStream,
    frames: FrameReader<RecvStream>,
) -> Result<(), StreamError> {
    let known = known(context, &node, &hello).await?;
    let standing = match standing(&hello, &known) {
        Ok(standing) => standing,
        Err(refusal) => return refuse(connection, send, refusal).await,
    };
    if hello.incarnation > node.incarnation {
        // A hub restored from a backup may not know of a renewal that it ordered.
        renew(&context.hub, &node, hello.incarnation).await?;
        node.incarnation = hello.incarnation;
    }
    if let Standing::Behind(renewal) = &standing {
        renew(&context.hub, &node, renewal.next).await?;
    }
    context.hub.look_for_news().await?;
    let heads = context.hub.store.heads().await?;
    let goes_on = matches!(standing, Standing::Continue(_));
    let mut snapshot_at = heads
        .feed
        .get(&node.programme.0)
        .cloned()
        .unwrap_or_default();
    snapshot_at.resize(usize::from(context.hub.store.partitions()), 0);
    let listener = Listener::new(&hello, standing, (context.hub.clock)(), snapshot_at);
    let _ = send.set_priority(SESSION_PRIORITY);
    tracing::info!(node = %node.id, incarnation = hello.incarnation.0, sequence = hello.tip.sequence, "a node connected");
    let (answers, taken) = mpsc::channel(2 * SEGMENTS_IN_FLIGHT_MAX);
    let mut session = Session {
        context: context.clone(),
        node,
        incarnation: hello.incarnation,
        program: hello.program.clone(),
        protocol: hello.protocol,
        seen: hello.seen.clone(),
        listener,
        send,
        answers,
    };
    session.note(true).await;
    let mut pushes = JoinSet::new();
    if goes_on {
        start_pushes(&mut pushes, context, connection, &session.node, &hello);
    }
    let result = session.drive(frames, taken, &mut pushes).await;
    session.note(false).await;
    // Nothing more is pushed to a node that is sent away, however long it takes to go.
    pushes.shutdown().await;
    if result.is_err() || session.listener_over() {
        close_after(connection, &mut session.send).await;
    }
    tracing::info!(node = %session.node.id, "a node left");
    result
}

fn start_pushes(
    pushes: &mut JoinSet<Result<(), StreamError>>,
    context: &Context,
    connection: &Connection,
    node: &NodeEntity,
    hello: &Hello,
) {
    let hub = &context.hub;
    pushes.spawn(streams::blocks(
        hub.clone(),
        connection.clone(),
        node.clone(),
        hello.seen.block,
    ));
    pushes.spawn(streams::feed(
        hub.clone(),
        context.publications.clone(),
        connection.clone(),
        node.clone(),
        hello.clone(),
    ));
}

async fn refuse(
    connection: &Connection,
    mut send: SendStream,
    refusal: Refusal,
) -> Result<(), StreamError> {
    let frame =
        kopilka_protocol::codec::encode(&kopilka_protocol::message::HubMessage::Refused(refusal))?;
    write_frame(&mut send, &frame, FRAME_BYTES_MAX).await?;
    close_after(connection, &mut send).await;
    Err(StreamError::Refused(refusal))
}

async fn known(context: &Context, node: &NodeEntity, hello: &Hello) -> Result<Known, StoreError> {
    let store = &context.hub.store;
    let logs = store.logs(node.id).await?;
    let row = logs.get(&hello.incarnation);
    let sequence = hello.tip.sequence;
    let mut head_there = None;
    if row.is_some_and(|row| row.tip.sequence >= sequence) && sequence > 0 {
        let log = (node.id, hello.incarnation);
        let found = store
            .operations_between(log, sequence - 1, sequence, 1)
            .await?;
        head_there = found.first().map(|operation| operation.head);
    }
    Ok(Known {
        node: node.id,
        incarnation: node.incarnation,
        tip: row.map(|row| row.tip),
        frozen: row.is_some_and(|row| row.frozen),
        head_there,
    })
}

struct Session {
    context: Context,
    node: NodeEntity,
    incarnation: Incarnation,
    program: String,
    protocol: u16,
    seen: Seen,
    listener: Listener,
    send: SendStream,
    answers: mpsc::Sender<oneshot::Receiver<Taken>>,
}

impl Session {
    fn listener_over(&self) -> bool {
        self.listener.is_over()
    }

    async fn note(&self, connected: bool) {
        let delivery = DeliveryEntity {
            node: self.node.id,
            seen: self.seen.clone(),
            at_ms: (self.context.hub.clock)(),
            program: self.program.clone(),
            protocol: self.protocol,
            connected,
        };
        self.context.deliveries.note(delivery).await;
    }

    async fn drive(
        &mut self,
        mut frames: FrameReader<RecvStream>,
        mut taken: mpsc::Receiver<oneshot::Receiver<Taken>>,
        pushes: &mut JoinSet<Result<(), StreamError>>,
    ) -> Result<(), StreamError> {
        let mut news = self.context.hub.news();
        let mut entities = news.borrow_and_update().entities;
        let mut waiting: Option<oneshot::Receiver<Taken>> = None;
        loop {
            if self.drain().await? {
                return Ok(());
            }
            tokio::select! {
                frame = frames.next() => match frame? {
                    Some(frame) => self.listener.handle_frame(&frame),
                    None => return Ok(()),
                },
                // Answers are awaited one after the other: the log is durable in its order.
                next = taken.recv(), if waiting.is_none() => waiting = next,
                result = async { waiting.as_mut().expect("guarded").await }, if waiting.is_some() => {
                    waiting = None;
                    self.handle_taken(result.unwrap_or(Taken::Refused(Refusal::Busy))).await?;
                }
                Some(ended) = pushes.join_next() => match ended {
                    Ok(Err(error)) => return Err(error),
                    Ok(Ok(())) | Err(_) => return Err(StreamError::Closed),
                },
                changed = news.changed() => {
                    changed.map_err(|_| StreamError::Closed)?;
                    let newest = news.borrow_and_update().entities;
                    if newest != entities && !still_welcome(&self.context.hub, &self.node).await? {
                        self.listener.handle_refusal(Refusal::Revoked);
                    }
                    entities = newest;
                }
            }
        }
    }

    async fn handle_taken(&mut self, taken: Taken) -> Result<(), StreamError> {
        match taken {
            Taken::Durable(tip, verdicts) => self.listener.handle_durable(tip, verdicts),
            Taken::Diverged => self.listener.handle_diverged(),
            Taken::Ended(renewal) => {
                renew(&self.context.hub, &self.node, renewal.next).await?;
                self.listener.handle_renewal(renewal);
            }
            Taken::Refused(refusal) => self.listener.handle_refusal(refusal),
        }
        Ok(())
    }

    /// Does what the machine asks for. Gives whether the session is over.
    async fn drain(&mut self) -> Result<bool, StreamError> {
        while let Some(output) = self.listener.poll_output() {
            match output {
                ListenerOutput::Send(frame) => {
                    write_frame(&mut self.send, &frame, FRAME_BYTES_MAX).await?
                }
                ListenerOutput::Intake(segment, keys) => self.intake(segment, keys).await,
                ListenerOutput::Branch(runs) => self.branch(runs).await?,
                ListenerOutput::Seen(seen) => {
                    self.seen = seen;
                    self.note(true).await;
                }
                ListenerOutput::Close => return Ok(true),
            }
        }
        Ok(self.listener.is_over())
    }

    async fn intake(&mut self, segment: Segment, keys: Vec<(MemberId, MemberKey)>) {
        match segment.verify(&self.node.key) {
            Ok(run) if !is_storable(&run) => self.listener.handle_refusal(Refusal::Segment),
            Ok(run) => {
                let arrived = Arrived {
                    node: self.node.clone(),
                    run,
                    keys,
                };
                let result = self.context.intake.submit(arrived).await;
                // The channel holds more than a node may have in flight; one that sends more is refused.
                if self.answers.try_send(result).is_err() {
                    self.listener.handle_refusal(Refusal::Unexpected);
                }
            }
            Err(error) => {
                tracing::warn!(node = %self.node.id, %error, "a segment was not believed");
                metrics::counter!("kopilka_hub_segments_refused_total").increment(1);
                self.listener.handle_refusal(Refusal::Segment);
            }
        }
    }

    async fn branch(
        &mut self,
        runs: Vec<(Segment, Vec<(MemberId, MemberKey)>)>,
    ) -> Result<(), StreamError> {
        let mut verified: Vec<Verified> = Vec::with_capacity(runs.len());
        let mut keys = Vec::new();
        for (segment, run_keys) in runs {
            let joins = verified
                .last()
                .is_none_or(|before: &Verified| before.seal.tip == segment.base);
            match segment.verify(&self.node.key) {
                Ok(run) if joins && is_storable(&run) => verified.push(run),
                Ok(_) | Err(_) => {
                    self.listener.handle_refusal(Refusal::Segment);
                    return Ok(());
                }
            }
            keys.extend(run_keys);
        }
        let renewal = adopt(&self.context.hub, &self.node, &verified, &keys).await?;
        tracing::warn!(
            node = %self.node.id,
            incarnation = self.incarnation.0,
            next = renewal.next.0,
            "a log diverged; its branch was taken over"
        );
        self.listener.handle_renewal(renewal);
        Ok(())
    }
}
