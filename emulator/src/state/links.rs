//! Magic links and what they are for.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bounded::{Bounded, Entry, json_bytes};
use super::clock::Millis;
use super::messages::Channel;

/// An address that a verify proves to belong to the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VerifiedAddress {
    /// The member of the profile that holds it.
    pub(crate) member: String,
    pub(crate) address: String,
}

/// What a sign-in should do beyond signing in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) claims: Map<String, Value>,
    pub(crate) tenant: Option<String>,
    /// The session that it steps up.
    pub(crate) step_up: Option<String>,
    /// The session that it adds a factor to.
    pub(crate) mfa: Option<String>,
    pub(crate) revoke_others: bool,
    pub(crate) verified: Option<VerifiedAddress>,
}

/// A change of address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Update {
    pub(crate) channel: Channel,
    pub(crate) address: String,
    pub(crate) add_to_login_ids: bool,
    pub(crate) keep_other: bool,
    pub(crate) fail_on_conflict: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Action {
    Login(Login),
    Update(Update),
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) token: String,
    pub(crate) user_id: String,
    pub(crate) channel: Channel,
    pub(crate) action: Action,
    pub(crate) expires_at: Millis,
    pub(crate) used: bool,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("user_id", &self.user_id)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

impl Entry for Link {
    type Key = String;

    fn key(&self) -> String {
        self.token.clone()
    }

    fn bytes(&self) -> usize {
        let action = match &self.action {
            Action::Login(login) => {
                json_bytes(&login.claims)
                    + login.tenant.as_ref().map_or(0, String::len)
                    + login
                        .verified
                        .as_ref()
                        .map_or(0, |proof| proof.address.len())
            }
            Action::Update(update) => update.address.len(),
        };
        256 + 2 * self.token.len() + action
    }
}

pub(crate) type Links = Bounded<Link>;

/// What became of a link: `pending`, `used` or `expired`.
#[cfg(feature = "program")]
pub(crate) fn link_state(links: &Links, token: &String, now: Millis) -> &'static str {
    match links.get(token) {
        Some(link) if link.used => "used",
        Some(link) if now < link.expires_at => "pending",
        _ => "expired",
    }
}
