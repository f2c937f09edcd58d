//! One session: the machine of `protocol::session` between a stream, the app and the streams that the hub pushes.

use std::sync::Arc;
use std::time::Duration;

use kopilka_crdt::ids::Incarnation;
use kopilka_crdt::log::Tip;
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{Renewal, VerdictNote};
use kopilka_protocol::session::{Backoff, Dialer, DialerOutput, Wanted};
use kopilka_shell::clock::now_ms;
use kopilka_shell::frame_io::{FrameReader, write_frame};
use kopilka_shell::shutdown::Shutdown;
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::link::Link;
use super::{Dial, Ended, SessionError, bootstrap, pushes};
use crate::app::{App, AppError, Held, News, SESSIONS, Written};

/// How long a node that goes down waits for what it has sent to become durable at the hub.
const DRAIN_MS_MAX: u64 = 2_000;
/// How long a node whose session broke looks for the hub's reason among what has come.
const LAST_WORD_MAX: Duration = Duration::from_millis(300);
/// How long tills wait at most while the hub takes over the last of a branch.
const HELD_MAX: Duration = Duration::from_secs(5);

pub(super) async fn run(
    dial: &mut Dial<'_>,
    connection: &Connection,
    shutdown: &Shutdown,
) -> Result<Ended, SessionError> {
    let (app, link) = (dial.app, dial.link);
    let (send, receive) = connection.open_bi().await?;
    let holding = match dial.hold_tills {
        true => Some(Holding::begin(app.hold_tills().await)),
        false => None,
    };
    let mut written = app.written();
    written.mark_unchanged();
    let hello = app.hello()?;
    let known = Known {
        greeted: Some(hello.tip),
        durable: None,
        branch: None,
    };
    let needs_snapshot = hello.seen.feed.is_empty();
    let mut session = Session {
        app,
        connection,
        link,
        backoff: dial.backoff,
        send,
        dialer: Dialer::new(hello, now_ms()),
        base: None,
        known,
        holding,
        joined: false,
        snapshot_at: needs_snapshot.then(Vec::new),
        stored: Arc::new(Notify::new()),
        tasks: JoinSet::new(),
    };
    let mut frames = FrameReader::new(receive, FRAME_BYTES_MAX);
    match session.drive(&mut frames, written, shutdown).await {
        Err(
            error @ (SessionError::Connection(_) | SessionError::Frame(_) | SessionError::Closed),
        ) => session.last_word(&mut frames, error).await,
        ended => ended,
    }
}

async fn until(moment_ms: Option<u64>) {
    match moment_ms {
        Some(moment_ms) => {
            tokio::time::sleep(Duration::from_millis(moment_ms.saturating_sub(now_ms()))).await
        }
        None => std::future::pending().await,
    }
}

/// What of the own log the hub has for certain, by how it came to know of it.
struct Known {
    /// It was greeted with this tip, and has not said yet how it stands.
    greeted: Option<Tip>,
    /// Its history of the log is this one up to here.
    durable: Option<Tip>,
    /// All of the branch up to here was sent.
    branch: Option<Tip>,
}

impl Known {
    /// Up to where it has the log when it orders this.
    fn by(&self, renewal: &Renewal) -> Option<Tip> {
        match renewal.adopted {
            Some(_) => self.branch,
            None => self.greeted.or(self.durable),
        }
    }
}

/// Tills are held back, for a limited time.
struct Holding(AbortHandle);

