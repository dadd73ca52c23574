//! The messages of one emulator.

use std::sync::Arc;
use std::time::Duration;

use crate::state::messages::{Filter, Message};
use crate::state::shared::Shared;

/// No message came in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no message {wanted} within {waited:?}; {seen}")]
pub struct NoMessage {
    wanted: String,
    waited: Duration,
    seen: String,
}

/// The messages of one emulator, oldest first.
///
/// ```
/// # use descope_magiclink_emulator::{Emulator, Filter};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let outbox = emulator.outbox();
/// assert!(outbox.messages().is_empty());
/// assert!(outbox.last_for("joe@example.com").is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
    patience: Duration,
}

impl Outbox {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            patience: Duration::from_secs(5),
        }
    }

    /// How long [`Outbox::next`] and [`Outbox::next_for`] wait, in real time. 5 seconds unless set.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// All messages that are kept, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.matching(&Filter::any())
    }

    /// The messages that match, oldest first.
    #[must_use]
    pub fn matching(&self, filter: &Filter) -> Vec<Message> {
        self.shared
            .state()
            .messages
            .kept
            .iter()
            .filter(|message| filter.matches(message))
            .cloned()
            .collect()
    }

    /// The newest message to an address.
    #[must_use]
    pub fn last_for(&self, address: &str) -> Option<Message> {
        self.last(&Filter::to(address))
    }

    /// The newest message that matches.
    #[must_use]
    pub fn last(&self, filter: &Filter) -> Option<Message> {
        self.shared
            .state()
            .messages
            .kept
            .iter()
            .rev()
            .find(|message| filter.matches(message))
            .cloned()
    }

    /// The oldest message to an address that no earlier `next` call returned; waits for one to be sent.
    ///
    /// # Errors
    ///
    /// [`NoMessage`] when none came in time; it says which messages there are.
    pub async fn next_for(&self, address: &str) -> Result<Message, NoMessage> {
        self.next(&Filter::to(address)).await
    }

    /// The oldest message that matches and that no earlier `next` call returned; waits for one to be sent.
    ///
    /// # Errors
    ///
    /// [`NoMessage`] when none came in time; it says which messages there are.
    pub async fn next(&self, filter: &Filter) -> Result<Message, NoMessage> {
        let mut changes = self.shared.changes();
        let wait = async {
            loop {
                // Marking before looking: a message that arrives in between wakes the next round.
                changes.borrow_and_update();
                if let Some(message) = self.take(filter) {
                    return Some(message);
                }
                if changes.changed().await.is_err() {
                    return None;
                }
            }
        };
        match tokio::time::timeout(self.patience, wait).await {
            Ok(Some(message)) => Ok(message),
            Ok(None) | Err(_) => Err(self.nothing(filter)),
        }
    }

    fn take(&self, filter: &Filter) -> Option<Message> {
        let messages = &mut self.shared.state().messages.kept;
        let id = messages
            .iter()
            .find(|message| !message.taken && filter.matches(message))?
            .id;
        messages.change(&id, |message| {
            message.taken = true;
            message.clone()
        })
    }

    fn nothing(&self, filter: &Filter) -> NoMessage {
        let state = self.shared.state();
        let listed: Vec<String> = state
            .messages
            .kept
            .iter()
            .rev()
            .take(5)
            .map(|message| {
                let taken = if message.taken {
                    ", already returned"
                } else {
                    ""
                };
                format!(
                    "{} for {} to {}{taken}",
                    message.channel, message.purpose, message.to
                )
            })
            .collect();
        let seen = if listed.is_empty() {
            "nothing was sent at all: check that the client's base URL is the emulator's".to_owned()
        } else {
            format!(
                "of {} message(s) in the outbox the newest are: {}",
                state.messages.kept.len(),
                listed.join("; ")
            )
        };
        NoMessage {
            wanted: filter.to_string(),
            waited: self.patience,
            seen,
        }
    }

    /// Forgets all messages; their links keep working.
    pub fn clear(&self) {
        self.shared.state().messages.kept.clear();
        self.shared.messages_changed();
    }
}
