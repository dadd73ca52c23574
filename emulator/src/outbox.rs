//! Messages that the emulated service would have delivered.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::{Millis, to_time};
use crate::server::Shared;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Channel {
    /// Mail.
    Email,
    /// Text message.
    Sms,
    /// WhatsApp message.
    WhatsApp,
}

impl Channel {
    /// The name that paths and the `amr` claim use: `email`, `sms` or `whatsapp`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::WhatsApp => "whatsapp",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which call a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Purpose {
    /// Sign-up.
    SignUp,
    /// Sign-in.
    SignIn,
    /// Sign-up-or-in.
    SignUpOrIn,
    /// A sign-in that steps up a session.
    StepUp,
    /// A sign-in that adds a factor to a session.
    Mfa,
    /// Update of the email address.
    UpdateEmail,
    /// Update of the phone number.
    UpdatePhone,
}

impl Purpose {
    #[cfg(feature = "program")]
    pub(crate) const ALL: [Self; 7] = [
        Self::SignUp,
        Self::SignIn,
        Self::SignUpOrIn,
        Self::StepUp,
        Self::Mfa,
        Self::UpdateEmail,
        Self::UpdatePhone,
    ];

    /// The name in lower case with dashes, such as `sign-up`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignUp => "sign-up",
            Self::SignIn => "sign-in",
            Self::SignUpOrIn => "sign-up-or-in",
            Self::StepUp => "step-up",
            Self::Mfa => "mfa",
            Self::UpdateEmail => "update-email",
            Self::UpdatePhone => "update-phone",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One message, with the link that its reader would click.
///
/// `Debug` leaves out the link, the token and the text.
#[derive(Clone, PartialEq)]
pub struct Message {
    pub(crate) id: u64,
    pub(crate) channel: Channel,
    pub(crate) purpose: Purpose,
    pub(crate) to: String,
    pub(crate) login_id: String,
    pub(crate) link: String,
    pub(crate) token: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) template_id: Option<String>,
    pub(crate) template_options: BTreeMap<String, String>,
    pub(crate) locale: Option<String>,
    pub(crate) provider_id: Option<String>,
    pub(crate) sent_at: Millis,
    pub(crate) expires_at: Millis,
    pub(crate) taken: bool,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("channel", &self.channel)
            .field("purpose", &self.purpose)
            .field("to", &self.to)
            .field("login_id", &self.login_id)
            .field("template_id", &self.template_id)
            .field("template_options", &self.template_options)
            .field("locale", &self.locale)
            .field("provider_id", &self.provider_id)
            .finish_non_exhaustive()
    }
}

impl Message {
    /// A number that grows with each message of one emulator, from 1.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How the message travels.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// Which call sent it.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The address that it goes to.
    #[must_use]
    pub fn to(&self) -> &str {
        &self.to
    }

    /// The login id in the request.
    #[must_use]
    pub fn login_id(&self) -> &str {
        &self.login_id
    }

    /// The link: the redirect URL with the token in the query parameter `t`.
    #[must_use]
    pub fn link(&self) -> &str {
        &self.link
    }

    /// The token alone.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The subject line; used for mail only.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The text, with the link in it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The template that the request asked for.
    #[must_use]
    pub fn template_id(&self) -> Option<&str> {
        self.template_id.as_deref()
    }

    /// The values for the template.
    #[must_use]
    pub fn template_options(&self) -> &BTreeMap<String, String> {
        &self.template_options
    }

    /// The language that the request asked for.
    #[must_use]
    pub fn locale(&self) -> Option<&str> {
        self.locale.as_deref()
    }

    /// The connector that the request asked for.
    #[must_use]
    pub fn provider_id(&self) -> Option<&str> {
        self.provider_id.as_deref()
    }

    /// When it was sent, by the emulator's clock.
    #[must_use]
    pub fn sent_at(&self) -> SystemTime {
        to_time(self.sent_at)
    }

    /// When the link stops working, by the emulator's clock.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        to_time(self.expires_at)
    }
}

/// Which messages to look for; every condition that is set must hold.
///
/// ```
/// use descope_magiclink_emulator::{Channel, Filter};
///
/// let filter = Filter::to("+15555555555").channel(Channel::Sms);
/// # let _ = filter;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    to: Option<String>,
    login_id: Option<String>,
    channel: Option<Channel>,
    purpose: Option<Purpose>,
}

impl Filter {
    /// Every message.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Messages to this address. Upper and lower case do not matter.
    #[must_use]
    pub fn to(address: impl Into<String>) -> Self {
        Self {
            to: Some(address.into()),
            ..Self::default()
        }
    }

    /// Messages whose request had this login id.
    #[must_use]
    pub fn login_id(mut self, login_id: impl Into<String>) -> Self {
        self.login_id = Some(login_id.into());
        self
    }

    /// Messages that travel this way.
    #[must_use]
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Messages that this kind of call sent.
    #[must_use]
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = Some(purpose);
        self
    }

    pub(crate) fn matches(&self, message: &Message) -> bool {
        self.to
            .as_ref()
            .is_none_or(|to| message.to.eq_ignore_ascii_case(to))
            && self
                .login_id
                .as_ref()
                .is_none_or(|login_id| message.login_id == *login_id)
            && self
                .channel
                .is_none_or(|channel| message.channel == channel)
            && self
                .purpose
                .is_none_or(|purpose| message.purpose == purpose)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.channel.map(|channel| format!("by {channel}")));
        parts.extend(self.purpose.map(|purpose| format!("for {purpose}")));
        parts.extend(self.to.as_ref().map(|to| format!("to {to}")));
        parts.extend(
            self.login_id
                .as_ref()
                .map(|id| format!("with login id {id}")),
        );
        if parts.is_empty() {
            return f.write_str("of any kind");
        }
        f.write_str(&parts.join(" "))
    }
}

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
            .world()
            .outbox
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
            .world()
            .outbox
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
        let mut world = self.shared.world();
        let message = world
            .outbox
            .iter_mut()
            .find(|message| !message.taken && filter.matches(message))?;
        message.taken = true;
        Some(message.clone())
    }

    fn nothing(&self, filter: &Filter) -> NoMessage {
        let world = self.shared.world();
        let listed: Vec<String> = world
            .outbox
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
                world.outbox.len(),
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
        let mut world = self.shared.world();
        world.outbox.clear();
        world.outbox_version = world.outbox_version.wrapping_add(1);
        drop(world);
        self.shared.changed();
    }
}

/// Fills the names in double braces of a template.
pub(crate) fn render(template: &str, values: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        match after.split_once("}}") {
            Some((name, tail)) => {
                out.push_str(&values(name.trim()).unwrap_or_default());
                rest = tail;
            }
            None => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Adds to a queue and drops from its other end what is too much.
pub(crate) fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, limit: usize) -> Vec<T> {
    queue.push_back(item);
    let surplus = queue.len().saturating_sub(limit.max(1));
    queue.drain(..surplus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled() {
        let values = |name: &str| (name == "a").then(|| "1".to_owned());
        assert_eq!(render("x {{a}} {{ a }} {{b}} y", values), "x 1 1  y");
        assert_eq!(render("open {{a", values), "open {{a");
        assert_eq!(render("", values), "");
    }

    #[test]
    fn queues_keep_the_newest() {
        let mut queue = VecDeque::new();
        for n in 0..5 {
            push_bounded(&mut queue, n, 3);
        }
        assert_eq!(queue, [2, 3, 4]);
        assert_eq!(push_bounded(&mut queue, 5, 2), [2, 3]);
    }
}
