//! Messages that the emulated service would have delivered.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::bounded::{Bounded, Entry};
use super::clock::{Millis, to_time};
use crate::address;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

    /// The member of the profile that holds the address.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms | Self::WhatsApp => "phone",
        }
    }

    /// Whether a text is an address of this kind.
    pub(crate) fn fits(self, address: &str) -> bool {
        match self {
            Self::Email => address::is_email(address),
            Self::Sms | Self::WhatsApp => address::is_phone(address),
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which call a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Clone, PartialEq, Serialize, Deserialize)]
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

impl Entry for Message {
    type Key = u64;

    fn key(&self) -> u64 {
        self.id
    }

    fn bytes(&self) -> usize {
        let options = self.template_options.iter();
        256 + self.to.len()
            + self.login_id.len()
            + self.link.len()
            + self.token.len()
            + self.subject.len()
            + self.text.len()
            + [&self.template_id, &self.locale, &self.provider_id]
                .into_iter()
                .flatten()
                .map(String::len)
                .sum::<usize>()
            + options
                .map(|(name, value)| 48 + name.len() + value.len())
                .sum::<usize>()
    }
}

/// The messages that were sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Messages {
    pub(crate) kept: Bounded<Message>,
    pub(crate) last_id: u64,
    /// Grows with each change of the messages or of what became of their links.
    #[serde(skip)]
    pub(crate) version: u64,
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
}
