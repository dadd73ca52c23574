//! How much an emulator holds, and its state at one moment.

use crate::state::State;
use crate::state::shared::Shared;

/// How much an emulator holds, for tests of long runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages in the outbox.
    pub messages: usize,
    /// Links that were issued.
    pub links: usize,
    /// Sessions.
    pub sessions: usize,
    /// Users.
    pub users: usize,
    /// Recorded requests.
    pub requests: usize,
    /// About how many bytes all of these take.
    pub bytes: usize,
    /// What `on_request` and `on_message` were not told of, since they were too slow.
    pub dropped_events: u64,
}

impl Stats {
    pub(crate) fn of(shared: &Shared) -> Self {
        let state = shared.state();
        Self {
            messages: state.messages.kept.len(),
            links: state.links.len(),
            sessions: state.sessions.len(),
            users: state.users.len(),
            requests: state.requests.kept.len(),
            bytes: state.bytes(),
            dropped_events: shared.dropped_events(),
        }
    }
}

/// The state of an emulator at one moment, to go back to.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) state: State,
}