impl Holding {
    fn begin(held: Held) -> Self {
        let limited = tokio::spawn(async move {
            let _held = held;
            tokio::time::sleep(HELD_MAX).await;
        });
        Self(limited.abort_handle())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Session<'a> {
    app: &'a App,
    connection: &'a Connection,
    link: &'a Link,
    backoff: &'a mut Backoff,
    send: SendStream,
    dialer: Dialer,
    /// Where the log stood after the last run that was sent, or is durable.
    base: Option<Tip>,
    known: Known,
    /// Tills wait for this session to end the log.
    holding: Option<Holding>,
    /// The hub's history of the own log is this one: what it says and pushes holds.
    joined: bool,
    /// Where the feed goes on after a snapshot; none when the node has one.
    snapshot_at: Option<Vec<u64>>,
    /// Told of each push that is on the disk.
    stored: Arc<Notify>,
    tasks: JoinSet<Result<(), SessionError>>,
}

impl Session<'_> {
    async fn drive(
        &mut self,
        frames: &mut FrameReader<RecvStream>,
        mut written: watch::Receiver<Written>,
        shutdown: &Shutdown,
    ) -> Result<Ended, SessionError> {
        let stored = Arc::clone(&self.stored);
        let mut drain_until: Option<u64> = None;
        loop {
            if let Some(ended) = self.drain().await? {
                return Ok(ended);
            }
            if drain_until.is_some_and(|until| self.dialer.is_level() || now_ms() >= until) {
                return Ok(Ended::Shutdown);
            }
            let timeout = self.dialer.poll_timeout().into_iter().chain(drain_until);
            tokio::select! {
                // What the hub says comes before the end of its connection, which the tasks see too.
                biased;
                () = shutdown.requested(), if drain_until.is_none() => {
                    drain_until = Some(now_ms().saturating_add(DRAIN_MS_MAX));
                }
                frame = frames.next() => match frame? {
                    Some(frame) => {
                        self.link.heard();
                        self.dialer.handle_frame(&frame);
                    }
                    None => return Err(SessionError::Closed),
                },
                changed = written.changed() => {
                    changed.map_err(|_| SessionError::Closed)?;
                    let sealed = written.borrow_and_update().tip.sequence;
                    self.dialer.handle_log(sealed);
                }
                () = stored.notified() => self.dialer.handle_seen(self.app.seen()?),
                Some(ended) = self.tasks.join_next() => {
                    ended.map_err(|_| SessionError::Closed)??;
                    // Only a bootstrap ends well; the next session starts the feed after it.
                    return Ok(Ended::Again);
                }
                () = until(timeout.min()) => self.dialer.handle_timeout(now_ms()),
            }
        }
    }

    /// Why the hub ended the session, where that came before the connection broke; else the error that it broke with.
    async fn last_word(
        &mut self,
        frames: &mut FrameReader<RecvStream>,
        error: SessionError,
    ) -> Result<Ended, SessionError> {
        match tokio::time::timeout(LAST_WORD_MAX, self.find_end(frames)).await {
            Ok(Some(DialerOutput::Renew(renewal))) => self.renew(renewal).await,
            Ok(Some(DialerOutput::Close(refusal))) => Err(SessionError::Refused(refusal)),
            Ok(_) | Err(_) => Err(error),
        }
    }

    /// The first output that ends the session, among what frames that have come already lead to.
    async fn find_end(&mut self, frames: &mut FrameReader<RecvStream>) -> Option<DialerOutput> {
        loop {
            while let Some(output) = self.dialer.poll_output() {
                match output {
                    DialerOutput::Renew(_) | DialerOutput::Close(_) => return Some(output),
                    // Nothing can be sent any more, and what is durable will be said again.
                    DialerOutput::Send(_)
                    | DialerOutput::Load(_)
                    | DialerOutput::Welcomed { .. }
                    | DialerOutput::Durable { .. } => {}
                }
            }
            let frame = frames.next().await.ok().flatten()?;
            self.dialer.handle_frame(&frame);
        }
    }

    /// Does what the machine asks for.
    async fn drain(&mut self) -> Result<Option<Ended>, SessionError> {
        while let Some(output) = self.dialer.poll_output() {
            match output {
                DialerOutput::Send(frame) => {
                    write_frame(&mut self.send, &frame, FRAME_BYTES_MAX).await?
                }
                DialerOutput::Load(wanted) => self.load(wanted)?,
                DialerOutput::Welcomed {
                    hub_ms,
                    snapshot_at,
                } => self.welcomed(hub_ms, snapshot_at).await?,
                DialerOutput::Durable {
                    incarnation,
                    tip,
                    verdicts,
                } => self.durable(incarnation, tip, verdicts).await?,
                DialerOutput::Renew(renewal) => return self.renew(renewal).await.map(Some),
                DialerOutput::Close(refusal) => return Err(SessionError::Refused(refusal)),
            }
        }
        Ok(None)
    }

