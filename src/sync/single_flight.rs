//! The crate's own thread, and work on it that is in flight once and that any number of callers wait for.
//!
//! All that is sent is sent from there. On a caller's runtime it would stand still with that runtime:
//! one that is blocked, is not polled between calls, or shuts down would take all who wait along, on
//! healthy runtimes too; a pooled connection that the server has closed would look open, since nobody
//! looked; and a runtime without a timer or sockets could not send at all. The thread's timer also ends
//! the waits, so that none is longer than the waiter's own deadline.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::{Clock as _, SystemClock, later};

/// The runtime of the crate's own thread; `None` when the system gives no thread now.
fn worker() -> Option<Handle> {
    static WORKER: Mutex<Option<Handle>> = Mutex::new(None);
    let mut worker = WORKER.lock().unwrap_or_else(PoisonError::into_inner);
    if worker.is_none() {
        let runtime = Builder::new_current_thread().enable_all().build().ok()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("descope-magiclink".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .ok()?;
        *worker = Some(handle);
    }
    worker.clone()
}

/// Does work on the crate's own thread, for as long as its caller waits. `None` when there is no thread.
pub(crate) async fn run<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    struct AbortOnDrop<T>(JoinHandle<T>);
    impl<T> Drop for AbortOnDrop<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let mut task = AbortOnDrop(worker()?.spawn(in_span(work)));
    match (&mut task.0).await {
        Ok(outcome) => Some(outcome),
        // Of an HTTP client of the application's own: it is to come out where it always did.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => None,
        },
    }
}

/// Does work on the crate's own thread, and waits for none.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Some(worker) = worker() {
        let work: Work<()> = Box::pin(work);
        worker.spawn(work);
    }
}

/// Work for the crate's thread. Boxed, so that tokio's tasks are compiled per outcome and not per call.
type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Work that stays in the span of who has started it.
fn in_span<T>(work: impl Future<Output = T> + Send + 'static) -> Work<T> {
    #[cfg(feature = "tracing")]
    let work = tracing::Instrument::in_current_span(work);
    Box::pin(work)
}

/// Waits until an instant, by the timer of the crate's own thread.
pub(crate) async fn sleep_until(until: Instant) {
    if let Some(worker) = worker() {
        let sleep = {
            let _entered = worker.enter();
            tokio::time::sleep_until(until.into())
        };
        sleep.await;
    }
}

/// What comes of some work, or `None` when it takes longer: tokio's `timeout`, on any runtime.
///
/// The time is measured on this crate's own thread, so that it passes also where the caller's runtime has no
/// timer.
///
/// ```
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let never = std::future::pending::<()>();
/// assert!(descope_magiclink::timeout(Duration::from_millis(1), never).await.is_none());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    timeout_at(later(SystemClock.instant(), limit), work).await
}

/// What comes of some work, or `None` when it is not done at that instant. On any runtime.
pub(crate) async fn timeout_at<T>(until: Instant, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut sleep = std::pin::pin!(sleep_until(until));
    std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Takes a step again and again, each time after a while, until it says that it is done.
pub(crate) fn repeat_until_done(
    after: Duration,
    mut is_done: impl FnMut() -> bool + Send + 'static,
) {
    spawn(async move {
        loop {
            tokio::time::sleep(after).await;
            if is_done() {
                return;
            }
        }
    });
}

/// Work in flight, and in the end what came of it.
#[derive(Debug, Clone)]
pub(crate) struct InFlight<T>(watch::Receiver<Option<T>>);

/// Why there is no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitError {
    /// The waiter's time ran out; the work goes on.
    TimedOut,
    /// The work ended without an outcome.
    Lost,
}

impl<T: Clone + Send + Sync + 'static> InFlight<T> {
    /// What the sender will tell.
    pub(crate) fn new() -> (watch::Sender<Option<T>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Starts work. Whether callers wait, go away or never come back makes no difference to it.
    pub(crate) fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        let (sender, in_flight) = Self::new();
        if let Some(worker) = worker() {
            worker.spawn(in_span(async move {
                let outcome = work.await;
                sender.send_replace(Some(outcome));
            }));
        }
        in_flight
    }

    /// Waits for the outcome, until an instant at most.
    pub(crate) async fn wait(&self, until: Instant) -> Result<T, WaitError> {
        let mut receiver = self.0.clone();
        let outcome = async {
            match receiver.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().ok_or(WaitError::Lost),
                Err(_) => Err(WaitError::Lost),
            }
        };
        timeout_at(until, outcome)
            .await
            .unwrap_or(Err(WaitError::TimedOut))
    }

    /// Whether there is no outcome and never will be.
    pub(crate) fn is_lost(&self) -> bool {
        // In this order: the sender stores the outcome, and is gone after that.
        self.0.has_changed().is_err() && self.0.borrow().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than anything takes here on however busy a machine.
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn work_ends_with_its_caller_and_steps_are_repeated_until_they_are_done() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let work = run(async move {
            let _held = sender;
            std::future::pending::<()>().await;
        });
        assert!(timeout(Duration::ZERO, work).await.is_none());
        assert!(receiver.await.is_err());

        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut left = 3;
        repeat_until_done(Duration::ZERO, move || {
            left -= 1;
            sender.send(left).unwrap();
            left == 0
        });
        for expected in [Some(2), Some(1), Some(0), None] {
            assert_eq!(timeout(LONG, receiver.recv()).await, Some(expected));
        }
    }

    #[tokio::test]
    async fn work_without_an_outcome_is_lost_once_nobody_can_tell_one() {
        let (sender, in_flight) = InFlight::<u8>::new();
        assert!(!in_flight.is_lost());
        drop(sender);
        assert!(in_flight.is_lost());
        let end = later(SystemClock.instant(), LONG);
        assert_eq!(in_flight.wait(end).await, Err(WaitError::Lost));
        let (sender, in_flight) = InFlight::new();
        sender.send_replace(Some(1));
        drop(sender);
        assert!(!in_flight.is_lost());
        assert_eq!(in_flight.wait(end).await, Ok(1));
    }
}
