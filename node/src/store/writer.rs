//! The one thread that writes: takes every request that waits, commits once, answers all.
//!
//! A store alone gains nothing from many writers, since each commit waits for the disk; with this
//! thread the tills share one disk sync. There is no timer: a lone request is committed at once,
//! and a group is what gathered while the previous one was on its way to the disk and answered.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::{Batch, Engine, StoreError};

/// Requests that may wait for the thread; more are answered [`WriterError::Busy`].
pub const QUEUE_MAX: usize = 1024;

/// Requests that share a commit at most.
pub const GROUP_MAX: usize = 256;

/// Bytes after which a group takes no more requests.
pub const GROUP_BYTES_MAX: u64 = 1 << 20;

/// How often the thread lets others run before it closes a group smaller than the one before: the
/// tills that were just answered are about to ask again. After a lone request it never does.
const YIELDS_MAX: u32 = 256;

/// What the writer's thread does with requests. It owns the state that they change.
pub trait Apply: Send + 'static {
    /// What is asked.
    type Request: Send + 'static;
    /// What is answered.
    type Reply: Send + 'static;

    /// Carries out one request: changes the state in memory and adds the writes to the batch of
    /// its group. `now_ms` is the wall clock in milliseconds since 1970. The reply is sent only
    /// once the batch is durable.
    fn apply(&mut self, request: Self::Request, now_ms: u64, batch: &mut Batch) -> Self::Reply;

    /// Called once a group after all its applies, unless they wrote nothing; here the log is signed.
    fn seal(&mut self, batch: &mut Batch);

    /// The group is durable.
    fn committed(&mut self);

    /// The commit failed: forgets what the group's applies changed in memory. The batch may be in
    /// the store all the same, so what is kept in memory is to be read from there again.
    fn rollback(&mut self);

    /// The reply to each request of a group whose commit failed.
    fn failed(error: StoreError) -> Self::Reply;
}

/// Why a request got no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriterError {
    /// The queue is full; the request was not carried out.
    #[error("too many requests wait to be written")]
    Busy,
    /// The writer has stopped. A request that was queued may or may not have been carried out.
    #[error("the writer has stopped")]
    Stopped,
}

/// Starts writer threads.
pub struct Writer<A: Apply> {
    engine: Arc<dyn Engine>,
    applier: A,
    clock: fn() -> u64,
    jobs: Receiver<Job<A>>,
}

struct Job<A: Apply> {
    request: A::Request,
    answer: oneshot::Sender<A::Reply>,
}

/// Hands requests to the writer's thread. When the handle is dropped, the thread finishes what is
/// queued and ends.
pub struct WriterHandle<A: Apply> {
    queue: RwLock<Option<SyncSender<Job<A>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<A: Apply> Writer<A> {
    /// Starts the thread. `clock` gives milliseconds since 1970.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn spawn(
        engine: Arc<dyn Engine>,
        applier: A,
        clock: fn() -> u64,
    ) -> io::Result<WriterHandle<A>> {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let writer = Self {
            engine,
            applier,
            clock,
            jobs,
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())?;
        Ok(WriterHandle {
            queue: RwLock::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
        })
    }

    fn run(mut self) {
        let mut batch = Batch::new();
        let mut answers = Vec::with_capacity(GROUP_MAX);
        let mut expected = 1;
        while let Ok(first) = self.jobs.recv() {
            self.gather(first, expected, &mut batch, &mut answers);
            expected = answers.len();
            match self.commit(&mut batch) {
                Ok(()) => {
                    for (answer, reply) in answers.drain(..) {
                        // Nobody waits any more; the request counts all the same.
                        let _gone: Result<(), A::Reply> = answer.send(reply);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, requests = answers.len(), "commit failed");
                    for (answer, _) in answers.drain(..) {
                        let _gone: Result<(), A::Reply> = answer.send(A::failed(error.clone()));
                    }
                }
            }
            batch.clear();
        }
    }

    fn gather(
        &mut self,
        first: Job<A>,
        expected: usize,
        batch: &mut Batch,
        answers: &mut Vec<(oneshot::Sender<A::Reply>, A::Reply)>,
    ) {
        let mut yields = 0;
        let mut next = Some(first);
        while let Some(job) = next {
            let reply = self.applier.apply(job.request, (self.clock)(), batch);
            answers.push((job.answer, reply));
            let room = answers.len() < GROUP_MAX && batch.bytes() < GROUP_BYTES_MAX;
            next = if room {
                self.jobs.try_recv().ok()
            } else {
                None
            };
            while room && next.is_none() && answers.len() < expected && yields < YIELDS_MAX {
                thread::yield_now();
                yields += 1;
                next = self.jobs.try_recv().ok();
            }
        }
    }

    fn commit(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        if !batch.is_empty() {
            self.applier.seal(batch);
            if let Err(error) = self.engine.commit(batch) {
                self.applier.rollback();
                return Err(error);
            }
        }
        self.applier.committed();
        Ok(())
    }
}

impl<A: Apply> WriterHandle<A> {
    /// Hands a request over and waits until what it wrote is durable. Dropping the future does not
    /// take the request back.
    ///
    /// # Errors
    /// [`WriterError::Busy`] at once when [`QUEUE_MAX`] requests wait; [`WriterError::Stopped`]
    /// after [`stop`](Self::stop), or when the thread panicked.
    pub async fn submit(&self, request: A::Request) -> Result<A::Reply, WriterError> {
        let (answer, reply) = oneshot::channel();
        self.send(Job { request, answer })?;
        reply.await.map_err(|_| WriterError::Stopped)
    }

    /// Takes no more requests, finishes those that wait, and ends the thread. Blocks meanwhile.
    ///
    /// # Errors
    /// [`WriterError::Stopped`] when the thread had panicked.
    pub fn stop(&self) -> Result<(), WriterError> {
        drop(
            self.queue
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match thread {
            Some(thread) => thread.join().map_err(|_| WriterError::Stopped),
            None => Ok(()),
        }
    }

    fn send(&self, job: Job<A>) -> Result<(), WriterError> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        match queue.as_ref().map(|queue| queue.try_send(job)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => Err(WriterError::Busy),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(WriterError::Stopped),
        }
    }
}