    async fn welcomed(&mut self, hub_ms: u64, snapshot_at: Vec<u64>) -> Result<(), SessionError> {
        self.backoff.succeeded();
        self.app.hear(News::Time { hub_ms }).await?;
        if let Some(waiting) = &mut self.snapshot_at {
            *waiting = snapshot_at;
        }
        Ok(())
    }

    async fn durable(
        &mut self,
        incarnation: Incarnation,
        tip: Tip,
        verdicts: Vec<VerdictNote>,
    ) -> Result<(), SessionError> {
        self.known.greeted = None;
        let own = self.app.own_tip(tip.sequence)?;
        if own.is_some_and(|own| own != tip) {
            // A restored node that has sold since. Nothing that the hub says of this log is about these operations, so
            // none of it may be believed; the next run shows the hub, which then asks for the branch.
            self.base = own;
            return Ok(());
        }
        self.known.durable = Some(tip);
        if !self.joined {
            self.join();
        }
        if self.base.is_none_or(|base| base.sequence < tip.sequence) {
            self.base = Some(tip);
        }
        let news = News::Durable {
            incarnation,
            tip,
            verdicts,
        };
        Ok(self.app.hear(news).await?)
    }

    /// Lets tills ask the hub, and listens to what it pushes.
    fn join(&mut self) {
        self.joined = true;
        self.holding = None;
        self.link.set(self.connection.clone());
        metrics::counter!(SESSIONS).increment(1);
        let identity = self.app.identity();
        tracing::info!(node = %identity.node, incarnation = identity.incarnation.0, "in touch with the hub");
        self.tasks.spawn(pushes::run(
            self.app.clone(),
            self.connection.clone(),
            Arc::clone(&self.stored),
        ));
        if let Some(snapshot_at) = self.snapshot_at.take() {
            self.tasks.spawn(bootstrap::run(
                self.app.clone(),
                self.connection.clone(),
                snapshot_at,
            ));
        }
    }

    fn load(&mut self, wanted: Wanted) -> Result<(), SessionError> {
        let pruned = self.app.branch_base()?;
        let base = match wanted {
            Wanted::Branch(None) => pruned,
            Wanted::After(sequence) | Wanted::Branch(Some(sequence)) => self
                .base
                .filter(|base| base.sequence == sequence)
                .ok_or(SessionError::Closed)?,
        };
        if base.sequence < pruned.sequence {
            return Err(SessionError::Pruned);
        }
        self.known.greeted = None;
        let outgoing = self.app.segment_after(base)?;
        let tip = self.app.written().borrow().tip.sequence;
        let last = outgoing
            .as_ref()
            .is_none_or(|outgoing| outgoing.tip.sequence >= tip);
        if let Some(outgoing) = &outgoing {
            self.base = Some(outgoing.tip);
            if matches!(wanted, Wanted::Branch(_)) {
                self.known.branch = last.then_some(outgoing.tip);
            }
        }
        self.dialer.handle_loaded(
            outgoing.map(|outgoing| (outgoing.segment, outgoing.keys)),
            last,
        );
        Ok(())
    }

    async fn renew(&mut self, renewal: Renewal) -> Result<Ended, SessionError> {
        let next = renewal.next.0;
        let Some(known) = self.known.by(&renewal) else {
            tracing::info!(
                next,
                "the hub ends this log without all of it: a branch follows"
            );
            return Ok(Ended::Outrun);
        };
        match self.app.hear(News::Renew { renewal, known }).await {
            Ok(()) => {
                tracing::warn!(next, "the hub has another history of this log");
                Ok(Ended::Again)
            }
            // Tills went on meanwhile. The hub must have that too before the log may go.
            Err(AppError::OutOfOrder) => {
                tracing::info!(
                    next,
                    "the log has outrun its end: the rest of the branch follows"
                );
                Ok(Ended::Outrun)
            }
            Err(error) => Err(error.into()),
        }
    }
}
