//! Sessions: one for each login, with the family of its refresh tokens.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bounded::{Bound, Bounded, Entry, json_bytes};
use crate::error::ApiError;

/// Why a session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// By a logout, or by what amounts to one.
    LoggedOut,
    /// A refresh token came that a newer one had replaced.
    Reused,
}

/// One login and the family of its refresh tokens; its id is their `fti`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user_id: String,
    /// When the current refresh token was issued, in seconds since the epoch.
    pub(crate) refresh_iat: i64,
    /// When the current refresh token ends.
    pub(crate) refresh_exp: i64,
    /// The `jti` of the current refresh token; the first one is the id of the family.
    pub(crate) refresh_jti: String,
    pub(crate) end: Option<End>,
    pub(crate) amr: Vec<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) custom_claims: Map<String, Value>,
    /// Until when session tokens say that the session was stepped up.
    pub(crate) stepped_up_until: Option<i64>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user_id", &self.user_id)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn refuse_ended(&self) -> Result<(), ApiError> {
        match self.end {
            None => Ok(()),
            Some(End::LoggedOut) => Err(ApiError::logged_out()),
            Some(End::Reused) => Err(ApiError::family_invalidated()),
        }
    }
}

impl Entry for Session {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn bytes(&self) -> usize {
        let methods: usize = self.amr.iter().map(|method| 24 + method.len()).sum();
        384 + methods
            + self.tenant.as_ref().map_or(0, String::len)
            + json_bytes(&self.custom_claims)
    }
}

/// Sessions by id.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sessions(Bounded<Session>);

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Session> {
        self.0.get(&id.to_owned())
    }

    pub(crate) fn push(&mut self, session: Session, bound: Bound) {
        self.0.push(session, bound);
    }

    pub(crate) fn change<R>(&mut self, id: &str, act: impl FnOnce(&mut Session) -> R) -> Option<R> {
        self.0.change(&id.to_owned(), act)
    }

    pub(crate) fn user_of(&self, id: &str) -> Option<&str> {
        self.get(id).map(|session| session.user_id.as_str())
    }

    pub(crate) fn end(&mut self, id: &str, why: End) {
        self.change(id, |session| session.end.get_or_insert(why).to_owned());
    }

    /// Ends every session of a user but one.
    pub(crate) fn end_of_user(&mut self, user_id: &str, except: Option<&str>) {
        self.end_where(|session| session.user_id == user_id && except != Some(session.id.as_str()));
    }

    pub(crate) fn end_all(&mut self) {
        self.end_where(|_| true);
    }

    fn end_where(&mut self, ends: impl Fn(&Session) -> bool) {
        let ids: Vec<String> = self
            .0
            .iter()
            .filter(|session| session.end.is_none() && ends(session))
            .map(|session| session.id.clone())
            .collect();
        for id in ids {
            self.end(&id, End::LoggedOut);
        }
    }
}
