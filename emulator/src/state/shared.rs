//! What the handle, the connections and the endpoints share.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use super::State;
use super::bounded::Entry as _;
use super::messages::Message;
use super::requests::RecordedRequest;
use crate::settings::Settings;

/// How many events may wait for the callbacks.
const WAITING_EVENTS: usize = 4_096;

/// A function that is told of each thing of a kind.
pub(crate) type Callback<T> = Arc<dyn Fn(&T) + Send + Sync>;

/// Who is told of messages and requests.
#[derive(Clone, Default)]
pub(crate) struct Callbacks {
    pub(crate) on_request: Option<Callback<RecordedRequest>>,
    pub(crate) on_message: Option<Callback<Message>>,
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}

enum Event {
    Request(RecordedRequest),
    Message(Message),
    Flush(oneshot::Sender<()>),
}

impl Event {
    fn bytes(&self) -> usize {
        match self {
            Self::Request(request) => request.bytes(),
            Self::Message(message) => message.bytes(),
            Self::Flush(_) => 0,
        }
    }
}

/// The way to the callbacks.
struct Events {
    sender: SyncSender<Event>,
    /// Bytes of the events that wait.
    waiting: Arc<AtomicUsize>,
}

impl Callbacks {
    /// Calls them from a thread of their own, so that a slow one stalls nobody; it ends with the sender.
    fn spawn(self) -> Option<Events> {
        if self.on_request.is_none() && self.on_message.is_none() {
            return None;
        }
        let (sender, events) = sync_channel::<Event>(WAITING_EVENTS);
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        let run = move || {
            for event in events {
                left.fetch_sub(event.bytes(), Ordering::Relaxed);
                match event {
                    Event::Request(request) => {
                        self.on_request.iter().for_each(|notify| notify(&request));
                    }
                    Event::Message(message) => {
                        self.on_message.iter().for_each(|notify| notify(&message));
                    }
                    // Who waited may have given up.
                    Event::Flush(done) => drop(done.send(())),
                }
            }
        };
        std::thread::Builder::new()
            .name("emulator-callbacks".to_owned())
            .spawn(run)
            .ok()?;
        Some(Events { sender, waiting })
    }
}

/// What the handle, the connections and the endpoints share.
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    closing: watch::Sender<bool>,
    events: Option<Events>,
    dropped_events: AtomicU64,
    initial: State,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("project_id", &self.settings.project_id)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(state: State, callbacks: Callbacks) -> Arc<Self> {
        Arc::new(Self {
            settings: Arc::clone(&state.settings),
            initial: state.clone(),
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
            closing: watch::Sender::new(false),
            events: callbacks.spawn(),
            dropped_events: AtomicU64::new(0),
        })
    }

    /// The state; a panic of another holder leaves nothing half done that would matter to a test.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever waits that the state may have changed.
    pub(crate) fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Becomes true when the emulator is to stop in good order.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Tells whoever shows the messages to look again.
    pub(crate) fn messages_changed(&self) {
        let mut state = self.state();
        state.messages.version = state.messages.version.wrapping_add(1);
        drop(state);
        self.changed();
    }

    pub(crate) fn snapshot(&self) -> State {
        self.state().clone()
    }

    pub(crate) fn restore(&self, snapshot: &State) {
        let mut state = self.state();
        // Whoever follows the messages must see that they changed, also when the count went back.
        let version = state
            .messages
            .version
            .max(snapshot.messages.version)
            .wrapping_add(1);
        *state = snapshot.clone();
        state.messages.version = version;
        drop(state);
        self.changed();
    }

    pub(crate) fn reset(&self) {
        self.restore(&self.initial);
    }

    pub(crate) fn notify_request(&self, request: RecordedRequest) {
        self.notify(Event::Request(request));
    }

    pub(crate) fn notify_message(&self, message: Message) {
        self.notify(Event::Message(message));
    }

    pub(crate) fn has_callbacks(&self) -> bool {
        self.events.is_some()
    }

    /// Never waits: what does not fit is dropped and counted.
    fn notify(&self, event: Event) {
        let Some(events) = &self.events else { return };
        let bytes = event.bytes();
        let waiting = events.waiting.fetch_add(bytes, Ordering::Relaxed);
        let fits = waiting.saturating_add(bytes) <= self.settings.limits.bytes;
        if !fits || events.sender.try_send(event).is_err() {
            events.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped_events.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn dropped_events(&self) -> u64 {
        self.dropped_events.load(Ordering::Relaxed)
    }

    /// Waits until the callbacks were told of everything so far.
    pub(crate) async fn flush_events(&self) {
        let (done, told) = oneshot::channel();
        self.notify(Event::Flush(done));
        let _ = told.await;
    }
}

/// Waits until the emulator is to stop; the borrow of the flag must not outlive this.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}
